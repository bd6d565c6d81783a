"""Functions as tools: what the model is told of one, and what its arguments become."""

from __future__ import annotations

import builtins
import enum
import functools
import gc
import json
import keyword
import math
import operator
import re
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypedDict

from meshapi import (
    ChatCompletionParams,
    FunctionTool,
    InvalidRequest,
    InvalidResponse,
    Tool,
    ToolCallFunction,
    ToolFunction,
)
from meshapi.resources.chat.docstrings import read_docstring
from meshapi.resources.chat.functions import bound
from tests.copies import COPIES

if TYPE_CHECKING:
    from decimal import Decimal


class Unit(enum.Enum):
    """How warmth is told."""

    CELSIUS = "c"
    FAHRENHEIT = "f"


class Place(BaseModel):
    name: str
    inside: list[Place] = []


@dataclass
class Span:
    days: int


class Wind(TypedDict):
    speed: float


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise LookupError


class Opaque:
    """Of no type that JSON has a form for."""


def weather(city: str, days: int = 1) -> str:
    """Tell the weather.

    As far as it is known.

    Args:
        city: where
        days (int, optional): how far ahead,
            at most a week

    Returns:
        Words.
    """
    return f"{city} {days}"


def everything(
    place: Place,
    span: Span,
    wind: Wind,
    anything: object,
    when: date = date(2025, 1, 2),
    *,
    kind: Literal["sun", "rain"] = "sun",
    unit: Unit = Unit.CELSIUS,
    most: Annotated[int | None, Field(gt=0, description="at most")] = None,
    secret: object = math,
    odd: float = math.nan,
) -> dict[str, Any]:
    """
    Args:
        most: not this, as the annotation says it
        kind: which
    """
    return locals()


def parameters_of(function: Callable[..., object], **options: Any) -> dict[str, Any]:
    parameters = Tool.from_function(function, **options).model_dump()["function"]["parameters"]
    return dict(parameters)


def called(function: Callable[..., object], arguments: object, **options: Any) -> Any:
    """What a function gives when a model calls it with these arguments."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    tool = Tool.from_function(function, **options)
    return bound(tool, ToolCallFunction(name=tool.function.name, arguments=text))()


def test_a_tool_is_made_of_signature_and_docstring() -> None:
    tool = Tool.from_function(weather)

    assert tool.model_dump(exclude_unset=True) == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": ("Tell the weather.\n\nAs far as it is known.\n\nReturns:\n    Words."),
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "where"},
                    "days": {
                        "type": "integer",
                        "description": "how far ahead, at most a week",
                        "default": 1,
                    },
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }


def test_every_annotation_has_its_schema() -> None:
    schema = parameters_of(everything)

    assert schema["required"] == ["place", "span", "wind", "anything"]
    assert schema["properties"] == {
        "place": {"$ref": "#/$defs/Place"},
        "span": {"$ref": "#/$defs/Span"},
        "wind": {"$ref": "#/$defs/Wind"},
        "anything": {},
        "when": {"type": "string", "format": "date", "default": "2025-01-02"},
        "kind": {
            "type": "string",
            "enum": ["sun", "rain"],
            "default": "sun",
            "description": "which",
        },
        "unit": {"$ref": "#/$defs/Unit", "default": "c"},
        "most": {
            "anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}],
            "default": None,
            "description": "at most",
        },
        "secret": {},
        "odd": {"type": "number"},
    }
    assert schema["$defs"].keys() == {"Place", "Span", "Wind", "Unit"}
    assert Tool.from_function(everything).function.description is None


def test_arguments_become_what_is_annotated_and_absent_ones_their_defaults() -> None:
    arguments = {
        "place": {"name": "Oslo", "inside": [{"name": "Grünerløkka"}]},
        "span": {"days": 2},
        "wind": {"speed": 3},
        "anything": [None],
        "unit": "f",
    }

    assert called(everything, arguments) == {
        "place": Place(name="Oslo", inside=[Place(name="Grünerløkka")]),
        "span": Span(2),
        "wind": {"speed": 3.0},
        "anything": [None],
        "when": date(2025, 1, 2),
        "kind": "sun",
        "unit": Unit.FAHRENHEIT,
        "most": None,
        "secret": math,
        "odd": math.nan,
    }


@pytest.mark.parametrize("arguments", ["", "{}", " { } "])
def test_a_function_without_parameters_is_called_with_nothing(arguments: str) -> None:
    assert parameters_of(lambda: 1, name="f") == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }
    assert called(lambda: 1, arguments, name="f") == 1


def test_a_parameter_without_an_annotation_takes_anything() -> None:
    assert parameters_of(operator.neg)["properties"] == {"a": {}}
    assert called(operator.neg, {"a": 3}) == -3


def test_parameters_may_be_called_as_models_call_their_own() -> None:
    def odd(json: int, schema: int, model_config: int, _x: int, copy: int, self: int) -> list[int]:
        return [json, schema, model_config, _x, copy, self]

    names = ["json", "schema", "model_config", "_x", "copy", "self"]

    assert parameters_of(odd)["required"] == names
    assert called(odd, {name: place for place, name in enumerate(names)}) == [0, 1, 2, 3, 4, 5]


def test_positional_parameters_are_given_by_name() -> None:
    def power(base: int = 2, exponent: int = 3, /) -> int:
        return int(base**exponent)

    assert called(power, {"exponent": 5}) == 32
    assert called(power, {"base": 3}) == 27


class Station:
    """A place to measure at."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, hour: int) -> str:
        """Read the instruments."""
        return f"{self.name} {hour}"

    @classmethod
    def count(cls, most: int) -> int:
        """Count them."""
        return most

    def __call__(self, hour: int) -> str:
        """Ask it."""
        return self.read(hour)


def counted(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def counting(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return counting


class Counted:
    def __init__(self, function: Callable[..., object]) -> None:
        functools.update_wrapper(self, function)

    def __call__(self, *args: object) -> object:
        return args


CALLABLES: dict[str, tuple[Callable[..., object], dict[str, Any], str, str]] = {
    "a bound method": (Station("A").read, {"hour": 1}, "read", "Read the instruments."),
    "a class method": (Station.count, {"most": 1}, "count", "Count them."),
    "a partial": (functools.partial(weather, days=3), {"city": "Oslo"}, "weather", "Tell the"),
    "a partial by place": (functools.partial(weather, "Oslo"), {"days": 2}, "weather", "Tell the"),
    "an object": (Station("A"), {"hour": 1}, "", "Ask it."),
    "a decorated function": (counted(weather), {"city": "Oslo", "days": 3}, "weather", "Tell the"),
    "a cached function": (
        functools.lru_cache(weather),
        {"city": "Oslo", "days": 3},
        "weather",
        "Tell the",
    ),
    "a class": (Station, {"name": "A"}, "Station", "A place to measure at."),
}


@pytest.mark.parametrize(
    ("function", "arguments", "name", "description"), CALLABLES.values(), ids=CALLABLES
)
def test_whatever_can_be_called_makes_a_tool(
    function: Callable[..., object], arguments: dict[str, Any], name: str, description: str
) -> None:
    options: dict[str, Any] = {} if name else {"name": "given"}
    tool = Tool.from_function(function, **options)

    assert tool.function.name == (name or "given")
    assert (tool.function.description or "").startswith(description)
    properties = parameters_of(function, **options)["properties"]
    assert properties.keys() == arguments.keys()
    assert called(function, arguments, **options) is not None


def test_what_a_partial_has_bound_is_not_described() -> None:
    tool = Tool.from_function(functools.partial(weather, "Oslo", days=3))

    assert "far ahead" not in str(tool.model_dump())
    assert "where" not in str(tool.model_dump())


@dataclass
class Grid:
    unit: Unit


class Pair(NamedTuple):
    left: Unit


class Asked:
    def __call__(self, x: int = 1) -> int:
        return x


@pytest.mark.parametrize("function", [Grid, Pair, Asked()], ids=str)
def test_a_docstring_that_nobody_wrote_describes_nothing(function: Callable[..., object]) -> None:
    assert Tool.from_function(function, name="f").function.description is None


def later(x: int) -> Decimal:
    raise NotImplementedError


def test_only_what_parameters_are_annotated_with_must_be_there() -> None:
    assert parameters_of(later)["properties"] == {"x": {"type": "integer"}}


def test_annotations_are_read_where_the_function_was_written() -> None:
    names: dict[str, Any] = {"Place": Place, "__name__": "elsewhere"}
    source = """
class Reader:
    def __init__(self, place: "Place") -> None: ...
    def __call__(self, place: "list[Place]") -> None: ...
def read(place: "Place | None") -> None: ...
"""
    exec(source, names)
    reader = names["Reader"]

    inherited = type("Inherited", (reader,), {})

    read = names["read"]
    for function in (reader, inherited, reader(None), read, counted(read), Counted(read)):
        schema = Tool.from_function(function, name="f").model_dump()["function"]["parameters"]
        assert "Place" in schema["$defs"]


def test_an_iterable_is_read_before_the_function_is_called() -> None:
    def total(numbers: Iterable[int], more: Annotated[Iterable[int], Field(min_length=1)]) -> Any:
        return numbers, more

    def most(numbers: Iterable[int] | None = None) -> Any:
        return numbers

    assert called(total, {"numbers": [1, "2"], "more": [3]}) == ([1, 2], [3])
    assert called(most, {"numbers": [1]}) == [1]
    with pytest.raises(InvalidResponse, match=r"numbers\.0: Input should be a valid integer"):
        called(total, {"numbers": ["x"], "more": [1]})
    with pytest.raises(InvalidResponse, match="more: List should have at least 1"):
        called(total, {"numbers": [], "more": []})


def test_name_and_description_can_be_given() -> None:
    tool = Tool.from_function(weather, name="forecast", description="Look ahead.")

    assert (tool.function.name, tool.function.description) == ("forecast", "Look ahead.")


def many(*names: str) -> None: ...


def open_ended(**names: str) -> None: ...


def nowhere(x: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # That is the point. # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]  # The same.


def nowhere_within(x: list["Missing"]) -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037  # That is the point. # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]  # The same.


def opaque(x: Opaque) -> None: ...


def callback(x: Callable[[], None]) -> None: ...


async def paged(x: int) -> AsyncIterator[int]:
    yield x


def in_class(x: ClassVar[int]) -> None: ...  # type: ignore[misc]  # That is the point. # pyright: ignore[reportGeneralTypeIssues]  # The same.


def at_last(x: Final[int]) -> None: ...  # type: ignore[valid-type]  # That is the point. # pyright: ignore[reportGeneralTypeIssues]  # The same.


class Broken:
    """Breaks at all that is asked of it."""

    @property
    def __name__(self) -> str:
        raise LookupError

    @property
    def __signature__(self) -> object:
        raise LookupError("no signature here")

    def __repr__(self) -> str:
        raise LookupError

    def __call__(self) -> None: ...


def field_as_default(x: int = Field(gt=0)) -> None: ...


def größe(x: int) -> None: ...


REFUSED: dict[str, tuple[Any, str]] = {
    "a lambda": (lambda: 1, "give name="),
    "an object without a name": (Station("A"), "give name="),
    "a name with other letters": (größe, "give name=, of up to 64 letters"),
    "*args": (many, r"many takes \*names, .*give each argument a parameter"),
    "**kwargs": (open_ended, r"takes \*\*names"),
    "a name that is not there": (nowhere, "'Missing' is not defined.*at run time"),
    "a name within a type that is not there": (nowhere_within, "Missing"),
    "an opaque class": (opaque, r"opaque cannot be described to a model \(.*Opaque.*\): annotate"),
    "a callable": (callback, r"callback has no JSON Schema"),
    "a Field as default": (field_as_default, r"write Annotated\[..., Field\(...\)\]"),
    "a builtin without a signature": (
        vars(builtins)["max"],
        r"The signature of max cannot be read \(.*\): call it in a function of your own",
    ),
    "an async generator": (paged, "paged is an async generator: return all .* in a list"),
    "a class variable": (in_class, "in_class cannot be described to a model .*ClassVar"),
    "a constant": (at_last, "at_last cannot be described to a model .*Final"),
    "an object whose name breaks": (Broken(), "This Broken has no name to call it by: give name="),
    "no function": ("weather", "made of a function, not of str"),
}


def test_an_option_that_cannot_be_is_refused() -> None:
    options: Any
    for options, words in (
        ({"description": 5}, "weather cannot be described to a model: .*valid string"),
        ({"strict": "yes"}, "strict must be True or False"),
    ):
        with pytest.raises(InvalidRequest, match=words) as caught:
            Tool.from_function(weather, **options)
        assert caught.value.__context__ is None


def test_what_breaks_when_it_is_looked_at_is_refused_or_left_out() -> None:
    def f() -> None: ...

    f.__doc__ = 5  # type: ignore[assignment]  # That is the point. # pyright: ignore[reportAttributeAccessIssue]  # The same.

    assert Tool.from_function(f).function.description is None
    with pytest.raises(
        InvalidRequest, match=r"signature of f cannot be read \(no signature here\)"
    ):
        Tool.from_function(Broken(), name="f")


@pytest.mark.parametrize(("function", "words"), REFUSED.values(), ids=REFUSED)
def test_what_a_model_cannot_call_is_refused_with_what_to_do(function: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        Tool.from_function(function)

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "errors.pydantic.dev" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a.b", 5])
def test_a_name_that_the_wire_does_not_take_is_refused(name: Any) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        Tool.from_function(lambda: 1, name=name)


def test_a_strict_tool_has_every_parameter_required() -> None:
    function = Tool.from_function(weather, strict=True).model_dump(exclude_unset=True)["function"]

    assert function["strict"] is True
    assert function["parameters"]["required"] == ["city", "days"]
    assert "default" not in function["parameters"]["properties"]["days"]


@pytest.mark.parametrize("kind", [object, dict[str, int], tuple[int, str]])
def test_a_signature_that_cannot_be_strict_is_refused(kind: Any) -> None:
    def loose(x: Any) -> None: ...

    loose.__annotations__["x"] = kind

    with pytest.raises(InvalidRequest, match="loose cannot be strict"):
        Tool.from_function(loose, strict=True)


def test_arguments_that_do_not_fit_are_told_field_by_field() -> None:
    with pytest.raises(InvalidResponse) as caught:
        called(weather, {"days": "soon", "country": "NO"})

    assert str(caught.value) == (
        "The arguments of weather do not fit: city: Field required; "
        "days: Input should be a valid integer, unable to parse string as an integer; "
        "country: Extra inputs are not permitted"
    )


def test_a_type_that_breaks_while_it_reads_is_told_like_one_that_does_not_fit() -> None:
    def broken(value: int) -> int:
        raise LookupError("no table")

    def f(x: Any) -> None: ...

    f.__annotations__["x"] = Annotated[int, AfterValidator(broken)]

    with pytest.raises(InvalidResponse, match="The arguments of f do not fit: LookupError"):
        called(f, {"x": 1})


def test_a_type_that_breaks_without_words_is_told_by_its_name() -> None:
    def broken(value: int) -> int:
        raise Unspeakable

    def f(x: Any) -> None: ...

    f.__annotations__["x"] = Annotated[int, AfterValidator(broken)]

    with pytest.raises(InvalidResponse, match="The arguments of f do not fit: Unspeakable"):
        called(f, {"x": 1})


def test_a_function_tool_is_a_tool_with_its_function_beside_it() -> None:
    tool = Tool.from_function(weather)
    params = ChatCompletionParams(messages=[], tools=[tool])

    assert isinstance(tool, FunctionTool)
    assert "weather at" not in repr(tool)
    assert params.model_dump(exclude_unset=True)["tools"] == [tool.model_dump(exclude_unset=True)]
    call = ToolCallFunction(name="weather", arguments='{"city": "Oslo"}')
    renamed = tool.model_copy(update={"function": ToolFunction(name="forecast")})
    assert renamed.function.name == "forecast"
    assert bound(renamed, call)() == "Oslo 1"
    for again in COPIES:
        assert bound(again(tool), call)() == "Oslo 1"
        assert again(tool) == tool == Tool.from_function(weather)
    assert tool != Tool.from_function(weather, name="forecast")


def test_functions_made_on_the_fly_are_freed() -> None:
    def made() -> weakref.ref[Any]:
        def on_the_fly(x: int, y: list[str]) -> int:
            return x

        assert called(on_the_fly, {"x": 1, "y": []}) == 1
        return weakref.ref(on_the_fly)

    functions = [made() for _ in range(20)]
    gc.collect()

    assert [each() for each in functions] == [None] * 20


PARSED: dict[str, dict[str, Any]] = {
    "": {},
    "{}": {},
    ' {"a": [1, null]}': {"a": [1, None]},
    '{"NaN": "Infinity"}': {"NaN": "Infinity"},
}


@pytest.mark.parametrize("text", PARSED)
def test_arguments_are_there_parsed_and_raw(text: str) -> None:
    function = ToolCallFunction(name="f", arguments=text)

    assert function.parsed_arguments == PARSED[text]
    assert function.arguments == text


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", '"{}"', '{"a": NaN}', '{"a": -Infinity}', "x" * 9, "[" * 9999]
)
def test_arguments_that_are_no_object_raise_with_the_name_of_the_function(text: str) -> None:
    with pytest.raises(InvalidResponse, match="The arguments of f are no JSON") as caught:
        _ = ToolCallFunction(name="f", arguments=text).parsed_arguments

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


DOCSTRINGS: dict[str, tuple[str, str, dict[str, str]]] = {
    "nothing": ("", "", {}),
    "plain": ("Do it.\n\n    Twice: now and then.", "Do it.\n\nTwice: now and then.", {}),
    "only parameters": ("\nArgs:\n    x: one\n    y: two", "", {"x": "one", "y": "two"}),
    "another word": ("Do.\n\nArguments:\n  x: one", "Do.", {"x": "one"}),
    "a third word": ("Do.\n\nParameters:\n\n  x: one", "Do.", {"x": "one"}),
    "several sections": (
        "Do.\n\nArgs:\n  x: one\n\nKeyword Args:\n  y: two\nOther Parameters:\n  z: three",
        "Do.",
        {"x": "one", "y": "two", "z": "three"},
    ),
    "keywords": ("Do.\n\nKeyword Arguments:\n  x: one", "Do.", {"x": "one"}),
    "types": (
        "\nArgs:\n  x (int): one\n  y (dict[str, (int)], optional): two",
        "",
        {"x": "one", "y": "two"},
    ),
    "lines that go on": (
        "\nArgs:\n  x: one\n    and: more\n    z: too\n\n    of it\n  y:\n    two",
        "",
        {"x": "one and: more z: too of it", "y": "two"},
    ),
    "sections around it": (
        "Do.\n\nNote:\n  well\n\nArgs:\n  x: one\n\nReturns:\n  y: two",
        "Do.\n\nNote:\n  well\n\nReturns:\n  y: two",
        {"x": "one"},
    ),
    "a section first": ("\nNotes:\n  Well.\n\nArgs:\n  x: one", "Notes:\n  Well.", {"x": "one"}),
    "text after it": ("Do.\n\nArgs:\n  x: one\n\nMore: text", "Do.\n\nMore: text", {"x": "one"}),
    "a head without a body": ("Do this:\nArgs:\nand more", "Do this:\nArgs:\nand more", {}),
    "a head at the end": ("Do this.\nArgs:", "Do this.\nArgs:", {}),
    "what is no entry": (
        "\nArgs:\n  these are many\n  x: one\n  who: else",
        "Args:\n  these are many\n  who: else",
        {"x": "one"},
    ),
    "only what is no entry": ("Do.\n\nArgs:\n  who: else", "Do.\n\nArgs:\n  who: else", {}),
    "a second entry": (
        "\nArgs:\n  x: one\n\nOther Parameters:\n  x: two",
        "Other Parameters:\n  x: two",
        {"x": "one"},
    ),
    "spaces": (
        "Do.\n\nArgs:  \n  x : one\n  y (int) :  two  \n",
        "Do.",
        {"x": "one", "y": "two"},
    ),
    "several names": (
        "\nArgs:\n  x, y: both\n  z (int), who: what",
        "Args:\n  z (int), who: what",
        {"x": "both", "y": "both"},
    ),
    "a first entry further in": (
        "Do.\n\nArgs:\n     x: one\n    y: two",
        "Do.",
        {"x": "one", "y": "two"},
    ),
    "reST": ("Do.\n\n:param x: one", "Do.\n\n:param x: one", {}),
    "numpy": (
        "Do.\n\nParameters\n----------\nx : int\n    one",
        "Do.\n\nParameters\n----------\nx : int\n    one",
        {},
    ),
}


@pytest.mark.parametrize(("docstring", "text", "entries"), DOCSTRINGS.values(), ids=DOCSTRINGS)
def test_a_docstring_is_read(docstring: str, text: str, entries: dict[str, str]) -> None:
    read = read_docstring(docstring, ["x", "y", "z"])

    assert read.text == text
    assert read.parameters == entries


@settings(max_examples=200)
@given(st.text(st.sampled_from("Args:xy \n\t()é-:,"), max_size=80).map("Args:\n  x: y\n".__add__))
def test_no_word_of_a_docstring_is_lost(docstring: str) -> None:
    read = read_docstring(docstring, ["x"])

    kept = f"{read.text} {' '.join(read.parameters.values())}"
    assert {*re.findall("[rgsyé]+", docstring)} <= {*re.findall("[rgsyé]+", f"Args {kept}")}


@pytest.mark.parametrize(
    "line", ["  x" + " " * 20_000, "  " + "x, " * 7_000, "  x " + "()" * 10_000, " " * 20_000 + "x"]
)
def test_a_docstring_is_read_at_once(line: str) -> None:
    started = time.monotonic()
    read_docstring(f"Args:\n{line}\n", ["x"])

    assert time.monotonic() - started < 10


NAMES = st.text("aefis_", min_size=1, max_size=6).filter(
    lambda name: not keyword.iskeyword(name) and not name.startswith("__")
)
WORDS = st.lists(st.text("ab,.()", min_size=1, max_size=5), min_size=1, max_size=3).map(" ".join)


@settings(max_examples=100)
@given(
    st.dictionaries(NAMES, st.tuples(WORDS, st.booleans(), st.booleans()), min_size=1, max_size=5)
)
def test_what_is_written_in_a_docstring_is_what_is_read(
    entries: dict[str, tuple[str, bool, bool]],
) -> None:
    lines = [
        f"        {name}{' (int)' * typed}:{(chr(10) + ' ' * 12) * below} {said}"
        for name, (said, typed, below) in entries.items()
    ]
    docstring = "\n".join(["Do it.", "", "    Args:", *lines, "", "    Returns:", "        x: y"])

    read = read_docstring(docstring, entries)

    assert read.text == "Do it.\n\nReturns:\n    x: y"
    assert read.parameters == {name: said for name, (said, _, _) in entries.items()}


@st.composite
def signatures(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """The source of a function that tells its arguments, and what it must be given."""
    names = draw(st.lists(NAMES, unique=True, max_size=6))
    defaults = draw(st.integers(0, len(names)))
    slash = draw(st.integers(0, len(names)))
    star = draw(st.integers(slash, len(names)))
    parts = [
        f"{name}: int = {-place}" if place >= len(names) - defaults else f"{name}: int"
        for place, name in enumerate(names)
    ]
    ordered = [
        *parts[:slash],
        *(["/"] if slash else []),
        *parts[slash:star],
        *(["*"] if star < len(names) else []),
        *parts[star:],
    ]
    given = {name: place + 100 for place, name in enumerate(names) if draw(st.booleans())}
    required = names[: len(names) - defaults]
    arguments = {name: place + 1 for place, name in enumerate(required)} | given
    return f"def f({', '.join(ordered)}):\n    return dict(locals())", arguments


@settings(max_examples=100)
@given(signatures())
def test_any_signature_gets_what_the_model_wrote(drawn: tuple[str, dict[str, int]]) -> None:
    source, arguments = drawn
    names: dict[str, Any] = {"__name__": __name__}
    exec(source, names)
    function = names["f"]

    got = called(function, arguments)

    assert {name: got[name] for name in arguments} == arguments
    assert all(value <= 0 for name, value in got.items() if name not in arguments)
    assert parameters_of(function)["properties"].keys() == got.keys()
