"""Hooks are told of every attempt, in order, and break no call whatever they do."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import Any, TypeAlias

import pytest

from meshapi import (
    AsyncMeshAPI,
    ChatCompletionParams,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    Hooks,
    MeshAPI,
    MeshAPIError,
    RateLimit,
    RateLimitExceeded,
    RequestInfo,
    ResponseInfo,
    RetryInfo,
    StreamInterrupted,
)
from meshapi.local import LocalGateway
from tests.colours import Client, Sync
from tests.copies import COPIES
from tests.pools import in_use
from tests.test_logging import ANSWER, CHUNK, DONE, refusal
from tests.test_retries import impatient
from tests.wire_server import Silence, WireServer, echo, events, response

QUESTION = ChatCompletionParams(
    messages=[{"role": "user", "content": "Hi"}], session_id="conversation-1"
)
Info: TypeAlias = RequestInfo | ResponseInfo | RetryInfo


class Notes:
    """Notes what it is told, as hooks do."""

    def __init__(self) -> None:
        self.all: list[Info] = []
        self.hooks = Hooks(
            on_request=self.all.append, on_response=self.all.append, on_retry=self.all.append
        )

    @property
    def names(self) -> list[str]:
        return [type(each).__name__.removesuffix("Info").lower() for each in self.all]

    @property
    def responses(self) -> list[ResponseInfo]:
        return [each for each in self.all if isinstance(each, ResponseInfo)]


def ask(colour: Sync, url: str, hooks: Hooks, **options: object) -> str | None:
    """Ask once, with no wait slept: the text, or None where it failed."""
    client = colour.client(base_url=url, **{"token": "rsk_test", "hooks": hooks, **options})
    impatient(client)
    try:
        return colour.settle(client.chat.completions.create(QUESTION)).text
    except MeshAPIError:
        return None
    finally:
        colour.settle(client.close())


def stream(colour: Sync, url: str, hooks: Hooks) -> str:
    """Read a stream: the text that came."""
    client = colour.client(base_url=url, token="rsk_test", hooks=hooks)
    texts: list[str] = []
    with suppress(MeshAPIError):
        texts = colour.text_of(client.chat.completions.stream(QUESTION))
    colour.settle(client.close())
    return "".join(texts)


def test_hooks_are_told_of_every_attempt_in_order(colour: Sync) -> None:
    notes = Notes()
    busy = refusal(429, "rate_limit_exceeded", retry_after="7", x_request_id="req_1")
    with WireServer(busy, b"", response('{"choices": []}')) as server:
        ask(colour, server.url, notes.hooks, headers={"x-a": "b"})
        sent = server.requests[0]

    assert notes.names == ["request", "response", "retry", "request", "response"]
    request, refused, retry, *_ = notes.all
    assert request == RequestInfo(
        method="POST",
        path="/v1/chat/completions",
        attempt=1,
        streams=False,
        idempotency_key=sent.headers["idempotency-key"],
        session_id="conversation-1",
        body_bytes=len(sent.body),
    )
    assert isinstance(refused, ResponseInfo)
    assert isinstance(retry, RetryInfo)
    assert refused.request is request
    assert (refused.status_code, refused.request_id) == (429, "req_1")
    assert refused.headers["Retry-After"] == "7"
    assert (refused.error, refused.code) == (RateLimitExceeded, "rate_limit_exceeded")
    assert 0 < refused.elapsed < 60
    assert retry.response is refused
    assert 7 <= retry.wait <= 7.7
    assert retry.server_named_wait


def test_where_no_answer_came_there_is_no_status(colour: Sync) -> None:
    notes = Notes()
    ask(colour, "http://127.0.0.1:9", notes.hooks, max_retries=1)

    assert notes.names == ["request", "response", "retry", "request", "response"]
    first = notes.all[1]
    retry = notes.all[2]
    assert isinstance(first, ResponseInfo)
    assert isinstance(retry, RetryInfo)
    assert (first.status_code, first.request_id, len(first.headers)) == (None, None, 0)
    assert first.error is ConnectionFailed
    assert not retry.server_named_wait


def test_an_error_in_a_good_answer_is_one(colour: Sync) -> None:
    notes = Notes()
    with WireServer(response('{"error": {"code": "upstream_error"}}')) as server:
        ask(colour, server.url, notes.hooks, max_retries=0)

    (told,) = notes.responses
    assert (told.status_code, told.code) == (200, "upstream_error")
    assert told.error is not None


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (events(CHUNK + DONE), None),
        (events(DONE), None),
        (events(CHUNK), None),
        (events(CHUNK + 'data: {"error": {"code": "upstream_error"}}\n\n'), None),
        (events(""), StreamInterrupted),
        (refusal(402, None), MeshAPIError),
    ],
    ids=["complete", "empty", "cut later", "failed later", "never begun", "refused"],
)
def test_of_a_stream_the_opening_is_told(
    script: bytes, error: type[MeshAPIError] | None, colour: Sync
) -> None:
    notes = Notes()
    with WireServer(script) as server:
        stream(colour, server.url, notes.hooks)

    assert notes.names == ["request", "response"]
    told = notes.responses[0]
    assert told.request.streams
    assert told.error is error or (error and told.error and issubclass(told.error, error))


def test_a_get_has_neither_key_nor_session_nor_body(colour: Sync, gateway: LocalGateway) -> None:
    notes = Notes()
    client = colour.client(base_url=gateway.base_url, token=gateway.token, hooks=notes.hooks)
    colour.settle(client.models.list())
    colour.settle(client.close())

    request, told = notes.all
    assert isinstance(request, RequestInfo)
    assert (request.method, request.path, request.body_bytes) == ("GET", "/v1/models", 0)
    assert request.idempotency_key is request.session_id is None
    assert isinstance(told, ResponseInfo)


def test_what_is_not_sent_is_not_told(colour: Sync) -> None:
    notes, tokens = Notes(), iter(["rsk_test"])
    limit = RateLimit(rpm=1)
    with WireServer(refusal(503, None), ANSWER) as server:
        ask(colour, server.url, notes.hooks, token=lambda: next(tokens))
        after_the_token = notes.names
        notes.all.clear()
        ask(colour, server.url, notes.hooks, rate_limit=limit)
        ask(colour, server.url, notes.hooks, rate_limit=limit, timeout=5)

    assert after_the_token == ["request", "response", "retry"]
    assert notes.names == ["request", "response"]


@pytest.mark.parametrize("again", COPIES)
def test_what_hooks_are_told_is_plain_and_frozen(again: Callable[[Any], Any]) -> None:
    notes = Notes()
    with (
        WireServer(refusal(503, None), ANSWER) as server,
        MeshAPI(base_url=server.url, token="rsk_test", hooks=notes.hooks) as client,
    ):
        impatient(client)
        client.chat.completions.create(QUESTION)

    for each in notes.all:
        twin = again(each)
        assert repr(twin) == repr(each)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(each, dataclasses.fields(each)[0].name, None)
    assert "content-type" not in repr(notes.responses[0])


def raises(error: Callable[[], BaseException]) -> Callable[[object], None]:
    def hook(_: object) -> None:
        raise error()

    return hook


@pytest.mark.parametrize("name", ["on_request", "on_response", "on_retry"])
@pytest.mark.parametrize(
    "error",
    [ValueError, lambda: ExceptionGroup("several", [ValueError()]), lambda: ConnectionFailed("x")],
    ids=["an error", "a group", "one of ours"],
)
def test_a_hook_that_raises_is_logged_and_breaks_no_call(
    error: Callable[[], BaseException], name: str, colour: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = Hooks(**{name: raises(error)})
    with WireServer(refusal(503, None, retry_after="0"), echo) as server:
        assert ask(colour, server.url, hooks) == "Hi"
        assert stream(colour, server.url, hooks) == "Hi"

    failures = [each for each in caplog.records if each.levelname == "ERROR"]
    assert {each.getMessage() for each in failures} == {f"The hook {name} failed; the call goes on"}
    assert all(each.exc_info for each in failures)
    assert len(failures) == {"on_request": 3, "on_response": 3, "on_retry": 1}[name]


def test_the_log_of_a_failed_hook_does_not_quote_the_answer(
    colour: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(_: object) -> None:
        try:
            int("of the hook")
        except ValueError:
            raise ValueError("The hook is wrong")  # noqa: B904  # Its context is what is meant.

    hooks = Hooks(on_response=hook, on_retry=hook)
    refused = response('{"error": {"message": "You said: my secret"}}', status=503)
    with WireServer(refused, ANSWER) as server:
        try:
            int("what the caller handles: my secret")
        except ValueError:
            assert ask(colour, server.url, hooks) == "Hello"

    assert "of the hook" in caplog.text
    assert "The hook is wrong" in caplog.text
    assert "my secret" not in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("name", ["on_request", "on_response"])
def test_what_ends_a_program_passes(name: str, error: type[BaseException]) -> None:
    hooks = Hooks(**{name: raises(error)})
    with WireServer(ANSWER) as server:
        client = MeshAPI(base_url=server.url, token="rsk_test", hooks=hooks)
        with pytest.raises(error):
            client.chat.completions.create(QUESTION)
        with pytest.raises(error):
            client.chat.completions.stream(QUESTION)
        gc.collect()

        assert in_use(client) == 0
        client.close()


async def _async_hook(_: object) -> None:
    """Nobody awaits it on a `MeshAPI`."""


class _AsyncObject:
    async def __call__(self, _: object) -> None:
        """Nobody awaits it on a `MeshAPI`."""

    async def method(self, _: object) -> None:
        """Nobody awaits it on a `MeshAPI`."""


@pytest.mark.parametrize(
    "hook",
    [_async_hook, functools.partial(_async_hook), _AsyncObject(), _AsyncObject().method],
    ids=["function", "partial", "object", "method"],
)
@pytest.mark.parametrize("name", ["on_request", "on_response", "on_retry"])
def test_a_sync_client_refuses_async_hooks(
    name: str, hook: Callable[[object], Awaitable[None]]
) -> None:
    hooks = Hooks(**{name: hook})

    with pytest.raises(ConfigurationError, match="An async hook needs AsyncMeshAPI"):
        MeshAPI(token="rsk_test", hooks=hooks)
    with MeshAPI(token="rsk_test") as client, pytest.raises(ConfigurationError):
        client.with_options(hooks=hooks)


class Later:
    """Something to await that is no coroutine."""

    def __init__(self, awaited: list[str]) -> None:
        self._awaited = awaited

    def __await__(self) -> Generator[None, None, None]:
        self._awaited.append("awaited")
        yield from asyncio.sleep(0).__await__()


@pytest.mark.parametrize("kind", ["coroutine", "object"])
def test_what_only_turns_out_to_be_async_is_logged_by_a_sync_client(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    awaited: list[str] = []

    def hook(info: object) -> Awaitable[None]:
        return _async_hook(info) if kind == "coroutine" else Later(awaited)

    with WireServer(ANSWER) as server, MeshAPI(base_url=server.url, token="rsk_test") as client:
        hooked = client.with_options(hooks=Hooks(on_response=hook))

        assert hooked.chat.completions.create(QUESTION).text == "Hello"
        gc.collect()

    assert "An async hook needs AsyncMeshAPI" in caplog.text
    assert awaited == []


def settled(url: str, hooks: Hooks, **options: Any) -> str:
    async def main() -> str:
        async with AsyncMeshAPI(base_url=url, token="rsk_test", hooks=hooks, **options) as client:
            return (await client.chat.completions.create(QUESTION)).text

    return asyncio.run(main())


@pytest.mark.parametrize("kind", ["function", "partial", "object", "method", "future", "awaitable"])
def test_an_async_client_awaits_its_hooks(kind: str) -> None:
    told: list[str] = []

    async def hook(_: object) -> None:
        await asyncio.sleep(0)
        told.append("awaited")

    class Called:
        async def __call__(self, _: object) -> None:
            await hook(_)

    def later(_: object) -> Awaitable[None]:
        return Later(told)

    def future(_: object) -> Awaitable[None]:
        return asyncio.ensure_future(hook(_))

    kinds: dict[str, Callable[[object], Awaitable[None]]] = {
        "function": hook,
        "partial": functools.partial(hook),
        "object": Called(),
        "method": Called().__call__,
        "future": future,
        "awaitable": later,
    }
    with WireServer(refusal(503, None, retry_after="0"), ANSWER) as server:
        hooks = Hooks(on_request=kinds[kind], on_response=kinds[kind], on_retry=kinds[kind])

        assert settled(server.url, hooks) == "Hello"

    assert told == ["awaited"] * 5


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_hook_that_hangs_loses_no_answer(streams: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def hang(_: object) -> None:
        await asyncio.sleep(60)

    async def main(url: str) -> str:
        hooks = Hooks(on_response=hang)
        async with AsyncMeshAPI(base_url=url, token="rsk_test", hooks=hooks, timeout=0.3) as client:
            if streams:
                return (await client.chat.completions.stream(QUESTION).final()).text
            return (await client.chat.completions.create(QUESTION)).text

    with WireServer(echo) as server:
        begun = time.monotonic()
        assert asyncio.run(main(server.url)) == "Hi"
        assert time.monotonic() - begun < 20

    assert "The hook on_response failed" in caplog.text


@pytest.mark.parametrize("name", ["on_request", "on_retry"])
def test_a_hook_that_hangs_before_an_attempt_ends_with_the_deadline(name: str) -> None:
    async def hang(_: object) -> None:
        await asyncio.sleep(60)

    hooks = Hooks(**{name: hang})
    with (
        WireServer(refusal(503, None), ANSWER) as server,
        pytest.raises(DeadlineExceeded) as caught,
    ):
        settled(server.url, hooks, timeout=0.7)

    assert caught.value.retry_safety == "not_sent"


@pytest.mark.parametrize("name", ["on_request", "on_response"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_cancelling_a_call_cancels_its_hook(name: str, streams: bool) -> None:
    ended: list[str] = []

    async def hook(_: object) -> None:
        asyncio.get_running_loop().call_soon(calls[0].cancel)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def call(client: AsyncMeshAPI) -> None:
        if streams:
            await client.chat.completions.stream(QUESTION).final()
        else:
            await client.chat.completions.create(QUESTION)

    async def main(url: str) -> int:
        hooks = Hooks(**{name: hook})
        async with AsyncMeshAPI(base_url=url, token="rsk_test", hooks=hooks) as client:
            calls.append(asyncio.create_task(call(client)))
            with pytest.raises(asyncio.CancelledError):
                await calls[0]
            calls.clear()
            gc.collect()
            await asyncio.sleep(0.01)
            return in_use(client)

    calls: list[asyncio.Task[None]] = []
    with WireServer([events(CHUNK), Silence(5)] if streams else ANSWER) as server:
        assert asyncio.run(main(server.url)) == 0

    assert ended == ["cancelled"]


def test_what_a_hook_awaits_may_be_cancelled_and_the_call_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hook(_: object) -> None:
        other = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(other.cancel)
        await other

    with WireServer(ANSWER) as server:
        assert settled(server.url, Hooks(on_response=hook)) == "Hello"

    assert "The hook on_response failed" in caplog.text


def test_the_time_of_a_hook_is_part_of_the_wait_that_follows(
    colour: Sync, gateway: LocalGateway
) -> None:
    waits: list[float] = []
    named: list[float] = []

    def slow(info: RetryInfo) -> None:
        named.append(info.wait)
        gateway.clock.advance(5)

    gateway.fail(429, retry_after=8)
    client = colour.client(
        base_url=gateway.base_url, token=gateway.token, hooks=Hooks(on_retry=slow)
    )
    with gateway.skip_waits():
        slept = impatient(client)
        colour.settle(client.chat.completions.create(QUESTION))
        waits += slept
    colour.settle(client.close())

    assert waits[0] == pytest.approx(named[0] - 5, abs=1)


def test_the_time_of_a_hook_is_no_part_of_the_attempt(colour: Sync, gateway: LocalGateway) -> None:
    told: list[ResponseInfo] = []

    def slow(_: RequestInfo) -> None:
        gateway.clock.advance(50)

    hooks = Hooks(on_request=slow, on_response=told.append)
    client = colour.in_process(gateway, hooks=hooks, timeout=100)
    with gateway.skip_waits():
        colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    assert told[0].elapsed < 40


def test_a_hook_may_ask_the_same_client(colour: Sync) -> None:
    clients: list[Client] = []
    texts: list[str] = []

    def ask_once(_: object) -> None:
        if not texts:
            texts.append("")
            client = clients[0]
            assert isinstance(client, MeshAPI)
            texts[0] = client.chat.completions.create(QUESTION).text

    async def async_ask_once(_: object) -> None:
        if not texts:
            texts.append("")
            client = clients[0]
            assert isinstance(client, AsyncMeshAPI)
            texts[0] = (await client.chat.completions.create(QUESTION)).text

    hook: Any = ask_once if colour.name == "sync" else async_ask_once
    for name in ("on_request", "on_response", "on_retry"):
        with WireServer(refusal(503, None, retry_after="0"), echo) as server:
            client = colour.client(
                base_url=server.url, token="rsk_test", hooks=Hooks(**{name: hook}),
                max_connections=1, rate_limit=RateLimit(rpm=100),
            )  # fmt: skip
            clients[:], texts[:] = [client], []
            answer = colour.settle(client.chat.completions.create(QUESTION))
            colour.settle(client.close())

        assert (answer.text, texts) == ("Hi", ["Hi"])


def test_hooks_are_replaced_and_switched_off(colour: Sync, gateway: LocalGateway) -> None:
    first, second = Notes(), Notes()
    client = colour.client(base_url=gateway.base_url, token=gateway.token, hooks=first.hooks)
    colour.settle(client.with_options(hooks=second.hooks).chat.completions.create(QUESTION))
    assert (first.names, second.names) == ([], ["request", "response"])

    colour.settle(client.with_options(hooks=None).chat.completions.create(QUESTION))
    assert (first.names, second.names) == ([], ["request", "response"])

    colour.settle(client.with_options(timeout=50).chat.completions.create(QUESTION, timeout=40))
    assert first.names == ["request", "response"]
    colour.settle(client.close())


def test_hooks_are_called_where_the_call_is_made(colour: Sync, gateway: LocalGateway) -> None:
    threads: list[int] = []
    hooks = Hooks(on_request=lambda _: threads.append(threading.get_ident()))
    client = colour.client(base_url=gateway.base_url, token=gateway.token, hooks=hooks)
    colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    assert threads == [threading.get_ident()]


def test_a_call_that_is_dropped_in_a_hook_ends_outside_of_its_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def wait(_: RequestInfo) -> None:
        await asyncio.Future[None]()

    client = AsyncMeshAPI(token="t", base_url="http://127.0.0.1:9", hooks=Hooks(on_request=wait))
    call = client.chat.completions.create(QUESTION)

    async def begin() -> None:
        call.send(None)

    asyncio.run(begin())
    call.close()

    assert client.totals.calls == 1
    assert caplog.records == []


@pytest.mark.parametrize("hooks", ["print", {"on_request": print}, Hooks])
def test_what_are_no_hooks_is_refused(hooks: object, colour: Sync) -> None:
    with pytest.raises(ConfigurationError, match="hooks must be Hooks"):
        colour.client(token="rsk_test", hooks=hooks)


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="on_retry must be a function, not str"):
        Hooks(on_retry="print")  # type: ignore[arg-type]  # A checker sees it, too.


def test_hooks_write_nothing_to_the_log_where_they_do_not_fail(
    colour: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "meshapi")
    with WireServer(ANSWER) as server:
        ask(colour, server.url, Notes().hooks)

    ours = [each for each in caplog.records if each.name == "meshapi"]
    assert [each.levelname for each in ours] == ["INFO"]
