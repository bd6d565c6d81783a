"""The figures on the pages are those that were measured."""

from __future__ import annotations

from benchmarks import page
from benchmarks.behaviour.costs import costs
from benchmarks.chart import chart
from benchmarks.figures import FIGURES, load
from benchmarks.table import aims, tables
from tests.pages import DOCS

ROWS = load(FIGURES)


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
