"""What a client is told: from arguments, else the environment, refused where it cannot work."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshapi import (
    ChatCompletionParams,
    ConfigurationError,
    ConnectionFailed,
    InvalidRequest,
    InvalidResponse,
    MeshAPI,
    Timeout,
)
from tests.colours import Sync
from tests.wire_server import Received, WireServer, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
ANSWER = response('{"choices": []}')


def one_call(colour: Sync, options: dict[str, Any] | None = None, **call: Any) -> Received:
    """What arrives for one call of a client with these options."""
    with WireServer(ANSWER) as server:
        given = {"base_url": server.url, "token": "rsk_test", **(options or {})}
        client = colour.client(**given)
        colour.settle(client.chat.completions.create(QUESTION, **call))
        colour.settle(client.close())
    return server.requests[0]


def test_a_call_carries_what_the_wire_asks_for(colour: Sync) -> None:
    request = one_call(colour, {"api_version": "2026-09", "headers": {"X-Mine": "1"}})

    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer rsk_test"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("meshapi/1.")
    assert request.headers["x-meshapi-sdk"].startswith("python/1.")
    assert request.headers["x-mesh-version"] == "2026-09"
    assert request.headers["x-mine"] == "1"


def test_a_stream_asks_for_events(colour: Sync) -> None:
    with WireServer(response("data: [DONE]\n\n", content_type="text/event-stream")) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        assert colour.collect(client.chat.completions.stream(QUESTION)) == []
        colour.settle(client.close())

    assert server.requests[0].headers["accept"] == "text/event-stream"
    assert server.requests[0].json()["stream"] is True


@pytest.mark.parametrize(
    ("ending", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/api", "/api/v1/chat/completions"),
        ("/api/v1/", "/api/v1/chat/completions"),
        ("/api//v1//", "/api/v1/chat/completions"),
    ],
)
def test_a_base_url_may_carry_a_path_and_end_as_it_likes(
    ending: str, path: str, colour: Sync
) -> None:
    with WireServer(ANSWER) as server:
        client = colour.client(base_url=server.url + ending, token="rsk_test")
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert server.requests[0].path == path


def test_the_environment_fills_in_what_is_not_given(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WireServer(ANSWER) as server:
        monkeypatch.setenv("MESHAPI_BASE_URL", server.url)
        monkeypatch.setenv("MESHAPI_API_KEY", "rsk_second")
        tokens = [None, "rsk_first"]
        for token in tokens:
            if token:
                monkeypatch.setenv("MESHAPI_TOKEN", token)
            client = colour.client()
            colour.settle(client.chat.completions.create(QUESTION))
            colour.settle(client.close())

    assert [each.headers["authorization"] for each in server.requests] == [
        "Bearer rsk_second",
        "Bearer rsk_first",
    ]


def test_the_default_is_the_published_server() -> None:
    assert repr(MeshAPI(token="rsk_test")) == "MeshAPI(base_url='https://api.meshapi.ai')"


def test_a_missing_token_is_one_sentence_in_a_short_traceback(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text("import meshapi\nmeshapi.MeshAPI()\n")

    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={}, timeout=60
    )

    *lines, last = run.stderr.rstrip().splitlines()
    ours = lines[lines.index("    meshapi.MeshAPI()") + 1 :]
    assert len(ours) <= 6
    assert "MESHAPI_TOKEN" in last
    assert "meshapi local" in last
    assert last.startswith("meshapi.errors.ConfigurationError: ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"token": ""}, "token is empty"),
        ({"token": 5}, "must be a str"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "api.meshapi.ai"}, "https://"),
        ({"base_url": "ftp://api.meshapi.ai"}, "https://"),
        ({"base_url": "https://"}, "host"),
        ({"base_url": "https://a b"}, "space"),
        ({"base_url": "https://a\n"}, "character"),
        ({"base_url": "https://[::1"}, "no URL"),
        ({"base_url": "https://a:99999"}, "no URL"),
        ({"base_url": "https://me:pass@a"}, "password"),
        ({"base_url": "https://a?x=1"}, "before the"),
        ({"base_url": "https://a/v1/chat/completions/"}, "before /chat/completions"),
        ({"base_url": 5}, "base_url"),
        ({"api_version": ""}, "api_version"),
        ({"api_version": "latest"}, "api_version"),
        ({"headers": {"X-A": "b\nc"}}, "X-A"),
        ({"headers": {"X A": "b"}}, "name"),
        ({"headers": {"Authorization": "Bearer x"}}, "token="),
        ({"headers": {"X-A": 1}}, "X-A"),
        ({"headers": ["X-A"]}, "mapping"),
        ({"retry": 3}, "RetryPolicy"),
        ({"max_connections": 0}, "max_connections"),
        ({"max_response_bytes": 0}, "bytes"),
        ({"max_event_bytes": True}, "bytes"),
        ({"proxy": "not a proxy"}, "proxy"),
        ({"proxy": 5}, "proxy"),
        ({"ssl_context": "cert.pem"}, "ssl_context"),
        ({"timeout": 10**400}, "total"),
        ({"retry": "no"}, "RetryPolicy"),
        ({"proxy": "socks5://127.0.0.1:1"}, "socksio"),
        ({"http_client": object()}, "http_client"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_refused(
    options: dict[str, Any], words: str, colour: Sync
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        colour.client(**{"token": "rsk_test", **options})


def test_a_lent_client_brings_its_own_network(colour: Sync) -> None:
    mocked = colour.mocked(lambda _: httpx.Response(200, json={"choices": []}))

    with pytest.raises(ConfigurationError, match="proxy"):
        colour.client(token="rsk_test", http_client=mocked, proxy="http://127.0.0.1:1")


def test_options_of_a_call_win_over_those_of_the_client(colour: Sync) -> None:
    request = one_call(
        colour, {"headers": {"X-A": "client", "X-B": "client"}}, headers={"x-a": "call"}
    )

    assert request.headers["x-a"] == "call"
    assert request.headers["x-b"] == "client"


def test_with_options_gives_a_client_over_the_same_connections(colour: Sync) -> None:
    with WireServer(ANSWER) as server:
        client = colour.client(base_url=server.url, token="rsk_test", headers={"X-A": "1"})
        other = client.with_options(token="rsk_other", headers={"X-B": "2"}, timeout=5)
        colour.settle(other.chat.completions.create(QUESTION))
        colour.settle(other.close())
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert [each.headers["authorization"] for each in server.requests] == [
        "Bearer rsk_other",
        "Bearer rsk_test",
    ]
    assert server.requests[0].headers["x-a"] == "1"
    assert "x-b" not in server.requests[1].headers
    with pytest.raises(ConfigurationError, match="closed"):
        colour.settle(other.chat.completions.create(QUESTION))


def test_a_closed_client_says_so(colour: Sync) -> None:
    client = colour.client(token="rsk_test")
    colour.settle(client.close())
    colour.settle(client.close())

    with pytest.raises(ConfigurationError, match="closed"):
        colour.settle(client.chat.completions.create(QUESTION))


def test_a_lent_client_is_used_and_not_closed(colour: Sync) -> None:
    mocked: Any = colour.mocked(lambda _: httpx.Response(200, json={"choices": []}))
    client = colour.client(token="rsk_test", http_client=mocked)

    assert colour.settle(client.chat.completions.create(QUESTION)).choices == []
    colour.settle(client.close())

    assert not mocked.is_closed


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_goes_to_where_a_redirect_points(status: int, colour: Sync) -> None:
    with WireServer(b"") as elsewhere:
        redirect = response("", status=status, headers={"location": elsewhere.url})
        with WireServer(redirect) as server:
            client = colour.client(base_url=server.url, token="rsk_test")
            with pytest.raises(InvalidResponse, match="redirected"):
                colour.settle(client.chat.completions.create(QUESTION))
            colour.settle(client.close())

    assert elsewhere.connections == 0


def test_a_redirect_is_not_followed_even_by_a_lent_client_that_would() -> None:
    with WireServer(response("", status=307, headers={"location": "/elsewhere"})) as server:
        lent = httpx.Client(follow_redirects=True)
        client = MeshAPI(base_url=server.url, token="rsk_test", http_client=lent)
        with pytest.raises(Exception, match="redirect"):
            client.chat.completions.create(QUESTION)
        lent.close()

    assert len(server.requests) == 1


def raises_key_error() -> str:
    nothing: dict[str, str] = {}
    return nothing["no such key"]


def test_what_a_token_function_raises_is_the_cause_of_a_typed_error(colour: Sync) -> None:
    client = colour.client(token=raises_key_error)

    with pytest.raises(ConfigurationError, match="token function") as caught:
        colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    assert isinstance(caught.value.__cause__, KeyError)


async def async_token() -> str:
    return "rsk_async"


def test_a_token_function_may_be_async_on_the_async_client_only(colour: Sync) -> None:
    if colour.name == "async":
        assert one_call(colour, {"token": async_token}).headers["authorization"].endswith("_async")
    else:
        with pytest.raises(ConfigurationError, match="AsyncMeshAPI"):
            one_call(colour, {"token": async_token})


def test_own_trust_and_limits_are_taken(colour: Sync) -> None:
    options = {"ssl_context": ssl.create_default_context(), "timeout": Timeout(connect=1)}

    assert one_call(colour, options).path == "/v1/chat/completions"


@pytest.mark.parametrize("key", ["", "two words", "a\nb", "é", 5])
def test_an_idempotency_key_that_cannot_be_sent_is_refused(key: object, colour: Sync) -> None:
    with pytest.raises(InvalidRequest, match="idempotency_key"):
        one_call(colour, idempotency_key=key)


def test_an_option_that_does_not_exist_is_refused(colour: Sync) -> None:
    with pytest.raises(TypeError, match="tiemout"):
        one_call(colour, tiemout=3)
    client = colour.client(token="rsk_test")
    options: dict[str, Any] = {"tiemout": 3}
    with pytest.raises(TypeError, match="tiemout"):
        client.with_options(**options)
    colour.settle(client.close())


@pytest.mark.parametrize("extra_body", [["a"], "stream", 5])
def test_an_extra_body_that_is_no_mapping_is_refused(extra_body: object, colour: Sync) -> None:
    with pytest.raises(InvalidRequest, match="extra_body"):
        one_call(colour, extra_body=extra_body)


@pytest.mark.parametrize(
    "host", ["a..b", "a" * 300 + ".org", "xn--a.org", "[::1%25x]", "a/" + "x" * 70_000]
)
def test_a_host_that_cannot_be_called_is_a_typed_error(host: str, colour: Sync) -> None:
    client = colour.client(base_url=f"http://{host}", token="rsk_test", max_retries=0)

    with pytest.raises((ConfigurationError, ConnectionFailed)):
        colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())


def test_a_bad_variable_is_named_and_does_not_matter_where_it_is_not_used(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHAPI_BASE_URL", "localhost:8000")
    monkeypatch.setenv("MESHAPI_TOKEN", "rsk_1\n")

    with pytest.raises(ConfigurationError, match="MESHAPI_BASE_URL must begin"):
        colour.client(token="rsk_test")
    with pytest.raises(ConfigurationError, match="MESHAPI_TOKEN holds"):
        colour.client(base_url="http://127.0.0.1:1")
    colour.settle(colour.client(base_url="http://v1", token="rsk_test").close())


def test_a_very_long_timeout_is_no_trouble(colour: Sync) -> None:
    assert one_call(colour, timeout=1e300).path == "/v1/chat/completions"
