"""Values that OpenTelemetry can carry, out of documents that may hold anything."""

from __future__ import annotations

import math

from meshapi._core.checks import is_word, items_of
from meshapi._core.token import hide_tokens

# What is larger would lose the whole batch that it is exported in.
_LARGEST = 2**63 - 1


def text(value: object) -> str | None:
    """Text that says something, without a token in it."""
    return hide_tokens(value) if isinstance(value, str) and value else None


def word(value: object) -> str | None:
    """A code or an id; a sentence in its place may quote what was asked."""
    said = str(value) if isinstance(value, int) else value
    return text(said) if is_word(said) else None


def texts(value: object) -> list[str] | None:
    """One text or several."""
    each = [text(item) for item in items_of(value) or [value]]
    return [item for item in each if item] or None


def whole(value: object) -> int | None:
    """An integer of 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if abs(value) <= _LARGEST else None


def number(value: object) -> float | None:
    """A finite number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return whole(value)
