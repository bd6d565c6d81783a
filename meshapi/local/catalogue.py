"""`GET /v1/models`: the models that are routed, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from meshapi._core.models import JSONObject
from meshapi.local.rules import Price

_CONTEXT_LENGTH = 128_000


def catalogue(models: Mapping[str, Price], query: Callable[[str], str | None]) -> list[JSONObject]:
    """One entry per model, of those that the query asks for."""
    wanted = {
        "is_free": query("free"),
        "model_type": query("type"),
        "provider": query("provider"),
    }
    entries = [_entry(name, price) for name, price in models.items()]
    return [
        entry
        for entry in entries
        if all(value in {None, _as_in_a_query(entry[name])} for name, value in wanted.items())
    ]


def _entry(name: str, price: Price) -> JSONObject:
    return {
        "id": name,
        "name": name.rpartition("/")[2],
        "context_length": _CONTEXT_LENGTH,
        "is_free": price.prompt == price.completion == 0,
        "pricing": {
            "prompt_usd_per_1k": _dollars(price.prompt / 1000),
            "completion_usd_per_1k": _dollars(price.completion / 1000),
            "prompt_usd_per_1m": _dollars(price.prompt),
            "completion_usd_per_1m": _dollars(price.completion),
            "pricing_unit": "token",
        },
        "model_type": "text",
        "brand": name.partition("/")[0],
        "provider": None,
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "supports_completions_api": True,
        "supports_tools": True,
        "supports_structured_output": True,
    }


def _dollars(amount: Decimal) -> str:
    return f"{amount:f}"


def _as_in_a_query(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
