"""What a docstring says: of the whole, and of each parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

_PARAMETERS = {"Args", "Arguments", "Parameters"}
_SECTIONS = _PARAMETERS | {
    "Attributes",
    "Example",
    "Examples",
    "Keyword Args",
    "Keyword Arguments",
    "Note",
    "Notes",
    "Other Parameters",
    "Raises",
    "References",
    "Returns",
    "See Also",
    "Todo",
    "Warning",
    "Warnings",
    "Warns",
    "Yields",
}
_ENTRY = re.compile(r"(\w+)(?: *\(.*?\))?:(?: +|$)(.*)")


@dataclass(frozen=True, slots=True)
class Docstring:
    """What is said of a function."""

    text: str
    """Everything before the first section; "" where there is nothing."""

    parameters: Mapping[str, str]
    """What is said of each parameter, in one line."""


def read_docstring(docstring: str | None) -> Docstring:
    """Read a docstring in Google's style; one in another style is all text."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    heads = [place for place in range(len(lines)) if _is_head(lines, place)]
    text = "\n".join(lines[: heads[0]] if heads else lines).strip()
    entries = [
        entry
        for place in heads
        if lines[place].strip()[:-1] in _PARAMETERS
        for entry in _entries(_below(lines, place))
    ]
    return Docstring(text, dict(entries))


def _is_head(lines: Sequence[str], place: int) -> bool:
    line = lines[place]
    is_name = line.endswith(":") and line[:-1] in _SECTIONS
    return is_name and any(_below(lines, place))


def _below(lines: Sequence[str], place: int) -> list[str]:
    """The lines of a section: all that are empty or further in than its head."""
    return list(takewhile(lambda line: not line or line.startswith(" "), lines[place + 1 :]))


def _entries(section: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each parameter and what is said of it; lines that are further in go on with it."""
    lines = inspect.cleandoc("\n".join(["", *section])).splitlines()
    starts = [place for place, line in enumerate(lines) if line and not line.startswith(" ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        if entry := _ENTRY.fullmatch(lines[start]):
            said = [entry[2], *(line.strip() for line in lines[start + 1 : end])]
            yield entry[1], " ".join(filter(None, said))
