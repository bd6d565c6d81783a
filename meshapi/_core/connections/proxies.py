"""The way through a proxy: httpcore's own pools, one per proxy and scheme, over our network."""

from __future__ import annotations

import ssl
from typing import Generic, TypedDict, TypeVar

import httpcore
import httpx

from meshapi._core.connections.network import AsyncLine, Line
from meshapi._core.connections.routes import Routes

_KEPT_SECONDS = 30.0

PoolT = TypeVar("PoolT")


class _Arguments(TypedDict):
    proxy_url: httpcore.URL
    proxy_auth: tuple[bytes, bytes] | None
    ssl_context: ssl.SSLContext | None
    max_connections: int
    keepalive_expiry: float


class _Proxied(Generic[PoolT]):
    """Pools by origin; None is kept for an origin that is reached directly."""

    def __init__(self, routes: Routes) -> None:
        """Open nothing yet."""
        self._routes = routes
        self._pools: dict[tuple[str, bool], PoolT] = {}
        self._by_origin: dict[tuple[bytes, bytes, int], PoolT | None] = {}

    def pool(self, origin: httpcore.Origin) -> PoolT | None:
        """The pool of the proxy that leads to an origin, if one does."""
        place = origin.scheme, origin.host, origin.port
        if place not in self._by_origin:
            self._by_origin[place] = self._find(*place)
        return self._by_origin[place]

    def _find(self, scheme: bytes, host: bytes, port: int) -> PoolT | None:
        proxy = self._routes.proxy_to(scheme.decode(), host.decode(), port)
        if proxy is None:
            return None
        secure = scheme == b"https"
        key = str(proxy.url), secure
        return self._pools.setdefault(key, self._made(proxy, self._arguments(proxy, secure=secure)))

    def _arguments(self, proxy: httpx.Proxy, *, secure: bool) -> _Arguments:
        url = proxy.url
        return {
            "proxy_url": httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            "proxy_auth": proxy.raw_auth,
            "ssl_context": self._routes.trust() if secure else None,
            "max_connections": self._routes.most,
            "keepalive_expiry": _KEPT_SECONDS,
        }

    def _trust_in(self, proxy: httpx.Proxy) -> ssl.SSLContext | None:
        return self._routes.trust() if proxy.url.scheme == "https" else None

    def _made(self, proxy: httpx.Proxy, arguments: _Arguments) -> PoolT:
        raise NotImplementedError


class Proxied(_Proxied[httpcore.ConnectionPool]):
    """The pools for threads."""

    def _made(self, proxy: httpx.Proxy, arguments: _Arguments) -> httpcore.ConnectionPool:
        if proxy.url.scheme.startswith("socks"):
            return httpcore.SOCKSProxy(**arguments, network_backend=Line())
        return httpcore.HTTPProxy(
            **arguments,
            proxy_headers=proxy.headers.raw,
            proxy_ssl_context=self._trust_in(proxy),
            network_backend=Line(),
        )

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()


class AsyncProxied(_Proxied[httpcore.AsyncConnectionPool]):
    """The pools for one event loop."""

    def _made(self, proxy: httpx.Proxy, arguments: _Arguments) -> httpcore.AsyncConnectionPool:
        if proxy.url.scheme.startswith("socks"):
            return httpcore.AsyncSOCKSProxy(**arguments, network_backend=AsyncLine())
        return httpcore.AsyncHTTPProxy(
            **arguments,
            proxy_headers=proxy.headers.raw,
            proxy_ssl_context=self._trust_in(proxy),
            network_backend=AsyncLine(),
        )

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()
