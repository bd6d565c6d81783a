"""The published OpenAPI text, and what has to be amended before a server can be held to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

_PUBLISHED = Path(__file__).parents[1] / "wire" / "openapi.yaml"

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Amendment:
    """A change to the document, and why it is right."""

    reason: str
    make: Callable[[Document], None]


def _operation(document: Document) -> Document:
    operation: Document = document["paths"]["/v1/chat/completions"]["post"]
    return operation


def _schema(document: Document, name: str) -> Document:
    schema: Document = document["components"]["schemas"][name]
    return schema


def _may_stream(document: Document) -> None:
    _operation(document)["responses"]["200"]["content"]["text/event-stream"] = {}


def _is_bounded(document: Document) -> None:
    fields = _schema(document, "ChatCompletionRequest")["properties"]
    fields["temperature"] |= {"minimum": 0, "maximum": 2}
    fields["top_p"] |= {"minimum": 0, "maximum": 1}
    fields["frequency_penalty"] |= {"minimum": -2, "maximum": 2}
    fields["presence_penalty"] |= {"minimum": -2, "maximum": 2}
    fields["max_tokens"] |= {"minimum": 1}
    fields["user"] |= {"maxLength": 256}


def _needs_key(document: Document) -> None:
    _operation(document)["security"] = [{"HTTPBearer": []}]


def _knows_developers(document: Document) -> None:
    _schema(document, "ChatMessageRole")["enum"].append("developer")


def _needs_body(document: Document) -> None:
    _operation(document)["requestBody"]["required"] = True


AMENDMENTS = (
    Amendment(
        "A 200 may be `text/event-stream`: the document says so in its description alone.",
        _may_stream,
    ),
    Amendment(
        "`temperature` is 0 to 2, `top_p` 0 to 1, a penalty -2 to 2, `max_tokens` 1 or more, `user`"
        " 256 characters or less: a newer published page bounds them, and the gateway with it.",
        _is_bounded,
    ),
    Amendment(
        "The operation needs the bearer key: the document defines that scheme, and applies it "
        "nowhere, so that `ignored_auth` would have nothing to check.",
        _needs_key,
    ),
    Amendment(
        "A message may have the role `developer`, which the gateway also takes.",
        _knows_developers,
    ),
    Amendment(
        "A body is required: the document has it optional, but `messages` in it is not.",
        _needs_body,
    ),
)


def amended() -> Document:
    """The published text with all amendments."""
    document: Document = yaml.safe_load(_PUBLISHED.read_text())
    for amendment in AMENDMENTS:
        amendment.make(document)
    return document
