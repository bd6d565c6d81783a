"""The way to the server: connections, TLS, proxies, and what is told when they fail."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
import trustme

from meshapi import (
    AsyncMeshAPI,
    ChatCompletionParams,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidResponse,
    MeshAPI,
    MeshAPIError,
    RateLimitExceeded,
    ServerError,
    Timeout,
    Unauthorized,
)
from meshapi._core.transport import Transport
from tests.colours import Sync
from tests.wire_server import WireServer, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
ANSWER = response('{"choices": []}')
KEPT = response('{"choices": []}', headers={"connection": "keep-alive"})
CHUNK = 'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'


def test_a_connection_is_kept_for_the_next_call(colour: Sync) -> None:
    with WireServer(KEPT) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        for _ in range(3):
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert len(server.requests) == 3
    assert server.connections == 1


def test_no_more_connections_are_opened_than_allowed(colour: Sync) -> None:
    with WireServer([events(CHUNK), 5.0]) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_connections=1)
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        with pytest.raises(DeadlineExceeded) as caught:
            colour.settle(client.chat.completions.create(QUESTION, timeout=0.3, max_retries=0))
        colour.settle(stream.close())
        colour.settle(client.close())

    assert caught.value.retry_safety == "not_sent"
    assert len(server.requests) == 1


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A port that takes no connection and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for each in waiting:
            each.close()


def test_a_connection_that_is_never_made_raises_at_its_limit(black_hole: str, colour: Sync) -> None:
    limits = Timeout(connect=0.3, total=30)
    client = colour.client(base_url=black_hole, token="rsk_test", timeout=limits, max_retries=0)

    with pytest.raises(DeadlineExceeded, match=r"0\.3 s \(Timeout\.connect\)") as caught:
        colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    assert caught.value.retry_safety == "not_sent"


async def never() -> str:
    await asyncio.sleep(30)
    return "rsk_late"


def test_a_token_that_does_not_come_in_time_is_not_sent() -> None:
    async def main() -> None:
        async with AsyncMeshAPI(base_url="http://127.0.0.1:1", token=never) as client:
            await client.chat.completions.create(QUESTION, timeout=0.2)

    with pytest.raises(DeadlineExceeded) as caught:
        asyncio.run(main())

    assert caught.value.retry_safety == "not_sent"


def test_a_connection_that_is_not_made_before_the_deadline_is_not_sent(
    black_hole: str, colour: Sync
) -> None:
    client = colour.client(base_url=black_hole, token="rsk_test", max_retries=0)

    with pytest.raises(DeadlineExceeded, match=r"Timeout\.total") as caught:
        colour.settle(client.chat.completions.create(QUESTION, timeout=0.3))
    colour.settle(client.close())

    assert caught.value.retry_safety == "not_sent"


def test_all_addresses_of_a_host_share_one_limit(
    black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Any = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))] * 4
    looked_up = socket.getaddrinfo

    def four_for_the_host(host: Any, *rest: Any, **options: Any) -> Any:
        return found if host == "mesh.test" else looked_up(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", four_for_the_host)
    port = black_hole.rpartition(":")[2]
    begun = time.monotonic()
    with (
        MeshAPI(base_url=f"http://mesh.test:{port}", token="rsk_test", max_retries=0) as client,
        pytest.raises(DeadlineExceeded) as caught,
    ):
        client.chat.completions.create(QUESTION, timeout=0.5)

    assert caught.value.retry_safety == "not_sent"
    assert time.monotonic() - begun < 1.5


def test_a_host_without_an_address_is_not_sent(colour: Sync) -> None:
    client = colour.client(base_url="http://mesh.invalid", token="rsk_test", max_retries=0)

    with pytest.raises(ConnectionFailed) as caught:
        colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    assert not isinstance(caught.value, DeadlineExceeded)
    assert caught.value.retry_safety == "not_sent"


def test_a_certificate_has_to_be_trusted(colour: Sync) -> None:
    authority: Any = trustme.CA()  # Its types are not whole.
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with WireServer(ANSWER, tls=server_side) as server:
        stranger = colour.client(base_url=server.url, token="rsk_test", max_retries=0)
        with pytest.raises(ConnectionFailed, match="CERTIFICATE_VERIFY_FAILED") as caught:
            colour.settle(stranger.chat.completions.create(QUESTION))
        friend = colour.client(base_url=server.url, token="rsk_test", ssl_context=trusting)
        answer = colour.settle(friend.chat.completions.create(QUESTION))
        colour.settle(stranger.close())
        colour.settle(friend.close())

    assert caught.value.retry_safety == "not_sent"
    assert answer.choices == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "kind", "safety"),
    [
        pytest.param(b"", ConnectionFailed, "ambiguous", id="closed without an answer"),
        pytest.param(b"HTTP/1.1 200", ConnectionFailed, "ambiguous", id="cut in the headers"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", ConnectionFailed, "ambiguous", id="no HTTP"),
        pytest.param(ANSWER[:-3], ConnectionFailed, "ambiguous", id="cut in the body"),
        pytest.param(
            response("plain", headers={"content-encoding": "gzip"}),
            InvalidResponse,
            "final",
            id="not what its encoding says",
        ),
    ],
)
def test_a_broken_answer_says_whether_it_may_be_repeated(
    script: bytes, kind: type[MeshAPIError], safety: str, colour: Sync
) -> None:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        with pytest.raises(kind) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_safety == safety
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert len(server.requests) == 1


def test_an_error_page_without_an_end_is_read_only_so_far(colour: Sync) -> None:
    head = b"HTTP/1.1 500 Oops\r\ncontent-length: 100000000\r\n\r\n"
    with WireServer([head + b"x" * 1_200_000, 10.0]) as server:
        client = colour.client(base_url=server.url, token="rsk_test", timeout=8)
        begun = time.monotonic()
        with pytest.raises(ServerError):
            colour.settle(client.chat.completions.create(QUESTION))
        took = time.monotonic() - begun
        colour.settle(client.close())

    assert took < 4


def test_a_token_echoed_in_a_header_is_masked(colour: Sync) -> None:
    headers = {"x-echo": "Bearer rsk_5ECRET", "x-twice": "a\r\nx-twice: b"}
    with WireServer(response("", status=401, headers=headers)) as server:
        client = colour.client(base_url=server.url, token="rsk_5ECRET")
        with pytest.raises(Unauthorized) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.meta.headers["X-Echo"] == "Bearer ***"
    assert caught.value.meta.headers["X-Twice"] == "a, b"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(b"Bearer rsk_5ECRET is bad\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nrsk_5ECRET\r\n\r\n", id="bad header"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nrsk_5ECRET\r\n", id="bad chunk"
        ),
    ],
)
def test_a_token_echoed_below_http_is_masked(script: bytes, colour: Sync) -> None:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_5ECRET")
        with pytest.raises(ConnectionFailed) as whole:
            colour.settle(client.chat.completions.create(QUESTION))
        with pytest.raises(MeshAPIError) as streamed:
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert "5ECRET" not in str(whole.value) + str(streamed.value)


CUT = {"content-length": "5000"}


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        pytest.param(response("no", status=401, headers=CUT), Unauthorized, id="cut"),
        pytest.param(
            response("no", status=401, headers={"content-encoding": "gzip"}),
            Unauthorized,
            id="not inflatable",
        ),
        pytest.param(
            [response("no", status=429, headers={**CUT, "retry-after": "9"}), 5.0],
            RateLimitExceeded,
            id="stalled",
        ),
    ],
)
def test_an_error_page_that_breaks_off_is_still_that_error(
    script: bytes | list[bytes | float], kind: type[MeshAPIError], colour: Sync
) -> None:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test", timeout=1, max_retries=0)
        with pytest.raises(kind) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_after == (9 if kind is RateLimitExceeded else None)


def test_an_upload_is_held_to_the_deadline(colour: Sync) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def sip() -> None:
        connection, _ = listener.accept()
        with connection:
            while not stop.wait(0.02) and connection.recv(50_000):
                pass

    sipping = threading.Thread(target=sip)
    sipping.start()
    port = listener.getsockname()[1]
    client = colour.client(base_url=f"http://127.0.0.1:{port}", token="rsk_test", max_retries=0)
    long = ChatCompletionParams(messages=[{"role": "user", "content": "x" * 25_000_000}])
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        colour.settle(client.chat.completions.create(long, timeout=1))
    took = time.monotonic() - begun
    stop.set()
    sipping.join()
    listener.close()
    colour.settle(client.close())

    assert took < 2.5


def test_cookies_are_not_kept(colour: Sync) -> None:
    with WireServer(response('{"choices": []}', headers={"set-cookie": "sid=a; Path=/"})) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        for _ in range(2):
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert [each.headers.get("cookie") for each in server.requests] == [None, None]


def test_a_lent_client_does_not_replace_the_token() -> None:
    with WireServer(ANSWER) as server, httpx.Client(auth=("user", "password")) as lent:
        MeshAPI(base_url=server.url, token="rsk_test", http_client=lent).chat.completions.create(
            QUESTION
        )

    assert server.requests[0].headers["authorization"] == "Bearer rsk_test"


def test_a_lent_client_whose_hook_threw_the_answer_away_is_told_of() -> None:
    def waste(answer: httpx.Response) -> None:
        for _ in answer.iter_raw():
            pass

    with WireServer(ANSWER) as server, httpx.Client(event_hooks={"response": [waste]}) as lent:
        client = MeshAPI(base_url=server.url, token="rsk_test", http_client=lent)
        with pytest.raises(ConnectionFailed):
            client.chat.completions.create(QUESTION)


def test_a_lent_client_that_cannot_connect_has_sent_nothing() -> None:
    with httpx.Client() as lent:
        client = MeshAPI(base_url="http://127.0.0.1:1", token="rsk_test", http_client=lent)
        with pytest.raises(ConnectionFailed) as caught:
            client.chat.completions.create(QUESTION, max_retries=0)

    assert caught.value.retry_safety == "not_sent"


@pytest.mark.parametrize("failure", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
def test_a_failure_that_a_mock_plays_may_have_been_billed(
    failure: type[httpx.TransportError], colour: Sync
) -> None:
    with respx.mock:
        route = respx.post("https://api.meshapi.ai/v1/chat/completions").mock(side_effect=failure)
        client = colour.client(token="rsk_test")
        with pytest.raises(ConnectionFailed) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_safety == "ambiguous"
    assert route.call_count == 1


def test_a_client_that_is_closed_during_a_wait_sends_nothing_more(colour: Sync) -> None:
    with WireServer(response("", status=503)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        transport = client.chat.completions._transport
        if isinstance(transport, Transport):
            transport.sleep = lambda _: transport.close()
        else:
            pool = transport.pool

            async def close(_: float) -> None:
                await pool.close()

            transport.sleep = close
        with pytest.raises(ConfigurationError, match="closed"):
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 204, 302])
def test_a_wait_is_told_where_no_answer_came(status: int, colour: Sync) -> None:
    script = response("", status=status, headers={"retry-after": "7"})
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        with pytest.raises(InvalidResponse) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_after == 7
    assert len(server.requests) == 1
