"""Which connections are idle and which are in use: bookkeeping without any waiting."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeAlias, TypeVar

import httpcore

from meshapi._core.connections.guard import Guard
from meshapi.errors import ConfigurationError

CLOSED = "The client is closed: make a new one"
_KEPT_SECONDS = 30.0

_Place: TypeAlias = tuple[bytes, bytes, int]


class Shelved(Protocol):
    """What the shelf asks of a connection."""

    idle_until: float

    def is_idle(self) -> bool:
        """Whether its last answer was read to the end, so that another request may follow."""
        ...

    def is_healthy(self) -> bool:
        """Whether its server has left it open, as far as the system knows."""
        ...

    def cut(self) -> None:
        """Let whoever uses it see its end; it is closed when it is put back."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=Shelved)


class Shelf(Generic[ConnectionT]):
    """Takes and puts back, at a cost that does not grow: what was used last is taken first."""

    def __init__(self, most: int, make: Callable[[httpcore.Origin], ConnectionT]) -> None:
        """Begin with none; idle ones make room once there would be more than `most`."""
        self._most = most
        self._make = make
        self._idle: dict[_Place, deque[ConnectionT]] = {}
        self._idle_count = 0
        self._in_use: set[ConnectionT] = set()
        self._closed = False
        self._guard = Guard()

    def take(self, origin: httpcore.Origin) -> ConnectionT:
        """Take the connection that was used last and is still good, else a new one.

        Raises:
            ConfigurationError: the shelf is closed.
        """
        return self._guard.now(lambda: self._take(origin))

    def put_back(
        self, origin: httpcore.Origin, connection: ConnectionT, then: Callable[[], None]
    ) -> None:
        """Keep a connection for the next request, unless its last one ended in another way."""
        self._guard.soon(lambda: self._put_back(origin, connection, then))

    def close(self) -> None:
        """Close all; whoever uses one sees it end."""
        self._guard.soon(self._close)

    def forget(self) -> None:
        """Close this process's copies of another's connections, before it has a second thread."""
        idle = [each for place in self._idle.values() for each in place]
        for connection in (*idle, *self._in_use):
            connection.close()

    def cut(self, connection: ConnectionT, is_wanted: Callable[[], bool]) -> None:
        """End a connection under its user, if that one has not put it back."""
        self._guard.soon(lambda: connection.cut() if is_wanted() else None)

    def _take(self, origin: httpcore.Origin) -> ConnectionT:
        if self._closed:
            raise ConfigurationError(CLOSED)
        connection = self._take_idle(_place(origin)) or self._new(origin)
        self._in_use.add(connection)
        return connection

    def _put_back(
        self, origin: httpcore.Origin, connection: ConnectionT, then: Callable[[], None]
    ) -> None:
        try:
            self._in_use.discard(connection)
            if self._closed or not connection.is_idle():
                connection.close()
            else:
                self._keep(_place(origin), connection)
        finally:
            then()

    def _close(self) -> None:
        self._closed = True
        while self._idle:
            self._drop_oldest(next(iter(self._idle)))
        for connection in self._in_use:
            connection.cut()

    def _take_idle(self, place: _Place) -> ConnectionT | None:
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            self._count_out(place)
            if connection.is_healthy():
                return connection
            connection.close()
        return None

    def _new(self, origin: httpcore.Origin) -> ConnectionT:
        if self._idle and self._idle_count + len(self._in_use) >= self._most:
            self._drop_oldest(next(iter(self._idle)))
        return self._make(origin)

    def _keep(self, place: _Place, connection: ConnectionT) -> None:
        now = time.monotonic()
        connection.idle_until = now + _KEPT_SECONDS
        idle = self._idle.setdefault(place, deque())
        idle.append(connection)
        self._idle_count += 1
        while idle[0].idle_until < now:
            self._drop_oldest(place)

    def _drop_oldest(self, place: _Place) -> None:
        self._idle[place].popleft().close()
        self._count_out(place)

    def _count_out(self, place: _Place) -> None:
        self._idle_count -= 1
        if not self._idle[place]:
            del self._idle[place]


def _place(origin: httpcore.Origin) -> _Place:
    return origin.scheme, origin.host, origin.port
