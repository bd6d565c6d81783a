"""`python -m benchmarks`: measure all clients, in turn, and show what came out."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence

from benchmarks import page
from benchmarks.chart import chart
from benchmarks.environments import CLIENTS, ROOT
from benchmarks.figures import FIGURES, Row, load, save
from benchmarks.server import serving
from benchmarks.table import aims, table, tables
from benchmarks.workloads import WORKLOADS

_CHART = ROOT / "docs" / "performance.svg"


def main() -> int:
    """Measure, and tell."""
    arguments = _arguments()
    for name in arguments.clients:
        CLIENTS[name].install()
    rows: list[Row] = []
    with serving() as url:
        for row in _measured(url, arguments.workloads, arguments.clients, arguments.rounds):
            rows.append(row)
            print(table([row]).splitlines()[-1], flush=True)
            if arguments.write:
                _write(rows)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"all, or some of: {', '.join(WORKLOADS)}")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run, in turn")
    parser.add_argument(
        "--write", action="store_true", help="put the rows into docs/performance.md and its chart"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    arguments.workloads = arguments.workloads or list(WORKLOADS)
    return arguments


def _measured(
    url: str, workloads: Sequence[str], clients: Sequence[str], rounds: int
) -> Iterator[Row]:
    for name in workloads:
        workload = WORKLOADS[name]
        row = Row(name, {each: [] for each in clients if workload.measures(each)})
        for done in range(min(rounds, workload.rounds or rounds)):
            for client, found in row.figures.items():
                if done < CLIENTS[client].rounds:
                    found.append(CLIENTS[client].measure(name, url))
        yield row


def _write(rows: list[Row]) -> None:
    """Put new rows in the place of old ones, and keep the others."""
    known = {row.name: row for row in load(FIGURES)} if FIGURES.exists() else {}
    known |= {row.name: row for row in rows}
    in_order = [known[name] for name in WORKLOADS if name in known]
    save(in_order, FIGURES)
    _CHART.write_text(chart(in_order))
    page.write("conditions", _conditions())
    page.write("figures", tables(in_order))
    page.write("aims", aims(in_order))


def _conditions() -> str:
    packages = ("httpx", "httpcore", "h11", "pydantic", "httpx2", "openrouter", "openai")
    made = (each for each in CLIENTS.values() if each.is_made)
    lines = (f"- {each.title}: {each.versions(*packages)}" for each in made)
    machine = f"{platform.python_implementation()} {platform.python_version()}"
    head = f"{machine}, {os.cpu_count()} shared cores, {platform.system()}:"
    return "\n".join([head, "", *lines])


if __name__ == "__main__":
    sys.exit(main())
