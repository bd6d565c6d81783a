"""A bounded run of schemathesis over the published OpenAPI text, as `document` amends it.

- Amended: a 200 may be a stream; the newer page's bounds; the bearer key; the role `developer`; a
  body is required. `document.AMENDMENTS` has the reasons.
- By `hooks`: a model or template that a request names is one that the gateway has, and the tool
  that `tool_choice` asks for is put among the tools: without it 422 is right, by our decision, and
  no schema can say so.
- Nothing is disabled: every check that schemathesis has is on. Those of response headers, which the
  document does not name, and of resources, which one operation does not have, find nothing to see.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.strangers.document import amended
from tests.strangers.wordings import Target, same

_ROOT = Path(__file__).parents[2]
_REPORT = "report.json"
_SEEDS = (1, 2, 3)
_OPTIONS = [
    *("--checks", "all", "--continue-on-failure"),
    *("--max-examples", "150", "--generation-database", "none"),
    *("--report", "json", "--report-json-path", _REPORT),
    *("--no-color", "--output-sanitize", "false"),
]


def _run(target: Target, folder: str, seed: int) -> tuple[str, Any]:
    """What it printed, and its report."""
    (Path(folder) / "openapi.json").write_text(json.dumps(amended()))
    header = f"Authorization: Bearer {target.token}"
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json"]
    run = subprocess.run(
        [*command, "--url", target.url, "--header", header, "--seed", str(seed), *_OPTIONS],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "SCHEMATHESIS_HOOKS": "tests.strangers.hooks"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    report = Path(folder) / _REPORT
    return run.stdout + run.stderr, json.loads(report.read_text()) if report.exists() else None


def _contract(target: Target) -> str:
    reports = [_report(target, seed) for seed in _SEEDS]
    cases = sum(report["test_cases"]["generated"] for report in reports)
    findings = [
        each["title"] for report in reports for each in [*report["failures"], *report["errors"]]
    ]
    said = f"{cases} cases from {len(_SEEDS)} seeds, every check, {len(findings)} findings"
    if findings or not all(_is_clean(report) for report in reports):
        raise AssertionError(f"{said}: {'; '.join(findings)}")
    return f"{said}; {_answered(reports)}"


def _report(target: Target, seed: int) -> Any:
    """What one run found, which is also printed where it found something."""
    with tempfile.TemporaryDirectory() as folder:
        printed, report = _run(target, folder, seed)
    if report is None or not _is_clean(report):
        print(printed, file=sys.stderr)  # noqa: T201  # A report.
    same(report is None, False, "whether it left no report")
    return report


def _is_clean(report: Any) -> bool:
    return bool(report["exit_code"] == 0 and report["complete"])


def _answered(reports: list[Any]) -> str:
    """How many of the requests that fit the document got an answer."""
    rates = [
        rate
        for report in reports
        for phases in report["valid_rates"].values()
        for rate in phases.values()
    ]
    answered = sum(rate["accepted"] for rate in rates)
    same(answered > 0, True, "whether anything was answered")
    return f"{answered} of {sum(sum(rate.values()) for rate in rates)} fitting requests answered"


CHECKS: dict[str, Callable[[Target], str]] = {"contract": _contract}
