"""Whether a document is as the published OpenAPI text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from meshapi._core.checks import fields_of

DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "wire" / "openapi.yaml").read_text()
)
RESPONSES: dict[str, Any] = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["responses"]

# Codes of the gateway's reference that the document's closed list does not have.
LATER_CODES = {
    "all_models_failed",
    "bad_request",
    "content_policy_violation",
    "context_window_exceeded",
    "internal_error",
    "invalid_api_version",
}
# What a test asks for by a status that no code of the gateway's stands for.
STATUS_CODE = re.compile(r"http_4\d\d")

_VALIDATORS: dict[str, jsonschema.Draft202012Validator] = {}


def check(schema: str, value: Any) -> None:
    """Hold a value to one of the document's schemas."""
    if schema not in _VALIDATORS:
        reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
        _VALIDATORS[schema] = jsonschema.Draft202012Validator(reference)
    _VALIDATORS[schema].validate(value)  # pyright: ignore[reportUnknownMemberType]  # Its types are open.


def check_document(document: object) -> None:
    """Hold whatever a gateway sends to the schema that is for it.

    Raises:
        ValueError: it is none of what a gateway sends.
    """
    fields = fields_of(document)
    kind = fields.get("object")
    if "error" in fields and "model" not in fields:
        check_error(fields)
    elif kind == "chat.completion":
        check("ChatCompletionResponse", fields)
    elif kind == "chat.completion.chunk":
        check_chunk(fields)
    elif not (isinstance(document, list) or fields.keys() & COMPARED):
        raise ValueError(f"No schema is for this: {document}")


# Neither comparisons nor their events nor the list of models are in the document.
COMPARED = {"comparison_id", "delta", "latency_ms"}


def is_known(status: int) -> bool:
    """Whether a status is in the document, is one of its codes', or comes before its endpoint."""
    return str(status) in RESPONSES or status in {400, 405, 409, 413, 500}


def check_error(envelope: dict[str, Any]) -> None:
    """Hold an error to the envelope, whose list of codes has grown since."""
    code = envelope["error"]["code"]
    if code in LATER_CODES or STATUS_CODE.fullmatch(code):
        envelope = {**envelope, "error": {**envelope["error"], "code": "conflict"}}
    check("ErrorEnvelope", envelope)


def check_chunk(chunk: dict[str, Any]) -> None:
    """Hold a chunk to what its parts share with a whole answer: the document only names it."""
    choices = [{**each, "message": _message(each["delta"])} for each in chunk["choices"]]
    check("ChatCompletionResponse", {**chunk, "object": "chat.completion", "choices": choices})


def _message(delta: dict[str, Any]) -> dict[str, Any]:
    """What a delta has of a message; a piece of a call is no call yet."""
    return {"role": "assistant", **{k: v for k, v in delta.items() if k != "tool_calls"}}
