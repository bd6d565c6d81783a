"""One deadline bounds the whole call, however the server spends it."""

from __future__ import annotations

import gzip
import math
import time
from collections.abc import Sequence
from typing import Any

import pytest

from meshapi import (
    ChatCompletionParams,
    ConfigurationError,
    DeadlineExceeded,
    RateLimitExceeded,
    Timeout,
)
from meshapi._core.settings import Settings
from meshapi._core.token import Token
from tests.colours import Sync
from tests.wire_server import Step, WireServer, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
ANSWER = response('{"choices": [{"message": {"content": "Hello"}}]}')


def dripped(script: bytes, start: int) -> list[Step]:
    steps: list[Step] = [script[:start]]
    for position in range(start, len(script)):
        steps += [script[position : position + 1], 0.05]
    return steps


SLOW: dict[str, Sequence[Step]] = {
    "never answers": [10.0],
    "drips its headers": dripped(ANSWER, 0),
    "drips its body": dripped(ANSWER, len(ANSWER) - 40),
    "continues for ever": [b"HTTP/1.1 100 Continue\r\n\r\n", 0.05] * 100,
}


@pytest.mark.parametrize("steps", SLOW.values(), ids=SLOW)
def test_a_call_ends_at_its_deadline(steps: Sequence[Step], colour: Sync) -> None:
    with WireServer(steps) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            colour.settle(client.chat.completions.create(QUESTION, timeout=0.4))
        took = time.monotonic() - begun
        colour.settle(client.close())

    assert 0.4 <= took < 1.5
    assert "0.4 s (Timeout.total)" in str(caught.value)
    assert caught.value.retry_safety == "ambiguous"
    assert len(server.requests) == 1


def test_a_small_body_that_stands_for_much_does_not_outlast_the_deadline(colour: Sync) -> None:
    nothing = gzip.compress(b":\n\n" * 4_000_000)
    flood = response(
        nothing, content_type="text/event-stream", headers={"content-encoding": "gzip"}
    )
    with WireServer(flood) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            colour.collect(client.chat.completions.stream(QUESTION, timeout=0.4))
        took = time.monotonic() - begun
        colour.settle(client.close())

    assert took < 1.5


def test_a_deadline_that_passes_before_connecting_has_sent_nothing(colour: Sync) -> None:
    def late() -> str:
        time.sleep(0.1)
        return "rsk_test"

    with WireServer(ANSWER) as server:
        client = colour.client(base_url=server.url, token=late, max_retries=0)
        with pytest.raises(DeadlineExceeded) as caught:
            colour.settle(client.chat.completions.create(QUESTION, timeout=0.05))
        colour.settle(client.close())

    assert caught.value.retry_safety == "not_sent"
    assert server.requests == []


def test_a_shorter_limit_holds_where_a_longer_one_came_before(colour: Sync) -> None:
    kept = response('{"choices": []}', headers={"connection": "keep-alive"})
    with WireServer(kept, [10.0]) as server:
        client = colour.client(base_url=server.url, token="rsk_test", timeout=60)
        colour.settle(client.chat.completions.create(QUESTION))
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            colour.settle(client.chat.completions.create(QUESTION, timeout=0.2))
        took = time.monotonic() - begun
        colour.settle(client.close())

    assert took < 1.5
    assert server.connections == 1


def test_a_wait_longer_than_what_is_left_is_not_slept(colour: Sync) -> None:
    with WireServer(response("", status=429, headers={"retry-after": "30"})) as server:
        client = colour.client(base_url=server.url, token="rsk_test", timeout=5)
        begun = time.monotonic()
        with pytest.raises(RateLimitExceeded) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        took = time.monotonic() - begun
        colour.settle(client.close())

    assert caught.value.retry_after == 30
    assert took < 1.5
    assert len(server.requests) == 1


def test_a_number_of_seconds_sets_total_first_event_and_idle() -> None:
    settings = Settings.load({"token": Token("rsk_test"), "timeout": Timeout(connect=1)})

    changed = settings.replaced({"timeout": 7})

    assert changed.timeout == Timeout(total=7, first_event=7, idle=7, connect=1)


@pytest.mark.parametrize("bad", [0, -1, math.inf, math.nan, True, "5"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(bad: Any, colour: Sync) -> None:
    with pytest.raises(ConfigurationError, match="seconds"):
        colour.client(token="rsk_test", timeout=bad)
    with pytest.raises(ConfigurationError, match="idle"):
        Timeout(idle=bad)
