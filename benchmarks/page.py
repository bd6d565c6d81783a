"""The page that shows what was measured: its tables, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.environments import ROOT

_PAGE = ROOT / "docs" / "performance.md"


def markdown(head: Sequence[str], *lines: Sequence[str]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def write(section: str, text: str) -> None:
    """Put a text between the two comments of the page that name the section."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->\n"
    before, _, rest = _PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    _PAGE.write_text(f"{before}{begin}\n{text}\n\n{end}{after}")
