"""One fault, and the tests that keep what it breaks."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """A promise, and the edit that breaks it."""

    promise: str
    file: str
    """Under `meshapi/`."""
    old: str
    """Found exactly once in the file."""
    new: str
    tests: str
    """What pytest runs: files under `tests/`, and `-k` with words."""
