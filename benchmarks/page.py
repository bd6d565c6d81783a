"""The pages that show what was measured: their tables, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.environments import ROOT

PERFORMANCE = ROOT / "docs" / "performance.md"
OTHER_CLIENTS = ROOT / "docs" / "other-clients.md"


def markdown(head: Sequence[str], *lines: Sequence[str]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def write(section: str, text: str, page: Path = PERFORMANCE) -> None:
    """Put a text between the two comments of a page that name the section."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->\n"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}\n\n{end}{after}")
