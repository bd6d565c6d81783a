"""The gateway's time: the real one, until it is set or moved."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from meshapi._core.transport import AsyncTransport, Transport
from meshapi._core.waiting import async_sleep


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

        Raises:
            ValueError: the `datetime` has no zone.
        """
        if isinstance(moment, datetime):
            if moment.tzinfo is None:
                raise ValueError("Say in which zone: datetime(..., tzinfo=UTC)")
            moment = moment.timestamp()
        self._standing = float(moment)

    def advance(self, seconds: float) -> None:
        """Move forward, whether it stands still or not.

        Raises:
            ValueError: the seconds are negative.
        """
        if not seconds >= 0:
            raise ValueError("A clock moves forward: give seconds, 0 or more")
        with self._lock:
            self._ahead += seconds
            if self._standing is not None:
                self._standing += seconds

    @contextmanager
    def skip_waits(self) -> Generator[None]:
        """While this is open, no client of this process waits before a retry: the clock moves.

        Deadlines move with it, so that what would come too late still does.
        """
        with ExitStack() as changes:
            for name, value in {"clock": self._monotonic, "sleep": self.advance}.items():
                changes.enter_context(_changed(Transport, name, value))
            for name, value in {"clock": self._monotonic, "sleep": self._advance_async}.items():
                changes.enter_context(_changed(AsyncTransport, name, value))
            yield

    def _monotonic(self) -> float:
        return time.monotonic() + self._ahead

    async def _advance_async(self, seconds: float) -> None:
        self.advance(seconds)
        await async_sleep(0)


@contextmanager
def _changed(kind: type, name: str, value: object) -> Generator[None]:
    before = vars(kind)[name]
    setattr(kind, name, value)
    try:
        yield
    finally:
        setattr(kind, name, before)
