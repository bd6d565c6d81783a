"""The pool under httpx: connections are kept between calls, and none is walked past.

httpcore's own pool looks at every connection for every request; here a request costs the same with
one connection as with a thousand. It stands where httpx's transport keeps httpcore's, so that what
people mock httpx with goes on intercepting.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator

import httpcore
import httpx

from meshapi._core.connections.connection import AsyncConnection, Connection
from meshapi._core.connections.limit import AsyncLimit, Limit
from meshapi._core.connections.line import departure_of
from meshapi._core.connections.routes import Routes
from meshapi._core.connections.shelf import Shelf


class KeptTransport(httpx.HTTPTransport):
    """httpx's transport for threads, over our pool."""

    def __init__(self, routes: Routes) -> None:
        """Open nothing yet."""
        self.connections = KeptConnections(routes)
        # Not the parent's, which would load certificates. The tests of mocks guard the name.
        self._pool = self.connections  # type: ignore[assignment]  # No public door.


class AsyncKeptTransport(httpx.AsyncHTTPTransport):
    """httpx's transport for one event loop, over our pool."""

    def __init__(self, routes: Routes) -> None:
        """Open nothing yet."""
        # Not the parent's, which would load certificates. The tests of mocks guard the name.
        self._pool = AsyncKeptConnections(routes)  # type: ignore[assignment]  # No public door.


class KeptConnections:
    """The pool for threads."""

    def __init__(self, routes: Routes) -> None:
        """Open nothing yet."""
        self._limit = Limit(routes.most)
        self.shelf = Shelf(routes.most, lambda origin: Connection(origin, routes))

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on a connection that was kept, or on a new one."""
        origin = request.url.origin
        departure = departure_of(request)
        departure.happened = False
        self._limit.enter(departure.deadline.left)
        connection = None
        try:
            connection = self.shelf.take(origin)
            response = connection.send(request, departure)
        except BaseException:
            self._put_back(origin, connection)
            raise
        assert isinstance(response.stream, Iterable)
        body = _Body(response.stream, lambda: self._put_back(origin, connection))
        response.stream = body
        # By `vars`, as httpcore leaves the type open.
        vars(response)["extensions"] |= {
            "bounded": True,
            "cut": lambda: self.shelf.cut(connection, lambda: not body.is_closed),
        }
        return response

    def _put_back(self, origin: httpcore.Origin, connection: Connection | None) -> None:
        if connection:
            self.shelf.put_back(origin, connection, self._limit.leave)
        else:
            self._limit.leave()

    def close(self) -> None:
        """Close all connections, also those in use, and send away those who wait for one."""
        self.shelf.close()
        self._limit.end()


class AsyncKeptConnections:
    """The pool for one event loop."""

    def __init__(self, routes: Routes) -> None:
        """Open nothing yet."""
        self._limit = AsyncLimit(routes.most)
        self.shelf = Shelf(routes.most, lambda origin: AsyncConnection(origin, routes))

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on a connection that was kept, or on a new one."""
        origin = request.url.origin
        departure = departure_of(request)
        departure.happened = False
        await self._limit.enter(departure.deadline.left)
        connection = None
        try:
            connection = self.shelf.take(origin)
            response = await connection.send(request, departure)
        except BaseException:
            self._put_back(origin, connection)
            raise
        assert isinstance(response.stream, AsyncIterable)
        response.stream = _AsyncBody(response.stream, lambda: self._put_back(origin, connection))
        vars(response)["extensions"]["bounded"] = True
        return response

    def _put_back(self, origin: httpcore.Origin, connection: AsyncConnection | None) -> None:
        if connection:
            self.shelf.put_back(origin, connection, self._limit.leave)
        else:
            self._limit.leave()

    async def aclose(self) -> None:
        """Close all connections, also those in use, and send away those who wait for one."""
        self.shelf.close()
        self._limit.end()


class _Body:
    """The body of an answer, which gives its connection back when it is closed."""

    def __init__(self, pieces: Iterable[bytes], put_back: Callable[[], None]) -> None:
        self._pieces = pieces
        self._put_back = put_back
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        self.is_closed = True
        try:
            if close := getattr(self._pieces, "close", None):
                close()
        finally:
            self._put_back()


class _AsyncBody:
    """The body of an answer, which gives its connection back when it is closed."""

    def __init__(self, pieces: AsyncIterable[bytes], put_back: Callable[[], None]) -> None:
        self._pieces = pieces
        self._put_back = put_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._pieces)

    async def aclose(self) -> None:
        try:
            if close := getattr(self._pieces, "aclose", None):
                await close()
        finally:
            self._put_back()
