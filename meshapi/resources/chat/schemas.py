"""JSON Schemas of Python types, as models are asked to follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from pydantic import PydanticUserError, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from meshapi._core.checks import fields_of, items_of
from meshapi._core.models import JSONObject
from meshapi.errors import InvalidRequest

T = TypeVar("T")

if TYPE_CHECKING:
    from pydantic_core import core_schema
    from typing_extensions import TypeForm

    # A class is a `TypeForm` already; named apart, mypy sees it also from before it knew those.
    TypeLike: TypeAlias = type[T] | TypeForm[T] | TypeAdapter[T]
    """A type in any form that pydantic reads, or what it made of one."""


class _Asked(GenerateJsonSchema):
    """Pydantic's schemas without what only costs tokens or misleads."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002  # pydantic's
        """Repeat no field's name as its title."""
        return False

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> dict[str, Any]:
        """Ask for a number, where pydantic would also take any text of one."""
        either = super().decimal_schema(schema)
        return next(iter(either.get("anyOf", [])), either)


def adapter_of(output: TypeLike[T]) -> TypeAdapter[T]:
    """What reads values of a type.

    Raises:
        InvalidRequest: it is no type that pydantic can read.
    """
    given: object = output  # A checker would lose T below.
    if isinstance(given, TypeAdapter):
        return cast("TypeAdapter[T]", given)
    try:
        return TypeAdapter(cast("type[T]", output))
    except Exception as problem:  # noqa: BLE001  # It raises whatever it stumbles over.
        reason = first_line(problem)
    raise InvalidRequest(f"Answers cannot be read as {_called(output)}: {reason}")


def json_schema_of(adapter: TypeAdapter[Any]) -> JSONObject:
    """The JSON Schema of what an adapter reads.

    Raises:
        InvalidRequest: it has none.
    """
    try:
        return adapter.json_schema(schema_generator=_Asked)
    except PydanticUserError as problem:
        reason = first_line(problem)
    raise InvalidRequest(f"There is no JSON Schema: {reason}")


def unfolded(schema: JSONObject) -> JSONObject:
    """The same schema, whose root is no reference."""
    defs = fields_of(schema.get("$defs"))
    while "$ref" in schema:
        named = fields_of(defs[str(schema["$ref"]).removeprefix("#/$defs/")])
        schema = named | {name: value for name, value in schema.items() if name != "$ref"}
    return schema


def held_in(field: str, schema: JSONObject) -> JSONObject:
    """An object with one field, which holds what the schema describes."""
    bare = {name: value for name, value in schema.items() if name != "$defs"}
    defs = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {"type": "object", "properties": {field: bare}, "required": [field], **defs}


def _called(output: object) -> str:
    return getattr(output, "__name__", None) or str(output)


def first_line(problem: Exception) -> str:
    """What pydantic says first of a type; the rest is how to make it known to pydantic."""
    return (str(problem).splitlines() or [type(problem).__name__])[0]


class _Loose(Exception):  # Not an error: a schema that strict mode has no form for.
    """There is no strict form."""


def strict_schema(schema: JSONObject) -> JSONObject | None:
    """A schema in the form that a model can be held to; None where there is none.

    The form is that of OpenAI's strict mode: every object is closed and has all its fields, nothing
    is free of a type, and what no provider enforces is told to the model in the description. An
    object with free keys, a tuple, and a type that may be anything have no such form.
    """
    try:
        return _strict(schema)
    except _Loose:
        return None


_ENFORCED = {
    "$ref", "anyOf", "const", "description", "enum", "exclusiveMaximum", "exclusiveMinimum",
    "format", "items", "maxItems", "maximum", "minItems", "minimum", "multipleOf", "pattern",
    "properties", "required", "title", "type",
}  # fmt: skip
_FORMATS = {
    "date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid",
}  # fmt: skip
_OPEN = {"allOf", "dependentSchemas", "if", "not", "patternProperties", "prefixItems"}
_SILENT = {"$defs", "additionalProperties", "default", "discriminator", "examples", "oneOf"}
_SAYS_WHAT = {"$ref", "anyOf", "const", "enum", "type"}


def _strict(schema: JSONObject) -> JSONObject:
    shape = {name: value for name, value in schema.items() if _is_enforced(name, value)}
    branches = items_of(schema.get("anyOf", schema.get("oneOf")))
    if branches:
        shape["anyOf"] = [_strict(fields_of(each)) for each in branches]
    if _OPEN & schema.keys() or not _SAYS_WHAT & shape.keys():
        raise _Loose
    if schema.get("type") == "object":
        shape |= _closed(schema)
    if schema.get("type") == "array":
        shape["items"] = _strict(fields_of(schema.get("items")))
    if "$defs" in schema:
        defs = fields_of(schema["$defs"])
        shape["$defs"] = {name: _strict(fields_of(each)) for name, each in defs.items()}
    return _alone(_told(shape, schema))


def _is_enforced(name: str, value: object) -> bool:
    if name == "format":
        return value in _FORMATS
    if name == "pattern":
        return "(?" not in str(value)  # No provider looks around.
    return name in _ENFORCED


def _closed(schema: JSONObject) -> JSONObject:
    if "properties" not in schema or isinstance(schema.get("additionalProperties"), dict):
        raise _Loose
    fields = fields_of(schema["properties"])
    return {
        "properties": {name: _strict(fields_of(each)) for name, each in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def _told(shape: JSONObject, schema: JSONObject) -> JSONObject:
    """Say in the description what is not enforced."""
    unsaid = [f"{name}: {schema[name]}" for name in schema if name not in {*shape, *_SILENT}]
    if not unsaid:
        return shape
    words = [str(shape["description"])] if "description" in shape else []
    return {**shape, "description": " ".join([*words, f"({', '.join(unsaid)})"])}


def _alone(shape: JSONObject) -> JSONObject:
    """Put a reference that has words beside it into a union of one: it must stand alone."""
    if "$ref" not in shape or shape.keys() <= {"$ref", "$defs"}:
        return shape
    alone = {"$ref": shape["$ref"]}
    return {name: value for name, value in shape.items() if name != "$ref"} | {"anyOf": [alone]}
