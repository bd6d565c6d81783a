"""Runs in a client's environment: one JSON line for each check."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module

from tests.strangers.wordings import Target


def main(module: str, target: str) -> None:
    """Run a module's checks against a target, which is written as JSON."""
    checks: dict[str, Callable[[Target], str]] = import_module(f"tests.strangers.{module}").CHECKS
    for name, check in checks.items():
        ok, said = _tried(check, Target(**json.loads(target)))
        print(json.dumps({"check": name, "ok": ok, "said": said}), flush=True)  # noqa: T201  # A report.


def _tried(check: Callable[[Target], str], target: Target) -> tuple[bool, str]:
    try:
        return True, check(target)
    except Exception as problem:  # noqa: BLE001  # Whatever a client raises is what it said.
        return False, f"{type(problem).__name__}: {problem}"
