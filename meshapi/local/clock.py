"""The gateway's time: the real one, until it is set or moved."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from meshapi._core.exchange import Exchange
from meshapi._core.models import PayloadT
from meshapi._core.rate_limit import Day
from meshapi._core.transport import AsyncTransport, ResultT, Transport
from meshapi._core.waiting import async_sleep

# Whoever begins to wait lets others begin, so that they wait together: the clock moves once nothing
# has come or gone for so many seconds.
_TOGETHER = 0.01
_LONGEST_PAUSE = 0.1

# What is on its way arrives before the clock moves, unless it hangs: on a busy machine, hundreds of
# requests take their time.
_PATIENCE = 30.0


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
        self.ahead: float = 0.0
        """By how many seconds it was moved."""

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

    def _move_to(self, ahead: float) -> None:
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


def _date() -> float:
    return _open[-1].time() if _open else time.time()


def _sleep(seconds: float) -> None:
    for pause in _pauses(seconds):
        time.sleep(pause)


async def _async_sleep(seconds: float) -> None:
    for pause in _pauses(seconds):
        await async_sleep(pause)


def _pauses(seconds: float) -> Iterator[float]:
    """Real pauses, until so many seconds have gone by or the clocks have moved by the rest."""
    goals = [(clock, clock.ahead + seconds) for clock in _open]
    begun, pause = time.monotonic(), _TOGETHER
    while True:
        passed = time.monotonic() - begun
        left = max((ahead - clock.ahead for clock, ahead in goals), default=seconds) - passed
        with _lock:
            if left <= 0 or (passed >= _TOGETHER and _traffic.rests):
                for clock, ahead in goals:
                    clock._move_to(ahead - passed)  # pyright: ignore[reportPrivateUsage]  # Of this file.
                return
        yield min(pause, left)
        pause = min(2 * pause, _LONGEST_PAUSE)


class _Traffic:
    """The attempts that the clients of this process have on their way."""

    def __init__(self) -> None:
        """Begin with none."""
        self._count = 0
        self._changed_at = 0.0

    def __enter__(self) -> None:
        self._change(1)

    def __exit__(self, *_: object) -> None:
        self._change(-1)

    def _change(self, by: int) -> None:
        with _lock:
            self._count += by
            self._changed_at = time.monotonic()

    @property
    def rests(self) -> bool:
        """Whether there is none, and was none a moment ago; or whether it hangs."""
        return time.monotonic() - self._changed_at >= (_PATIENCE if self._count else _TOGETHER)


def _once(
    transport: Transport, exchange: Exchange[PayloadT], attempt: Callable[[], ResultT]
) -> ResultT:
    with _traffic:
        return _plain(transport, exchange, attempt)


async def _async_once(
    transport: AsyncTransport,
    exchange: Exchange[PayloadT],
    attempt: Callable[[], Awaitable[ResultT]],
) -> ResultT:
    with _traffic:
        return await _async_plain(transport, exchange, attempt)


_plain, _async_plain = Transport.once, AsyncTransport.once
_traffic = _Traffic()
_open: list[Clock] = []
_lock = threading.RLock()  # A task that is dropped ends its attempt wherever that happens.

# What clients tell the time and wait by, while a clock is open, and else.
_SKIPPING = (
    (Transport, "clock", staticmethod(_monotonic)),
    (Transport, "sleep", staticmethod(_sleep)),
    (Transport, "once", _once),
    (AsyncTransport, "clock", staticmethod(_monotonic)),
    (AsyncTransport, "sleep", staticmethod(_async_sleep)),
    (AsyncTransport, "once", _async_once),
    (Day, "date", staticmethod(_date)),
)
_WAITING = tuple((kind, name, vars(kind)[name]) for kind, name, _ in _SKIPPING)


def _use(attributes: Iterable[tuple[type, str, object]]) -> None:
    for kind, name, value in attributes:
        setattr(kind, name, value)
