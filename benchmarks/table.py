"""The figures as a table."""

from __future__ import annotations

from benchmarks import page
from benchmarks.environments import CLIENTS
from benchmarks.figures import OURS, Row


def table(rows: list[Row]) -> str:
    """The figures in Markdown, with what is wanted of this project in the last column."""
    names = [each for each in CLIENTS if any(each in row.figures for row in rows)]
    head = ["", *(CLIENTS[each].title for each in names), "ratio", "wanted"]
    return page.markdown(head, *(_cells(row, names) for row in rows))


def _cells(row: Row, names: list[str]) -> list[str]:
    unit = f" ({row.workload.unit})" if row.workload.unit else ""
    ratio = row.ratio(OURS) if row.workload.reach is not None else None
    return [
        row.workload.title + unit,
        *(_cell(row, each) for each in names),
        "" if ratio is None else f"**{ratio:.2f}**",
        _wanted(row),
    ]


def _cell(row: Row, client: str) -> str:
    median = row.median(client)
    if median is None:
        return ""
    spread = f" ±{row.spread(client):.0%}" if len(row.figures[client]) > 1 else ""
    return f"{shown(median)}{spread}"


def shown(figure: float) -> str:
    """A figure with as many digits as it deserves."""
    return f"{figure:,.0f}" if abs(figure) >= 10 or figure == int(figure) else f"{figure:.1f}"


def _wanted(row: Row) -> str:
    work = row.workload
    wanted = f"{work.reach:.2f}" if work.reach is not None else shown(work.at_most or 0)
    return wanted + {True: "", False: " (missed)", None: ""}[row.is_reached]
