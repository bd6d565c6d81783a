"""The gateway's time: the real one, until it is set or moved."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from meshapi._core.transport import AsyncTransport, Transport
from meshapi._core.waiting import async_sleep

# Whoever begins to wait lets others begin, so that they wait together, and lets what is on its way
# arrive: until nothing has come for so many seconds and nobody was busy, as pauses that end late
# show, or it has taken too long.
_TOGETHER = 0.01
_LONGEST_PAUSE = 0.1
_PATIENCE = 5.0


class Clock:
    """Tells the time as it is, or as it was set: then it stands still until it is moved."""

    def __init__(self) -> None:
        """Begin with the real time."""
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Go back to the real time."""
        self._standing: float | None = None
        self._stood_at = 0.0
        self.ahead = 0.0
        """By how many seconds it was moved."""
        self.latest_request = 0.0
        """When the latest request came, on the system's monotonic clock."""

    def time(self) -> float:
        """The moment, in seconds since 1970."""
        return time.time() + self.ahead if self._standing is None else self._standing

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
        self._stood_at = time.monotonic()

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
        what would come too late still does. All clocks that are open move.
        """
        with _lock:
            _open.append(self)
            _use(_SKIPPING)
        try:
            yield
        finally:
            with _lock:
                _open.remove(self)
                _use(_SKIPPING if _open else _WAITING)

    def move_to(self, ahead: float) -> None:
        """Move on until so many seconds before the real time, unless it is there already.

        A clock that stands still is late for those who wait: they saw the real time go on.
        """
        with self._lock:
            self._move(max(0.0, ahead - self.ahead))
            if self._standing is not None:
                now = time.monotonic()
                self._standing += now - self._stood_at
                self._stood_at = now

    def _move(self, seconds: float) -> None:
        self.ahead += seconds
        if self._standing is not None:
            self._standing += seconds


def _monotonic() -> float:
    return time.monotonic() + max((clock.ahead for clock in _open), default=0.0)


def _sleep(seconds: float) -> None:
    goals = _goals(seconds)
    for pause in _pauses():
        time.sleep(pause)
    _reach(goals)


async def _async_sleep(seconds: float) -> None:
    goals = _goals(seconds)
    for pause in _pauses():
        await async_sleep(pause)
    _reach(goals)


def _pauses() -> Iterator[float]:
    begun = now = time.monotonic()
    pause = _TOGETHER
    while now < begun + _PATIENCE:
        due = now + pause
        yield pause
        now = time.monotonic()
        latest = max((clock.latest_request for clock in _open), default=0.0)
        if latest + _TOGETHER <= now < due + _TOGETHER:
            return
        pause = min(2 * pause, _LONGEST_PAUSE)


def _goals(seconds: float) -> list[tuple[Clock, float]]:
    return [(clock, clock.ahead + seconds) for clock in _open]


def _reach(goals: list[tuple[Clock, float]]) -> None:
    for clock, ahead in goals:
        clock.move_to(ahead)


_open: list[Clock] = []
_lock = threading.Lock()

# What clients tell the time and wait by, while a clock is open, and else.
_SKIPPING = (
    (Transport, "clock", staticmethod(_monotonic)),
    (Transport, "sleep", staticmethod(_sleep)),
    (AsyncTransport, "clock", staticmethod(_monotonic)),
    (AsyncTransport, "sleep", staticmethod(_async_sleep)),
)
_WAITING = tuple((kind, name, vars(kind)[name]) for kind, name, _ in _SKIPPING)


def _use(attributes: Iterable[tuple[type, str, object]]) -> None:
    for kind, name, value in attributes:
        setattr(kind, name, value)
