"""The deadline of a thread, which everything that it does on a connection is cut down to.

httpx bounds each read, not all of them together. asyncio can cut from outside, a thread cannot.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import httpcore


@contextmanager
def at_most(seconds: float) -> Generator[None]:
    """Bound all that this thread does on our own connections by so many seconds from now."""
    before = bound.until
    bound.until = time.monotonic() + seconds
    try:
        yield
    finally:
        bound.until = before


class _Bound(threading.local):
    until: float | None = None

    def left(
        self, timeout: float | None, too_late: type[Exception] = httpcore.ReadTimeout
    ) -> float | None:
        """The seconds that are left, or fewer where `timeout` says so.

        Raises:
            httpcore.TimeoutException: of the kind that is named; there are none left.
        """
        if self.until is None:
            return timeout
        left = self.until - time.monotonic()
        if left <= 0:
            raise too_late("The deadline has passed")
        return left if timeout is None else min(timeout, left)


bound = _Bound()
