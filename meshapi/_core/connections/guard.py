"""A lock that nobody who gives something back ever waits for.

A dropped stream is closed by the garbage collector, which may run in the middle of anything: also
in a thread that holds the lock, or in a forked child whose parent held it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType


class Guard:
    """Use it in a `with` block to wait for the lock; `soon` does not wait."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self._lock = threading.Lock()
        self._work: deque[Callable[[], None]] = deque()

    def soon(self, work: Callable[[], None]) -> None:
        """Do this under the lock: now if it is free, else whoever holds it does it at the end."""
        self._work.append(work)
        self._catch_up()

    def _catch_up(self) -> None:
        while self._work and self._lock.acquire(blocking=False):
            try:
                while self._work:
                    self._work.popleft()()
            finally:
                self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()
        self._catch_up()
