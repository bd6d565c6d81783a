"""Every fault of the table, in both colours: what is raised, how often was asked, what is not said.

The scripts are in `tests/faults`, byte by byte.
"""

from __future__ import annotations

import functools
import logging
import pickle
import time
import traceback
from pathlib import Path

import pytest

from meshapi import ChatCompletionParams, MeshAPIError
from tests.colours import Client, Sync
from tests.faults import answers, statuses, streams, transport
from tests.faults.fault import DEADLINE, TOKEN, Fault, Way
from tests.pools import in_use
from tests.test_retries import impatient
from tests.wire_server import WireServer

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
MARGIN = 1.5
"""Seconds that a busy machine may add."""

ROWS = [
    pytest.param(fault, way, id=f"{table.__name__.rpartition('.')[2]}: {name} [{way}]")
    for table in (transport, answers, statuses, streams)
    for name, fault in table.FAULTS.items()
    for way in fault.ways
]


def ask(client: Client, way: Way, colour: Sync) -> None:
    if way == "create":
        colour.settle(client.chat.completions.create(QUESTION))
    else:
        colour.collect(client.chat.completions.stream(QUESTION))


def everything_said(error: BaseException, log: str) -> str:
    """All that a log, a crash report or another process could show of an error."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in report.stack if "tests" not in Path(frame.filename).parts]
    report.stack = traceback.StackSummary.from_list(ours)
    written = pickle.dumps(error).decode("latin-1")
    return "\n".join([str(error), repr(error), repr(vars(error)), *report.format(), written, log])


@pytest.mark.parametrize(("fault", "way"), ROWS)
def test_a_fault_is_told_as_what_it_is(
    fault: Fault, way: Way, colour: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with WireServer(fault.script, greeting=fault.greeting, tls=fault.tls) as server:
        url = fault.url.format(port=server.port) if fault.url else server.url
        client = colour.client(base_url=url, token=TOKEN, **{"timeout": 20, **fault.options})
        impatient(client)
        begun = time.monotonic()
        with pytest.raises(MeshAPIError) as caught:
            ask(client, way, colour)
        took = time.monotonic() - begun
        left_over = in_use(client)
        colour.settle(client.close())

    error = caught.value
    assert type(error) is fault.raises
    assert error.retry_safety == fault.safety
    assert fault.says in str(error)
    for name, value in fault.facts.items():
        assert functools.reduce(getattr, name.split("."), error) == value, name
    assert (error.partial.text if error.partial else None) == fault.partial
    assert len(server.requests) == fault.posts
    assert error.meta.attempts == (fault.attempts or fault.posts or 1)
    assert took < DEADLINE + MARGIN
    assert left_over == 0
    assert TOKEN not in everything_said(error, caplog.text)
