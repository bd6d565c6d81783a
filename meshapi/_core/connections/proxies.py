"""The way through a proxy: httpcore's own pool for it, holding one connection."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, TypedDict

import httpcore
import httpx

from meshapi._core.connections.routes import Routes
from meshapi._core.connections.sync_line import Line

if TYPE_CHECKING:
    from meshapi._core.connections.async_line import AsyncLine


class _Arguments(TypedDict):
    proxy_url: httpcore.URL
    proxy_auth: tuple[bytes, bytes] | None
    ssl_context: ssl.SSLContext | None
    max_connections: int


def through_proxy(
    proxy: httpx.Proxy, origin: httpcore.Origin, routes: Routes, line: Line
) -> httpcore.ConnectionPool:
    """What sends through a proxy, over one line."""
    arguments = _arguments(proxy, origin, routes)
    if _is_socks(proxy):
        return httpcore.SOCKSProxy(**arguments, network_backend=line)
    return httpcore.HTTPProxy(
        **arguments,
        proxy_headers=proxy.headers.raw,
        proxy_ssl_context=routes.trust_for(proxy.url.scheme),
        network_backend=line,
    )


def async_through_proxy(
    proxy: httpx.Proxy, origin: httpcore.Origin, routes: Routes, line: AsyncLine
) -> httpcore.AsyncConnectionPool:
    """What sends through a proxy, over one line."""
    arguments = _arguments(proxy, origin, routes)
    if _is_socks(proxy):
        return httpcore.AsyncSOCKSProxy(**arguments, network_backend=line)
    return httpcore.AsyncHTTPProxy(
        **arguments,
        proxy_headers=proxy.headers.raw,
        proxy_ssl_context=routes.trust_for(proxy.url.scheme),
        network_backend=line,
    )


def _arguments(proxy: httpx.Proxy, origin: httpcore.Origin, routes: Routes) -> _Arguments:
    url = proxy.url
    return {
        "proxy_url": httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        "proxy_auth": proxy.raw_auth,
        "ssl_context": routes.trust_for(origin.scheme.decode()),
        "max_connections": 1,
    }


def _is_socks(proxy: httpx.Proxy) -> bool:
    return proxy.url.scheme.startswith("socks")
