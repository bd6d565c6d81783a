"""The way through a proxy: which calls take it, and what its faults mean."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import httpx
import pytest
import respx

from meshapi import (
    ChatCompletionParams,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    MeshAPIError,
)
from meshapi._core.connections.routes import Routes
from tests.colours import Sync
from tests.pools import in_use
from tests.test_retries import impatient
from tests.wire_server import End, Step, WireServer, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
KEPT = response('{"choices": []}', headers={"connection": "keep-alive"})
TOKEN = "rsk_5ECRETofTheProxies"
PASSWORD = "pr0xyPassw0rd"


def routes(proxy: str | None = None) -> Routes:
    return Routes({"proxy": proxy, "ssl_context": None, "max_connections": None})


EXEMPT = {
    "a name": ("mesh.test", "mesh.test", 443),
    "a name with its port": ("mesh.test:443", "mesh.test", 443),
    "a domain": ("test", "mesh.test", 443),
    "a domain with a dot": (".test", "mesh.test", 443),
    "everything": ("*", "mesh.test", 443),
    "everything, among others": ("other.test, *", "mesh.test", 443),
    "an address": ("10.1.2.3", "10.1.2.3", 80),
    "a network": ("10.0.0.0/8", "10.1.2.3", 80),
    "IPv6": ("::1", "::1", 8080),
    "IPv6 in brackets": ("[::1]", "::1", 8080),
    "IPv6 with its port": ("[::1]:8080", "::1", 8080),
    "IPv6 among others": ("localhost,[fe80::1]:80,[::1]:8080", "[::1]", 8080),
    "an IPv6 network": ("fd00::/8", "fd12::1", 80),
}

NOT_EXEMPT = {
    "another name": ("other.test", "mesh.test", 443),
    "another port": ("mesh.test:80", "mesh.test", 443),
    "part of a name": ("esh.test", "mesh.test", 443),
    "another network": ("10.0.0.0/8", "11.1.2.3", 80),
    "another port of IPv6": ("[::1]:80", "::1", 8080),
    "nothing": ("", "mesh.test", 443),
}


@pytest.mark.parametrize(("entries", "host", "port"), EXEMPT.values(), ids=EXEMPT)
def test_what_no_proxy_names_is_called_directly(
    entries: str, host: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", entries)

    assert routes().proxy_to("https", host, port) is None


@pytest.mark.parametrize(("entries", "host", "port"), NOT_EXEMPT.values(), ids=NOT_EXEMPT)
def test_what_no_proxy_does_not_name_goes_through_it(
    entries: str, host: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", entries)
    proxy = routes().proxy_to("https", host, port)

    assert proxy is not None
    assert proxy.url == httpx.URL("http://127.0.0.1:1")


def test_each_scheme_has_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:2")
    found = [routes().proxy_to(scheme, "mesh.test", 80) for scheme in ("http", "https")]

    assert [each and each.url.port for each in found] == [1, 2]


def test_a_proxy_that_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    proxy = routes("http://127.0.0.1:2").proxy_to("http", "mesh.test", 80)

    assert proxy is not None
    assert proxy.url.port == 2


def test_ipv6_in_no_proxy_is_understood_over_a_socket(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not socket.has_ipv6:
        pytest.skip("This machine has no IPv6")
    with WireServer(KEPT) as proxy, WireServer(KEPT, host="::1") as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", f"localhost,[::1]:{server.port}")
        client = colour.client(base_url=server.url, token=TOKEN)
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert len(server.requests) == 1
    assert proxy.requests == []


@pytest.mark.parametrize(
    "bad",
    [
        "socks5://127.0.0.1:1",
        "ftp://127.0.0.1",
        "http://[::1",
        "//",
        "http://user:pass/word@127.0.0.1:1",
        "http://user:pass@word@127.0.0.1:1",
    ],
)
def test_a_bad_proxy_of_the_environment_is_named_where_it_would_be_used(
    bad: str, colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", bad)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY"):
        colour.client(token=TOKEN)
    colour.settle(colour.client(base_url="http://mesh.test", token=TOKEN).close())
    for exempt in ("api.meshapi.ai", "api.meshapi.ai:443"):
        monkeypatch.setenv("NO_PROXY", exempt)
        colour.settle(colour.client(token=TOKEN).close())


def test_the_proxys_password_is_for_the_proxy_alone(colour: Sync) -> None:
    refusal = response("", status=403, headers={"proxy-status": "denied"})
    with WireServer(refusal) as proxy:
        url = proxy.url.replace("//", f"//user:{PASSWORD}@")
        client = colour.client(base_url="https://mesh.test", token=TOKEN, proxy=url, max_retries=0)
        with pytest.raises(ConnectionFailed) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert b"Proxy-Authorization: Basic " in proxy.requests[0].raw
    assert TOKEN.encode() not in proxy.requests[0].raw
    assert PASSWORD not in f"{caught.value!r} {client!r}"


TUNNEL_FAULTS: dict[str, Sequence[Step]] = {
    "wants a password": [response("", status=407)],
    "cannot reach the server": [response("", status=502)],
    "speaks no HTTP": [b"hello\r\n\r\n"],
    "hangs up": [b""],
    "resets": [End.RESET],
    "opens, and then resets": [b"HTTP/1.1 200 OK\r\n\r\n", End.RESET],
}


@pytest.mark.parametrize("script", TUNNEL_FAULTS.values(), ids=TUNNEL_FAULTS)
def test_a_tunnel_that_is_not_made_is_tried_again(script: Sequence[Step], colour: Sync) -> None:
    with WireServer(script) as proxy:
        client = colour.client(base_url="https://mesh.test", token=TOKEN, proxy=proxy.url)
        impatient(client)
        with pytest.raises(ConnectionFailed) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        left = in_use(client)
        colour.settle(client.close())

    assert caught.value.retry_safety == "not_sent"
    assert len(proxy.requests) == 3
    assert left == 0


def test_what_a_proxy_says_before_tls_begins_is_no_answer(colour: Sync) -> None:
    opened = b"HTTP/1.1 200 OK\r\nx-padding: "
    opened += b"x" * (65536 - len(opened) - 4) + b"\r\n\r\n"  # As much as is read at once.
    with WireServer([opened + KEPT, 0.5]) as proxy:
        client = colour.client(
            base_url="https://mesh.test", token=TOKEN, proxy=proxy.url, max_retries=0
        )
        with pytest.raises(ConnectionFailed) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_safety == "not_sent"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([30.0], id="before the tunnel"),
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\n", 30.0], id="in the tunnel"),
    ],
)
def test_a_tunnel_that_stalls_ends_at_the_deadline_and_is_not_sent(
    script: Sequence[Step], colour: Sync
) -> None:
    with WireServer(script) as proxy:
        client = colour.client(base_url="https://mesh.test", token=TOKEN, proxy=proxy.url)
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            colour.settle(client.chat.completions.create(QUESTION, timeout=0.3, max_retries=0))
        took = time.monotonic() - begun
        colour.settle(client.close())

    assert caught.value.retry_safety == "not_sent"
    assert took < 1.8


def test_a_connection_to_a_proxy_is_kept(colour: Sync) -> None:
    with WireServer(KEPT) as proxy:
        client = colour.client(base_url="http://mesh.test", token=TOKEN, proxy=proxy.url)
        for _ in range(3):
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert [each.path for each in proxy.requests] == ["http://mesh.test/v1/chat/completions"] * 3
    assert proxy.connections == 1


def test_a_lost_answer_through_a_proxy_may_have_been_billed(colour: Sync) -> None:
    with WireServer(b"") as proxy:
        client = colour.client(base_url="http://mesh.test", token=TOKEN, proxy=proxy.url)
        with pytest.raises(MeshAPIError) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_safety == "ambiguous"
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_mocks_intercept_where_the_environment_names_a_proxy(
    scheme: str, colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with respx.mock:
        url = f"{scheme}://mesh.test/v1/chat/completions"
        route = respx.post(url).respond(json={"choices": []})
        client = colour.client(base_url=f"{scheme}://mesh.test", token=TOKEN)
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert route.call_count == 1
