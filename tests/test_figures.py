"""The figures on the pages are those that were measured."""

from __future__ import annotations

import re

from benchmarks import page
from benchmarks.behaviour.costs import costs
from benchmarks.chart import chart
from benchmarks.figures import FIGURES, load
from benchmarks.table import aims, median, tables
from tests.pages import DOCS, ROOT

ROWS = load(FIGURES)
BY_NAME = {row.name: row for row in ROWS}


def test_the_page_on_performance_has_what_was_measured() -> None:
    text = page.PERFORMANCE.read_text()

    assert tables(ROWS) in text
    assert aims(ROWS) in text
    assert (DOCS / "performance.svg").read_text() == chart(ROWS)


def test_the_page_on_other_clients_has_the_same_figures() -> None:
    text = page.OTHER_CLIENTS.read_text()
    lines = [f"| {' | '.join(cells)} |" for cells in costs()]

    assert len(lines) == 9
    assert [line for line in lines if line not in text] == []


def test_the_readme_has_the_same_figures() -> None:
    (line,) = [each for each in (ROOT / "README.md").read_text().splitlines() if " µs" in each]

    assert re.findall(r"\d[\d,]*", line) == [
        median(BY_NAME[name], client)
        for name in ("chat-sync", "each-sync")
        for client in ("meshapi", "httpx", "openai")
    ]
