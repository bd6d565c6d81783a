"""What a model is asked for when a type is wanted: a name, and a schema whose root is an object."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter

from meshapi._core.checks import fields_of
from meshapi._core.models import JSONObject
from meshapi.resources.chat.formats import ResponseFormatJSONSchema, ResponseFormatSchema
from meshapi.resources.chat.schemas import adapter_of, json_schema_of, name_of
from meshapi.resources.chat.strict import strict_schema

WRAPPER = "value"
"""The one field of the object that is asked for in the place of a value that is none."""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How a type is asked for, strict where it can be."""

    name: str
    schema: JSONObject
    is_strict: bool
    is_wrapped: bool

    @property
    def response_format(self) -> ResponseFormatJSONSchema:
        """It as the wire has it."""
        schema = ResponseFormatSchema(name=self.name, schema=self.schema, strict=self.is_strict)
        return ResponseFormatJSONSchema(json_schema=schema)


# A form holds nothing of its type, so that a type made on the fly goes when nobody else has it.
_known: WeakKeyDictionary[object, AnswerForm] = WeakKeyDictionary()


def form_of(output: object) -> AnswerForm:
    """The form of a type, made once for a class or an adapter.

    Raises:
        InvalidRequest: the type has no JSON Schema.
    """
    if not isinstance(output, type | TypeAdapter):
        return _form_of(output)
    if output not in _known:
        _known[output] = _form_of(output)
    return _known[output]


def _form_of(output: Any) -> AnswerForm:
    schema = _unfolded(json_schema_of(adapter_of(output), name_of(output)))
    is_wrapped = schema.get("type") != "object"
    if is_wrapped:
        schema = _wrapped(schema)
    strict = strict_schema(schema)
    return AnswerForm(_wire_name(output), strict or schema, strict is not None, is_wrapped)


def _wire_name(output: object) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name_of(output)).strip("_")[:64] or "answer"


def _unfolded(schema: JSONObject) -> JSONObject:
    """The same schema, whose root is no reference."""
    defs = fields_of(schema.get("$defs"))
    while "$ref" in schema:
        named = fields_of(defs[str(schema["$ref"]).removeprefix("#/$defs/")])
        schema = named | {name: value for name, value in schema.items() if name != "$ref"}
    return schema


def _wrapped(schema: JSONObject) -> JSONObject:
    bare = {name: value for name, value in schema.items() if name != "$defs"}
    defs = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {"type": "object", "properties": {WRAPPER: bare}, "required": [WRAPPER], **defs}
