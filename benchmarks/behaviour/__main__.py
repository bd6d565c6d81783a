"""`python -m benchmarks.behaviour`: what clients do when something goes wrong, as tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from benchmarks import page
from benchmarks.behaviour.costs import COMPARED, costs
from benchmarks.behaviour.rows import SECTIONS, Row, cell
from benchmarks.behaviour.run import Seen, meet_all
from benchmarks.environments import CLIENTS


def main() -> int:
    """Meet, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.behaviour", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put it into docs/other-clients.md")
    arguments = parser.parse_args()
    for name in COMPARED:
        CLIENTS[name].install()
    seen = list(meet_all(COMPARED))
    tables = {name: _table(rows, seen) for name, rows in SECTIONS.items()}
    for name, text in {**tables, "weight": _weight()}.items():
        print(f"{name}\n\n{text}\n")
        if arguments.write:
            page.write(name, text, page.OTHER_CLIENTS)
    return 0


def _head() -> list[str]:
    return ["", *(CLIENTS[each].title for each in COMPARED)]


def _table(rows: Sequence[Row], seen: Sequence[Seen]) -> str:
    return page.markdown(_head(), *(list(_line(row, seen)) for row in rows))


def _line(row: Row, seen: Sequence[Seen]) -> Iterator[str]:
    yield row.title
    for client in COMPARED:
        yield cell(row, [each for each in seen if each.client == client])


def _weight() -> str:
    """What they weigh, and the figures that docs/performance.md has of all of them."""
    weights = [json.loads(_weighed(each)) for each in COMPARED]
    lines = [
        ["Python", *(each["python"] for each in weights)],
        ["packages installed", *(str(each["packages"]) for each in weights)],
        ["MB installed, without bytecode", *(f"{each['megabytes']:.1f}" for each in weights)],
    ]
    return page.markdown(_head(), *lines, *costs())


def _weighed(client: str) -> str:
    package = "meshapi" if CLIENTS[client].adapter == "mesh" else client
    return CLIENTS[client].run("benchmarks.behaviour.weight", package)


if __name__ == "__main__":
    sys.exit(main())
