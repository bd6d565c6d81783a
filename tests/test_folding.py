"""Chunks are added up by the rules of the wire, however imperfect the server that cut them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshapi import ChatCompletionChunk, ChatCompletionResponse, Meta
from meshapi.resources.chat.fold import CompletionFold


def folded(*chunks: dict[str, Any]) -> ChatCompletionResponse:
    fold = CompletionFold()
    for chunk in chunks:
        fold.add(ChatCompletionChunk.model_validate_json(json.dumps(chunk)))
    return fold.partial(Meta())


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def piece(arguments: Any = None, **fields: Any) -> dict[str, Any]:
    function = {"arguments": arguments}
    if "name" in fields:
        function["name"] = fields.pop("name")
    return {**fields, "function": function}


CALLS = {
    "by index": [
        [piece("", index=1, id="b", name="g"), piece("{", index=0, id="a", name="f")],
        [piece("}", index=0), piece("[]", index=1)],
    ],
    "by id": [
        [piece("{", id="a", name="f")],
        [piece("[", id="b", name="g")],
        [piece("}", id="a"), piece("]", id="b")],
    ],
    "by index, then by id": [
        [piece("{", index=0, id="a", name="f"), piece("[", index=1, id="b", name="g")],
        [piece("}", id="a"), piece("]", id="b")],
    ],
    "by neither": [
        [piece("{", id="a", name="f")],
        [piece("}")],
        [piece("[", id="b", name="g")],
        [piece("]")],
    ],
    "empty ids and names say nothing": [
        [piece("{", index=0, id="a", name="f", type="function")],
        [piece("}", index=0, id="", name="", type=None)],
        [piece("[", index=1, id="b", name="g")],
        [piece(None, index=1, id=None, name=None), piece("]", index=1)],
    ],
}


@pytest.mark.parametrize("chunks", CALLS.values(), ids=CALLS)
def test_pieces_of_tool_calls_find_their_call(chunks: list[list[dict[str, Any]]]) -> None:
    message = folded(*[delta(tool_calls=pieces) for pieces in chunks]).choices[0].message

    calls = sorted(message.tool_calls or [], key=lambda call: call.id)
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("a", "f", "{}"),
        ("b", "g", "[]"),
    ]
    assert {call.type for call in calls} == {"function"}


def test_arguments_that_come_as_an_object_become_their_json() -> None:
    message = folded(delta(tool_calls=[piece({"city": "Paris"}, index=0, id="a")]))

    calls = message.choices[0].message.tool_calls
    assert calls is not None
    assert json.loads(calls[0].function.arguments) == {"city": "Paris"}


def test_a_thought_signature_of_a_call_is_kept() -> None:
    message = folded(
        delta(tool_calls=[{**piece("{}", index=0, id="a", name="f"), "thought_signature": "sig"}])
    )

    calls = message.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].model_extra == {"thought_signature": "sig"}


def test_every_kind_of_output_is_added_up() -> None:
    message = (
        folded(
            delta(role="assistant", refusal="N", reasoning="th", audio={"id": "x", "data": "aa"}),
            delta(refusal="o", reasoning="ink", audio={"data": "bb", "transcript": "Hi"}),
            delta(audio={"transcript": "!", "expires_at": 7}, annotations=[{"type": "a"}]),
            delta(
                annotations=[{"type": "b"}],
                images=[{"image_url": {"url": "u"}, "type": "image_url"}],
            ),
            delta(function_call={"name": "f", "arguments": "{"}),
            delta(function_call={"arguments": "}"}),
            delta(content=[{"type": "text", "text": "a"}]),
            delta(content=[{"type": "text", "text": "b"}]),
        )
        .choices[0]
        .message
    )

    assert (message.refusal, message.reasoning) == ("No", "think")
    assert message.audio is not None
    assert message.audio.model_dump() == {
        "id": "x",
        "data": "aabb",
        "transcript": "Hi!",
        "expires_at": 7,
    }
    assert [note.type for note in message.annotations or []] == ["a", "b"]
    assert [image.model_dump(exclude_unset=True) for image in message.images or []] == [
        {"type": "image_url", "image_url": {"url": "u"}}
    ]
    assert message.function_call is not None
    assert (message.function_call.name, message.function_call.arguments) == ("f", "{}")
    assert isinstance(message.content, list)
    assert len(message.content) == 2


def test_reasoning_details_are_merged_by_index() -> None:
    details = [
        [{"type": "reasoning.text", "text": "Add ", "index": 0, "format": "a"}],
        [{"text": "up.", "index": 0}, {"type": "reasoning.encrypted", "data": "x", "index": 1}],
        [{"signature": "s", "index": 0, "id": None}],
    ]

    message = folded(*[delta(reasoning_details=each) for each in details]).choices[0].message

    assert message.reasoning_details == [
        {
            "type": "reasoning.text",
            "index": 0,
            "format": "a",
            "signature": "s",
            "id": None,
            "text": "Add up.",
        },
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
    ]


def test_facts_of_any_chunk_are_kept_and_the_last_that_says_something_wins() -> None:
    answer = folded(
        {"id": "c1", "model": "m", "x_auto_routed": True, "x_new": 1, "choices": []},
        {"id": "", "model": None, "usage": {"total_tokens": 3}, "cost": "0.5", "x_new": 2},
        {"usage": None, "provider": "P", "choices": [{"delta": None, "finish_reason": "stop"}]},
    )

    assert (answer.id, answer.model, answer.object) == ("c1", "m", "chat.completion")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 3
    assert str(answer.cost) == "0.5"
    assert (answer.x_auto_routed, answer.provider) == (True, "P")
    assert answer.model_extra == {"x_new": 2}
    assert answer.choices[0].finish_reason == "stop"


def test_text_keeps_its_order_where_strings_and_parts_are_mixed() -> None:
    answer = folded(
        delta(content="a"), delta(content=[{"type": "text", "text": "b"}]), delta(content="c")
    )

    assert answer.text == "abc"


def test_an_empty_result_in_a_reasoning_detail_is_kept_for_the_provider() -> None:
    detail = {"type": "reasoning.server_tool_call", "arguments": "", "result": None, "index": 0}

    message = folded(delta(reasoning_details=[detail])).choices[0].message

    assert message.reasoning_details == [detail]
