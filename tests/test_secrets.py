"""Calls of every kind, going every way: nothing that watches them sees the token or what was said.

A new way of watching adds what it saw to `Seen.said`, and is scanned with the rest.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from meshapi import (
    AsyncMeshAPI,
    ChatCompletionParams,
    ComparisonParams,
    Hooks,
    MeshAPI,
    MeshAPIError,
    RequestInfo,
    ResponseInfo,
    RetryInfo,
)
from tests.colours import Client, Sync
from tests.test_retries import impatient
from tests.told import CONTENT, Told
from tests.wire_server import End, Received, Step, WireServer, events, response

TOKEN = "rsk_5ECRETofThisTest"
SAID = ("canary-prompt", "canary-answer", "canary-variable", "canary-argument", "canary-header")
"""What the caller or the model says, and a header that the caller sets."""
PROMPT, ANSWER, VARIABLE, ARGUMENT, HEADER = SAID

QUESTION = ChatCompletionParams(
    messages=[{"role": "user", "content": PROMPT}], template="t", variables={"name": VARIABLE}
)
COMPARED = ComparisonParams(models=["a/b"], messages=QUESTION.messages, skip_comparison=True)


class Seen(logging.Handler):
    """All that was told of the calls, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []
        """By the log, the hooks and whatever else watches: no token, and nothing that was said."""
        self.raised: list[str] = []
        """By errors, with the locals of our own frames: no token."""
        self.hooks = Hooks(on_request=self.note, on_response=self.note, on_retry=self.note)
        self.telemetry = Told()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))
        facts = {name: each for name, each in vars(record).items() if name != "exc_info"}
        self.said.append(repr(facts))

    def note(self, info: RequestInfo | ResponseInfo | RetryInfo) -> None:
        self.said.append(repr(info))
        if isinstance(info, ResponseInfo):
            self.said.append(repr(info.headers))
        raise ValueError("A hook that fails is logged with its traceback")

    def caught(self, error: MeshAPIError) -> None:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [frame for frame in report.stack if "tests" not in Path(frame.filename).parts]
        report.stack = traceback.StackSummary.from_list(ours)
        self.raised += [str(error), repr(error), repr(vars(error)), *report.format()]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Every logger at DEBUG, and telemetry with its events."""
    monkeypatch.delenv(CONTENT, raising=False)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")
    seen, root = Seen(), logging.getLogger()
    before = root.level
    root.addHandler(seen)
    root.setLevel(logging.DEBUG)
    with seen.telemetry:
        yield seen
    root.setLevel(before)
    root.removeHandler(seen)


def _called(name: str) -> str:
    return name


def _left(colour: Sync, client: Client) -> None:
    stream = client.chat.completions.stream(QUESTION)
    colour.take(stream, 1)
    colour.settle(stream.close())


def _compare(colour: Sync, client: Client) -> None:
    if isinstance(client, MeshAPI):
        list(client.chat.compare.stream(COMPARED))
    else:
        asked: Awaitable[int] | int = _compare_async(client)
        colour.settle(asked)


async def _compare_async(client: AsyncMeshAPI) -> int:
    return len([event async for event in client.chat.compare.stream(COMPARED)])


CALLS: dict[str, Callable[[Sync, Client], object]] = {
    "create": lambda colour, client: colour.settle(client.chat.completions.create(QUESTION)),
    "stream": lambda colour, client: colour.collect(client.chat.completions.stream(QUESTION)),
    "left": _left,
    "parse": lambda colour, client: colour.settle(client.chat.completions.parse(QUESTION, int)),
    "run": lambda colour, client: colour.settle(
        client.chat.completions.run(QUESTION, tools=[_called], max_turns=2)
    ),
    "compare": lambda colour, client: colour.settle(client.chat.compare.create(COMPARED)),
    "compare, streamed": _compare,
    "models": lambda colour, client: colour.settle(client.models.list()),
}

ECHO = {"x-request-id": f"req_{TOKEN}", "x-echo": f"Bearer {TOKEN}", f"x-{TOKEN}": "name"}
ERROR = {"error": {"code": f"no_{TOKEN}", "message": f"{PROMPT} {TOKEN}", "param": TOKEN}}


def _chunk(**delta: object) -> str:
    return f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n"


def good(request: Received) -> Sequence[Step]:
    """An answer that calls a tool where there is one, or a stream of it."""
    if b'"stream":true' in request.body:
        return [events(_chunk(content=ANSWER) * 3 + "data: [DONE]\n\n", headers=ECHO)]
    call = {"id": "1", "function": {"name": "_called", "arguments": json.dumps({"name": ARGUMENT})}}
    calls = {"tool_calls": [call]} if b'"tools"' in request.body else {}
    message = {"role": "assistant", "content": ANSWER, **calls}
    return [response(json.dumps({"choices": [{"message": message}]}), headers=ECHO)]


def refused(_: Received) -> Sequence[Step]:
    """An error that echoes what was sent."""
    return [response(json.dumps(ERROR), status=402, headers=ECHO)]


def in_a_200(_: Received) -> Sequence[Step]:
    """The same, with a good status."""
    return [response(json.dumps(ERROR), headers=ECHO)]


def in_the_stream(_: Received) -> Sequence[Step]:
    """The same, after an event."""
    return [events(_chunk(content=ANSWER) + f"data: {json.dumps(ERROR)}\n\n", headers=ECHO)]


def cut(_: Received) -> Sequence[Step]:
    """The beginning of an answer."""
    return [events(_chunk(content=ANSWER), headers=ECHO), End.RESET]


def broken(_: Received) -> Sequence[Step]:
    """Something else than HTTP."""
    return [f"{TOKEN}\r\n\r\n".encode()]


def retried(request: Received) -> Sequence[Step]:
    """A refusal first."""
    if request.headers["x-meshapi-attempt"] == "1":
        return [response(json.dumps(ERROR), status=503, headers={**ECHO, "retry-after": "1"})]
    return good(request)


FAULTS = (good, refused, in_a_200, in_the_stream, cut, broken, retried)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("pool", ["own", "lent"])
def test_no_secret_and_nothing_that_was_said_is_told(
    call: str, fault: Callable[[Received], Sequence[Step]], pool: str, colour: Sync, seen: Seen
) -> None:
    with WireServer(fault) as server, colour.lent(wanted=pool == "lent") as http:
        client = colour.client(
            base_url=server.url,
            token=TOKEN,
            headers={"x-mine": HEADER},
            hooks=seen.hooks,
            http_client=http,
        )
        impatient(client)
        try:
            CALLS[call](colour, client)
        except MeshAPIError as error:
            seen.caught(error)
        colour.settle(client.close())
        sent = b"".join(each.raw for each in server.requests)

    seen.said.append(seen.telemetry.everything)
    told = "\n".join(seen.said)
    assert TOKEN.encode() in sent
    assert "INFO" in told
    assert "RequestInfo(" in told
    assert "ResponseInfo(" in told
    assert "A hook that fails" in told
    for kind in ("SpanKind.CLIENT", "client.operation.duration", "inference.operation.details"):
        assert (kind in told) is (call != "models")
    assert TOKEN not in told + "\n".join(seen.raised)
    for each in SAID:
        assert each not in told


def test_the_password_of_a_proxy_is_not_told(colour: Sync, seen: Seen) -> None:
    with WireServer(response("", status=407)) as server:
        proxy = server.url.replace("http://", "http://me:canary-password@")
        client = colour.client(
            base_url="http://gateway.invalid", token=TOKEN, proxy=proxy, hooks=seen.hooks
        )
        impatient(client)
        with pytest.raises(MeshAPIError) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        seen.caught(caught.value)
        colour.settle(client.close())

    seen.said.append(seen.telemetry.everything)
    assert "ResponseInfo(" in "\n".join(seen.said)
    assert "canary-password" not in "\n".join(seen.said + seen.raised)
