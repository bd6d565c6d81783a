"""Runs a program in a client's environment."""

from __future__ import annotations

import runpy


def main(path: str) -> None:
    """Run it as if it had been called by its name."""
    runpy.run_path(path, run_name="__main__")
