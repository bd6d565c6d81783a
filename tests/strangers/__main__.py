"""`python -m tests.strangers`: let clients that know nothing of this project call its gateway."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from benchmarks.environments import ROOT
from meshapi.local import LocalGateway
from tests.strangers.clients import STRANGERS, Result
from tests.strangers.page import write
from tests.strangers.wordings import TEMPLATE, Target

_PAGE = ROOT / "docs" / "design.md"


def main() -> int:
    """Run every check, show what came of it, and fail if anything is not ok."""
    parser = argparse.ArgumentParser(prog="python -m tests.strangers", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put it into docs/{_PAGE.name}")
    arguments = parser.parse_args()
    results: list[Result] = []
    for result in _results():
        results.append(result)
        print(_line(result), flush=True)  # noqa: T201  # A report.
    if arguments.write:
        write(_PAGE, {each.title: each.version for each in STRANGERS}, results)
    return 0 if all(each.ok for each in results) else 1


def _results() -> Iterator[Result]:
    for stranger in STRANGERS:
        stranger.install()
    with LocalGateway() as gateway:
        gateway.add_template(TEMPLATE, "Be kind.")
        limited, spent = gateway.add_key(rpm=0), gateway.add_key(spend_cap_usd=0)
        for stranger in STRANGERS:
            yield from stranger.results(Target(gateway.base_url, gateway.token, limited, spent))


def _line(result: Result) -> str:
    return f"{result.stranger:18}{result.check:26}{'ok' if result.ok else 'NOT OK':8}{result.said}"


if __name__ == "__main__":
    sys.exit(main())
