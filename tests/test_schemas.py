"""What is drawn for a JSON Schema satisfies it, or an error says in words why nothing does."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema
import pytest
from jsonschema import Draft202012Validator
from pydantic import AnyUrl, BaseModel, Field, TypeAdapter, conlist
from typing_extensions import TypedDict

from meshapi._core.checks import fields_of, items_of
from meshapi.local.schemas import Unsatisfiable, instance_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: Annotated[list[str], Field(min_length=1)]


class Tree(BaseModel):
    name: str
    children: list[Tree]
    parent: Tree | None


class Term(BaseModel):
    left: Term | int
    right: Term | int
    sign: Literal["+", "-"]


class Point(TypedDict):
    x: float
    y: float


@dataclass
class Line:
    points: tuple[Point, Point]
    label: str | None = None


class Order(BaseModel):
    model_config = {"extra": "forbid"}

    id: UUID
    discount: Annotated[float, Field(gt=0, lt=1)]
    made: datetime
    due: date
    at: time
    lasts: timedelta
    link: AnyUrl
    colour: Colour
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    counts: dict[str, int]
    by_colour: dict[Colour, int]
    codes: conlist(Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{3}$")], min_length=2, max_length=4)  # type: ignore[valid-type]  # pydantic makes it
    tags: set[Literal["a", "b", "c"]] = Field(min_length=3)
    note: str | None = Field(default=None, max_length=5)
    line: Line


class Price(BaseModel):
    amount: Decimal
    share: Annotated[Decimal, Field(gt=0, lt=1)]


STRICT = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": ["string", "null"], "enum": ["c", "f", None]},
        "days": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
LINKED: dict[str, Any] = {
    "$ref": "#/definitions/node",
    "definitions": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/definitions/node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
        }
    },
}
PYDANTIC = {
    each.__name__: TypeAdapter(each).json_schema() for each in (Order, Tree, Term, Line, Price)
}
SCHEMAS: dict[str, Any] = PYDANTIC | {
    "shares": {
        "type": "array",
        "minItems": 10,
        "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    },
    "names that match": {
        "type": "object",
        "minProperties": 2,
        "propertyNames": {"pattern": "^k_[a-z]{3}$"},
        "additionalProperties": {"type": "integer"},
    },
    "anything": True,
    "strict": STRICT,
    "a linked list": LINKED,
    "keywords beside a reference": {
        "$ref": "#/$defs/n",
        "minimum": 7,
        "$defs": {"n": {"type": "integer", "maximum": 8}},
    },
    "any type but text": {"not": {"type": "string"}},
    "enum": {"enum": [1, "a", None]},
    "integer": {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    "integer multiple": {"type": "integer", "multipleOf": 7, "minimum": 50, "maximum": 56},
    "number": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-9},
    "long text": {"type": "string", "minLength": 200, "maxLength": 210},
    "pattern": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "minLength": 20},
    "loose pattern": {"type": "string", "pattern": "[0-9]", "minLength": 30},
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4},
    "tuple": {"prefixItems": [{"type": "string"}, {"const": 2}], "items": False, "minItems": 2},
    "unique items": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3}
    | {"uniqueItems": True},
    "contains": {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 500}},
    "a map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 5},
    "required and not described": {"type": "object", "required": ["a", "b"]},
    "allOf": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
            {"properties": {"a": {"type": "integer", "minimum": 5}, "b": {"const": 1}}},
            {"required": ["b"]},
        ]
    },
    "allOf and types": {"allOf": [{"type": ["number", "string"]}, {"type": ["integer", "null"]}]},
    "not": {"type": "integer", "minimum": 0, "maximum": 3, "not": {"enum": [0, 1, 3]}},
    "an older dialect": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "null"},
}
FORMATS: dict[str, Any] = {
    "date-time": datetime,
    "date": date,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
    "uri": AnyUrl,
    "email": str,
    "hostname": str,
    "ipv4": IPv4Address,
    "ipv6": IPv6Address,
}

HOPELESS: dict[str, tuple[Any, str]] = {
    "nothing is allowed": (False, r"fails at \$: False schema"),
    "a type twice": ({"allOf": [{"type": "string"}, {"type": "null"}]}, r"type fails at \$"),
    "a property": (
        {"type": "object", "properties": {"a": {"minLength": 9, "const": "b"}}, "required": ["a"]},
        r"minLength fails at \$\.a",
    ),
    "too few values": (
        {"type": "array", "items": {"enum": [1, 2]}, "minItems": 3, "uniqueItems": True},
        r"minItems fails at \$",
    ),
    "very many items": ({"type": "array", "minItems": 10**9}, "minItems"),
    "recursion that doubles": (
        {"type": "array", "items": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, "minItems": 2},
        "nests too deeply, or asks for too much",
    ),
    "a reference to itself": ({"$ref": "#"}, "without end"),
    "a reference to nothing": ({"$ref": "#/$defs/a"}, "#/[$]defs/a leads nowhere"),
    "a reference elsewhere": ({"$ref": "https://example.com/a"}, "leads nowhere"),
    "no type": ({"properties": {"a": {"type": "text"}}}, r"fails at \$\.properties\.a\.type"),
    "no pattern": ({"pattern": "("}, r"format fails at \$\.pattern"),
    "a name inside": ({"items": {"$id": "https://example.com/a"}}, "id inside"),
    "a pattern of patterns": (
        {"type": "string", "pattern": "((([a-z]{100}){100}){100}){100}"},
        "pattern",
    ),
}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema, "minItems": 1}
    return schema


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_instance_satisfies_its_schema(name: str) -> None:
    for seed in range(2):
        drawn = json.loads(json.dumps(instance_of(SCHEMAS[name], random.Random(seed))))
        jsonschema.validate(drawn, SCHEMAS[name], Draft202012Validator)


@pytest.mark.parametrize("model", [Order, Tree, Term, Line, Point, Price])
def test_pydantic_reads_what_was_drawn_for_its_model(model: type) -> None:
    schema = TypeAdapter(model).json_schema()
    for seed in range(2):
        TypeAdapter(model).validate_json(json.dumps(instance_of(schema, random.Random(seed))))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_text_has_its_format(kind: str) -> None:
    schema = {"type": "string", "format": kind}
    for seed in range(2):
        drawn = instance_of(schema, random.Random(seed))
        assert isinstance(drawn, str)
        Draft202012Validator.FORMAT_CHECKER.check(drawn, kind)
        TypeAdapter(FORMATS[kind]).validate_python(drawn)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_same_dice_give_the_same_instance(name: str) -> None:
    first, again = (instance_of(SCHEMAS[name], random.Random(3)) for _ in range(2))
    assert json.dumps(first) == json.dumps(again)


def test_other_dice_give_another_instance() -> None:
    drawn = {json.dumps(instance_of(PYDANTIC["Order"], random.Random(seed))) for seed in range(5)}
    assert len(drawn) == 5


def test_the_order_of_sets_decides_nothing() -> None:
    schema = {"pattern": r"^[^a-c]{9}\W{9}$"}
    script = (
        "import random; from meshapi.local.schemas import instance_of;"
        f"print(instance_of({schema!r}, random.Random(1)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert other.stdout == f"{instance_of(schema, random.Random(1))}\n"


def test_free_text_is_in_the_words_that_were_given() -> None:
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
    assert instance_of(schema, random.Random(1), lambda: "hm") == ["hm", "hm"]


def test_what_is_optional_is_mostly_there() -> None:
    schema = {"type": "object", "properties": {name: {"type": "null"} for name in "abcdefghij"}}
    drawn = [fields_of(instance_of(schema, random.Random(seed))) for seed in range(10)]
    assert 60 < sum(map(len, drawn)) < 100


def test_a_recursive_schema_gives_a_small_instance() -> None:
    for seed in range(10):
        assert len(json.dumps(instance_of(PYDANTIC["Term"], random.Random(seed)))) < 2000


def test_the_schema_stays_as_it_was() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "const": [1]}
    items_of(instance_of(schema, random.Random(1))).append(2)
    assert schema == {"$schema": "https://json-schema.org/draft/2020-12/schema", "const": [1]}


@pytest.mark.parametrize("name", HOPELESS)
def test_what_cannot_be_met_is_said_in_words(name: str) -> None:
    schema, words = HOPELESS[name]
    with pytest.raises(Unsatisfiable, match=words):
        instance_of(schema, random.Random(1))


def test_a_schema_may_nest_as_people_nest() -> None:
    assert json.dumps(instance_of(nested(20), random.Random(1))).startswith("[" * 20)


@pytest.mark.parametrize("levels", [100, 2000])
def test_a_schema_that_nests_too_deeply_is_refused(levels: int) -> None:
    with pytest.raises(Unsatisfiable, match="nests"):
        instance_of(nested(levels), random.Random(1))


def test_beside_a_number_a_text_is_left_alone() -> None:
    for seed in range(10):
        drawn = fields_of(instance_of(PYDANTIC["Price"], random.Random(seed)))
        assert {type(each) for each in drawn.values()} <= {int, float}


@pytest.mark.parametrize("missing", ["jsonschema", "rstr"])
def test_a_missing_library_names_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=r"meshapi\[local\]"):
        instance_of({"type": "string", "pattern": "^a$"}, random.Random(1))
