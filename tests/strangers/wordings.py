"""What every client asks, and what a right answer is; the standard library is all it needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MODEL = "openai/gpt-4o-mini"
NO_MODEL = "nobody/nothing"
MESSAGES: list[Any] = [{"role": "user", "content": "What does a lambda expression do?"}]
TEMPLATE = "manners"
SEED = 7
TOOL_NAME = "forecast"
_PROPERTIES: dict[str, Any] = {
    "city": {"type": "string", "minLength": 2},
    "days": {"type": "integer", "minimum": 1, "maximum": 7},
    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
}
_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
    "additionalProperties": False,
}
TOOL: Any = {
    "type": "function",
    "function": {"name": TOOL_NAME, "strict": True, "parameters": _PARAMETERS},
}
TOOL_CHOICE: Any = {"type": "function", "function": {"name": TOOL_NAME}}

CHAT: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "seed": SEED}
FORCED: dict[str, Any] = {**CHAT, "tools": [TOOL], "tool_choice": TOOL_CHOICE}
WRONG: dict[str, Any] = {**CHAT, "temperature": 5}
UNROUTED: dict[str, Any] = {**CHAT, "model": NO_MODEL}


@dataclass(frozen=True)
class Target:
    """Where the gateway is, and keys for it."""

    url: str
    token: str
    limited: str
    """Its key allows no request a minute."""

    spent: str
    """Its key may spend nothing."""


FAULT = "x-meshapi-fault"
"""The request header that asks the gateway for a fault."""

CODES = {
    401: "unauthorized",
    402: "spend_limit_exceeded",
    404: "model_not_found",
    422: "validation_error",
    429: "rate_limit_exceeded",
    503: "provider_not_available",
}


def same(found: object, expected: object, what: str) -> None:
    """Insist on a value."""
    if found != expected:
        raise AssertionError(f"{what} is {found!r}, not {expected!r}")


def right_usage(prompt: int, completion: int, total: int) -> str:
    """Insist on counts that add up, and say so."""
    same(total, prompt + completion, "total_tokens")
    if not (prompt > 0 and completion > 0):
        raise AssertionError(f"{prompt} and {completion} tokens are no usage")
    return "usage adds up"


def right_call(name: str | None, arguments: str | None) -> str:
    """Insist on a call of the tool with arguments that its schema allows."""
    same(name, TOOL_NAME, "the tool's name")
    found = json.loads(arguments or "")
    same(sorted(found), sorted(_PROPERTIES), "the arguments' names")
    is_right = (
        isinstance(found["city"], str)
        and len(found["city"]) >= 2
        and type(found["days"]) is int
        and 1 <= found["days"] <= 7
        and found["unit"] in {"celsius", "fahrenheit"}
    )
    same(is_right, True, f"whether {arguments} fits the schema")
    return "arguments fit the schema"
