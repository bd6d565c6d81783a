"""Whether a value is what a setting or a document promises: questions with a yes or no."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import cast


def is_whole(value: object, *, least: int) -> bool:
    """Whether this is an integer (no bool) of at least so much."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_seconds(value: object) -> bool:
    """Whether this is a finite number (no bool) of seconds, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value) and value >= 0
    except OverflowError:  # An integer that no float can hold.
        return False


def is_token(value: object) -> bool:
    """Whether this is text that a header may carry as one word: printable ASCII, no space."""
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


def is_word(value: object) -> bool:
    """Whether this is a code or an id: one word of at most 100 characters, and not a sentence."""
    return isinstance(value, str) and is_token(value) and len(value) <= 100


def is_mapping(value: object) -> bool:
    """Whether this is a mapping of any kind."""
    return isinstance(value, Mapping)


def fields_of(document: object) -> dict[str, object]:
    """The fields of a JSON object; none where the document is something else."""
    return cast("dict[str, object]", document) if isinstance(document, dict) else {}


def items_of(document: object) -> list[object]:
    """The items of a JSON array; none where the document is something else."""
    return cast("list[object]", document) if isinstance(document, list) else []
