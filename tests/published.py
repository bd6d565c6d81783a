"""Whether a document is as the published OpenAPI text says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import jsonschema
import yaml

DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "wire" / "openapi.yaml").read_text()
)
RESPONSES: dict[str, Any] = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["responses"]

# Codes of the gateway's reference that the document's closed list does not have.
LATER_CODES = {"all_models_failed", "bad_request", "internal_error", "invalid_api_version"}

_VALIDATORS: dict[str, jsonschema.Draft202012Validator] = {}


def check(schema: str, value: Any) -> None:
    """Hold a value to one of the document's schemas."""
    if schema not in _VALIDATORS:
        reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
        _VALIDATORS[schema] = jsonschema.Draft202012Validator(reference)
    _VALIDATORS[schema].validate(value)  # pyright: ignore[reportUnknownMemberType]  # Its types are open.


def check_document(document: object) -> None:
    """Hold what a gateway sends to the schema that is for it; lists and comparisons have none."""
    if not isinstance(document, dict):
        return
    fields = cast("dict[str, Any]", document)
    if "error" in fields and isinstance(fields["error"], dict):
        check_error(fields)
    elif fields.get("object") == "chat.completion":
        check("ChatCompletionResponse", fields)
    elif fields.get("object") == "chat.completion.chunk":
        check_chunk(fields)


def check_error(envelope: dict[str, Any]) -> None:
    """Hold an error to the envelope, whose list of codes has grown since."""
    if envelope["error"]["code"] in LATER_CODES:
        envelope = {**envelope, "error": {**envelope["error"], "code": "conflict"}}
    check("ErrorEnvelope", envelope)


def check_chunk(chunk: dict[str, Any]) -> None:
    """Hold a chunk to what its parts share with a whole answer: the document only names it."""
    choices = [{**each, "message": {"role": "assistant"}} for each in chunk["choices"]]
    check("ChatCompletionResponse", {**chunk, "object": "chat.completion", "choices": choices})
