"""The garbage collector may end a stream at any moment, with any lock held: that is told later."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable
from threading import get_ident

_late = deque[Callable[[], None]]()
_collecting = set[int]()
"""The threads in which a collection runs."""


def when_free(tell: Callable[[], None]) -> None:
    """Tell it now; in the middle of a collection with the next call, or at the program's end."""
    if get_ident() in _collecting:
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


def _note(phase: str, _info: object) -> None:
    change = _collecting.add if phase == "start" else _collecting.discard
    change(get_ident())


# For good, as a stream may outlive the time when telemetry was on.
gc.callbacks.append(_note)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_late.clear)  # It is the parent that tells it.
