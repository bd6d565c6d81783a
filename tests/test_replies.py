"""Answers are read generously: unknown things are kept, and what is missing reads plain."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from meshapi import (
    ChatCompletionChoice,
    ChatCompletionChunk,
    ChatCompletionChunkChoice,
    ChatCompletionDelta,
    ChatCompletionMessage,
    ChatCompletionParams,
    ChatCompletionResponse,
    InvalidResponse,
    Meta,
    ServerError,
    StreamInterrupted,
)
from tests.colours import Sync
from tests.copies import COPIES
from tests.wire_server import WireServer, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])


def asked(colour: Sync, script: bytes, **options: Any) -> ChatCompletionResponse:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test", **options)
        try:
            return colour.settle(client.chat.completions.create(QUESTION))
        finally:
            colour.settle(client.close())


def test_what_is_missing_or_null_reads_plain() -> None:
    answer = ChatCompletionResponse.model_validate_json(
        '{"id": null, "choices": [{}, {"index": null, "message": null}, {"message": {}}]}'
    )

    assert (answer.id, answer.model, answer.object, answer.created) == ("", "", "", None)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [choice.message.role for choice in answer.choices] == ["assistant"] * 3
    assert [choice.message.content for choice in answer.choices] == [None] * 3
    assert answer.text == ""
    assert answer.usage is None


def test_a_chunk_may_miss_everything() -> None:
    chunk = ChatCompletionChunk.model_validate_json('{"choices": [{"delta": null, "index": null}]}')

    assert chunk.choices[0].index == 0
    assert chunk.choices[0].delta.content is None
    assert chunk.text == ""
    assert ChatCompletionChunk.model_validate_json("{}").choices == []


def test_unknown_fields_and_values_are_kept() -> None:
    body = (
        '{"id":"a","choices":[{"index":0,"message":{"role":"oracle","content":"4","new":[1]},'
        '"finish_reason":"bored"}],"x_new":true}'
    )

    answer = ChatCompletionResponse.model_validate_json(body)

    assert answer.model_dump_json(exclude_unset=True) == body
    assert answer.choices[0].finish_reason == "bored"
    assert answer.model_extra == {"x_new": True}


def test_numbers_and_parts_are_read_in_the_forms_they_come_in() -> None:
    answer = ChatCompletionResponse.model_validate_json(
        '{"id": 7, "created": 17.9, "cost": "0.0000021", "usage": {"cost": 2.1e-06,'
        ' "prompt_tokens": null}, "choices": [{"message": {"content": ['
        '{"type": "text", "text": "a"}, {"type": "image", "x": 1}, {"type": "text", "text": "b"}],'
        ' "tool_calls": [{"function": {"name": "f", "arguments": {"city": "Paris"}}}]}}]}'
    )

    assert answer.id == "7"
    assert answer.created == 17
    assert answer.cost == Decimal("0.0000021")
    assert answer.usage is not None
    assert answer.usage.cost == Decimal("0.0000021")
    assert answer.usage.prompt_tokens == 0
    assert answer.text == "ab"
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.arguments == '{"city":"Paris"}'


def test_a_chunk_is_as_strict_as_the_answer_it_becomes_part_of() -> None:
    message, delta = ChatCompletionMessage.model_fields, ChatCompletionDelta.model_fields
    choice, piece = ChatCompletionChoice.model_fields, ChatCompletionChunkChoice.model_fields

    assert message.keys() <= delta.keys()
    assert choice.keys() - {"message"} <= piece.keys()
    assert ChatCompletionResponse.model_fields.keys() <= ChatCompletionChunk.model_fields.keys()


MISTYPED: list[dict[str, Any]] = [
    {"delta": {"annotations": [5]}},
    {"delta": {"images": "x"}},
    {"delta": {"audio": [1]}},
    {"delta": {"name": 5}},
    {"delta": {"refusal": {}}},
    {"delta": {"reasoning_details": [None]}},
    {"delta": {"tool_calls": [{"index": "first"}]}},
    {"native_finish_reason": 5},
    {"logprobs": "x"},
]


@pytest.mark.parametrize("choice", MISTYPED, ids=str)
def test_a_mistyped_piece_of_a_stream_raises_with_what_had_come(
    choice: dict[str, Any], colour: Sync
) -> None:
    good = 'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'
    bad = f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n"
    with WireServer(events(good + bad)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        with pytest.raises(StreamInterrupted, match=r"choices\.0") as caught:
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(response("<html>", content_type="text/html"), "text/html", id="HTML"),
        pytest.param(response("{", content_type="application/json"), "not JSON", id="cut JSON"),
        pytest.param(response(""), "empty", id="empty"),
        pytest.param(response("", status=204), "empty", id="204"),
        pytest.param(response("", status=202), "empty", id="202"),
        pytest.param(response("null"), "not JSON", id="null"),
        pytest.param(response('{"choices": [], "x": NaN}'), "NaN", id="NaN"),
        pytest.param(response("[]"), "does not fit", id="array"),
        pytest.param(response("7"), "does not fit", id="number"),
        pytest.param(response("{}"), "choices", id="neither choices nor error"),
        pytest.param(response('{"error": null}'), "choices", id="null error"),
        pytest.param(response('{"choices": [{"index": {}}]}'), "index", id="mistyped"),
        pytest.param(response("[" * 10_000), "not JSON", id="deep"),
        pytest.param(events("data: {}\n\n"), "event-stream", id="events"),
        pytest.param(
            response("", status=307, headers={"location": "http://127.0.0.1:1/"}),
            "redirect",
            id="redirect",
        ),
    ],
)
def test_an_answer_that_is_none_raises(script: bytes, words: str, colour: Sync) -> None:
    with pytest.raises(InvalidResponse, match=words) as caught:
        asked(colour, script)

    assert caught.value.retry_safety == "final"
    assert caught.value.meta.attempts == 1


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(response('\ufeff{"choices": []}'), id="byte order mark"),
        pytest.param(response('{"choices": []}', content_type="text/plain"), id="content type"),
        pytest.param(response('{"choices": null}'), id="null choices"),
    ],
)
def test_an_answer_with_a_blemish_is_read(script: bytes, colour: Sync) -> None:
    assert asked(colour, script).choices == []


def test_an_answer_larger_than_allowed_raises(colour: Sync) -> None:
    body = '{"choices": [], "x": "' + "x" * 5000 + '"}'

    with pytest.raises(InvalidResponse, match="4000"):
        asked(colour, response(body), max_response_bytes=4000)


def test_an_error_page_is_read_only_so_far(colour: Sync) -> None:
    with pytest.raises(ServerError) as caught:
        asked(colour, response("x" * 3_000_000, status=500))

    assert caught.value.status_code == 500


def test_the_exchange_is_told_beside_the_answer(colour: Sync) -> None:
    headers = {"X-Request-Id": "req_1", "X-Cache": "HIT"}
    answer = asked(colour, response('{"choices": []}', headers=headers))

    assert answer.meta.request_id == "req_1"
    assert answer.meta.status_code == 200
    assert answer.meta.headers["X-CACHE"] == answer.meta.headers["x-cache"] == "HIT"
    assert answer.meta.attempts == 1
    assert answer.meta.elapsed > 0
    assert "meta" not in answer.model_dump()
    assert ChatCompletionResponse(choices=[]).meta == Meta()


@pytest.mark.parametrize("again", COPIES)
def test_an_answer_survives_copies_and_pickles(
    again: Callable[[ChatCompletionResponse], ChatCompletionResponse], colour: Sync
) -> None:
    answer = asked(colour, response('{"choices": [], "new": 1}', headers={"x-request-id": "req_1"}))

    assert again(answer) == answer
    assert again(answer).meta.request_id == "req_1"
    assert again(answer).meta.headers == answer.meta.headers


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": [{"text": "b"}]}, "b"),
        ({"content": [{"type": None, "text": "b"}]}, "b"),
        ({"content": [{"type": "text", "text": None}, {"type": "text", "text": "b"}]}, "b"),
        ({"content": [{"type": "image_url", "image_url": None}]}, ""),
        ({"images": [{"type": "image", "image_url": {"url": "u"}}]}, ""),
        ({"images": [{"b64_json": "x"}]}, ""),
        ({"tool_calls": [{"id": "a", "type": "custom", "custom": {"input": "p"}}]}, ""),
    ],
    ids=str,
)
def test_a_part_that_misses_something_is_kept_and_sent_back_as_it_came(
    message: dict[str, Any], text: str
) -> None:
    body = json.dumps({"choices": [{"message": message}]})

    answer = ChatCompletionResponse.model_validate_json(body)
    sent = ChatCompletionParams(messages=[answer.choices[0].message])

    assert answer.text == text
    came_back = json.loads(sent.model_dump_json(exclude_unset=True))["messages"][0]
    assert came_back == {"role": "assistant", **message}


def test_a_tool_call_of_nulls_reads_plain() -> None:
    call = {"id": None, "type": None, "function": {"name": "f", "arguments": None}}
    body = json.dumps({"choices": [{"message": {"tool_calls": [call, {"function": None}]}}]})

    calls = ChatCompletionResponse.model_validate_json(body).choices[0].message.tool_calls

    assert calls is not None
    assert [(each.id, each.type, each.function.name) for each in calls] == [
        ("", "function", "f"),
        ("", "function", ""),
    ]
