"""Runs a script in this process, as if it were a program of its own."""

from __future__ import annotations

import logging
import runpy
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

SECONDS = 30


def run(path: Path) -> None:
    """Run it; what it sets up for its log, and what it imports beside it, is gone then."""
    root, ours = logging.getLogger(), logging.getLogger("meshapi")
    handlers, root.handlers[:] = root.handlers[:], []
    try:
        with _soon_over():
            runpy.run_path(str(path), run_name="__main__")
    finally:
        root.handlers[:] = handlers
        ours.setLevel(logging.NOTSET)
        for beside in path.parent.glob("*.py"):
            sys.modules.pop(beside.stem, None)


@contextmanager
def _soon_over() -> Generator[None]:
    """A script that waits for ever is a failure, and holds up nobody."""

    def give_up(number: int, frame: object) -> NoReturn:
        raise TimeoutError(f"It did not end in {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
