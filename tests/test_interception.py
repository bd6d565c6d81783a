"""What people mock httpx with goes on intercepting our calls."""

from __future__ import annotations

import importlib
import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from pytest_httpx import HTTPXMock

from meshapi import ChatCompletionParams, ConnectionFailed, RateLimitExceeded
from meshapi.local import LocalGateway
from tests.colours import Sync

vcr: Any = importlib.import_module("vcr")  # It has no types.

URL = "https://api.meshapi.ai/v1/chat/completions"
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
ANSWER = {"choices": [{"message": {"content": "mocked"}}]}
STREAM = 'data: {"choices": [{"delta": {"content": "mocked"}}]}\n\ndata: [DONE]\n\n'


def answers(colour: Sync, http_client: object = None) -> tuple[str, str]:
    """The text of a whole and of a streamed answer."""
    client = colour.client(token="rsk_test", http_client=http_client)
    whole = colour.settle(client.chat.completions.create(QUESTION)).text
    streamed = "".join(
        each.text for each in colour.collect(client.chat.completions.stream(QUESTION))
    )
    colour.settle(client.close())
    return whole, streamed


def test_respx_in_its_default_mode_intercepts(colour: Sync) -> None:
    with respx.mock:
        route = respx.post(URL)
        route.side_effect = [httpx.Response(200, json=ANSWER), httpx.Response(200, text=STREAM)]

        assert answers(colour) == ("mocked", "mocked")

    assert route.call_count == 2
    calls: Any = route.calls
    assert json.loads(calls[0].request.content) == {"messages": [{"role": "user", "content": "Hi"}]}


def test_what_a_mock_raises_leaves_the_frames_it_came_through_alone(colour: Sync) -> None:
    raised = ConnectionFailed("one for all calls")  # With the frames of all who met it.

    def answer(_request: httpx.Request) -> httpx.Response:
        raise raised

    def meet() -> Generator[str]:
        try:
            colour.settle(client.chat.completions.create(QUESTION))
        except ConnectionFailed:
            yield "met"
            yield "goes on"

    client = colour.client(token="t", http_client=colour.mocked(answer), max_retries=0)
    one, another = meet(), meet()

    assert (next(one), next(another)) == ("met", "met")
    assert (next(one), next(another)) == ("goes on", "goes on")


def test_an_error_that_respx_answers_is_typed(colour: Sync) -> None:
    with respx.mock:
        respx.post(URL).respond(429, headers={"retry-after": "120"})
        client = colour.client(token="rsk_test")
        with pytest.raises(RateLimitExceeded) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_after == 120


def test_pytest_httpx_intercepts(colour: Sync, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=URL, json=ANSWER)
    httpx_mock.add_response(url=URL, text=STREAM)

    assert answers(colour) == ("mocked", "mocked")


def test_a_mock_transport_in_a_lent_client_intercepts(colour: Sync) -> None:
    bodies: Iterator[httpx.Response] = iter(
        [httpx.Response(200, json=ANSWER), httpx.Response(200, text=STREAM)]
    )

    assert answers(colour, colour.mocked(lambda _: next(bodies))) == ("mocked", "mocked")


def test_vcr_records_and_replays(colour: Sync, gateway: LocalGateway, tmp_path: Path) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    texts: list[str] = []

    for _ in ("record", "replay"):
        with vcr.use_cassette(cassette, filter_headers=["authorization"]):
            client = colour.client(base_url=gateway.base_url, token=gateway.token)
            texts.append(colour.settle(client.chat.completions.create(QUESTION)).text)
            texts.append(colour.settle(client.chat.completions.stream(QUESTION).final()).text)
            colour.settle(client.close())
    served = len(gateway.requests)
    with vcr.use_cassette(cassette):
        client = colour.client(base_url=gateway.base_url, token=gateway.token)
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert texts[:2] == texts[2:]
    assert len(gateway.requests) == served
