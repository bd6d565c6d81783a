"""JSON Schemas of Python types, and what reads values of them."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_json

from meshapi._core.call import says_nan
from meshapi._core.models import JSONObject
from meshapi.errors import InvalidRequest

T = TypeVar("T")

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaWarningKind
    from pydantic_core import core_schema
    from typing_extensions import TypeForm

    # A class is a `TypeForm` already; named apart, mypy sees it also from before it knew those.
    TypeLike: TypeAlias = type[T] | TypeForm[T] | TypeAdapter[T]
    """A type in any form that pydantic reads, or what it made of one."""

_DECIMAL = r"^-?\d+(\.\d+)?$"
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}


class _Asked(GenerateJsonSchema):
    """Pydantic's schemas, without what only costs tokens or misleads."""

    # Of a default that JSON has no form for, there is nothing to say.
    ignored_warning_types: set[JsonSchemaWarningKind] = {  # noqa: RUF012  # pydantic's own type
        "skipped-choice",
        "non-serializable-default",
    }

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002  # pydantic's
        """Repeat no field's name as its title."""
        return False

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> dict[str, Any]:
        """Ask for the digits as text: pydantic reads a number's fraction as a float."""
        either = super().decimal_schema(schema)
        number = next(iter(either.get("anyOf", [])), either)
        bounds = {name: value for name, value in number.items() if name in _BOUNDS}
        return {"type": "string", "pattern": _DECIMAL, **bounds}

    def encode_default(self, dft: object) -> Any:
        """Leave a default out that is no number of JSON."""
        default = super().encode_default(dft)
        if says_nan(to_json(default, inf_nan_mode="constants")):
            raise PydanticSerializationError("NaN")
        return default


def adapter_of(output: TypeLike[T]) -> TypeAdapter[T]:
    """What reads values of a type.

    Raises:
        InvalidRequest: it is no type that pydantic can read.
    """
    given: object = output  # A checker would lose T below.
    if isinstance(given, TypeAdapter):
        return cast("TypeAdapter[T]", given)
    if isinstance(given, str | BaseModel) or (is_dataclass(given) and not isinstance(given, type)):
        raise InvalidRequest(f"Pass a type, such as list[int], not a {type(given).__name__}")
    try:
        return TypeAdapter(cast("type[T]", output))
    except Exception as problem:  # noqa: BLE001  # It raises whatever it stumbles over.
        reason = first_line(problem)
    raise InvalidRequest(f"Answers cannot be read as {name_of(output)}: {reason}")


def json_schema_of(adapter: TypeAdapter[Any], name: str) -> JSONObject:
    """The JSON Schema of what an adapter reads; `name` is what an error calls it.

    Raises:
        InvalidRequest: it has none.
    """
    try:
        return adapter.json_schema(schema_generator=_Asked)
    except Exception as problem:  # noqa: BLE001  # A hook of the type's may raise any.
        reason = first_line(problem)
    raise InvalidRequest(f"{name} has no JSON Schema: {reason}")


def name_of(output: object) -> str:
    """What a type is called where it is written."""
    return output.__name__ if isinstance(output, type) else repr(output).replace("typing.", "")


def first_line(problem: Exception) -> str:
    """What pydantic says first of a type; the rest is how to make it known to pydantic."""
    return (_text_of(problem).splitlines() or [type(problem).__name__])[0]


def words_of(problem: Exception) -> str:
    """An error's type and what it says; the type alone where it says nothing."""
    name, text = type(problem).__name__, _text_of(problem)
    return f"{name}: {text}" if text else name


def _text_of(problem: Exception) -> str:
    try:
        return str(problem)
    except Exception:  # noqa: BLE001  # An error's own `__str__` may raise anything.
        return ""
