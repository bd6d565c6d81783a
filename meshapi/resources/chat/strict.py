"""JSON Schemas in the form that a model can be held to: that of OpenAI's strict mode.

Every object is closed and has all its fields, nothing is free of a type, and what no provider
enforces is told to the model in the description. An object with free keys, a tuple, and a type that
may be anything have no such form.
"""

from __future__ import annotations

import json
from collections.abc import Set

from meshapi._core.checks import fields_of, items_of
from meshapi._core.models import JSONObject


class _Loose(Exception):  # Not an error: a schema that has no strict form.
    """There is no strict form."""


def strict_schema(schema: JSONObject) -> JSONObject | None:
    """The strict form of a schema; None where there is none."""
    try:
        strict = _strict(schema)
    except _Loose:
        return None
    return strict if _has_an_end(strict) else None


_KEPT = {"$ref", "const", "description", "enum", "title", "type"}
_OF_NUMBERS = {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"}
_OF_ARRAYS = {"items", "maxItems", "minItems"}
_FORMATS = {
    "date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid",
}  # fmt: skip
_TOLD = {
    "contentEncoding", "contentMediaType", "format", "maxLength", "maxProperties", "minLength",
    "minProperties", "pattern", "uniqueItems", *_OF_NUMBERS,
}  # fmt: skip
_OPEN = {"allOf", "dependentSchemas", "if", "not", "patternProperties", "prefixItems"}
_SAYS_WHAT = {"$ref", "anyOf", "const", "enum", "type"}


def _strict(schema: JSONObject) -> JSONObject:
    kind = schema.get("type")
    shape = {name: value for name, value in schema.items() if _is_enforced(name, value, kind)}
    if "anyOf" in schema or "oneOf" in schema:
        shape["anyOf"] = [_strict(fields_of(each)) for each in _branches(schema)]
    if _OPEN & schema.keys() or not _SAYS_WHAT & shape.keys() or isinstance(kind, list):
        raise _Loose
    if kind == "object" or "properties" in schema:
        shape |= _closed(schema)
    if kind == "array" or "items" in schema:
        shape["items"] = _strict(fields_of(schema.get("items")))
    if "$defs" in schema:
        defs = fields_of(schema["$defs"])
        shape["$defs"] = {name: _strict(fields_of(each)) for name, each in defs.items()}
    return _alone(_told(shape, schema))


def _is_enforced(name: str, value: object, kind: object) -> bool:
    if name in _OF_NUMBERS:
        return kind in {"number", "integer"}
    if name == "format":
        return value in _FORMATS
    if name == "pattern":
        return "(?" not in str(value)  # No provider looks around.
    return name in _KEPT | _OF_ARRAYS


def _branches(schema: JSONObject) -> list[object]:
    branches = items_of(schema.get("anyOf", schema.get("oneOf")))
    if not branches or {"anyOf", "oneOf"} <= schema.keys():
        raise _Loose
    return branches


def _closed(schema: JSONObject) -> JSONObject:
    if "properties" not in schema or schema.get("additionalProperties", False) is not False:
        raise _Loose
    fields = fields_of(schema["properties"])
    return {
        "properties": {name: _strict(fields_of(each)) for name, each in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def _told(shape: JSONObject, schema: JSONObject) -> JSONObject:
    """Say in the description what is not enforced."""
    unsaid = [
        f"{name}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in schema.items()
        if name in _TOLD and name not in shape
    ]
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


def _has_an_end(schema: JSONObject) -> bool:
    """Whether an instance can be finite: an object must not need another of its kind inside."""
    defs = fields_of(schema.get("$defs"))
    ended: set[str] = set()
    while more := {name for name in defs.keys() - ended if _ends(fields_of(defs[name]), ended)}:
        ended |= more
    return _ends(schema, ended)


def _ends(shape: JSONObject, ended: Set[str]) -> bool:
    if "$ref" in shape:
        return str(shape["$ref"]).removeprefix("#/$defs/") in ended
    if "anyOf" in shape:
        return any(_ends(fields_of(each), ended) for each in items_of(shape["anyOf"]))
    if shape.get("minItems"):
        return _ends(fields_of(shape["items"]), ended)
    return all(
        _ends(fields_of(each), ended) for each in fields_of(shape.get("properties")).values()
    )
