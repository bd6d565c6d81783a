"""The gateway's time: the real one, until it is set or moved."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

from meshapi._core.transport import AsyncTransport, Transport
from meshapi._core.waiting import async_sleep

# How long whoever begins to wait lets others begin, so that they wait together: in seconds.
_TOGETHER = 0.01


class Clock:
    """Tells the time as it is, or as it was set: then it stands still until it is moved."""

    def __init__(self) -> None:
        """Begin with the real time."""
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Go back to the real time."""
        self._standing: float | None = None
        self._ahead = 0.0

    def time(self) -> float:
        """The moment, in seconds since 1970."""
        return time.time() + self._ahead if self._standing is None else self._standing

    def set(self, moment: datetime | float) -> None:
        """Stand still at a moment: a `datetime` with its zone, or seconds since 1970.

        A clock that is set back begins its windows anew. Clients notice only `advance`.

        Raises:
            ValueError: the `datetime` has no zone, or the seconds are not finite.
        """
        if isinstance(moment, datetime):
            if moment.tzinfo is None:
                raise ValueError("Say in which zone: datetime(..., tzinfo=UTC)")
            moment = moment.timestamp()
        if not math.isfinite(moment):
            raise ValueError("A moment is a finite number of seconds")
        self._standing = float(moment)

    def advance(self, seconds: float) -> None:
        """Move forward, whether it stands still or not.

        Raises:
            ValueError: the seconds are negative, or not finite.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError("A clock moves forward: give seconds, 0 or more")
        with self._lock:
            self._move(seconds)

    @contextmanager
    def skip_waits(self) -> Generator[None]:
        """While this is open, no client of this process waits before a retry: the clock moves.

        Clients that wait at the same time wait together. Deadlines move with the clock, so that
        what would come too late still does.
        """
        _begin_to_skip(self)
        try:
            yield
        finally:
            _end_to_skip(self)

    def monotonic(self) -> float:
        """The time that clients measure, while they skip waits."""
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        """Wait without waiting."""
        until = self._ahead + seconds
        time.sleep(_TOGETHER)
        self._move_to(until)

    async def async_sleep(self, seconds: float) -> None:
        """Wait without waiting."""
        until = self._ahead + seconds
        await async_sleep(_TOGETHER)
        self._move_to(until)

    def _move_to(self, ahead: float) -> None:
        with self._lock:
            self._move(max(0.0, ahead - self._ahead))

    def _move(self, seconds: float) -> None:
        self._ahead += seconds
        if self._standing is not None:
            self._standing += seconds


# The clocks whose `skip_waits` is open, and what clients waited by before: the last one counts.
_skipping: list[Clock] = []
_before = [
    (kind, name, vars(kind)[name])
    for kind in (Transport, AsyncTransport)
    for name in ("clock", "sleep")
]


def _begin_to_skip(clock: Clock) -> None:
    _skipping.append(clock)
    _use(_skipping[-1])


def _end_to_skip(clock: Clock) -> None:
    _skipping.remove(clock)
    if _skipping:
        _use(_skipping[-1])
        return
    for kind, name, value in _before:
        setattr(kind, name, value)


def _use(clock: Clock) -> None:
    for kind, name, value in (
        (Transport, "clock", clock.monotonic),
        (Transport, "sleep", clock.sleep),
        (AsyncTransport, "clock", clock.monotonic),
        (AsyncTransport, "sleep", clock.async_sleep),
    ):
        setattr(kind, name, value)
