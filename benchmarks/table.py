"""The figures as a table."""

from __future__ import annotations

from benchmarks import page
from benchmarks.environments import CLIENTS
from benchmarks.figures import OURS, Row

_PARTS = {
    "Calls": ("chat-", "megabyte"),
    "Streams": ("each-", "packed-", "paced-", "short-", "streams-"),
    "The start": ("import", "first-answer"),
    "Connections and memory": ("connections-", "stream-memory", "growth-"),
}
"""The tables, and how the names of their rows begin."""


def tables(rows: list[Row]) -> str:
    """The figures in Markdown, in tables that fit on a small screen."""
    parts = {
        title: [row for row in rows if row.name.startswith(names)]
        for title, names in _PARTS.items()
    }
    return "\n\n".join(f"### {title}\n\n{table(part)}" for title, part in parts.items() if part)


def table(rows: list[Row]) -> str:
    """The figures of some rows."""
    names = [each for each in CLIENTS if any(each in row.figures for row in rows)]
    lines = ([named(row), *(_cell(row, each) for each in names)] for row in rows)
    return page.markdown(["", *(CLIENTS[each].title for each in names)], *lines)


def aims(rows: list[Row]) -> str:
    """What is wanted of this project, and what it reaches."""
    lines = ([row.workload.title, _reached(row), _wanted(row)] for row in rows)
    return page.markdown(["", "reached", "wanted"], *lines)


def named(row: Row) -> str:
    """What a row is about, with its unit."""
    unit = f" ({row.workload.unit})" if row.workload.unit else ""
    return row.workload.title + unit


def _reached(row: Row) -> str:
    ratio = row.ratio(OURS) if row.workload.reach is not None else None
    return _cell(row, OURS) if ratio is None else f"{ratio:.2f}"


def _cell(row: Row, client: str) -> str:
    spread = f" ±{row.spread(client):.0%}" if len(row.figures.get(client, [])) > 1 else ""
    return median(row, client) + spread


def median(row: Row, client: str) -> str:
    """What it cost a client; nothing where it was not measured."""
    figure = row.median(client)
    return "" if figure is None else _shown(figure)


def _shown(figure: float) -> str:
    """A figure with as many digits as it deserves."""
    return f"{figure:,.0f}" if abs(figure) >= 10 or figure == int(figure) else f"{figure:.1f}"


def _wanted(row: Row) -> str:
    work = row.workload
    wanted = f"{work.reach:.2f}" if work.reach is not None else _shown(work.at_most or 0)
    return wanted + {True: "", False: " (missed)", None: ""}[row.is_reached]
