"""The pool under httpx: connections are kept between calls, and none is walked past.

httpcore's own pool looks at every connection for every request; here a request costs the same with
one connection as with a thousand. It stands where httpx's transport keeps httpcore's, so that what
people mock httpx with goes on intercepting.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

import httpcore
import httpx

from meshapi._core.connections.limit import AsyncLimit, Limit
from meshapi._core.connections.network import AsyncLine, Line
from meshapi._core.connections.proxies import AsyncProxied, Proxied
from meshapi._core.connections.routes import Routes
from meshapi._core.connections.shelf import Shelf


class KeptTransport(httpx.HTTPTransport):
    """httpx's transport for threads, over our pool."""

    def __init__(self, routes: Routes) -> None:
        """Open nothing yet."""
        self._kept = KeptConnections(routes)
        # Not the parent's, which would load certificates. The tests of mocks guard the name.
        self._pool = self._kept  # type: ignore[assignment]  # No public door.

    def forget(self) -> None:
        """Close the copies of these connections that a child process was born with."""
        self._kept.shelf.forget()


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
        self._proxied = Proxied(routes)
        self._limit = Limit(routes.most)
        self.shelf = Shelf(routes.most, lambda origin: _Direct(origin, _trust(origin, routes)))

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on a connection that was kept, or on a new one."""
        origin = request.url.origin
        if proxy := self._proxied.pool(origin):
            return proxy.handle_request(request)
        self._limit.enter(_seconds_to_wait(request))
        connection = None
        try:
            connection = self.shelf.take(origin)
            response = connection.send(request)
        except BaseException:
            self._put_back(origin, connection)
            raise
        assert isinstance(response.stream, Iterable)
        response.stream = _Body(response.stream, lambda: self._put_back(origin, connection))
        return response

    def _put_back(self, origin: httpcore.Origin, connection: _Direct | None) -> None:
        if connection:
            self.shelf.put_back(origin, connection)
        self._limit.leave()

    def close(self) -> None:
        """Close all connections, also those in use."""
        self.shelf.close()
        self._proxied.close()


class AsyncKeptConnections:
    """The pool for one event loop."""

    def __init__(self, routes: Routes) -> None:
        """Open nothing yet."""
        self._proxied = AsyncProxied(routes)
        self._limit = AsyncLimit(routes.most)
        self.shelf = Shelf(routes.most, lambda origin: _AsyncDirect(origin, _trust(origin, routes)))

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on a connection that was kept, or on a new one."""
        origin = request.url.origin
        if proxy := self._proxied.pool(origin):
            return await proxy.handle_async_request(request)
        await self._limit.enter(_seconds_to_wait(request))
        connection = None
        try:
            connection = self.shelf.take(origin)
            response = await connection.send(request)
        except BaseException:
            self._put_back(origin, connection)
            raise
        assert isinstance(response.stream, AsyncIterable)
        response.stream = _AsyncBody(response.stream, lambda: self._put_back(origin, connection))
        return response

    def _put_back(self, origin: httpcore.Origin, connection: _AsyncDirect | None) -> None:
        if connection:
            self.shelf.put_back(origin, connection)
        self._limit.leave()

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        self.shelf.close()
        await self._proxied.close()


def _trust(origin: httpcore.Origin, routes: Routes) -> ssl.SSLContext | None:
    return routes.trust() if origin.scheme == b"https" else None


def _seconds_to_wait(request: httpcore.Request) -> float | None:
    # By `vars`, as httpcore leaves the type open.
    extensions: Mapping[str, Mapping[str, float | None]] = vars(request)["extensions"]
    return extensions.get("timeout", {}).get("pool")


_BROKEN = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
_HAD_ENDED = "the server had closed this kept connection"


HttpT = TypeVar("HttpT", httpcore.HTTPConnection, httpcore.AsyncHTTPConnection)
LineT = TypeVar("LineT", Line, AsyncLine)


class _Connection(Generic[HttpT, LineT]):
    """One connection without a proxy, whatever colour it has."""

    def __init__(self, http: HttpT, line: LineT) -> None:
        self._http: HttpT = http
        self._line: LineT = line
        self.idle_until = 0.0

    def is_idle(self) -> bool:
        return self._http.is_available()

    def is_healthy(self) -> bool:
        return time.monotonic() < self.idle_until and not self._http.has_expired()

    def cut(self) -> None:
        self._line.cut()

    def close(self) -> None:
        self._line.close()


class _Direct(_Connection[httpcore.HTTPConnection, Line]):
    """One for threads."""

    def __init__(self, origin: httpcore.Origin, trust: ssl.SSLContext | None) -> None:
        line = Line()
        super().__init__(httpcore.HTTPConnection(origin, trust, network_backend=line), line)

    def send(self, request: httpcore.Request) -> httpcore.Response:
        was_kept = self._line.begin()
        try:
            return self._http.handle_request(request)
        except _BROKEN:
            if not (was_kept and self._line.had_ended()):
                raise
        raise httpcore.ConnectError(_HAD_ENDED)


class _AsyncDirect(_Connection[httpcore.AsyncHTTPConnection, AsyncLine]):
    """One for an event loop."""

    def __init__(self, origin: httpcore.Origin, trust: ssl.SSLContext | None) -> None:
        line = AsyncLine()
        super().__init__(httpcore.AsyncHTTPConnection(origin, trust, network_backend=line), line)

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        was_kept = self._line.begin()
        try:
            return await self._http.handle_async_request(request)
        except _BROKEN:
            if not (was_kept and self._line.had_ended()):
                raise
        raise httpcore.ConnectError(_HAD_ENDED)


class _Body:
    """The body of an answer, which gives its connection back when it is closed."""

    def __init__(self, pieces: Iterable[bytes], put_back: Callable[[], None]) -> None:
        self._pieces = pieces
        self._put_back = put_back

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
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
