"""What a docstring says: of the whole, and of each parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_SECTION = re.compile(
    r"^((?:Args|Arguments|Parameters|Keyword Args|Keyword Arguments|Other Parameters): *\n)"
    r"((?:[ ]+.*\n|\n)+)",
    re.MULTILINE,
)
_ENTRY = re.compile(
    r"^([ ]+)(\w+(?:, *\w+)*) *(?:\(.*?\))? *:"  # One name, or several; in brackets, a type.
    r"((?:[ ].*)?\n(?:\1[ ]+.*\n|[ ]*\n)*)",  # Lines that are further in go on with it.
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Docstring:
    """What is said of a function."""

    text: str
    """Everything that is not said of a parameter; "" where there is nothing."""

    parameters: Mapping[str, str]
    """What is said of each parameter, in one line."""


def read_docstring(docstring: str | None, names: Collection[str]) -> Docstring:
    """Read a docstring in Google's style, of a function whose parameters have these names.

    Nothing is lost: what is no entry of a parameter stays in the text.
    """
    parameters: dict[str, str] = {}

    def without_entries(section: re.Match[str]) -> str:
        left = _ENTRY.sub(without_its_own, section[2])
        return section[1] + left if left.strip() else ""

    def without_its_own(entry: re.Match[str]) -> str:
        own = [each for each in re.split(", *", entry[2]) if each in names]
        if not own or not parameters.keys().isdisjoint(own):
            return entry[0]
        parameters.update(dict.fromkeys(own, " ".join(entry[3].split())))
        return ""

    text = _SECTION.sub(without_entries, inspect.cleandoc(docstring or "") + "\n")
    return Docstring(text.strip(), parameters)
