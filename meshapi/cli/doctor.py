"""`meshapi doctor`: look at everything between here and an answer, and say what to do."""

from __future__ import annotations

import argparse
import sys

from meshapi.cli.checks import Finding, Verdict, examine
from meshapi.cli.printing import has_colours, shown
from meshapi.cli.statuses import OK

_COLOURS = {Verdict.OK: 32, Verdict.FAILED: 31, Verdict.DOUBTFUL: 33, Verdict.SKIPPED: 2}
_INDENT = " " * 16


def run(options: argparse.Namespace) -> int:
    """Print what is found, as it is found; the status is that of the first failure."""
    status = OK
    for finding in examine(options.model, makes_call=not options.no_call):
        _print(finding)
        status = status or finding.status
    return status


def _print(finding: Finding) -> None:
    mark = f"{finding.verdict.value:<2}"
    if has_colours(sys.stdout):
        mark = f"\x1b[{_COLOURS[finding.verdict]}m{mark}\x1b[0m"
    detail = shown(" ".join(finding.detail.split()), sys.stdout)
    print(f"{mark}  {finding.what:<12}{detail}", flush=True)
    if finding.advice:
        print(f"{_INDENT}{finding.advice}", flush=True)
