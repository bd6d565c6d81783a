"""Telemetry: one span for each call, its metrics, and content only for those who ask for it."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import gc
import json
import logging
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Never, cast

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.genai.handler import TelemetryHandler

from meshapi import (
    APIStatusError,
    AsyncMeshAPI,
    ChatCompletionParams,
    ComparisonParams,
    Hooks,
    MeshAPI,
    MeshAPIError,
)
from meshapi.local import LocalGateway
from meshapi.otel import MeshAPIInstrumentor, unbroken
from meshapi.resources.chat.replies import used_by
from tests.colours import Sync
from tests.told import CONTENT, Told
from tests.wire_server import Silence, WireServer, echo, events, response

TOKEN = "rsk_0123456789ABCDEF"
QUESTION = ChatCompletionParams(
    model="openai/gpt-4o", messages=[{"role": "user", "content": "one two three"}]
)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    monkeypatch.delenv(CONTENT, raising=False)
    with Told() as told:
        yield told


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What we or OpenTelemetry say went wrong; other libraries have words of their own."""
    return [
        each.getMessage()
        for each in caplog.records
        if each.levelno >= logging.WARNING and each.name.startswith(("meshapi", "opentelemetry"))
    ]


def whole(colour: Sync, params: ChatCompletionParams = QUESTION, **options: Any) -> Any:
    client = colour.client(**options)
    try:
        return colour.settle(client.chat.completions.create(params))
    finally:
        colour.settle(client.close())


def test_a_call_is_one_span_of_what_was_asked_and_answered(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    answer = whole(colour)

    assert told.span.name == "chat openai/gpt-4o"
    assert told.span.kind is SpanKind.CLIENT
    assert told.span.status.status_code is StatusCode.UNSET
    assert told.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "meshapi",
        "gen_ai.request.model": "openai/gpt-4o",
        "server.address": "127.0.0.1",
        "server.port": int(mesh_gateway.base_url.rsplit(":")[-1]),
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.model": "openai/gpt-4o",
        "gen_ai.response.id": answer.id,
        "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
        "meshapi.attempts": 1,
        "meshapi.request_id": answer.meta.request_id,
        "meshapi.cost": float(used_by(answer).cost or 0),
        "http.response.status_code": 200,
    }


def test_the_fields_of_the_body_are_told_under_their_standard_names(
    colour: Sync, told: Told
) -> None:
    params = ChatCompletionParams(
        messages=[],
        model="a/b",
        models=["a/b", "c/d"],
        temperature=0.5,
        top_p=0.25,
        frequency_penalty=1,
        presence_penalty=-1,
        max_tokens=7,
        stop=["x", "y"],
        seed=3,
        template="support-reply",
        variables={"plan": "free"},
        session_id="chat-1",
        response_format={"type": "json_object"},
        reasoning={"effort": "high"},
    )
    with WireServer(response('{"choices": []}')) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        extra = {"top_k": 4, "n": 2}
        colour.settle(client.chat.completions.create(params, extra_body=extra))
        colour.settle(client.close())

    expected: dict[str, object] = {
        "gen_ai.request.model": "a/b",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.25,
        "gen_ai.request.top_k": 4,
        "gen_ai.request.frequency_penalty": 1,
        "gen_ai.request.presence_penalty": -1,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.stop_sequences": ("x", "y"),
        "gen_ai.request.seed": 3,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.reasoning.level": "high",
        "gen_ai.output.type": "json",
        "gen_ai.prompt.name": "support-reply",
        "gen_ai.conversation.id": "chat-1",
        "meshapi.request.models": ("a/b", "c/d"),
    }
    assert told.attributes.items() >= expected.items()
    assert "free" not in told.everything


def test_of_two_names_for_the_same_thing_the_newer_one_is_told(colour: Sync, told: Told) -> None:
    older = {"max_tokens": 7, "reasoning": {"effort": "low"}, "response_format": {"type": "text"}}
    newer = {"max_completion_tokens": 8, "reasoning_effort": "high", "modality": "image"}
    with WireServer(response('{"choices": []}')) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        colour.settle(client.chat.completions.create(QUESTION, extra_body={**newer, **older}))
        colour.settle(client.close())

    assert told.attributes["gen_ai.request.max_tokens"] == 8
    assert told.attributes["gen_ai.request.reasoning.level"] == "high"
    assert told.attributes["gen_ai.output.type"] == "image"


@pytest.mark.parametrize(
    ("params", "header", "session"),
    [({}, "header", "header"), ({"session_id": "body"}, "header", "body")],
    ids=["header", "both"],
)
def test_the_session_is_the_conversation_and_the_body_wins(
    colour: Sync, told: Told, params: dict[str, Any], header: str, session: str
) -> None:
    with WireServer(response('{"choices": []}')) as server:
        asked = ChatCompletionParams(messages=[], **params)
        whole(colour, asked, base_url=server.url, token=TOKEN, headers={"x-session-id": header})

    assert told.attributes["gen_ai.conversation.id"] == session


WRONG: list[dict[str, Any]] = [
    {"temperature": "hot", "seed": 10**30, "stop": {"a": 1}, "model": 5, "n": True},
    {"messages": 3, "tools": "x", "variables": [1], "template": {}, "session_id": 7},
    {"messages": [1, {"role": 2, "content": 3, "tool_calls": [4]}], "tools": [5]},
    {"messages": [{"content": [6, {"type": "file"}, {"type": "image_url"}, {"type": []}]}]},
    {"response_format": {"type": []}, "reasoning": 1, "models": [None]},
]


@pytest.mark.parametrize("extra", WRONG, ids=str)
def test_values_of_a_wrong_type_break_nothing(
    colour: Sync,
    told: Told,
    extra: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(CONTENT, "SPAN_AND_EVENT")
    told.listen()
    with WireServer(response('{"choices": []}')) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        colour.settle(client.chat.completions.create(QUESTION, extra_body=extra))
        colour.settle(client.close())

    assert told.attributes["meshapi.attempts"] == 1
    assert "gen_ai.request.seed" not in told.attributes
    assert not complaints(caplog)


def test_a_body_as_deep_as_can_be_sent_is_told(colour: Sync, told: Told) -> None:
    deep = json.loads('{"a":' * 240 + "1" + "}" * 240)
    with WireServer(response('{"choices": []}')) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        params = QUESTION.model_copy(update={"temperature": 0.5})
        colour.settle(client.chat.completions.create(params, extra_body={"metadata": deep}))
        colour.settle(client.close())

    assert told.attributes["gen_ai.request.temperature"] == 0.5


def test_all_attempts_are_one_span(colour: Sync, told: Told, mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail(429, retry_after=1, times=2)

    whole(colour)

    assert told.attributes["meshapi.attempts"] == 3
    assert told.attributes["http.request.resend_count"] == 2
    assert told.attributes["http.response.status_code"] == 200
    assert "error.type" not in told.attributes


def test_a_failure_is_told_by_its_class_and_not_in_the_words_of_the_server(
    colour: Sync, told: Told
) -> None:
    error = {"error": {"code": "context_window_exceeded", "message": "You said: my secret plan"}}
    headers = {"x-request-id": "req_1"}
    with (
        WireServer(response(json.dumps(error), status=400, headers=headers)) as server,
        pytest.raises(MeshAPIError),
    ):
        whole(colour, base_url=server.url, token=TOKEN)

    assert told.span.status.status_code is StatusCode.ERROR
    words = "ContextWindowExceeded 400 context_window_exceeded, request id req_1"
    assert told.span.status.description == words
    assert told.attributes["error.type"] == "ContextWindowExceeded"
    assert told.attributes["meshapi.error.code"] == "context_window_exceeded"
    assert told.attributes["http.response.status_code"] == 400
    assert not told.span.events
    assert "plan" not in told.everything
    (duration,) = told.points("gen_ai.client.operation.duration")
    assert duration.attributes["error.type"] == "ContextWindowExceeded"


def test_a_code_may_be_a_number_and_an_error_may_name_its_request(colour: Sync, told: Told) -> None:
    error = {"error": {"code": 1234, "message": ""}, "request_id": "req_2"}
    with (
        WireServer(response(json.dumps(error), status=400)) as server,
        pytest.raises(MeshAPIError),
    ):
        whole(colour, base_url=server.url, token=TOKEN)

    assert told.span.status.description == "BadRequest 400 1234, request id req_2"
    assert told.attributes["meshapi.error.code"] == "1234"
    assert told.attributes["meshapi.request_id"] == "req_2"


def test_a_code_that_is_a_sentence_is_not_told(colour: Sync, told: Told) -> None:
    error = {"error": {"code": "my secret plan", "message": ""}, "request_id": "my secret plan"}
    with (
        WireServer(response(json.dumps(error), status=400)) as server,
        pytest.raises(MeshAPIError),
    ):
        whole(colour, base_url=server.url, token=TOKEN)

    assert told.span.status.description == "BadRequest 400"
    assert "plan" not in told.everything


def test_an_id_or_a_reason_that_is_a_sentence_is_not_told(colour: Sync, told: Told) -> None:
    choices = [{"finish_reason": reason} for reason in ("my secret plan", "stop")]
    with WireServer(response(json.dumps({"id": "my secret plan", "choices": choices}))) as server:
        whole(colour, base_url=server.url, token=TOKEN)

    assert told.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert "plan" not in told.everything


def test_the_status_is_that_of_the_wire(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    mesh_gateway.fail("error_in_200", times=3)
    with pytest.raises(MeshAPIError) as caught:
        whole(colour)

    assert isinstance(caught.value, APIStatusError)
    assert told.attributes["http.response.status_code"] == 200
    assert told.span.status.description
    assert f" {caught.value.status_code} " in told.span.status.description


def test_a_call_that_never_left_is_told_as_well(colour: Sync, told: Told) -> None:
    with WireServer(b"") as server:
        url = server.url
    with pytest.raises(MeshAPIError):
        whole(colour, base_url=url, token=TOKEN, max_retries=0)

    assert told.attributes["error.type"] == "ConnectionFailed"
    assert "http.response.status_code" not in told.attributes


def test_the_span_of_a_stream_ends_with_the_stream(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    client = colour.client()
    stream = client.chat.completions.stream(QUESTION)
    chunks = colour.take(stream, 1)
    assert told.spans == []
    chunks += colour.collect(stream)
    colour.settle(client.close())

    usage = colour.settle(stream.final()).usage
    assert usage
    assert told.attributes["gen_ai.request.stream"] is True
    assert told.attributes["gen_ai.usage.output_tokens"] == usage.completion_tokens
    assert told.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert told.attributes["gen_ai.response.id"] == chunks[0].id
    assert "meshapi.stream.left" not in told.attributes
    (later,) = told.points("gen_ai.client.operation.time_per_output_chunk")
    assert later.count == len(chunks) - 1


def test_the_time_to_the_first_chunk_is_that_of_the_whole_call(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    mesh_gateway.fail("error_first")

    def later(_: object) -> None:
        for _ in range(20):
            threading.Event().wait(0.001)

    client = colour.client(hooks=Hooks(on_retry=later))
    colour.collect(client.chat.completions.stream(QUESTION))
    colour.settle(client.close())

    seconds = told.attributes["gen_ai.response.time_to_first_chunk"]
    assert told.attributes["meshapi.attempts"] == 2
    assert seconds >= 0.02
    (first,) = told.points("gen_ai.client.operation.time_to_first_chunk")
    assert first.count == 1
    assert first.sum == seconds


def test_a_stream_that_is_left_ends_its_span_and_is_no_failure(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    client = colour.client()
    stream = client.chat.completions.stream(QUESTION)
    colour.take(stream, 1)
    colour.settle(stream.close())
    colour.settle(client.close())

    assert told.attributes["meshapi.stream.left"] is True
    assert told.span.status.status_code is StatusCode.UNSET


def test_a_stream_that_is_dropped_ends_its_span(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    client = colour.client()
    stream = colour.create_stream(client, QUESTION.model_copy(update={"stream": True}))  # type: ignore[arg-type]  # The copy streams.
    assert told.spans == []

    del stream
    gc.collect()
    colour.settle(client.close())

    assert told.attributes["meshapi.stream.left"] is True


def test_a_stream_that_the_collector_ends_while_telemetry_is_busy_is_told_later(
    told: Told, mesh_gateway: LocalGateway, request: pytest.FixtureRequest
) -> None:
    """The garbage collector may run in the middle of anything; here it runs when the test says."""
    gc.disable()
    request.addfinalizer(gc.enable)
    busy = threading.Lock()

    class Locked(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            assert busy.acquire(timeout=1)
            gc.collect()
            busy.release()

    told.tracers.add_span_processor(Locked())
    with MeshAPI() as client:
        garbage: list[Any] = [client.chat.completions.stream(QUESTION)]
        garbage.append(garbage)
        del garbage
        client.chat.completions.create(QUESTION)
        assert len(told.spans) == 1

        client.chat.completions.create(QUESTION)

    assert not unbroken._told
    assert [(each.attributes or {}).get("meshapi.stream.left") for each in told.spans] == [
        None,
        True,
        None,
    ]


def test_what_the_collector_ends_last_is_told_when_the_program_ends_and_by_no_child_of_it(
    mesh_gateway: LocalGateway,
) -> None:
    script = """
import gc, os
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from meshapi import ChatCompletionParams, MeshAPI
from meshapi.otel import MeshAPIInstrumentor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
MeshAPIInstrumentor().instrument(tracer_provider=provider)
garbage = [MeshAPI().chat.completions.stream(ChatCompletionParams(messages=[]))]
garbage.append(garbage)
del garbage
gc.collect()
if child := os.fork():
    os.waitpid(child, 0)
    print("The end")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    before, _, after = run.stdout.partition("The end")
    assert "span_id" not in before
    assert after.count("meshapi.stream.left") == 1
    assert not run.stderr


def test_a_stream_that_fails_half_way_ends_its_span_with_the_error(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    mesh_gateway.fail("truncate", reply="one two three four five six")
    client = colour.client()
    with pytest.raises(MeshAPIError):
        colour.collect(client.chat.completions.stream(QUESTION))
    colour.settle(client.close())

    assert told.attributes["error.type"] == "StreamInterrupted"
    assert told.attributes["gen_ai.response.id"].startswith("chatcmpl-")
    assert told.attributes["gen_ai.response.time_to_first_chunk"] > 0


def test_a_stream_that_does_not_open_is_a_call_that_failed(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    mesh_gateway.fail(400)
    client = colour.client()
    with pytest.raises(MeshAPIError):
        colour.collect(client.chat.completions.stream(QUESTION))
    colour.settle(client.close())

    assert told.attributes["error.type"] == "BadRequest"
    assert told.attributes["gen_ai.request.stream"] is True
    assert "gen_ai.response.time_to_first_chunk" not in told.attributes


def test_a_comparison_is_a_span_and_the_list_of_models_is_none(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    models = ["openai/gpt-4o", "openai/gpt-4o-mini"]
    client = colour.client()
    params = ComparisonParams(models=models, messages=QUESTION.messages)
    answer = colour.settle(client.chat.compare.create(params))
    colour.settle(client.models.list())
    colour.settle(client.close())

    assert told.span.name == "compare"
    assert told.attributes["gen_ai.operation.name"] == "compare"
    assert told.attributes["gen_ai.response.id"] == answer.comparison_id
    assert told.attributes["meshapi.request.models"] == tuple(models)
    assert told.attributes["gen_ai.usage.output_tokens"] == client.totals.completion_tokens
    assert "gen_ai.request.model" not in told.attributes


def test_durations_and_tokens_are_metrics(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    usage = whole(colour).usage

    (duration,) = told.points("gen_ai.client.operation.duration")
    assert duration.count == 1
    assert duration.attributes["gen_ai.request.model"] == "openai/gpt-4o"
    tokens = {
        each.attributes["gen_ai.token.type"]: each.sum
        for each in told.points("gen_ai.client.token.usage")
    }
    assert tokens == {"input": usage.prompt_tokens, "output": usage.completion_tokens}


def test_details_of_the_usage_are_told_where_the_provider_says_them(
    colour: Sync, told: Told
) -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 10**30,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    with WireServer(response(json.dumps({"choices": [], "usage": usage}))) as server:
        whole(colour, base_url=server.url, token=TOKEN)

    expected = {
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_write.input_tokens": 2,
        "gen_ai.usage.audio.input_tokens": 1,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }
    assert told.attributes.items() >= expected.items()
    assert "gen_ai.usage.output_tokens" not in told.attributes


SAID = json.dumps(
    {
        "choices": [
            {
                "message": {
                    "reasoning": "thought-out",
                    "content": "said-out",
                    "tool_calls": [
                        {"id": "c2", "function": {"name": "g", "arguments": '{"x": "arg-out"}'}}
                    ],
                }
            }
        ]
    }
)
WALL = base64.b64encode(b"wall-in" * 10).decode()
ASKED = ChatCompletionParams(
    messages=[
        {"role": "system", "content": "system-in"},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "text-in"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{WALL}"}},
                {"type": "image_url", "image_url": {"url": "https://x.test/uri-in.png"}},
                {"type": "input_audio", "input_audio": {"data": WALL, "format": "mp3"}},
                {"type": "file", "file": {"file_id": "file-in"}},
                {"type": "video_url", "video_url": {"url": "https://x.test/video-in"}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"x": "arg-in"}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "result-in"},
    ],
    tools=[{"function": {"name": "f", "description": "tool-in", "parameters": {}}}],
    template="t",
    variables={"slot": "variable-in"},
)
WORDS = {
    *("system-in", "text-in", "uri-in", "file-in", "video-in", "arg-in", "result-in"),
    *("tool-in", "variable-in", "thought-out", "said-out", "arg-out", WALL),
}
IN, OUT = "gen_ai.input.messages", "gen_ai.output.messages"


@pytest.mark.parametrize("mode", ["", "NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"])
def test_content_goes_only_where_the_variable_says(
    colour: Sync, told: Told, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, mode)
    told.listen()
    with WireServer(response(SAID)) as server:
        whole(colour, ASKED, base_url=server.url, token=TOKEN)

    events = [dict(each.log_record.attributes or {}) for each in told.logs.get_finished_logs()]
    in_events = json.dumps(events, default=lambda blob: base64.b64encode(blob).decode())
    in_span = told.span.to_json()
    assert {word for word in WORDS if word in in_span} == (WORDS if "SPAN" in mode else set())
    assert {word for word in WORDS if word in in_events} == (WORDS if "EVENT" in mode else set())


def test_messages_become_the_parts_that_the_conventions_name(
    colour: Sync, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "SPAN_ONLY")
    told.listen()
    with WireServer(response(SAID)) as server:
        whole(colour, ASKED, base_url=server.url, token=TOKEN)

    system, user, assistant, tool = json.loads(told.attributes[IN])
    assert system["parts"] == [{"type": "text", "content": "system-in"}]
    assert user["name"] == "ann"
    assert [part["type"] for part in user["parts"]] == [
        "text",
        "blob",
        "uri",
        "blob",
        "file",
        "uri",
    ]
    assert user["parts"][1]["mime_type"] == "image/png"
    assert user["parts"][3]["mime_type"] == "audio/mp3"
    call = {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"x": "arg-in"}}
    assert assistant["parts"] == [call]
    assert tool["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "result-in"}]
    (answer,) = json.loads(told.attributes[OUT])
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "text", "tool_call"]
    (defined,) = json.loads(told.attributes["gen_ai.tool.definitions"])
    assert (defined["type"], defined["name"]) == ("function", "f")
    assert told.attributes["gen_ai.prompt.variable.slot"] == "variable-in"


def test_what_a_stream_and_a_comparison_said_is_content_as_well(
    colour: Sync, told: Told, mesh_gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "SPAN_ONLY")
    told.listen()
    client = colour.client()
    text = "".join(colour.text_of(client.chat.completions.stream(QUESTION)))
    params = ComparisonParams(models=["openai/gpt-4o"], messages=QUESTION.messages)
    compared = colour.settle(client.chat.compare.create(params))
    colour.settle(client.close())

    streamed, both = [json.loads(str((each.attributes or {})[OUT])) for each in told.spans]
    assert streamed[0]["parts"] == [{"type": "text", "content": text}]
    assert both[0]["parts"] == [{"type": "text", "content": compared.results[0].content}]
    assert both[0]["name"] == "openai/gpt-4o"


@pytest.mark.parametrize("token", [TOKEN, lambda: TOKEN], ids=["fixed", "function"])
def test_the_token_is_told_nowhere(
    colour: Sync, told: Told, token: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "SPAN_AND_EVENT")
    told.listen()
    echoed = {
        "id": TOKEN,
        "model": TOKEN,
        "choices": [{"finish_reason": TOKEN, "message": {"content": f"You are {TOKEN}"}}],
    }
    error = {"error": {"code": TOKEN, "message": TOKEN}, "request_id": TOKEN}
    headers = {"x-request-id": TOKEN}
    # Which token a function gives is known once it is asked, after the call began.
    facts = {} if callable(token) else dict.fromkeys(("model", "session_id", "stop"), TOKEN)
    question = QUESTION.model_copy(
        update={"messages": [{"role": "user", "content": f"I am {TOKEN}"}], **facts}
    )
    stream = f"data: {json.dumps({**echoed, 'choices': [{'delta': {'content': TOKEN}}]})}\n\n"
    scripts = [
        response(json.dumps(echoed), headers=headers),
        response(json.dumps(error), status=400, headers=headers),
        events(f"{stream}data: [DONE]\n\n", headers=headers),
    ]
    for script in scripts:
        with WireServer(script) as server:
            client = colour.client(base_url=server.url, token=token)
            with suppress(MeshAPIError):
                if script is scripts[-1]:
                    colour.collect(client.chat.completions.stream(question))
                else:
                    colour.settle(client.chat.completions.create(question))
            colour.settle(client.close())

    assert len(told.spans) == 3
    assert "I am ***" in told.everything
    assert "You are ***" in told.everything
    assert TOKEN not in told.everything


def test_the_span_is_current_while_the_call_runs_and_the_callers_before_and_after(
    colour: Sync, told: Told
) -> None:
    during: list[Any] = []

    def answer(_: httpx.Request) -> httpx.Response:
        during.append(trace.get_current_span().get_span_context().span_id)
        return httpx.Response(200, json={"choices": []})

    client = colour.client(token=TOKEN, http_client=colour.mocked(answer))
    with told.tracer.start_as_current_span("mine") as mine:
        before = get_current()
        colour.settle(client.chat.completions.create(QUESTION))
        assert get_current() is before
    call, _ = told.spans

    assert call.context
    assert during == [call.context.span_id]
    assert call.parent == mine.get_span_context()


def test_while_a_stream_is_read_the_context_is_the_callers(
    told: Told, mesh_gateway: LocalGateway
) -> None:
    before = get_current()
    with MeshAPI() as client, client.chat.completions.stream(QUESTION) as stream:
        assert all(get_current() is before for _ in stream)

    assert len(told.spans) == 1


async def _created(client: AsyncMeshAPI, contexts: list[Context]) -> None:
    contexts.append(get_current())
    with suppress(MeshAPIError):
        await client.chat.completions.create(QUESTION)
    contexts.append(get_current())


@pytest.mark.parametrize("status", [200, 400])
def test_the_context_of_a_task_is_restored(told: Told, status: int) -> None:
    contexts: list[Context] = []

    async def main(url: str) -> None:
        async with AsyncMeshAPI(base_url=url, token=TOKEN) as client:
            await _created(client, contexts)

    with WireServer(response('{"choices": []}', status=status)) as server:
        asyncio.run(main(server.url))

    assert contexts[0] is contexts[1]


def test_the_context_is_restored_when_a_call_is_cancelled(told: Told) -> None:
    async def main(url: str) -> None:
        before = get_current()
        async with AsyncMeshAPI(base_url=url, token=TOKEN) as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.chat.completions.create(QUESTION)
            assert get_current() is before

    with WireServer([Silence(5)]) as server:
        asyncio.run(main(server.url))

    assert told.attributes["error.type"] == "CancelledError"
    assert told.span.status.description == "CancelledError"


def test_a_stream_may_be_opened_in_one_task_and_closed_in_another(
    told: Told, mesh_gateway: LocalGateway, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with AsyncMeshAPI() as client:
            before = get_current()
            stream = await client.chat.completions.stream(QUESTION).__aenter__()
            assert get_current() is before
            await anext(stream)
            assert get_current() is before
            await asyncio.create_task(stream.close())

    asyncio.run(main())

    assert told.attributes["meshapi.stream.left"] is True
    assert not complaints(caplog)


def test_a_call_that_is_dropped_with_its_loop_breaks_nothing(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(url: str) -> None:
        client = AsyncMeshAPI(base_url=url, token=TOKEN)
        call: Any = client.chat.completions.create(QUESTION)
        contextvars.Context().run(call.send, None)
        call.close()  # Here, in another context than where it began.

    with WireServer([Silence(5)]) as server:
        asyncio.run(main(server.url))

    assert told.attributes["error.type"] == "GeneratorExit"
    assert not complaints(caplog)


def test_a_hundred_calls_at_once_each_have_their_own_parent(colour: Sync, told: Told) -> None:
    with WireServer(echo) as server:
        client = colour.client(base_url=server.url, token=TOKEN)

        def call() -> Any:
            with told.tracer.start_as_current_span("mine"):
                return cast("MeshAPI", client).chat.completions.create(QUESTION)

        async def async_call() -> Any:
            with told.tracer.start_as_current_span("mine"):
                return await cast("AsyncMeshAPI", client).chat.completions.create(QUESTION)

        calls: dict[str, Callable[[], Any]] = {"sync": call, "async": async_call}
        colour.together(calls[colour.name], 100)
        colour.settle(client.close())

    mine = {each.context.span_id for each in told.spans if each.name == "mine" and each.context}
    parents = {each.parent.span_id for each in told.spans if each.parent}
    assert len(mine) == 100
    assert parents == mine


class Broken(SpanProcessor):
    def __init__(self, *methods: str) -> None:
        for method in methods:
            setattr(self, method, self._break)

    def _break(self, *_: object, **__: object) -> Never:
        raise ValueError("one two three")


@pytest.mark.parametrize("method", ["on_start", "on_end"])
def test_a_processor_that_fails_breaks_no_call_and_is_logged_once(
    colour: Sync, told: Told, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    told.tracers.add_span_processor(Broken(method))
    before = get_current()
    with WireServer(echo) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        for _ in range(2):
            colour.settle(client.chat.completions.create(QUESTION))
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    (line,) = complaints(caplog)
    assert line.startswith("Telemetry failed (ValueError in ")
    assert "one two three" not in caplog.text
    assert get_current() is before


def test_metrics_that_fail_break_no_stream(
    colour: Sync, told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> Never:
        raise ValueError("one two three")

    monkeypatch.setattr("opentelemetry.sdk.metrics._internal.instrument.Histogram.record", broken)
    with WireServer(echo) as server:
        client = colour.client(base_url=server.url, token=TOKEN)
        chunks = colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert "".join(each.text for each in chunks) == "one two three"
    assert "Telemetry failed (ValueError" in caplog.text
    assert "one two three" not in caplog.text


def test_content_that_cannot_be_converted_loses_only_itself(
    colour: Sync, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "SPAN_ONLY")
    told.listen()
    nested = "[" * 100_000
    call = {"id": "1", "function": {"name": "f", "arguments": nested}}
    answer = {"id": "x", "choices": [{"message": {"tool_calls": [call]}}]}
    with WireServer(response(json.dumps(answer))) as server:
        whole(colour, base_url=server.url, token=TOKEN)

    assert told.attributes["gen_ai.response.id"] == "x"
    assert IN in told.attributes


def test_nothing_is_converted_where_nobody_asks_for_content(
    colour: Sync, told: Told, mesh_gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def converted(_: object) -> Never:
        raise AssertionError("It is converted")

    for name in ("asked_messages", "given_messages", "defined_tools"):
        monkeypatch.setattr(f"meshapi.otel.spans.{name}", converted)
    whole(colour)

    assert told.spans
    assert not unbroken._told


def test_off_means_off(colour: Sync, told: Told, mesh_gateway: LocalGateway) -> None:
    MeshAPIInstrumentor().uninstrument()
    whole(colour)
    told.listen()

    assert told.spans == []


def test_where_telemetry_is_suppressed_nothing_is_told(
    told: Told, mesh_gateway: LocalGateway
) -> None:
    with MeshAPI() as client, suppress_instrumentation():
        client.chat.completions.create(QUESTION)

    assert told.spans == []


def test_a_span_around_a_call_of_the_same_kind_takes_it_in(
    colour: Sync, told: Told, mesh_gateway: LocalGateway
) -> None:
    handler = TelemetryHandler(told.tracers, told.meters, told.loggers)
    with handler.inference("agent", request_model="openai/gpt-4o"):
        whole(colour)

    assert told.attributes["gen_ai.provider.name"] == "agent"
    assert told.attributes["gen_ai.usage.input_tokens"] > 0


def test_a_program_without_telemetry_imports_none_of_it(mesh_gateway: LocalGateway) -> None:
    script = """
import sys
from meshapi import ChatCompletionParams, MeshAPI
MeshAPI().chat.completions.create(ChatCompletionParams(messages=[{"role": "user", "content": ""}]))
print([name for name in sys.modules if "opentelemetry" in name or "otel" in name])
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert run.stdout == "[]\n"


def test_what_is_not_installed_is_named() -> None:
    script = """
import sys
sys.modules["opentelemetry"] = None
import meshapi.otel
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    last = run.stderr.splitlines()[-1]
    assert last == "ModuleNotFoundError: Telemetry needs the extra: pip install 'meshapi[otel]'"


def test_the_instrumentation_command_finds_it() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    (named,) = project["project"]["entry-points"]["opentelemetry_instrumentor"].values()

    assert EntryPoint("meshapi", named, "opentelemetry_instrumentor").load() is MeshAPIInstrumentor
