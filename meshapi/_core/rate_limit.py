"""A limit of the client's own: when the next request may be sent, so that none is refused.

The gateway counts in fixed windows, and says neither when they begin nor how full they are. So any
60 seconds hold at most a minute's requests: then it does not matter where its windows begin.
"""

from __future__ import annotations

import bisect
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from meshapi._core.checks import is_whole
from meshapi._core.fork import renew_in_child
from meshapi.errors import ConfigurationError, MeshAPIError, RateLimitExceeded

_MINUTE = 60.0
_DAY = 86_400.0

# One request may reach the gateway's counter at once, and the next one later by so many seconds:
# those that are a whole window and this apart are never counted together.
_SLACK = 1.5

# They are 429, too, but tell nothing of how often this key has asked.
_OTHER_LIMITS = frozenset({"upstream_rate_limit_error", "batch_limit_exceeded"})


class Place:
    """A place in the line, first come, first served; a retry comes back to its own."""

    __slots__ = ("number", "sent_at")

    _numbers = itertools.count()

    def __init__(self) -> None:
        """Take a number."""
        self.number: int = next(self._numbers)
        self.sent_at: float | None = None
        """When the request of the latest attempt left; None as long as it has not."""


class RateLimit:
    """At most so many requests per minute and per day, so that the gateway refuses none.

    Give the same one to all clients that use a key: threads, tasks and clients share it; processes
    do not. A request, a retry too, waits for its turn as long as the deadline of its call allows;
    where that is too short, the call raises `RateLimitExceeded` at once.

    Any 60 seconds hold at most `rpm` requests, and days begin at midnight UTC. It learns from a 429
    that names its wait, as there may be where others use the key, too: nothing is sent until that
    wait is over, and one of more than a minute tells when the gateway's day ends.

    Args:
        rpm: requests per minute, 1 or more.
        rpd: requests per day, 1 or more.

    Raises:
        ConfigurationError: neither is given, or one is not a whole number of 1 or more.
    """

    def __init__(self, *, rpm: int | None = None, rpd: int | None = None) -> None:
        limits = {"rpm": rpm, "rpd": rpd}
        for name, limit in limits.items():
            if limit is not None and not is_whole(limit, least=1):
                raise ConfigurationError(f"{name} must be a whole number above 0")
        if rpm is None and rpd is None:
            raise ConfigurationError("A RateLimit needs rpm=, rpd= or both")
        self._limits = {name: limit for name, limit in limits.items() if limit is not None}
        self._latest = -math.inf
        self._begin_anew()
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin with a free lock and no line: those in it are the parent process's threads."""
        self._lock = threading.RLock()  # A call that is dropped gives back wherever that happens.
        self._line: list[int] = []
        self._leaving: set[Place] = set()

    def _begin_anew(self) -> None:
        self._minute = Minute(self._limits.get("rpm"))
        self._day = Day(self._limits.get("rpd"))
        self._closed_until = -math.inf

    def enter(self, place: Place) -> None:
        """Stand in line, for the first time or, with a retry, again."""
        with self._lock:
            place.sent_at = None
            bisect.insort(self._line, place.number)

    def wait(self, place: Place, now: float) -> float:
        """Seconds until its turn; 0 where it has come: then the place is out of the line.

        It may become less, as places are given back, and more, by a 429.
        """
        with self._lock:
            now = self._look_at(now)
            ahead = bisect.bisect_left(self._line, place.number) + len(self._leaving)
            begin = max(now, self._closed_until)
            moment = max(begin, self._minute.turn(ahead, begin), self._day.turn(ahead))
            if moment == now:
                self._leave(place)
                self._leaving.add(place)
            return moment - now

    def sent(self, place: Place, now: float) -> None:
        """Its request leaves, or more of it: from now on it counts."""
        with self._lock:
            now = self._look_at(now)
            if place in self._leaving:
                self._leaving.remove(place)
                self._day.count(now)
            self._minute.count(now, instead_of=place.sent_at)
            place.sent_at = now

    def give_back(self, place: Place) -> None:
        """Let others have its turn, unless its request has left."""
        with self._lock:
            self._leave(place)
            self._leaving.discard(place)

    def learn(self, error: MeshAPIError, now: float) -> None:
        """Send nothing until a window ends, where the gateway said so by a 429 with a wait."""
        if not isinstance(error, RateLimitExceeded) or error.retry_after is None:
            return
        if error.provider_error or error.code in _OTHER_LIMITS:
            return
        wait = min(error.retry_after, _DAY)  # No window is longer.
        with self._lock:
            now = self._look_at(now)
            self._closed_until = max(self._closed_until, now + wait)
            if wait > _MINUTE + _SLACK:
                self._day.end = now + wait

    def _leave(self, place: Place) -> None:
        with suppress(ValueError):
            self._line.remove(place.number)

    def _look_at(self, now: float) -> float:
        # Only a clock that a test had moved goes back; threads may look at one out of order.
        if now < self._latest - _MINUTE:
            self._begin_anew()
            self._latest = now
        self._latest = now = max(now, self._latest)
        self._minute.forget(now)
        self._day.begin(now)
        return now

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={limit}" for name, limit in self._limits.items())
        return f"RateLimit({shown})"


class Minute:
    """The requests of the last minute, of which there may be so many in any."""

    _PERIOD = _MINUTE + _SLACK

    def __init__(self, limit: int | None) -> None:
        """Begin with none."""
        self._limit = limit
        self._sent: deque[float] = deque()

    def forget(self, now: float) -> None:
        """Drop those that count no more."""
        while self._sent and self._sent[0] + self._PERIOD <= now:
            self._sent.popleft()

    def turn(self, ahead: int, begin: float) -> float:
        """The moment when there is room for one more than are ahead, if those go at `begin`."""
        if self._limit is None:
            return -math.inf
        after = len(self._sent) + ahead - self._limit
        if after < 0:
            return -math.inf
        # Each of them makes room for another one when it counts no more, and so on.
        rounds, which = divmod(after, self._limit)
        first = self._sent[which] if which < len(self._sent) else begin
        return max(begin, first + self._PERIOD) + rounds * self._PERIOD

    def count(self, now: float, *, instead_of: float | None) -> None:
        """Count a request, or one that was counted at an earlier moment anew."""
        if self._limit is None:
            return
        if instead_of is not None and instead_of in self._sent:
            self._sent.remove(instead_of)
        self._sent.append(now)


class Day:
    """How many requests of a day there were.

    A day is fixed, as those who may send all of tomorrow's at midnight want to. Where the gateway
    begins its days at another time, its first 429 tells it.
    """

    # On the class, so that the local gateway can move the date of every client.
    date: Callable[[], float] = staticmethod(time.time)

    def __init__(self, limit: int | None) -> None:
        """Begin with none."""
        self._limit = limit
        self._count = 0
        self._at_its_end = 0
        self.end: float | None = None

    def begin(self, now: float) -> None:
        """Begin the next day, once this one is over for certain."""
        if self.end is None:
            self.end = now + _DAY - self.date() % _DAY
        days = math.floor((now - _SLACK - self.end) / _DAY) + 1
        if days > 0:
            self._count = self._at_its_end if days == 1 else 0
            self._at_its_end = 0
            self.end += days * _DAY

    def turn(self, ahead: int) -> float:
        """The moment when there is room for one more than are ahead."""
        if self._limit is None or self._count + ahead < self._limit:
            return -math.inf
        assert self.end is not None
        return self.end + _SLACK + ((self._count + ahead) // self._limit - 1) * _DAY

    def count(self, now: float) -> None:
        """Count a request; where its day ends just then, in the next one as well."""
        assert self.end is not None
        self._count += 1
        self._at_its_end += now >= self.end - _SLACK
