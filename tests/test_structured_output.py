"""Answers as values of a type: what is asked for, what is read, and what is said otherwise."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, make_dataclass
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, TypeAdapter, create_model, field_validator
from typing_extensions import TypedDict

from meshapi import (
    AsyncMeshAPI,
    AsyncParsedCompletionStream,
    ChatCompletionParams,
    ChatCompletionResponse,
    InvalidRequest,
    MeshAPI,
    OutputParseError,
    OutputRefused,
    OutputTruncated,
    ParsedCompletion,
    ResponseFormatJSONSchema,
    Tool,
)
from meshapi.local import LocalGateway
from meshapi.resources.chat import partial_json
from meshapi.resources.chat.answer_form import form_of
from meshapi.resources.chat.outputs import asking
from meshapi.resources.chat.partial_json import PartialJSON
from meshapi.resources.chat.schemas import adapter_of
from meshapi.resources.chat.strict import strict_schema
from tests.colours import Client, Sync
from tests.copies import COPIES

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Plan my day."}])


class Step(BaseModel):
    """One step."""

    what: str = Field(min_length=2, description="What to do.")
    cost: Decimal = Decimal(0)


class Plan(BaseModel):
    title: str
    steps: list[Step]
    instead: Plan | None = Field(None, description="Another one.")


@dataclass
class Point:
    x: int
    y: int = 0


class Place(TypedDict):
    city: str
    zip: NotRequired[str]


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


TYPES: list[Any] = [
    Plan,
    Point,
    Place,
    Mood,
    int,
    bool,
    str,
    list[Step],
    set[int],
    int | str,
    Plan | Point,
    Literal["a", "b"],
    Annotated[int, Field(ge=3, le=5)],
    RootModel[list[int]],
    dict[str, float],
    tuple[int, str],
    TypeAdapter(list[Point]),
    type(None),
]


def parse(colour: Sync, client: Client, output: Any, **fields: Any) -> ParsedCompletion[Any]:
    params = QUESTION.model_copy(update=fields)
    return colour.settle(client.chat.completions.parse(params, output))


def failure(colour: Sync, output: Any = Plan, **answer: Any) -> OutputParseError:
    """What `parse` raises of a scripted answer."""
    gateway = LocalGateway()
    gateway.reply(**answer)
    with pytest.raises(OutputParseError) as caught:
        parse(colour, colour.in_process(gateway), output)
    return caught.value


@pytest.mark.parametrize("output", TYPES, ids=str)
def test_an_answer_is_a_value_of_the_type_that_was_asked_for(colour: Sync, output: Any) -> None:
    adapter = adapter_of(output)
    client = colour.in_process(LocalGateway())

    for seed in range(3):
        value = parse(colour, client, output, seed=seed).parsed

        assert adapter.validate_python(value, strict=True) == value


def test_the_whole_completion_comes_with_the_value(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply('{"x": 1, "y": 2}')

    completion = parse(colour, colour.in_process(gateway), Point)

    assert completion.parsed == Point(1, 2)
    assert completion.text == '{"x": 1, "y": 2}'
    assert isinstance(completion, ChatCompletionResponse)
    assert completion.usage
    assert completion.meta.request_id
    plain = ChatCompletionResponse.model_validate(completion.model_dump())
    assert plain.model_dump() == completion.model_dump()
    assert plain.model_dump_json() == completion.model_dump_json()


def test_a_parsed_completion_survives_copies(colour: Sync) -> None:
    completion = parse(colour, colour.in_process(LocalGateway()), Place)

    for copied in [copy(completion) for copy in COPIES]:
        assert copied == completion
        assert copied.parsed == completion.parsed
        assert copied.meta == completion.meta


def test_a_type_is_never_put_into_the_class_at_run_time() -> None:
    assert ParsedCompletion[int] is ParsedCompletion


def test_a_strict_schema_is_asked_for(colour: Sync) -> None:
    gateway = LocalGateway()

    parse(colour, colour.in_process(gateway), Plan)

    sent = cast("dict[str, Any]", gateway.requests[-1].json())["response_format"]
    step = {
        "type": "object",
        "title": "Step",
        "description": "One step.",
        "properties": {
            "what": {"type": "string", "description": "What to do. (minLength: 2)"},
            "cost": {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
        },
        "required": ["what", "cost"],
        "additionalProperties": False,
    }
    plan = {
        "type": "object",
        "title": "Plan",
        "properties": {
            "title": {"type": "string"},
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}},
            "instead": {
                "anyOf": [{"$ref": "#/$defs/Plan"}, {"type": "null"}],
                "description": "Another one.",
            },
        },
        "required": ["title", "steps", "instead"],
        "additionalProperties": False,
    }
    schema = {**plan, "$defs": {"Plan": plan, "Step": step}}
    json_schema = {"name": "Plan", "schema": schema, "strict": True}
    assert sent == {"type": "json_schema", "json_schema": json_schema}
    assert "response_format" not in QUESTION.model_fields_set


@pytest.mark.parametrize(
    ("output", "schema"),
    [
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (Literal["a"], {"type": "string", "const": "a"}),
    ],
    ids=str,
)
def test_what_is_no_object_is_asked_for_in_one(output: Any, schema: dict[str, Any]) -> None:
    asked = ResponseFormatJSONSchema.from_type(output).json_schema

    assert asked.schema_ == {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "additionalProperties": False,
    }
    assert asked.strict


@pytest.mark.parametrize(
    "output", [dict[str, int], tuple[int, str], list[Any], dict[str, Any]], ids=str
)
def test_a_type_without_a_strict_form_is_asked_for_as_it_is(output: Any) -> None:
    assert ResponseFormatJSONSchema.from_type(output).json_schema.strict is False


NULL: dict[str, Any] = {"type": "null"}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "string", "format": "uuid"}, {"type": "string", "format": "uuid"}),
        (
            {"type": "string", "format": "uri", "maxLength": 9, "description": "Where."},
            {"type": "string", "description": 'Where. (format: "uri", maxLength: 9)'},
        ),
        (
            {"type": "string", "pattern": "(?!a)b"},
            {"type": "string", "description": '(pattern: "(?!a)b")'},
        ),
        ({"type": "string", "pattern": "^a+$"}, {"type": "string", "pattern": "^a+$"}),
        ({"type": "integer", "default": 3, "examples": [3]}, {"type": "integer"}),
        (
            {"oneOf": [{"$ref": "#/$defs/A"}], "discriminator": {}, "$defs": {"A": NULL}},
            {"anyOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": NULL}},
        ),
        (
            {"$ref": "#/$defs/A", "description": "Which.", "$defs": {"A": NULL}},
            {"anyOf": [{"$ref": "#/$defs/A"}], "description": "Which.", "$defs": {"A": NULL}},
        ),
        (
            {"type": "object", "properties": {"title": {"type": "null"}}, "required": []},
            {
                "type": "object",
                "properties": {"title": {"type": "null"}},
                "required": ["title"],
                "additionalProperties": False,
            },
        ),
        ({"type": "string", "minimum": 0}, {"type": "string", "description": "(minimum: 0)"}),
        ({"type": "object", "properties": {}, "additionalProperties": True}, None),
        ({"type": ["object", "null"], "properties": {}}, None),
        ({"anyOf": []}, None),
        ({"anyOf": [{"type": "null"}], "oneOf": [{"type": "null"}]}, None),
        ({"allOf": [{"type": "string"}, {"pattern": "a"}], "type": "string"}, None),
        ({"type": "array"}, None),
        ({}, None),
        ({"type": "object"}, None),
    ],
    ids=str,
)
def test_a_schema_is_made_strict_or_known_not_to_be(schema: Any, strict: Any) -> None:
    assert strict_schema(schema) == strict


def test_a_name_that_the_wire_does_not_take_is_made_one_that_it_does() -> None:
    long = type("Página[int]" + "x" * 80, (BaseModel,), {"__annotations__": {"x": int}})

    name = ResponseFormatJSONSchema.from_type(long).json_schema.name

    assert name == "P_gina_int_" + "x" * 53


def test_params_that_say_stream_are_asked_whole(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply('{"x": 1}')

    assert parse(colour, colour.in_process(gateway), Point, stream=True).parsed == Point(1)
    assert "stream" not in cast("dict[str, Any]", gateway.requests[-1].json())


def test_a_response_format_of_ones_own_is_sent_as_it_is(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply("[1, 2]")
    own = {"type": "json_object"}

    completion = parse(colour, colour.in_process(gateway), list[int], response_format=own)

    assert completion.parsed == [1, 2]
    assert cast("dict[str, Any]", gateway.requests[-1].json())["response_format"] == own


@pytest.mark.parametrize("text", ['{"value": 3}', "3"])
def test_an_answer_to_a_format_of_ones_own_is_read_as_it_comes(colour: Sync, text: str) -> None:
    gateway = LocalGateway()
    gateway.reply(text)
    own = {"type": "json_object"}
    client = colour.in_process(gateway)

    completion = parse(colour, client, dict[str, int] | int, response_format=own)

    assert completion.parsed == json.loads(text)


def test_a_form_that_was_made_of_the_type_is_ones_own_with_other_words(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply('{"value": [1]}')
    form = ResponseFormatJSONSchema.from_type(list[int])
    form.json_schema.description = "Primes."

    completion = parse(colour, colour.in_process(gateway), list[int], response_format=form)

    assert completion.parsed == [1]
    sent = cast("dict[str, Any]", gateway.requests[-1].json())["response_format"]
    assert sent["json_schema"]["description"] == "Primes."


def test_the_form_of_a_class_is_made_once() -> None:
    assert form_of(Point) is form_of(Point)


def test_a_form_that_is_changed_is_nobody_elses() -> None:
    changed = cast("Any", ResponseFormatJSONSchema.from_type(Point).json_schema.schema_)
    changed["properties"]["x"]["type"] = "boolean"

    kept = cast("Any", ResponseFormatJSONSchema.from_type(Point).json_schema.schema_)

    assert kept["properties"]["x"] == {"type": "integer"}


def test_a_model_without_a_schema_to_follow_is_not_blamed(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply("Sure!")

    with pytest.raises(OutputParseError) as caught:
        parse(
            colour,
            colour.in_process(gateway),
            Point,
            response_format={"type": "json_object"},
        )

    assert "Probably" not in str(caught.value)


class Chain(TypedDict):
    value: int
    then: NotRequired[Chain]


def test_a_type_whose_strict_form_would_never_end_is_not_asked_for_in_it(colour: Sync) -> None:
    assert ResponseFormatJSONSchema.from_type(Chain).json_schema.strict is False
    assert ResponseFormatJSONSchema.from_type(Plan).json_schema.strict is True


@pytest.mark.parametrize("text", ['{"value":[1,2]}', ' {\n"value" : [1, 2] } ', "[1, 2]"])
def test_a_value_is_read_with_and_without_its_object(colour: Sync, text: str) -> None:
    gateway = LocalGateway()
    gateway.reply(text)

    assert parse(colour, colour.in_process(gateway), list[int]).parsed == [1, 2]


def test_no_digit_of_a_decimal_is_lost(colour: Sync) -> None:
    digits = "12345678901234567890.12345678901234567890123456789"
    gateway = LocalGateway()
    gateway.reply(f'{{"value": ["{digits}"]}}')

    completion = parse(colour, colour.in_process(gateway), list[Decimal])

    assert completion.parsed == [Decimal(digits)]
    sent = cast("dict[str, Any]", gateway.requests[-1].json())["response_format"]["json_schema"]
    assert sent["schema"]["properties"]["value"]["items"]["type"] == "string"


@pytest.mark.parametrize(
    "text", ['\u00a0{"value":["NaN"]}', '{"value"\x0c:["NaN"]}', '{"value":["a"]}\u2003']
)
def test_what_only_python_takes_for_space_is_no_json(colour: Sync, text: str) -> None:
    assert "Invalid JSON" in str(failure(colour, list[str], content=text))


@pytest.mark.parametrize("text", ['{"value":[1],"note":"x"}', '{"note":"x","value":[1]}'])
def test_an_object_with_more_than_the_value_is_none(colour: Sync, text: str) -> None:
    assert "does not fit list[int]: Input should be" in str(
        failure(colour, list[int], content=text)
    )


def test_a_refusal_is_an_error_of_its_own(colour: Sync) -> None:
    error = failure(colour, content="", refusal="I cannot plan that")

    assert type(error) is OutputRefused
    assert error.raw_text == "I cannot plan that"
    assert error.validation_error is None
    assert "The model refused: I cannot plan that" in str(error)


def test_an_answer_that_a_filter_stopped_is_a_refusal(colour: Sync) -> None:
    error = failure(colour, content='{"title": "x", "st', finish_reason="content_filter")

    assert type(error) is OutputRefused
    assert error.raw_text == '{"title": "x", "st'
    assert "content filter" in str(error)


@pytest.mark.parametrize(
    ("text", "is_readable"), [('{"x": 1, "y": 2', False), ('{"x": 1, "y": 2}', True)]
)
def test_an_answer_that_was_cut_is_an_error_of_its_own(
    colour: Sync, text: str, is_readable: bool
) -> None:
    error = failure(colour, Point, content=text, finish_reason="length")

    assert type(error) is OutputTruncated
    assert error.raw_text == text
    assert (error.validation_error is None) is is_readable
    assert "max_tokens" in str(error)


PROBABLY = "Probably openai/gpt-4o has no structured output"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Sure! First, get up.", "Invalid JSON: expected value at line 1 column 1. "),
        ("Sure! First, get up.", PROBABLY),
        ('```json\n{"x": 1}\n```', PROBABLY),
        ('{"y": 2}', f"does not fit Point: x: Field required. {PROBABLY}"),
        ('{"x": "one"}', "does not fit Point: x: Input should be a valid integer"),
        ("[]", "does not fit Point: "),
        ("", "The answer is empty"),
        (" \n", "The answer is empty"),
    ],
)
def test_an_answer_of_another_form_says_what_is_wrong(colour: Sync, text: str, words: str) -> None:
    error = failure(colour, Point, content=text)

    assert type(error) is OutputParseError
    assert words in str(error)
    assert error.raw_text == text
    assert error.validation_error is not None
    assert error.completion.usage
    assert error.request_id == error.completion.meta.request_id


class Even(BaseModel):
    n: int = Field(ge=0)

    @field_validator("n")
    @classmethod
    def _is_even(cls, n: int) -> int:
        if n == 3:
            raise KeyError(n)
        if n % 2:
            raise ValueError("must be even")
        return n


@pytest.mark.parametrize("text", ['{"n": 1}', '{"n": -2}'])
def test_a_rule_of_the_type_that_no_schema_holds_does_not_blame_the_model(
    colour: Sync, text: str
) -> None:
    error = failure(colour, Even, content=text)

    assert "does not fit Even: n: " in str(error)
    assert "Probably" not in str(error)


def test_a_validator_that_fails_loses_no_completion(colour: Sync) -> None:
    error = failure(colour, Even, content='{"n": 3}')

    assert "Reading Even raised KeyError" in str(error)
    assert isinstance(error.__cause__, KeyError)
    assert error.completion.usage


def test_a_number_that_json_does_not_have_is_no_value(colour: Sync) -> None:
    assert "NaN is no number" in str(failure(colour, list[float], content='{"value": [NaN]}'))


def test_calls_of_tools_are_no_value(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply("Let me look.", tool_calls=["now"])
    tools = [Tool.model_validate({"function": {"name": "now"}})]

    with pytest.raises(OutputParseError, match="calls tools: let `run` answer them first"):
        parse(colour, colour.in_process(gateway), Point, tools=tools)


def test_an_answer_without_choices_is_no_value() -> None:
    _, reader = asking(QUESTION, Point)

    with pytest.raises(OutputParseError, match="no choices"):
        reader.read(ChatCompletionResponse(choices=[]))


def test_the_errors_survive_copies(colour: Sync) -> None:
    for error in (
        failure(colour, Point, content="{}"),
        failure(colour, Point, content="", refusal="No."),
        failure(colour, Point, content="{", finish_reason="length"),
    ):
        for copied in [copy(error) for copy in COPIES]:
            assert type(copied) is type(error)
            assert str(copied) == str(error)
            assert copied.completion == error.completion
            assert copied.raw_text == error.raw_text
            assert str(copied.validation_error) == str(error.validation_error)


def test_an_error_survives_copies_whatever_a_rule_of_the_type_raised(colour: Sync) -> None:
    class Local(ValueError):
        """An exception that does not pickle."""

    class Ruled(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def _refuse(cls, n: int) -> int:
            raise Local(f"no {n}", lambda: n)

    error = failure(colour, Ruled, content='{"n": 1}')

    for copied in [copy(error) for copy in COPIES]:
        assert "does not fit Ruled: n: Value error, " in str(copied)
        assert copied.raw_text == '{"n": 1}'
        assert copied.completion == error.completion


class Unreadable:
    """No type that pydantic knows."""


class Broken(BaseModel):
    """A schema of its own goes wrong."""

    x: int

    @classmethod
    def __get_pydantic_json_schema__(cls, *_: object) -> Any:
        raise KeyError("x")


def nested(depth: int) -> type[BaseModel]:
    inner: type[BaseModel] = create_model("Inner", x=(int, ...))
    for _ in range(depth):
        inner = create_model("Outer", inner=(inner, ...))
    return inner


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (Unreadable, "cannot be read as Unreadable"),
        (Point(1), "Pass a type, such as .*, not a Point"),
        (Even(n=2), "Pass a type, such as .*, not a Even"),
        ("Point", "Pass a type, such as .*, not a str"),
        (3, "cannot be read as 3"),
        (list["Nowhere"], "Nowhere"),  # type: ignore[name-defined]  # noqa: F821  # That is the test.
        (Callable[[], int], "has no JSON Schema"),
        (Broken, "has no JSON Schema: 'x'"),
        (nested(60), "has no JSON Schema"),
    ],
    ids=str,
)
@pytest.mark.parametrize("streams", [False, True])
def test_a_type_without_a_schema_is_refused_before_anything_is_sent(
    colour: Sync, output: Any, words: str, streams: bool
) -> None:
    gateway = LocalGateway()
    completions = colour.in_process(gateway).chat.completions

    with pytest.raises(InvalidRequest, match=words):
        colour.settle(
            (completions.parse_stream if streams else completions.parse)(QUESTION, output)
        )

    assert not gateway.requests


def test_params_of_another_class_are_refused(colour: Sync) -> None:
    completions = cast("Any", colour.in_process(LocalGateway()).chat.completions)

    with pytest.raises(InvalidRequest, match="Pass ChatCompletionParams, not "):
        colour.settle(completions.parse(Plan, QUESTION))


Streamed: TypeAlias = tuple[list[object], ParsedCompletion[Any]]


def objects_of(colour: Sync, client: Client, output: Any) -> Streamed:
    if isinstance(client, MeshAPI):
        with client.chat.completions.parse_stream(QUESTION, output) as plain:
            return list(plain.object_stream), plain.final()
    assert isinstance(client, AsyncMeshAPI)
    stream: AsyncParsedCompletionStream[Any] = client.chat.completions.parse_stream(
        QUESTION, output
    )

    async def collected() -> Streamed:
        async with stream:
            return [each async for each in stream.object_stream], await stream.final()

    return colour.settle(cast("Streamed | Awaitable[Streamed]", collected()))


def test_a_streamed_value_grows_and_is_read_at_the_end(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply('{"city": "New York", "zip": "10001"}')

    grown, completion = objects_of(colour, colour.in_process(gateway), Place)

    whole = {"city": "New York", "zip": "10001"}
    assert grown[-1] == whole
    assert {"city": "New"} in grown or {"city": "New "} in grown
    assert all(len(str(first)) <= len(str(then)) for first, then in pairwise(grown))
    assert isinstance(completion, ParsedCompletion)
    assert completion.parsed == whole


def test_a_streamed_value_grows_without_its_object(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply('{"value": [1, 2, 3]}')

    grown, completion = objects_of(colour, colour.in_process(gateway), list[int])

    assert completion.parsed == grown[-1] == [1, 2, 3]
    assert all(isinstance(each, list) for each in grown)


def test_a_streamed_answer_of_another_form_is_raised_at_the_end(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply("Sure! First, get up.")

    with pytest.raises(OutputParseError) as caught:
        objects_of(colour, colour.in_process(gateway), Point)

    assert caught.value.raw_text == "Sure! First, get up."


def test_a_value_is_shown_from_where_the_stream_is(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply('{"city": "New York", "zip": "10001"}')
    client = colour.in_process(gateway)
    stream = client.chat.completions.parse_stream(QUESTION, Place)
    colour.take(stream, 3)

    if isinstance(stream, AsyncParsedCompletionStream):

        async def rest() -> list[object]:
            return [each async for each in stream.object_stream]

        grown = colour.settle(cast("list[object] | Awaitable[list[object]]", rest()))
    else:
        grown = list(stream.object_stream)

    assert all(isinstance(each, dict) for each in grown)
    assert grown[-1] == {"city": "New York", "zip": "10001"}


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(document=documents, size=st.integers(1, 9), is_wrapped=st.booleans())
def test_a_growing_document_is_at_last_the_document(
    document: object, size: int, is_wrapped: bool
) -> None:
    text = json.dumps({"value": document} if is_wrapped else document)
    growing = PartialJSON(wrapper="value" if is_wrapped else None)

    shown = [
        each
        for start in range(0, len(text), size)
        for each in growing.add(text[start : start + size])
    ]

    assert shown[-1:] == [document]
    assert all(first != then for first, then in pairwise(shown))


def test_reading_a_long_document_as_it_grows_is_not_quadratic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []
    plain: Any = vars(partial_json)["from_json"]

    def counting(text: str, **options: Any) -> Any:
        read.append(len(text))
        return plain(text, **options)

    monkeypatch.setattr(partial_json, "from_json", counting)
    text = json.dumps(["words and words"] * 30_000)
    growing = PartialJSON()

    for start in range(0, len(text), 5):
        growing.add(text[start : start + 5])
    shown = growing.look()

    assert shown == [["words and words"] * 30_000]
    assert len(text) > 500_000
    assert sum(read) < 150 * len(text)


def test_types_made_on_the_fly_leave_nothing_behind(colour: Sync) -> None:
    client = colour.in_process(LocalGateway())

    def used_once(kind: type) -> weakref.ref[type]:
        forms: list[Any] = [kind, TypeAdapter(kind), list[kind], kind | None]  # type: ignore[valid-type]  # made here
        for form in forms:
            with suppress(OutputParseError):  # A failure may not keep it, either.
                parse(colour, client, form)
        objects_of(colour, client, kind)
        return weakref.ref(kind)

    # Each made where nothing else is: pydantic keeps the names around a class.
    models = [used_once(create_model("Made", x=int)) for _ in range(5)]
    data = [used_once(make_dataclass("Made", [("x", int)])) for _ in range(5)]
    made_dict: Any = TypedDict
    dicts = [used_once(made_dict("Made", {"x": int})) for _ in range(5)]
    gc.collect()

    assert [each() for each in [*models, *data, *dicts] if each() is not None] == []
