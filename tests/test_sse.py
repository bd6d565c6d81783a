"""A stream on its way to a browser: its frames, its errors, and a browser that leaves."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
import warnings
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshapi import (
    AsyncMeshAPI,
    AsyncServerSentEvents,
    ChatCompletionChunk,
    ChatCompletionParams,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidRequest,
    MeshAPI,
    MeshAPIError,
    RateLimitExceeded,
    ServerSentEvents,
    StreamInterrupted,
)
from meshapi.errors import PayloadTooLarge, ServerError, SpendLimitExceeded, UpstreamError
from meshapi.local import LocalGateway
from meshapi.resources.chat import sse
from meshapi.resources.chat.sse import chunk_frame, error_frame
from tests.colours import AnyStream, Sync
from tests.served import read_until, serving, visit
from tests.wire_server import Forever, Script, Silence, Step, WireServer, events

TOKEN = "rsk_0123456789"
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
DONE = b"data: [DONE]\n\n"
HELLO = b'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n'
MINUTES = Silence(30)
LEAVES_WHILE_IT_WAITS = """
import asyncio, sys
from meshapi import ChatCompletionParams, MeshAPI

client = MeshAPI(base_url=sys.argv[1], token="rsk_test")
question = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
frames = client.chat.completions.stream(question).to_sse(heartbeat=0.05)


async def read():
    async for frame in frames:
        if frame.startswith(b":"):
            break


asyncio.run(read())
print("left")
"""


def documents_of(frames: list[bytes]) -> list[Any]:
    """What the frames say, `[DONE]` left out."""
    assert frames[-1] == DONE
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames[:-1]]


def nothing() -> None:
    """Do nothing."""


def relay(upstream: WireServer, kind: str, **options: Any) -> Starlette:
    """An app that sends every stream on, from a client of either colour."""
    client = MeshAPI(base_url=upstream.url, token=TOKEN)
    async_client = AsyncMeshAPI(base_url=upstream.url, token=TOKEN)

    def answer(frames: ServerSentEvents | AsyncServerSentEvents) -> StreamingResponse:
        kept.append(frames)
        return StreamingResponse(frames, media_type="text/event-stream")

    def plain(request: Request) -> StreamingResponse:
        return answer(client.chat.completions.stream(QUESTION).to_sse(**options))

    async def asynchronous(request: Request) -> StreamingResponse:
        return answer(async_client.chat.completions.stream(QUESTION).to_sse(**options))

    def plain_run(request: Request) -> StreamingResponse:
        run = client.chat.completions.run_stream(QUESTION, tools=[nothing])
        return answer(run.to_sse(**options))

    async def asynchronous_run(request: Request) -> StreamingResponse:
        run = async_client.chat.completions.run_stream(QUESTION, tools=[nothing])
        return answer(run.to_sse(**options))

    # An app may hold its answers longer than it should: nothing may hang on their being dropped.
    kept: deque[object] = deque(maxlen=0 if options else None)
    endpoint = {
        "sync": plain,
        "async": asynchronous,
        "sync run": plain_run,
        "async run": asynchronous_run,
    }[kind]
    return Starlette(routes=[Route("/{path:path}", endpoint, methods=["POST"])])


def test_a_chunk_is_sent_on_as_it_came(colour: Sync) -> None:
    sent = {
        "id": "c1",
        "choices": [{"index": 0, "delta": {"content": "Hi", "mood": "merry"}, "note": None}],
        "usage": {"total_tokens": 3, "cost": "0.1"},
        "x_resolved_model_id": "a/b",
    }
    with WireServer(events(f"data: {json.dumps(sent)}\n\ndata: [DONE]\n\n")) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        frames = colour.frames_of(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert documents_of(frames) == [sent]


@pytest.mark.parametrize(
    "text",
    ["a\nb\r\n\r\nc", "\u2028\u2029\x85", "🤷🏽\u200d♀️", "data: [DONE]\n\n", "\x00"],
    ids=ascii,
)
def test_no_text_breaks_a_frame(text: str) -> None:
    chunk = ChatCompletionChunk.model_validate({"choices": [{"delta": {"content": text}}]})

    frame = chunk_frame(chunk)

    assert frame.endswith(b"\n\n")
    assert not {b"\n"[0], b"\r"[0]} & set(frame[:-2])
    assert json.loads(frame.removeprefix(b"data: "))["choices"][0]["delta"]["content"] == text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamError("No", status_code=502, code="upstream_error"), "upstream_error"),
        (SpendLimitExceeded("No", status_code=402, code=402), 402),
        (PayloadTooLarge("No", status_code=413), 413),
        (ConfigurationError("No"), "configuration_error"),
    ],
)
def test_an_error_has_the_code_of_the_wire_or_its_own_name(
    error: MeshAPIError, code: str | int
) -> None:
    document = json.loads(error_frame(error).removeprefix(b"data: "))

    assert document == {"error": {"code": code, "message": "No"}}


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ConnectionFailed, "connection_failed"),
        (DeadlineExceeded, "deadline_exceeded"),
        (StreamInterrupted, "stream_interrupted"),
    ],
)
def test_a_browser_reads_no_address(failure: type[MeshAPIError], code: str) -> None:
    error = failure("No answer: http://inner.example/v1 (refused)")

    document = json.loads(error_frame(error).removeprefix(b"data: "))

    assert document["error"]["code"] == code
    assert document["error"]["message"]
    assert "inner.example" not in document["error"]["message"]


def test_an_app_says_what_a_browser_reads_of_an_error(colour: Sync) -> None:
    failed: list[MeshAPIError] = []

    def say(error: MeshAPIError) -> str:
        failed.append(error)
        return "Sorry"

    with WireServer(events(HELLO)) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        stream = client.chat.completions.stream(QUESTION)
        frames = colour.frames_of(stream, on_error=say)
        colour.settle(client.close())

    assert documents_of(frames)[1]["error"] == {"code": "stream_interrupted", "message": "Sorry"}
    assert [type(each) for each in failed] == [StreamInterrupted]


@pytest.mark.parametrize(("said", "read"), [("", ""), (None, "openai is down")])
def test_an_app_may_say_nothing_or_leave_the_words_of_the_gateway(
    said: str | None, read: str
) -> None:
    error = UpstreamError("openai is down", status_code=502, code="upstream_error")

    document = json.loads(error_frame(error, lambda _error: said).removeprefix(b"data: "))

    assert document["error"]["message"] == read


def test_an_error_mid_stream_is_a_frame_as_the_gateway_sends_one(colour: Sync) -> None:
    failure = {
        "error": {
            "code": "upstream_error",
            "message": "The provider failed, for rsk_0123456789.",
            "provider_code": "overloaded",
            "retry_after_seconds": 4,
        },
        "request_id": "req_1",
    }
    body = HELLO + f"data: {json.dumps(failure)}\n\ndata: [DONE]\n\n".encode()
    with WireServer(events(body)) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        frames = colour.frames_of(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert TOKEN.encode() not in b"".join(frames)
    assert documents_of(frames)[1] == {
        "error": {
            "code": "upstream_error",
            "message": "The provider failed, for ***.",
            "retry_after_seconds": 4,
        },
        "request_id": "req_1",
    }


def test_a_stream_that_was_cut_says_so(colour: Sync) -> None:
    with WireServer(events(HELLO)) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        frames = colour.frames_of(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert [each.get("error", {}).get("code") for each in documents_of(frames)] == [
        None,
        "stream_interrupted",
    ]


def test_a_stream_that_was_closed_is_not_passed_off_as_complete(
    colour: Sync, gateway: LocalGateway
) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    stream = client.chat.completions.stream(QUESTION)
    colour.take(stream, 1)
    colour.settle(stream.close())

    frames = colour.frames_of(stream)
    colour.settle(client.close())

    assert [each["error"]["code"] for each in documents_of(frames)] == ["stream_interrupted"]


def test_a_stream_that_cannot_be_opened_is_an_error_frame(gateway: LocalGateway) -> None:
    async def frames_of() -> list[bytes]:
        token = gateway.add_key(spend_cap_usd=0)
        async with AsyncMeshAPI(base_url=gateway.base_url, token=token) as client:
            return [frame async for frame in client.chat.completions.stream(QUESTION).to_sse()]

    (document,) = documents_of(asyncio.run(frames_of()))

    assert document["error"]["code"] == "spend_limit_exceeded"
    assert document["request_id"].startswith("req_")


@pytest.mark.parametrize("heartbeat", [0, -1, float("nan"), True])
def test_a_heartbeat_takes_time(colour: Sync, gateway: LocalGateway, heartbeat: float) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    stream = client.chat.completions.stream(QUESTION)

    with pytest.raises(InvalidRequest, match="heartbeat"):
        stream.to_sse(heartbeat=heartbeat)
    colour.settle(stream.close())
    colour.settle(client.close())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_was_sent_on_is_read_as_if_it_came_from_the_gateway(colour: Sync, kind: str) -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    chunks: list[Any] = [
        {"id": "c1", "choices": [{"delta": {"content": "Hello "}}]},
        {"id": "c1", "choices": [{"delta": {"content": "you", "tool_calls": [call]}}]},
        {"id": "c1", "choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
        {"id": "c1", "choices": [], "usage": {"total_tokens": 3}},
    ]
    body = "".join(f"data: {each}\n\n" for each in [*map(json.dumps, chunks), "[DONE]"])
    with WireServer(events(body)) as upstream, serving(relay(upstream, kind)) as url:
        direct = colour.client(base_url=upstream.url, token=TOKEN)
        behind = colour.client(base_url=url, token=TOKEN)
        answers = [
            colour.settle(client.chat.completions.stream(QUESTION).final())
            for client in (direct, behind)
        ]
        colour.settle(direct.close())
        colour.settle(behind.close())

    assert answers[0].text == "Hello you"
    assert answers[0].model_dump() == answers[1].model_dump()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_error_that_was_sent_on_is_the_same_error(colour: Sync, kind: str) -> None:
    failure = {
        "error": {"code": "rate_limit_exceeded", "message": "Slowly.", "retry_after_seconds": 7},
        "request_id": "req_1",
    }
    body = HELLO + f"data: {json.dumps(failure)}\n\n".encode()
    with WireServer(events(body)) as upstream, serving(relay(upstream, kind)) as url:
        client = colour.client(base_url=url, token=TOKEN)
        with pytest.raises(RateLimitExceeded, match=r"Slowly.*req_1") as caught:
            colour.text_of(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_after == 7
    assert caught.value.partial
    assert caught.value.partial.text == "Hello"


def as_it_is(app: ASGIApp) -> ASGIApp:
    """Behind uvicorn, whose ASGI version has Starlette listen for the browser's leaving."""
    return app


def behind_a_middleware(app: ASGIApp) -> ASGIApp:
    """Behind one of Starlette's own, which puts a stream of its own in between."""

    async def dispatch(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        return await call_next(request)

    return BaseHTTPMiddleware(app, dispatch)


def behind_a_newer_server(app: ASGIApp) -> ASGIApp:
    """Behind a server of ASGI 2.4: Starlette does not listen, but sending to nobody fails."""

    async def newer(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        async def send_or_fail(message: Message) -> None:
            if listening.done():
                raise OSError("nobody is there")
            await send(message)

        scope["asgi"]["spec_version"] = "2.4"
        listening = asyncio.create_task(listen())
        with suppress(ClientDisconnect):  # Whose traceback would keep the frames, in a log.
            await app(scope, receive, send_or_fail)
        listening.cancel()

    return newer


SILENT: list[Step] = [events(HELLO), MINUTES]
SILENT_FROM_THE_START: list[Step] = [MINUTES]
TALKING: list[Step] = [events(HELLO), Forever(HELLO * 1000)]


@pytest.mark.parametrize("server", [as_it_is, behind_a_middleware, behind_a_newer_server])
@pytest.mark.parametrize(
    ("kind", "upstream_does", "browser_waits_for"),
    [
        ("sync", SILENT, b"Hello"),
        ("async", SILENT, b"Hello"),
        ("async", SILENT_FROM_THE_START, b"HTTP/1.1 200"),
        ("sync", TALKING, b"Hello"),
        ("async", TALKING, b"Hello"),
        ("sync run", SILENT, b"Hello"),
        ("async run", SILENT, b"Hello"),
    ],
    ids=[
        "sync, silent",
        "silent",
        "silent from the start",
        "sync, not read",
        "not read",
        "a run, sync",
        "a run",
    ],
)
def test_the_upstream_call_ends_when_the_browser_leaves(
    server: Callable[[ASGIApp], ASGIApp],
    kind: str,
    upstream_does: Script,
    browser_waits_for: bytes,
) -> None:
    options = {"heartbeat": 0.1} if server is behind_a_newer_server else {}
    with (
        WireServer(upstream_does) as upstream,
        serving(server(relay(upstream, kind, **options))) as url,
    ):
        browser = visit(url)
        read_until(browser, browser_waits_for)
        time.sleep(0.3 if upstream_does is TALKING else 0.05)  # Until all that waits, does.
        left = time.monotonic()
        browser.close()

        assert upstream.ended.get(timeout=5) - left < 2


def test_many_silent_streams_leave_room_for_another() -> None:
    with (
        WireServer(SILENT) as upstream,
        serving(relay(upstream, "sync")) as url,
        ExitStack() as all_,
    ):
        for _ in range(60):
            browser = all_.enter_context(closing(visit(url)))
            assert read_until(browser, b"Hello")


def test_silence_is_filled_with_comments() -> None:
    async def first_three(server: WireServer) -> list[bytes]:
        async with AsyncMeshAPI(base_url=server.url, token=TOKEN) as client:
            frames = client.chat.completions.stream(QUESTION).to_sse(heartbeat=0.05)
            taken = [await anext(frames) for _ in range(3)]
            await frames.aclose()
            return taken

    async def first_three_of_a_plain_one(server: WireServer) -> list[bytes]:
        with MeshAPI(base_url=server.url, token=TOKEN) as client:
            frames = client.chat.completions.stream(QUESTION).to_sse(heartbeat=0.05)
            taken = [await anext(frames) for _ in range(3)]
            await frames.aclose()
            return taken

    for three in (first_three, first_three_of_a_plain_one):
        with WireServer(SILENT) as server:
            assert [b"Hello" in each for each in asyncio.run(three(server))] == [True, False, False]
            assert server.ended.get(timeout=2)


def test_a_silent_relay_that_is_still_held_holds_up_no_exit() -> None:
    with WireServer(SILENT) as server:
        began = time.monotonic()
        leaves = subprocess.run(
            [sys.executable, "-X", "dev", "-c", LEAVES_WHILE_IT_WAITS, server.url],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )

    assert time.monotonic() - began < 10
    assert (leaves.stdout, leaves.stderr) == ("left\n", "")


def test_a_heartbeat_loses_no_frame() -> None:
    slowly: list[Step] = [events(HELLO), 0.2, HELLO, 0.2, b"data: [DONE]\n\n"]

    async def all_of(server: WireServer) -> list[bytes]:
        async with AsyncMeshAPI(base_url=server.url, token=TOKEN) as client:
            stream = client.chat.completions.stream(QUESTION)
            return [frame async for frame in stream.to_sse(heartbeat=0.05)]

    with WireServer(slowly) as server:
        frames = asyncio.run(all_of(server))

    assert [frame for frame in frames if frame != b": \n\n"][-1] == DONE
    assert sum(b"Hello" in frame for frame in frames) == 2
    assert frames.count(b": \n\n") > 2


def test_a_plain_loop_closes_as_a_web_server_of_wsgi_does() -> None:
    with WireServer(SILENT) as server, MeshAPI(base_url=server.url, token=TOKEN) as client:
        frames = client.chat.completions.stream(QUESTION).to_sse()

        assert b"Hello" in next(frames)
        frames.close()
        assert server.ended.get(timeout=2)
        assert b"stream_interrupted" in next(frames)


@pytest.mark.parametrize("asked_for", [0, 1, 2])
def test_frames_that_are_dropped_close_the_call(colour: Sync, asked_for: int) -> None:
    async def leave(stream: AnyStream) -> None:
        frames = stream.to_sse(heartbeat=0.05)
        for _ in range(asked_for):  # The second is a heartbeat: the next one is then waited for.
            await anext(frames)
        weak = weakref.ref(frames)
        del frames, stream
        assert weak() is None
        await asyncio.sleep(0.05)

    with WireServer(SILENT) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        with warnings.catch_warnings(record=True) as warned:
            asyncio.run(leave(client.chat.completions.stream(QUESTION)))
            gc.collect()
        if asked_for or colour.name == "sync":
            assert server.ended.get(timeout=2)
        colour.settle(client.close())

    assert not warned


class Surprise(Exception):
    """Nothing of ours."""


def test_what_is_no_error_of_ours_is_raised_and_the_call_is_closed(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(chunk: ChatCompletionChunk) -> bytes:
        raise Surprise

    monkeypatch.setattr(sse, "chunk_frame", fail)
    with WireServer(SILENT) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        stream = client.chat.completions.stream(QUESTION)
        with pytest.raises(Surprise):
            colour.frames_of(stream)
        colour.settle(asyncio.sleep(0.05) if colour.name == "async" else None)
        assert server.ended.get(timeout=2)
        colour.settle(client.close())


def test_a_task_that_is_cancelled_while_it_writes_closes_the_call(colour: Sync) -> None:
    async def cancelled_while_writing(frames: ServerSentEvents | AsyncServerSentEvents) -> None:
        async def write() -> None:
            async for _ in frames:
                writing.set()
                await asyncio.sleep(30)

        writing = asyncio.Event()
        writer = asyncio.create_task(write())
        await writing.wait()
        writer.cancel()
        await asyncio.wait([writer])
        await asyncio.to_thread(server.ended.get, timeout=2)

    with WireServer(SILENT) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        frames = client.chat.completions.stream(QUESTION).to_sse()
        asyncio.run(cancelled_while_writing(frames))
        colour.settle(client.close())


def test_frames_that_ended_stay_at_their_end(colour: Sync, gateway: LocalGateway) -> None:
    async def ends(frames: ServerSentEvents | AsyncServerSentEvents) -> list[bytes | None]:
        taken = [frame async for frame in frames]
        return [taken[-1], await anext(frames, None), await anext(frames, None)]

    client = colour.client(base_url=gateway.base_url, token=gateway.token)

    assert asyncio.run(ends(client.chat.completions.stream(QUESTION).to_sse())) == [
        DONE,
        None,
        None,
    ]
    colour.settle(client.close())


def test_what_was_read_before_is_not_sent_and_each_chunk_goes_one_way(colour: Sync) -> None:
    words = [{"choices": [{"delta": {"content": word}}]} for word in "abc"]
    body = "".join(f"data: {each}\n\n" for each in [*map(json.dumps, words), "[DONE]"])
    with WireServer(events(body)) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        frames = [documents_of(colour.frames_of(stream)) for _ in range(2)]
        colour.settle(client.close())

    assert frames == [words[1:], []]


@pytest.mark.parametrize("code", ["of_the_future", "stream_interrupted", "connection_failed"])
def test_a_code_that_the_next_client_does_not_know_is_an_error_of_the_server(
    colour: Sync, code: str
) -> None:
    failure = UpstreamError("No", status_code=429, code=code, request_id="req_1", retry_after=1.5)
    with WireServer(events(HELLO + error_frame(failure))) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        with pytest.raises(ServerError, match=r"No.*req_1") as caught:
            colour.text_of(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert (caught.value.status_code, caught.value.code, caught.value.retry_after) == (500, code, 2)
