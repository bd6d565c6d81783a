"""A limit of the client's own: when the next request may be sent, so that none is refused."""

from __future__ import annotations

import bisect
import math
import threading
import time
from collections import deque

from meshapi._core.checks import is_whole
from meshapi._core.fork import renew_in_child
from meshapi.errors import ConfigurationError

_MINUTE = 60.0
_DAY = 86_400.0

# A request is counted a moment after it was sent, and servers name their waits in whole seconds.
_SLACK = 1.5


class Place:
    """A place in the queue: when its turn is, which may be put off."""

    __slots__ = ("moment",)

    def __init__(self, moment: float) -> None:
        """Take a moment of the clock."""
        self.moment = moment


class RateLimit:
    """At most so many requests per minute and per day, so that the gateway refuses none.

    Give the same one to all clients that use a key: threads, tasks and clients share it; processes
    do not. A request, a retry too, waits for its turn as long as the deadline of its call allows;
    where that is too short, the call raises `RateLimitExceeded` at once.

    The gateway counts in fixed windows and does not say when they begin. The wait of a 429 tells
    it: until it is over nothing is sent, and then a new window begins. Before that, any 60 seconds
    hold at most `rpm` requests, and days begin at midnight UTC.

    Args:
        rpm: requests per minute, 1 or more.
        rpd: requests per day, 1 or more.

    Raises:
        ConfigurationError: neither is given, or one is no whole number above 0.
    """

    def __init__(self, *, rpm: int | None = None, rpd: int | None = None) -> None:
        """Begin with nothing sent."""
        limits = {"rpm": rpm, "rpd": rpd}
        for name, limit in limits.items():
            if limit is not None and not is_whole(limit, least=1):
                raise ConfigurationError(f"{name} must be a whole number above 0")
        if rpm is None and rpd is None:
            raise ConfigurationError("A RateLimit needs rpm=, rpd= or both")
        self._shown = ", ".join(f"{k}={v}" for k, v in limits.items() if v is not None)
        self._minute = Window(rpm, _MINUTE)
        self._day = Window(rpd, _DAY)
        self._closed_until = -math.inf
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin with a free lock: a thread of the parent process may have held it."""
        self._lock = threading.Lock()

    def reserve(self, now: float) -> Place:
        """Take the next place there is."""
        with self._lock:
            return Place(self._enter(now))

    def wait(self, place: Place, now: float) -> float:
        """Seconds until its turn; 0 where it has come. A 429 puts off those that wait."""
        with self._lock:
            if place.moment < self._closed_until:
                self._leave(place)
                place.moment = self._enter(now)
            return max(0.0, place.moment - now)

    def give_back(self, place: Place) -> None:
        """Leave the queue without having sent anything."""
        with self._lock:
            self._leave(place)

    def refused(self, wait: float, now: float) -> None:
        """The gateway refused a request for so many seconds: then a window ends."""
        window = self._minute if wait <= _MINUTE else self._day
        with self._lock:
            window.edge = now + wait
            self._closed_until = max(self._closed_until, now + wait)

    def _enter(self, now: float) -> float:
        if self._day.edge is None:
            self._day.edge = now - time.time() % _DAY
        moment = max(now, self._closed_until)
        for window in (self._minute, self._day):
            window.forget(now)
            moment = max(moment, window.next_turn())
        for window in (self._minute, self._day):
            window.enter(moment)
        return moment

    def _leave(self, place: Place) -> None:
        for window in (self._minute, self._day):
            window.leave(place.moment)

    def __repr__(self) -> str:
        return f"RateLimit({self._shown})"


class Window:
    """The requests of the last minute or day, and those that wait for their turn."""

    def __init__(self, limit: int | None, seconds: float) -> None:
        """Begin with none; without a limit, there never are any."""
        self._limit = limit
        self._seconds = seconds
        self._moments: deque[float] = deque()
        self.edge: float | None = None
        """A moment at which a window begins; None as long as nobody knows."""

    def forget(self, now: float) -> None:
        """Drop those that do not count any more."""
        while self._moments and self._freed(self._moments[0]) <= now:
            self._moments.popleft()

    def next_turn(self) -> float:
        """The first moment at which there is room for one more."""
        if self._limit is None or len(self._moments) < self._limit:
            return -math.inf
        return self._freed(self._moments[-self._limit])

    def _freed(self, moment: float) -> float:
        """When a request of that moment counts no more, in whichever window it was counted."""
        if self.edge is None:
            return moment + self._seconds + _SLACK
        number = math.floor((moment + _SLACK - self.edge) / self._seconds)
        return self.edge + (number + 1) * self._seconds + _SLACK

    def enter(self, moment: float) -> None:
        """Count one that is or will be sent at a moment."""
        if self._limit is not None:
            bisect.insort(self._moments, moment)

    def leave(self, moment: float) -> None:
        """Count it no more."""
        if moment in self._moments:
            self._moments.remove(moment)
