"""The garbage collector may end a stream at any moment, with any lock held: that is told later."""

from __future__ import annotations

import gc
import threading
from collections import deque
from collections.abc import Callable

_late = deque[Callable[[], None]]()


class _Collector:
    """Knows whether a collection runs in this thread."""

    def __init__(self) -> None:
        self._thread: int | None = None

    def __call__(self, phase: str, _info: object) -> None:
        self._thread = threading.get_ident() if phase == "start" else None

    @property
    def runs_here(self) -> bool:
        return self._thread == threading.get_ident()


_collector = _Collector()


def begin_to_watch() -> None:
    """Have the collector say when it runs."""
    gc.callbacks.append(_collector)


def end_to_watch() -> None:
    """Let it be."""
    gc.callbacks.remove(_collector)
    tell_late()


def when_free(tell: Callable[[], None]) -> None:
    """Tell it now, or in the middle of a collection with the next call."""
    if _collector.runs_here:
        _late.append(tell)
    else:
        tell()


def tell_late() -> None:
    """Tell what had to wait."""
    while _late:
        try:
            tell = _late.popleft()
        except IndexError:  # Another thread told it.
            return
        tell()
