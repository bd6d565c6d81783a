"""The moment by which what is awaited must have come.

A call and the connection that it is on share one, and it is moved as events come. httpx bounds each
read, not all of them together; here every wait is cut down to what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_LONGEST_WAIT = 10.0**8  # Years: more than sockets take for a number of seconds.


class Deadline:
    """A moment on a clock, so many seconds from when it was set."""

    __slots__ = ("_clock", "_until")

    def __init__(
        self, seconds: float = _LONGEST_WAIT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin now."""
        self._clock = clock
        self._until = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds until then; 0 once it has passed."""
        return min(max(0.0, self._until - self._clock()), _LONGEST_WAIT)

    def restart(self, seconds: float) -> None:
        """Set it anew, to so many seconds from now."""
        self._until = self._clock() + seconds
