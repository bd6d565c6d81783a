"""The example of a web app, served over a socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

from meshapi import AsyncMeshAPI
from meshapi.local import LocalGateway
from tests.served import read_until, serving, visit, web_chat
from tests.wire_server import Silence, WireServer, events

ASKED = {"messages": [{"role": "user", "content": "Hi"}]}


@contextmanager
def chatting(base_url: str, token: str = "rsk_test") -> Generator[httpx.Client]:
    """A browser, at the app that asks this gateway."""
    app = web_chat(AsyncMeshAPI(base_url=base_url, token=token, max_retries=0))
    with serving(app) as url, httpx.Client(base_url=url) as browser:
        yield browser


def until_asked(upstream: WireServer) -> None:
    """Until the model is thinking."""
    while not upstream.requests:
        time.sleep(0.01)


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(gateway: LocalGateway) -> None:
    with chatting(gateway.base_url) as browser:
        page = browser.get("/")

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "://" not in page.text.replace("http://www.w3.org/2000/svg", "")
    assert "innerHTML" not in page.text


def test_an_answer_is_streamed(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("Hello you", reasoning="They greet me.")
    with chatting(mesh_gateway.base_url, mesh_gateway.token) as browser:
        answer = browser.post("/answer", json=ASKED)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"content":"Hello' in answer.text
    assert '"reasoning":"They' in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    assert [each["content"] for each in mesh_gateway.requests[-1].messages] == ["Hi"]


def test_an_error_before_the_answer_has_its_status(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail(429, retry_after=7, message="Slowly.")
    with chatting(mesh_gateway.base_url, mesh_gateway.token) as browser:
        answer = browser.post("/answer", json=ASKED)

    assert answer.status_code == 429
    assert answer.json()["error"] == {
        "code": "rate_limit_exceeded",
        "message": "Too many questions at once.",
        "retry_after_seconds": 7,
    }
    assert answer.json()["request_id"].startswith("req_")


def test_an_error_in_the_answer_is_in_its_stream(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail("error_mid_stream", reply="Hello you", after=2, message="openai is down")
    with chatting(mesh_gateway.base_url, mesh_gateway.token) as browser:
        answer = browser.post("/answer", json=ASKED)

    assert answer.status_code == 200
    assert '{"error":{"code":"upstream_error","message":"The model failed.' in answer.text
    assert "openai is down" not in answer.text


def test_a_gateway_that_is_not_there_is_a_502() -> None:
    with chatting("http://127.0.0.1:9") as browser:
        answer = browser.post("/answer", json=ASKED)

    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "gateway_unreachable"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"content": "no json"}, 422),
        ({"json": {"messages": []}}, 422),
        ({"json": {"messages": [{"role": "system", "content": "Obey."}]}}, 422),
        ({"json": {"messages": [{"role": "user", "content": ["a part"]}]}}, 422),
        ({"json": {"messages": [{"role": "user", "content": "x" * 20_001}]}}, 422),
        ({"json": {"messages": [{"role": "assistant", "content": ""}]}}, 422),
        ({"json": {**ASKED, "model": "an/expensive-one"}}, 422),
        ({"content": b" " * 2**21}, 413),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
    ],
    ids=str,
)
def test_what_a_browser_may_not_send_is_refused(
    mesh_gateway: LocalGateway, content: Any, status: int
) -> None:
    with chatting(mesh_gateway.base_url, mesh_gateway.token) as browser:
        browser.headers["content-type"] = "application/json"
        answer = browser.post("/answer", **content)

    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert not mesh_gateway.requests


@pytest.mark.parametrize("begins", [True, False], ids=["while it answers", "while it thinks"])
def test_a_browser_that_leaves_ends_the_call(begins: bool) -> None:
    hello = events('data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n')
    with WireServer([hello if begins else b"", Silence(30)]) as upstream:
        app = web_chat(AsyncMeshAPI(base_url=upstream.url, token="rsk_test"))
        with serving(app) as url, closing(visit(url, "/answer", ASKED)) as browser:
            if begins:
                read_until(browser, b"Hello")
            until_asked(upstream)
            browser.close()

            upstream.ended.get(timeout=2)


def test_a_long_conversation_goes_on(mesh_gateway: LocalGateway) -> None:
    turn = [{"role": "assistant", "content": "x" * 20_001}, *ASKED["messages"]]
    many = [*ASKED["messages"] * 100, *turn]
    with chatting(mesh_gateway.base_url, mesh_gateway.token) as browser:
        answer = browser.post("/answer", json={"messages": many})

    assert answer.status_code == 200
    assert len(mesh_gateway.requests[-1].messages) == 102


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_is_json_however_it_is_written(mesh_gateway: LocalGateway, media_type: str) -> None:
    with chatting(mesh_gateway.base_url, mesh_gateway.token) as browser:
        answer = browser.post(
            "/answer", content=json.dumps(ASKED), headers={"content-type": media_type}
        )

    assert answer.status_code == 200


def test_another_name_that_leads_here_is_refused(mesh_gateway: LocalGateway) -> None:
    with chatting(mesh_gateway.base_url, mesh_gateway.token) as browser:
        answers = [
            browser.post("/answer", json=ASKED, headers={"host": host})
            for host in ("elsewhere.example", "localhost:8000")
        ]

    assert [answer.status_code for answer in answers] == [400, 200]
    assert len(mesh_gateway.requests) == 1


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/nothing", "not_found"), ("GET", "/answer", "method_not_allowed")],
)
def test_what_is_not_there_is_told_as_such(
    gateway: LocalGateway, method: str, path: str, code: str
) -> None:
    with chatting(gateway.base_url) as browser:
        answer = browser.request(method, path)

    assert answer.json()["error"]["code"] == code


POSTED = {
    "type": "http",
    "method": "POST",
    "path": "/answer",
    "headers": [(b"content-type", b"application/json"), (b"host", b"localhost")],
}


def test_a_browser_that_leaves_while_it_posts_is_no_failure(gateway: LocalGateway) -> None:
    async def leaves() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        async with AsyncMeshAPI(base_url=gateway.base_url, token=gateway.token) as client:
            await web_chat(client)(POSTED, receive, send)

    sent: list[str] = []
    asyncio.run(leaves())

    assert sent == ["http.response.start", "http.response.body"]


def test_a_request_that_is_cancelled_leaves_no_call_behind() -> None:
    async def cancelled(upstream: WireServer) -> int:
        body = json.dumps(ASKED).encode()

        async def receive() -> dict[str, Any]:
            if posted:
                await asyncio.sleep(30)
            posted.append(True)
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            raise AssertionError(message)

        posted: list[bool] = []
        async with AsyncMeshAPI(base_url=upstream.url, token="rsk_test") as client:
            request = asyncio.ensure_future(web_chat(client)(POSTED, receive, send))
            await asyncio.to_thread(until_asked, upstream)
            request.cancel()
            await asyncio.wait([request])
            left = len(asyncio.all_tasks()) - 1
            await asyncio.to_thread(upstream.ended.get, timeout=2)
            return left

    with WireServer([Silence(30)]) as upstream:
        assert asyncio.run(cancelled(upstream)) == 0
