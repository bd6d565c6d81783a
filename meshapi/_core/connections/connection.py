"""One connection, direct or through a proxy: what httpcore speaks over a line of ours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

import httpcore

from meshapi._core.connections.proxies import async_through_proxy, through_proxy
from meshapi._core.connections.routes import Routes
from meshapi._core.connections.sync_line import Line
from meshapi._core.outgoing import Departure

if TYPE_CHECKING:
    from meshapi._core.connections.async_line import AsyncLine

HttpT = TypeVar(
    "HttpT",
    httpcore.HTTPConnection | httpcore.ConnectionPool,
    httpcore.AsyncHTTPConnection | httpcore.AsyncConnectionPool,
)
LineT = TypeVar("LineT", Line, "AsyncLine")

_BROKEN = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
_REFUSED = "the server had closed this kept connection"


class _Connection(Generic[HttpT, LineT]):
    """What both colours have in common."""

    def __init__(self, http: HttpT, line: LineT) -> None:
        self._http: HttpT = http
        self._line: LineT = line
        self.idle_until = 0.0

    def is_idle(self) -> bool:
        inner = self._inner()
        return inner is not None and inner.is_available()

    def is_healthy(self) -> bool:
        inner = self._inner()
        in_time = time.monotonic() < self.idle_until
        return in_time and inner is not None and not inner.has_expired()

    def _inner(self) -> httpcore.ConnectionInterface | httpcore.AsyncConnectionInterface | None:
        if isinstance(self._http, (httpcore.ConnectionPool, httpcore.AsyncConnectionPool)):
            return next(iter(self._http.connections), None)
        return self._http

    def cut(self) -> None:
        self._line.cut()

    def close(self) -> None:
        self._line.close()


class Connection(_Connection[httpcore.HTTPConnection | httpcore.ConnectionPool, Line]):
    """One for threads."""

    def __init__(self, origin: httpcore.Origin, routes: Routes) -> None:
        """Open nothing yet."""
        line = Line()
        if proxy := routes.proxy_to(origin.scheme.decode(), origin.host.decode(), origin.port):
            super().__init__(through_proxy(proxy, origin, routes, line), line)
        else:
            trust = routes.trust_for(origin.scheme.decode())
            super().__init__(httpcore.HTTPConnection(origin, trust, network_backend=line), line)

    def send(self, request: httpcore.Request, departure: Departure) -> httpcore.Response:
        """Send a request and wait for the head of its answer.

        Raises:
            httpcore.ConnectError: also where a kept connection turns out to have ended before.
        """
        self._line.begin(departure)
        try:
            return self._http.handle_request(request)
        except _BROKEN:
            if not self._line.refused:
                raise
        raise httpcore.ConnectError(_REFUSED)


class AsyncConnection(
    _Connection[httpcore.AsyncHTTPConnection | httpcore.AsyncConnectionPool, "AsyncLine"]
):
    """One for an event loop."""

    def __init__(self, origin: httpcore.Origin, routes: Routes) -> None:
        """Open nothing yet."""
        from meshapi._core.connections.async_line import AsyncLine  # Which imports asyncio.

        line = AsyncLine()
        if proxy := routes.proxy_to(origin.scheme.decode(), origin.host.decode(), origin.port):
            super().__init__(async_through_proxy(proxy, origin, routes, line), line)
        else:
            trust = routes.trust_for(origin.scheme.decode())
            http = httpcore.AsyncHTTPConnection(origin, trust, network_backend=line)
            super().__init__(http, line)

    async def send(self, request: httpcore.Request, departure: Departure) -> httpcore.Response:
        """Send a request and wait for the head of its answer.

        Raises:
            httpcore.ConnectError: also where a kept connection turns out to have ended before.
        """
        self._line.begin(departure)
        try:
            return await self._http.handle_async_request(request)
        except _BROKEN:
            if not self._line.refused:
                raise
        except Exception:
            raise
        except BaseException:  # It was cancelled, maybe before it began to connect.
            if not self._line.has_written:
                departure.happened = False
            raise
        raise httpcore.ConnectError(_REFUSED)
