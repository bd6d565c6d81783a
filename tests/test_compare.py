"""Several models asked at once: one model's failure is data, an error object ends the stream."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from meshapi import (
    APIStatusError,
    AsyncMeshAPI,
    ComparisonEvent,
    ComparisonParams,
    ComparisonResponse,
    InvalidRequest,
    InvalidResponse,
    MeshAPI,
    StreamInterrupted,
    UpstreamError,
)
from tests.wire_server import WireServer, events, response

SAMPLES = Path(__file__).parent / "wire" / "samples"
QUESTION = ComparisonParams(
    models=["openai/gpt-4o-mini", "anthropic/claude-haiku-4.5"],
    messages=[{"role": "user", "content": "2 + 2?"}],
    skip_comparison=True,
)


def create(colour: str, url: str, params: Any = QUESTION) -> ComparisonResponse:
    if colour == "sync":
        with MeshAPI(base_url=url, token="rsk_test") as client:
            return client.chat.compare.create(params)

    async def asked() -> ComparisonResponse:
        async with AsyncMeshAPI(base_url=url, token="rsk_test") as client:
            return await client.chat.compare.create(params)

    return asyncio.run(asked())


def stream(colour: str, url: str) -> list[ComparisonEvent]:
    if colour == "sync":
        with MeshAPI(base_url=url, token="rsk_test") as client:
            return list(client.chat.compare.stream(QUESTION))

    async def asked() -> list[ComparisonEvent]:
        async with AsyncMeshAPI(base_url=url, token="rsk_test") as client:
            return [event async for event in client.chat.compare.stream(QUESTION)]

    return asyncio.run(asked())


both = pytest.mark.parametrize("colour", ["sync", "async"])


@both
def test_one_models_failure_is_data(colour: str) -> None:
    body = (SAMPLES / "x01_compare_partial.json").read_bytes()
    with WireServer(response(body, headers={"x-request-id": "req_1"})) as server:
        answer = create(colour, server.url)

    assert server.requests[0].path == "/v1/chat/compare"
    assert server.requests[0].json() == {
        "models": ["openai/gpt-4o-mini", "anthropic/claude-haiku-4.5"],
        "messages": [{"role": "user", "content": "2 + 2?"}],
        "skip_comparison": True,
    }
    assert answer.partial is True
    assert answer.meta.request_id == "req_1"
    assert [each.content for each in answer.results] == ["Four", None]
    assert [each.error_code for each in answer.results] == [None, "gateway_timeout"]
    assert answer.results[0].usage is not None
    assert answer.results[0].usage.total_tokens == 10
    assert answer.results[0].response_body == {"id": "chatcmpl-1"}


@both
def test_a_streamed_comparison_gives_each_models_pieces(colour: str) -> None:
    with WireServer(events((SAMPLES / "x02_compare_stream_models.sse").read_bytes())) as server:
        found = stream(colour, server.url)

    assert server.requests[0].json()["stream"] is True
    assert [event.event for event in found] == [
        "model_chunk",
        "model_chunk",
        "model_chunk",
        "model_stream_done",
        "model_stream_done",
        "done",
    ]
    assert "".join(str(e.delta) for e in found if e.model == "openai/gpt-4o-mini" and e.delta) == (
        "Four"
    )
    assert found[4].error == "timed out"
    assert found[5].partial is True


@both
def test_a_streamed_comparison_gives_what_the_judge_says(colour: str) -> None:
    with WireServer(events((SAMPLES / "x03_compare_stream_synthesis.sse").read_bytes())) as server:
        found = stream(colour, server.url)

    assert [event.delta for event in found] == ["Both ", "agree.", None]
    assert found[2].usage is not None
    assert found[2].usage.total_tokens == 80
    assert found[2].model_extra == {
        "comparison_model": "openai/gpt-4o",
        "comparison_fallback_used": True,
    }


CHUNK = 'event: model_chunk\ndata: {"model": "a", "delta": "x"}\n\n'


@both
@pytest.mark.parametrize("name", ["", "event: model_chunk\n", "event: error\n"])
def test_an_error_object_ends_the_stream(name: str, colour: str) -> None:
    frame = f'{name}data: {{"error": {{"code": "upstream_error", "message": "boom"}}}}\n\n'
    with (
        WireServer(events(CHUNK + frame + CHUNK)) as server,
        pytest.raises(UpstreamError, match="boom") as caught,
    ):
        stream(colour, server.url)

    assert caught.value.retry_safety == "ambiguous"
    assert len(server.requests) == 1


ODD = [
    'event: model_stream_done\ndata: {"model": "a", "error": "x", "error_code": 502}\n\n',
    'data: {"model": "a", "error": "x", "latency_ms": 1.5}\n\n',
    'event: error\ndata: {"model": "a", "error": "timed out"}\n\n',
]


@both
@pytest.mark.parametrize("event", ODD)
def test_one_models_error_in_words_does_not_end_the_stream(event: str, colour: str) -> None:
    done = "event: done\ndata: {}\n\ndata: [DONE]\n\n"
    with WireServer(events(event + CHUNK + done)) as server:
        found = stream(colour, server.url)

    assert isinstance(found[0].error, str)
    assert [each.delta for each in found] == [None, "x", None]


@both
def test_an_odd_result_of_one_model_keeps_those_of_the_others(colour: str) -> None:
    odd = {"error": {"code": "x"}, "error_code": 504, "latency_ms": 1.5, "content": [{"text": "a"}]}
    body = json.dumps({"results": [{"content": "Four"}, odd], "total_latency_ms": 2.5})
    with WireServer(response(body)) as server:
        answer = create(colour, server.url)

    assert answer.results[0].content == "Four"
    assert answer.results[1].model_dump(exclude_unset=True) == odd


@both
def test_a_comparison_that_is_cut_raises(colour: str) -> None:
    with WireServer(events(CHUNK)) as server, pytest.raises(StreamInterrupted) as caught:
        stream(colour, server.url)

    assert caught.value.events == 1
    assert caught.value.partial is None


@both
def test_all_models_failing_is_an_error_that_is_not_repeated(colour: str) -> None:
    body = '{"error": {"code": "all_models_failed", "message": "None answered."}}'
    with WireServer(response(body, status=502)) as server, pytest.raises(APIStatusError) as caught:
        create(colour, server.url)

    assert caught.value.retry_safety == "final"
    assert len(server.requests) == 1


@both
def test_an_answer_without_results_is_none(colour: str) -> None:
    with WireServer(response("{}")) as server, pytest.raises(InvalidResponse, match="results"):
        create(colour, server.url)


@both
def test_params_of_another_endpoint_are_refused(colour: str) -> None:
    with pytest.raises(InvalidRequest, match="ComparisonParams"):
        create(colour, "http://127.0.0.1:1", params={"models": []})


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"models": []}, "models"),
        ({"models": ["m"] * 11}, "models"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream": True}, "stream"),
        ({"model_overrides": [5]}, "model_overrides"),
    ],
    ids=str,
)
def test_a_bound_of_a_comparison_is_checked(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        ComparisonParams.model_validate({"models": ["m"], "messages": [], **fields})
