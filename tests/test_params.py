"""What is sent is what was set: no more, no less, and nothing that cannot be right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, cast

import httpx
import pytest
from pydantic import ValidationError

from meshapi import (
    ChatCompletionMessage,
    ChatCompletionParams,
    ChatCompletionResponse,
    ChatMessage,
    ImageContentPart,
    ImageUrl,
    InvalidRequest,
    TextContentPart,
    Tool,
    ToolCall,
    ToolCallFunction,
    ToolChoice,
    ToolChoiceFunction,
    ToolFunction,
    ToolFunctionParameters,
)
from tests.colours import Sync
from tests.copies import COPIES

HISTORY = [{"role": "user", "content": "Hi"}]


def sent(colour: Sync, params: Any, **options: Any) -> dict[str, Any]:
    """What goes over the wire for these params."""
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200, json={"choices": []})

    client = colour.client(token="rsk_test", http_client=colour.mocked(answer))
    typed: ChatCompletionParams = params
    colour.settle(client.chat.completions.create(typed, **options))
    return cast("dict[str, Any]", json.loads(bodies[0]))


def test_unset_is_not_sent_and_none_is_null(colour: Sync) -> None:
    params = ChatCompletionParams(messages=HISTORY, temperature=None, stop=["."])

    assert sent(colour, params) == {"messages": HISTORY, "temperature": None, "stop": ["."]}


BAD_FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": 3}, "temperature", "2"),
    ({"temperature": -0.1}, "temperature", "0"),
    ({"top_p": 2}, "top_p", "1"),
    ({"top_p": -1}, "top_p", "0"),
    ({"max_tokens": 0}, "max_tokens", "1"),
    ({"frequency_penalty": 2.1}, "frequency_penalty", "2"),
    ({"presence_penalty": -2.1}, "presence_penalty", "-2"),
    ({"user": "x" * 257}, "user", "256"),
    ({"temperature": float("nan")}, "temperature", "finite"),
    ({"mesages": []}, "mesages", "not permitted"),
    ({"max_tokens": True}, "max_tokens", "integer"),
    ({"max_tokens": "5"}, "max_tokens", "integer"),
    ({"temperature": "1"}, "temperature", "number"),
    ({"stream": 1}, "stream", "boolean"),
    ({"model": 5}, "model", "string"),
    ({"messages": "Hi"}, "messages", "list"),
    ({"messages": [{"content": "Hi"}]}, "role", "required"),
    ({"messages": [{"role": "user", "content": 5}]}, "content", "string"),
    ({"tools": [{"function": {}}]}, "name", "required"),
    ({"tools": [{"function": {"name": "f", "paramters": {}}}]}, "paramters", "not permitted"),
    ({"variables": {"plan": 5}}, "plan", "string"),
]


@pytest.mark.parametrize(("fields", "name", "bound"), BAD_FIELDS, ids=str)
def test_bad_input_is_refused_with_its_field_and_bound(
    fields: dict[str, Any], name: str, bound: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        ChatCompletionParams.model_validate({"messages": HISTORY, **fields})

    assert name in str(caught.value)
    assert bound in str(caught.value)


def test_messages_are_required() -> None:
    with pytest.raises(ValidationError, match="messages"):
        ChatCompletionParams()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # on purpose


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", 2), ("temperature", 0), ("max_tokens", 1), ("top_p", 1), ("user", "x" * 256)],
)
def test_a_bound_itself_is_allowed(field: str, value: Any) -> None:
    params = ChatCompletionParams(messages=HISTORY, **{field: value})

    assert getattr(params, field) == value


def test_assignment_and_copies_are_checked_like_construction() -> None:
    params = ChatCompletionParams(messages=HISTORY, temperature=1)

    with pytest.raises(ValidationError, match="temperature"):
        params.temperature = 3
    with pytest.raises(ValidationError, match="temperature"):
        params.model_copy(update={"temperature": 3})
    with pytest.raises(ValidationError, match="mesages"):
        params.model_copy(update={"mesages": []})
    assert params.model_copy(update={"top_p": 0.5}).model_dump(exclude_unset=True) == {
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 1,
        "top_p": 0.5,
    }
    assert params.model_copy() == params


def test_messages_may_be_models_answers_and_mappings_in_any_mix(colour: Sync) -> None:
    answer = ChatCompletionResponse.model_validate_json(
        '{"choices": [{"message": {"content": null, "reasoning_details": [{"data": "x"}],'
        ' "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]}}]}'
    )
    params = ChatCompletionParams(
        messages=[
            ChatMessage(role="system", content="Be brief."),
            MappingProxyType({"role": "user", "content": "Hi"}),
            answer.choices[0].message,
            {"role": "tool", "tool_call_id": "c1", "content": "4", "new_field": [None]},
        ]
    )

    assert sent(colour, params)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_details": [{"data": "x"}],
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "4", "new_field": [None]},
    ]
    assert all(isinstance(message, ChatMessage) for message in params.messages)


def test_tags_are_sent_whether_they_were_given_or_not(colour: Sync) -> None:
    params = ChatCompletionParams(
        messages=[
            ChatMessage(
                role="user",
                content=[
                    TextContentPart(text="What is this?"),
                    ImageContentPart(image_url=ImageUrl(url="https://example.org/a.png")),
                    {"type": "hologram", "data": None},
                ],
            ),
            ChatCompletionMessage(
                tool_calls=[ToolCall(id="c", function=ToolCallFunction(name="f", arguments="{}"))]
            ),
        ],
        tools=[Tool(function=ToolFunction(name="f"))],
        tool_choice=ToolChoice(function=ToolChoiceFunction(name="f")),
    )

    body = sent(colour, params)

    assert [part["type"] for part in body["messages"][0]["content"]] == [
        "text",
        "image_url",
        "hologram",
    ]
    assert body["messages"][0]["content"][2] == {"type": "hologram", "data": None}
    assert body["messages"][0]["content"][1]["image_url"] == {"url": "https://example.org/a.png"}
    assert body["messages"][1]["role"] == "assistant"
    assert body["messages"][1]["tool_calls"][0]["type"] == "function"
    assert body["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}


SCHEMA = {"type": "object", "properties": {"x": {"type": ["null"], "default": None}}, "x-y": None}


@pytest.mark.parametrize("parameters", [SCHEMA, ToolFunctionParameters(**SCHEMA)], ids=type)
def test_a_null_inside_a_tool_schema_survives(parameters: Any, colour: Sync) -> None:
    tool = {"function": {"name": "f", "parameters": parameters}}
    params = ChatCompletionParams(messages=HISTORY, tools=[tool])

    assert sent(colour, params)["tools"][0]["function"]["parameters"] == SCHEMA


@pytest.mark.parametrize("choice", ["auto", "brand_new", {"type": "allowed_tools", "tools": None}])
def test_a_tool_choice_is_sent_as_it_is_given(choice: Any, colour: Sync) -> None:
    params = ChatCompletionParams(messages=HISTORY, tool_choice=choice)

    assert sent(colour, params)["tool_choice"] == choice


def test_extra_body_wins_over_the_params(colour: Sync) -> None:
    params = ChatCompletionParams(messages=HISTORY, temperature=1)

    body = sent(colour, params, extra_body={"temperature": 9, "brand_new": {"a": None}})

    assert body == {"messages": HISTORY, "temperature": 9, "brand_new": {"a": None}}


CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    "schema",
    [{"x": float("nan")}, {"x": float("-inf")}, {"x": object()}, {"x": "\ud800"}, CYCLE],
    ids=["nan", "infinity", "object", "surrogate", "cycle"],
)
def test_what_json_has_no_form_for_is_refused_before_anything_is_sent(
    schema: dict[str, Any], colour: Sync
) -> None:
    tool = {"function": {"name": "f", "parameters": schema}}

    with pytest.raises(InvalidRequest) as caught:
        sent(colour, ChatCompletionParams(messages=HISTORY, tools=[tool]))
    with pytest.raises(InvalidRequest):
        sent(colour, ChatCompletionParams(messages=HISTORY), extra_body={"x": schema})

    assert isinstance(caught.value, ValueError)
    assert caught.value.retry_safety == "final"


def test_the_words_nan_and_infinity_may_be_said(colour: Sync) -> None:
    said = [{"role": "user", "content": "Is NaN equal to Infinity?"}]

    assert sent(colour, ChatCompletionParams(messages=said))["messages"] == said


@pytest.mark.parametrize(
    "params", [{"messages": HISTORY}, None, Tool(function=ToolFunction(name="f"))]
)
def test_what_is_no_params_object_is_refused(params: Any, colour: Sync) -> None:
    with pytest.raises(InvalidRequest, match="ChatCompletionParams"):
        sent(colour, params)


def test_stream_in_extra_body_is_refused(colour: Sync) -> None:
    with pytest.raises(InvalidRequest, match="stream"):
        sent(colour, ChatCompletionParams(messages=HISTORY), extra_body={"stream": True})


@pytest.mark.parametrize("again", COPIES)
def test_params_survive_copies_and_pickles(again: Callable[[Any], Any]) -> None:
    params = ChatCompletionParams(
        messages=HISTORY, stream=True, tools=[{"function": {"name": "f"}}]
    )
    named = ChatCompletionParams[bool](messages=HISTORY, stream=True)

    assert again(params) == params
    assert again(params).model_dump_json(exclude_unset=True) == params.model_dump_json(
        exclude_unset=True
    )
    assert type(again(named)) is ChatCompletionParams


def test_what_is_put_into_the_messages_behind_the_models_back_is_validated(colour: Sync) -> None:
    params = ChatCompletionParams(messages=HISTORY)
    messages: Any = params.messages
    messages.append({"role": "assistant", "content": "Hello"})
    assert sent(colour, params)["messages"] == [*HISTORY, messages[1]]

    messages.append({"rol": "user"})
    with pytest.raises(InvalidRequest, match=r"messages\.2\.role"):
        sent(colour, params)


def test_a_message_made_of_a_mapping_has_a_class_that_is_built() -> None:
    # Pydantic before 2.14 cannot write one whose class nobody has used by its own name.
    script = (
        "from meshapi import ChatCompletionParams, ChatCompletionResponse\n"
        "question = ChatCompletionParams(messages=[{'role': 'user', 'content': 'Hi'}])\n"
        "choice = {'message': {'content': 'Hello'}}\n"
        "answer = ChatCompletionResponse.model_validate({'choices': [choice]})\n"
        "for each in (question.messages[0], answer.choices[0].message):\n"
        "    print(type(each).__pydantic_complete__)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert run.stdout.split() == ["True", "True"]
