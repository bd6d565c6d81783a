"""Connections: which are kept, which are not used again, who waits, and who closes them."""

from __future__ import annotations

import asyncio
import gc
import json
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

import httpcore
import pytest
import trustme

from meshapi import (
    AsyncMeshAPI,
    ChatCompletionParams,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    MeshAPI,
    MeshAPIError,
    StreamInterrupted,
)
from meshapi._core import incoming
from meshapi._core.connections.connection import AsyncConnection
from meshapi._core.connections.limit import AsyncLimit, Limit
from meshapi._core.connections.line import shares
from meshapi._core.connections.routes import _default_trust
from meshapi._core.connections.shelf import Shelf
from tests.colours import Client, Sync
from tests.pools import idle, in_use, pools
from tests.test_retries import impatient
from tests.wire_server import (
    CHUNKED,
    LAST_CHUNK,
    End,
    Received,
    Step,
    WireServer,
    echo,
    events,
    http_chunk,
    response,
)

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
SLOW = ChatCompletionParams(messages=[{"role": "user", "content": "slow"}])
KEPT = response('{"choices": []}', headers={"connection": "keep-alive"})
HEL = 'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'
DONE = "data: [DONE]\n\n"
STREAM = [CHUNKED + http_chunk(HEL) + http_chunk(DONE), LAST_CHUNK]
SLOW_STREAM = [CHUNKED + http_chunk(HEL), 0.05, http_chunk(HEL + DONE), LAST_CHUNK]


def test_connections_are_kept_after_every_kind_of_answer(colour: Sync) -> None:
    refusal = response("{}", status=400, headers={"connection": "keep-alive"})
    with WireServer(KEPT, STREAM, refusal, STREAM, KEPT) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        colour.settle(client.chat.completions.create(QUESTION))
        colour.collect(client.chat.completions.stream(QUESTION))
        with pytest.raises(MeshAPIError):
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.chat.completions.stream(QUESTION).final())
        colour.settle(client.chat.completions.create(QUESTION))
        kept = idle(client)
        colour.settle(client.close())

    assert server.connections == 1
    assert kept == 1


def test_a_stream_that_stays_open_after_its_end_is_not_waited_for(colour: Sync) -> None:
    with WireServer([CHUNKED + http_chunk(HEL + DONE), 30.0]) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        begun = time.monotonic()
        texts = [each.text for each in colour.collect(client.chat.completions.stream(QUESTION))]
        took = time.monotonic() - begun
        left = in_use(client), idle(client)
        colour.settle(client.close())

    assert texts == ["Hel"]
    assert took < 2
    assert left == (0, 0)


def test_a_stream_that_goes_on_after_its_end_is_not_read_for_ever(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "_DRAIN_SECONDS", 10.0)  # So that it is the size that counts.
    more = [http_chunk(": ping\n" * 10_000)] * 100
    with WireServer([CHUNKED + http_chunk(HEL + DONE), *more, 30.0]) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        begun = time.monotonic()
        texts = [each.text for each in colour.collect(client.chat.completions.stream(QUESTION))]
        took = time.monotonic() - begun
        left = in_use(client), idle(client)
        colour.settle(client.close())

    assert texts == ["Hel"]
    assert took < 8
    assert left == (0, 0)


def test_a_connection_that_the_server_closed_in_between_is_not_used(colour: Sync) -> None:
    with WireServer([KEPT, End.FIN], KEPT) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_retries=0)
        colour.settle(client.chat.completions.create(QUESTION))
        time.sleep(0.05)  # For the end to arrive.
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert server.connections == 2
    assert len(server.requests) == 2


@contextmanager
def server_that_closes(how: str) -> Generator[tuple[str, list[bytes]]]:
    """Answers on each connection once; the first one it closes as the next request arrives, unread.

    That is how a close looks that crosses a request on its way.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    read: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"}]}"):
            request += connection.recv(65536)
        read.append(request)
        connection.sendall(KEPT)

    def serve() -> None:
        connections = [listener.accept()[0]]
        answer(connections[0])
        select.select(connections, [], [])
        if how == "FIN":
            connections[0].shutdown(socket.SHUT_WR)
        time.sleep(0.01)  # The client waits for its answer by now.
        connections[0].close()  # With bytes unread: the system refuses them.
        with listener.accept()[0] as second:
            answer(second)

    listener.settimeout(5)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", read
    thread.join()
    listener.close()


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_kept_connection_that_was_closed_as_the_request_came_is_tried_again(
    how: str, colour: Sync
) -> None:
    with server_that_closes(how) as (url, read):
        client = colour.client(base_url=url, token="rsk_test")
        waits = impatient(client)
        colour.settle(client.chat.completions.create(QUESTION))
        answer = colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert answer.meta.attempts == 2
    assert len(waits) == 1
    assert len(read) == 2
    assert b"x-meshapi-attempt: 2" in read[1]


@pytest.mark.parametrize(
    "then",
    [
        pytest.param([], id="when the request was read"),
        pytest.param([0.2, End.RESET], id="by a reset after the request was read"),
        pytest.param([b"H", End.RESET], id="after a byte"),
    ],
)
def test_a_kept_connection_that_ends_in_another_way_may_have_been_billed(
    then: list[Any], colour: Sync
) -> None:
    with WireServer(KEPT, then) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        colour.settle(client.chat.completions.create(QUESTION))
        with pytest.raises(ConnectionFailed) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_safety == "ambiguous"
    assert len(server.requests) == 2


@pytest.mark.parametrize("end", [[], [End.RAGGED]], ids=["with a goodbye", "without"])
def test_a_kept_tls_connection_that_ends_after_the_request_may_have_been_billed(
    end: list[Any], colour: Sync
) -> None:
    """TLS answers the end by itself, and that answer is refused: it says nothing of the request."""
    authority: Any = trustme.CA()  # Its types are not whole.
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with WireServer(KEPT, end, tls=server_side) as server:
        client = colour.client(base_url=server.url, token="rsk_test", ssl_context=trusting)
        colour.settle(client.chat.completions.create(QUESTION))
        with pytest.raises(ConnectionFailed) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_safety == "ambiguous"
    assert len(server.requests) == 2


def always(connection: AsyncConnection) -> bool:
    return True


def test_a_close_that_comes_between_the_look_and_the_request_is_not_sent() -> None:
    async def main() -> int:
        async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
            await client.chat.completions.create(QUESTION)
            await asyncio.sleep(0.05)
            with pytest.MonkeyPatch.context() as blind:
                blind.setattr(AsyncConnection, "is_healthy", always)
                return (await client.chat.completions.create(QUESTION)).meta.attempts

    with WireServer([KEPT, End.FIN], KEPT) as server:
        assert asyncio.run(main()) == 2

    assert len(server.requests) == 2


def test_closing_a_client_leaves_no_doubt_about_a_call_on_its_way(colour: Sync) -> None:
    with WireServer(KEPT, [30.0]) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        colour.settle(client.chat.completions.create(QUESTION))
        caught = failure_while_closing(client, colour, lambda: len(server.requests) == 2)

    assert isinstance(caught, ConnectionFailed)
    assert caught.retry_safety == "ambiguous"


def test_a_client_that_is_closed_while_it_connects_sends_nothing(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up: Any = socket.getaddrinfo
    asked = threading.Event()

    def slowly(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if port == server.port:
            asked.set()
            time.sleep(0.1)
        return look_up(host, port, *rest, **options)

    with WireServer(KEPT) as server:
        client = colour.client(base_url=f"http://localhost:{server.port}", token="rsk_test")
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        caught = failure_while_closing(client, colour, asked.is_set)

    assert isinstance(caught, ConfigurationError)
    assert server.requests == []


def test_closing_a_client_ends_the_wait_for_a_connection(colour: Sync) -> None:
    with WireServer([events(HEL), 30.0]) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_connections=1)
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        caught = failure_while_closing(client, colour, lambda: in_use(client) == 2)
        colour.settle(stream.close())

    assert isinstance(caught, ConfigurationError)
    assert len(server.requests) == 1


def failure_while_closing(
    client: Client, colour: Sync, is_time: Callable[[], bool]
) -> MeshAPIError:
    """What a call raises whose client is closed meanwhile."""
    if isinstance(client, MeshAPI):
        raised: list[MeshAPIError] = []

        def call() -> None:
            try:
                client.chat.completions.create(QUESTION)
            except MeshAPIError as error:
                raised.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        while not is_time():
            time.sleep(0.001)
        client.close()
        thread.join()
        return raised[0]

    async def main() -> MeshAPIError:
        task = asyncio.create_task(client.chat.completions.create(QUESTION))
        while not is_time():  # noqa: ASYNC110  # The server is in another thread.
            await asyncio.sleep(0.001)
        await client.close()
        with pytest.raises(MeshAPIError) as caught:
            await task
        return caught.value

    closing: Any = main()
    return cast("MeshAPIError", colour.settle(closing))


def test_closing_a_client_ends_its_streams(colour: Sync) -> None:
    with WireServer([events(HEL), 30.0]) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        colour.settle(client.close())
        with pytest.raises(StreamInterrupted):
            colour.collect(stream)
        colour.settle(stream.close())


def test_a_stream_outlives_the_client_it_came_from() -> None:
    with WireServer(
        [CHUNKED + http_chunk(HEL), 0.05, http_chunk(HEL + DONE), LAST_CHUNK]
    ) as server:
        stream = MeshAPI(base_url=server.url, token="rsk_test").chat.completions.stream(QUESTION)

        assert [each.text for each in stream] == ["Hel", "Hel"]


def test_an_async_stream_outlives_the_client_it_came_from() -> None:
    async def main() -> list[str]:
        client = AsyncMeshAPI(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        del client
        return [each.text async for each in stream]

    with WireServer(
        [CHUNKED + http_chunk(HEL), 0.05, http_chunk(HEL + DONE), LAST_CHUNK]
    ) as server:
        assert asyncio.run(main()) == ["Hel", "Hel"]


class Kept:
    """A connection that notes what became of it."""

    def __init__(self) -> None:
        self.idle_until = 0.0
        self.idle = self.healthy = True
        self.closed = self.was_cut = False

    def is_idle(self) -> bool:
        return self.idle

    def is_healthy(self) -> bool:
        return self.healthy

    def cut(self) -> None:
        self.was_cut = True

    def close(self) -> None:
        self.closed = True


HERE = httpcore.Origin(b"https", b"here.test", 443)
THERE = httpcore.Origin(b"https", b"there.test", 443)


def nothing() -> None:
    """There is nothing to do afterwards."""


def shelf_of(most: int = 10) -> Shelf[Kept]:
    return Shelf(most, lambda _: Kept())


def test_the_connection_that_was_used_last_is_taken_first() -> None:
    shelf = shelf_of()
    first, second = shelf.take(HERE), shelf.take(HERE)
    shelf.put_back(HERE, first, nothing)
    shelf.put_back(HERE, second, nothing)

    assert [shelf.take(HERE), shelf.take(HERE)] == [second, first]
    assert shelf.take(THERE) not in {first, second}


def test_a_connection_that_is_not_idle_or_not_healthy_is_closed() -> None:
    shelf = shelf_of()
    busy, ill = shelf.take(HERE), shelf.take(HERE)
    busy.idle = ill.healthy = False
    shelf.put_back(HERE, busy, nothing)
    shelf.put_back(HERE, ill, nothing)
    taken = shelf.take(HERE)

    assert busy.closed
    assert ill.closed
    assert taken not in {busy, ill}


def test_connections_that_nobody_used_for_half_a_minute_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    shelf = shelf_of()
    old, used = shelf.take(HERE), shelf.take(HERE)
    shelf.put_back(HERE, old, nothing)
    now = 29.0
    shelf.put_back(HERE, used, nothing)
    now = 31.0
    taken = shelf.take(HERE)
    shelf.put_back(HERE, taken, nothing)

    assert taken is used
    assert old.closed
    assert not used.closed


def test_idle_connections_make_room_for_those_to_another_host() -> None:
    shelf = shelf_of(most=2)
    here = [shelf.take(HERE), shelf.take(HERE)]
    for each in here:
        shelf.put_back(HERE, each, nothing)
    shelf.take(THERE)

    assert [each.closed for each in here] == [True, False]


def test_a_closed_shelf_cuts_what_is_in_use_and_keeps_nothing() -> None:
    shelf = shelf_of()
    kept, used = shelf.take(HERE), shelf.take(HERE)
    shelf.put_back(HERE, kept, nothing)
    shelf.close()
    shelf.put_back(HERE, used, nothing)

    assert kept.closed
    assert used.was_cut
    assert used.closed


def test_who_comes_first_is_served_first_among_tasks() -> None:
    async def main() -> list[int]:
        limit, served = AsyncLimit(1), list[int]()
        await limit.enter(60)

        async def come(number: int) -> None:
            await limit.enter(60)
            served.append(number)
            await asyncio.sleep(0)
            limit.leave()

        tasks = [asyncio.create_task(come(number)) for number in range(100)]
        await asyncio.sleep(0)
        for impatient_one in tasks[::3]:
            impatient_one.cancel()
        limit.leave()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(limit.enter(60), 1)  # Its one place is free again.
        return served

    assert asyncio.run(main()) == [number for number in range(100) if number % 3]


def test_a_place_that_comes_as_its_task_is_cancelled_is_passed_on() -> None:
    async def main() -> None:
        limit = AsyncLimit(1)
        await limit.enter(60)
        first, second = (asyncio.create_task(limit.enter(60)) for _ in range(2))
        await asyncio.sleep(0)
        limit.leave()  # It is the first one's now, which does not know it yet.
        first.cancel()
        await asyncio.wait_for(second, 1)

    asyncio.run(main())


def test_who_comes_first_is_served_first_among_threads() -> None:
    limit, served = Limit(1), list[int]()
    limit.enter(60)

    def come(number: int) -> None:
        limit.enter(60)
        served.append(number)
        limit.leave()

    threads = [threading.Thread(target=come, args=(number,)) for number in range(20)]
    for position, thread in enumerate(threads):
        thread.start()
        while len(limit._turns._waiting) <= position:
            time.sleep(0.001)
    limit.leave()
    for thread in threads:
        thread.join()

    assert served == list(range(20))


def test_a_wait_for_a_place_ends_at_its_limit_and_leaves_no_trace() -> None:
    limit = Limit(1)
    limit.enter(60)
    with pytest.raises(httpcore.PoolTimeout):
        limit.enter(0.01)
    limit.leave()

    limit.enter(0)


def test_calls_that_wait_for_a_connection_are_all_served(colour: Sync) -> None:
    async def among_tasks(client: AsyncMeshAPI) -> None:
        calls = [client.chat.completions.create(QUESTION) for _ in range(40)]
        await asyncio.gather(*calls)

    with WireServer(KEPT) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_connections=3)
        if isinstance(client, AsyncMeshAPI):
            asyncio.run(among_tasks(client))
        else:
            threads = [
                threading.Thread(target=client.chat.completions.create, args=(QUESTION,))
                for _ in range(40)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        left = in_use(client)
        colour.settle(client.close())

    assert len(server.requests) == 40
    assert server.connections <= 3
    assert left == 0


def test_an_address_that_does_not_answer_leaves_time_for_the_next() -> None:
    found: Any = [(0, 0, 0, "", (host, 443)) for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3")]
    each = [(host, round(seconds or 0)) for host, seconds in shares(found, 10)]

    assert each == [("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 10)]


def test_a_host_is_reached_by_whichever_address_answers(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up: Any = socket.getaddrinfo

    def two_for_the_host(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host != "mesh.test":
            return look_up(host, port, *rest, **options)
        addresses = ["127.0.0.2", "127.0.0.1"]  # Nobody listens on the first one.
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", two_for_the_host)
    with WireServer(KEPT) as server:
        client = colour.client(base_url=f"http://mesh.test:{server.port}", token="rsk_test")
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert len(server.requests) == 1


def test_a_stream_that_is_collected_while_the_pool_is_locked_is_put_back_later() -> None:
    """The garbage collector may run in the middle of anything."""
    with WireServer([events(HEL), 30.0]) as server:
        client = MeshAPI(base_url=server.url, token="rsk_test")
        shelf: Any = pools(client)[0].shelf
        make = shelf._make

        def collecting(origin: Any) -> Any:
            gc.collect()
            return make(origin)

        garbage: list[Any] = [client.chat.completions.stream(QUESTION)]
        garbage.append(garbage)
        del garbage
        shelf._make = collecting
        stream = client.chat.completions.stream(QUESTION)
        used = in_use(client)
        stream.close()
        client.close()

    assert used == 1


def test_event_loops_that_are_over_are_let_go() -> None:
    with WireServer(KEPT) as server:
        client = AsyncMeshAPI(base_url=server.url, token="rsk_test")

        async def call() -> weakref.ref[asyncio.AbstractEventLoop]:
            await client.chat.completions.create(QUESTION)
            return weakref.ref(asyncio.get_running_loop())

        loops = [asyncio.run(call()) for _ in range(5)]
        gc.collect()

    assert [each() for each in loops[:-1]] == [None] * 4


def test_the_async_client_runs_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> tuple[str, str]:
        async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
            calls = [client.chat.completions.create(QUESTION) for _ in range(20)]
            answers = await asyncio.gather(*calls)
            streamed = await client.chat.completions.stream(QUESTION).final()
            with pytest.raises(DeadlineExceeded):
                await client.chat.completions.create(SLOW, timeout=0.2)
            return answers[0].text, streamed.text

    def answer(request: Received) -> list[Step]:
        return [30.0] if b"slow" in request.body else echo(request)

    with WireServer(answer) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == ("Hi", "Hi")


CERTIFICATES = """
import json, ssl, sys
import meshapi
loads = []
load = ssl.SSLContext.load_verify_locations
ssl.SSLContext.load_verify_locations = lambda *a, **k: (loads.append(1), load(*a, **k))[1]
question = meshapi.ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
counts = []
for scheme in ("http", "https", "https"):
    client = meshapi.MeshAPI(base_url=f"{scheme}://127.0.0.1:1", token="rsk_test", max_retries=0)
    counts.append(len(loads))
    try:
        client.chat.completions.create(question)
    except meshapi.ConnectionFailed:
        counts.append(len(loads))
print(json.dumps(counts))
"""


def test_certificates_are_loaded_once_and_not_before_they_are_needed() -> None:
    run = subprocess.run(
        [sys.executable, "-c", CERTIFICATES], capture_output=True, text=True, check=True
    )

    assert json.loads(run.stdout) == [0, 0, 0, 1, 1, 1]


def test_certificates_that_cannot_be_read_are_named(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such.pem")
    _default_trust.cache_clear()
    client = colour.client(base_url="https://127.0.0.1:1", token="rsk_test")

    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE=/no/such\.pem"):
        colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())
