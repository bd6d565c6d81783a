"""The HTTP clients under the transport: the one place where httpx is set up.

httpx bounds each read, not all of them together. A sync pool therefore gets a network backend that
cuts every connect, read and write down to what `at_most` leaves; asyncio can cut from outside.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import threading
import time
import weakref
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import NoneType
from typing import Any, TypeAlias, TypedDict
from weakref import WeakKeyDictionary

import httpcore
import httpx
from typing_extensions import Unpack

from meshapi._core.checks import is_whole
from meshapi.errors import ConfigurationError


class _Arguments(TypedDict):
    proxy: str | None
    verify: ssl.SSLContext
    limits: httpx.Limits
    cookies: CookieJar


class NetworkOptions(TypedDict):
    """How the network is reached, as it was given; fixed for the life of a client."""

    proxy: object
    ssl_context: object
    max_connections: int | None


def open_client(options: NetworkOptions) -> httpx.Client:
    """Open a pool for sync calls.

    Raises:
        ConfigurationError: an option, or a proxy of the environment, cannot work.
    """
    with _proxy_checked():
        return _Client(**_arguments(options))


def open_async_client(options: NetworkOptions) -> httpx.AsyncClient:
    """Open a pool for async calls.

    Raises:
        ConfigurationError: an option, or a proxy of the environment, cannot work.
    """
    with _proxy_checked():
        return httpx.AsyncClient(**_arguments(options))


CLOSED = "The client is closed: make a new one"


class Pool:
    """Connections for sync calls."""

    def __init__(self, lent: httpx.Client | None, options: NetworkOptions) -> None:
        """Use the one that is lent, or open one.

        Raises:
            ConfigurationError: an option, or a proxy of the environment, cannot work.
        """
        self.is_closed = False
        self._lent = lent
        self._client = lent or open_client(options)

    def client(self) -> httpx.Client:
        """The connections to call through."""
        if self.is_closed or self._client.is_closed:
            raise ConfigurationError(CLOSED)
        return self._client

    def close(self) -> None:
        """Close the connections, unless they are lent, and refuse to open others."""
        self.is_closed = True
        if not self._lent:
            self._client.close()


class AsyncPool:
    """Connections for async calls: each event loop has its own, as it could not use another's.

    `close` closes those of the running loop; the others are closed when their loop shuts down its
    async generators, as `asyncio.run` does.
    """

    def __init__(self, lent: httpx.AsyncClient | None, options: NetworkOptions) -> None:
        """Use the one that is lent, in every loop, or open one per loop.

        Raises:
            ConfigurationError: an option, or a proxy of the environment, cannot work.
        """
        self.is_closed = False
        self._lent = lent
        self._options = options
        self._spare = None if lent else open_async_client(options)
        self._by_loop: WeakKeyDictionary[AbstractEventLoop, _Kept] = WeakKeyDictionary()

    @property
    def is_own(self) -> bool:
        """Whether nobody lent them, so that below httpx stands what we know."""
        return self._lent is None

    async def client(self) -> httpx.AsyncClient:
        """The connections to call through."""
        if self.is_closed or (self._lent and self._lent.is_closed):
            raise ConfigurationError(CLOSED)
        if self._lent:
            return self._lent
        loop = asyncio.get_running_loop()
        client, _ = self._by_loop.get(loop, (None, None))
        if client is None or client.is_closed:
            client, self._spare = self._spare or open_async_client(self._options), None
            guard = _closed_with_loop(client)
            self._by_loop[loop] = client, guard
            await anext(guard)
        return client

    async def close(self) -> None:
        """Close the connections, unless they are lent, and refuse to open others."""
        self.is_closed = True
        _, guard = self._by_loop.pop(asyncio.get_running_loop(), (None, None))
        if guard is not None:
            await guard.aclose()


async def _closed_with_loop(client: httpx.AsyncClient) -> AsyncGenerator[None]:
    # A generator that waits here for ever is ended by the loop when that shuts down.
    try:
        yield
    finally:
        await client.aclose()


_Kept: TypeAlias = tuple[httpx.AsyncClient, AsyncGenerator[None]]


class _Client(httpx.Client):
    """Obeys `at_most`, and closes its connections when nobody holds it any more."""

    def __init__(self, **arguments: Unpack[_Arguments]) -> None:
        super().__init__(**arguments)
        transports = [each for each in (self._transport, *self._mounts.values()) if each]
        for transport in transports:
            if isinstance(transport, httpx.HTTPTransport):
                # The tests of sync deadlines guard these two.
                pool = transport._pool  # pyright: ignore[reportPrivateUsage]  # No other door.
                pool._network_backend = _ClampedBackend()  # pyright: ignore[reportPrivateUsage]  # Nor here.
        # Not `__del__`: in a cycle of garbage, the sockets could warn before it is called.
        weakref.finalize(self, _close_all, transports)


def _close_all(transports: Iterable[httpx.BaseTransport]) -> None:
    for transport in transports:
        transport.close()


def cut_off(response: httpx.Response) -> None:
    """End another thread's wait for this response's next bytes."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream else None
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def at_most(seconds: float) -> Generator[None]:
    """Bound all that this thread does on our own connections by so many seconds from now."""
    before = _bound.until
    _bound.until = time.monotonic() + seconds
    try:
        yield
    finally:
        _bound.until = before


class _Bound(threading.local):
    until: float | None = None

    def left(
        self, timeout: float | None, too_late: type[Exception] = httpcore.ReadTimeout
    ) -> float | None:
        if self.until is None:
            return timeout
        left = self.until - time.monotonic()
        if left <= 0:
            raise too_late("The deadline has passed")
        return left if timeout is None else min(timeout, left)


_bound = _Bound()


class _ClampedBackend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Try each address of the host; the limit is for all of them together."""
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in _addresses(host, port):
            left = _bound.left(max(0.001, limit - time.monotonic()), httpcore.ConnectTimeout)
            try:
                stream = super().connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _ClampedStream(stream)
        raise failure


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return [str(each[4][0]) for each in found]


_SLICE = 64 * 1024


class _ClampedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _bound.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In slices, as the stream below starts its clock anew for each part that the system takes.
        for start in range(0, len(buffer), _SLICE):
            self._stream.write(buffer[start : start + _SLICE], _bound.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _bound.left(timeout, httpcore.ConnectTimeout)
        return _ClampedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _arguments(options: NetworkOptions) -> _Arguments:
    most = options["max_connections"]
    most = 1000 if most is None else most
    if not is_whole(most, least=1):
        raise ConfigurationError("max_connections must be a whole number above 0")
    if not isinstance(options["proxy"], (str, NoneType)):
        raise ConfigurationError("proxy must be a URL such as http://127.0.0.1:3128")
    if not isinstance(options["ssl_context"], (ssl.SSLContext, NoneType)):
        raise ConfigurationError("ssl_context must be an ssl.SSLContext")
    return {
        # A cookie would go from one token's calls into another's.
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        "proxy": options["proxy"],
        "verify": options["ssl_context"] or _default_trust(),
        "limits": httpx.Limits(
            max_connections=most, max_keepalive_connections=most, keepalive_expiry=30
        ),
    }


@functools.cache
def _default_trust() -> ssl.SSLContext:
    # Loading the certificates takes tens of milliseconds: once per process is enough.
    try:
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"The system's certificates cannot be read: {error}") from None


@contextmanager
def _proxy_checked() -> Generator[None]:
    try:
        yield
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        # The text of `error` may hold the proxy's password; its kind does not.
        what = "needs the package socksio" if isinstance(error, ImportError) else "is no proxy URL"
        raise ConfigurationError(f"The proxy, given or from the environment, {what}") from None
