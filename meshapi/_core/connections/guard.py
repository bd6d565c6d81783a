"""A lock that nobody who gives something back ever waits for.

A dropped stream is closed by the garbage collector, which may run in the middle of anything: also
in a thread that holds the lock, or in a forked child whose parent held it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Guard:
    """Does one thing at a time."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self._lock = threading.Lock()
        self._later: deque[Callable[[], None]] = deque()

    def now(self, work: Callable[[], T]) -> T:
        """Do this as soon as the lock is free, and wait until then."""
        try:
            with self._lock:
                return work()
        finally:
            self._catch_up()

    def soon(self, work: Callable[[], None]) -> None:
        """Do this at once if the lock is free; else whoever holds it does it afterwards."""
        self._later.append(work)
        self._catch_up()

    def _catch_up(self) -> None:
        while self._later and self._lock.acquire(blocking=False):
            try:
                while self._later:
                    self._later.popleft()()
            finally:
                self._lock.release()
