"""The figures of docs/performance.md that docs/other-clients.md has too."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import FIGURES, load
from benchmarks.table import median, named

COMPARED = ("meshapi", "openai", "openrouter", "official")
_ROWS = {
    *("chat-sync", "chat-50", "each-sync", "each-async", "megabyte"),
    *("import", "first-answer", "connections-sync", "connections-async"),
}


def costs() -> Iterator[list[str]]:
    """The cells of each row."""
    for row in load(FIGURES):
        if row.name in _ROWS:
            yield [named(row), *(median(row, each) for each in COMPARED)]
