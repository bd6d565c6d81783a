"""The HTTP clients under the transport: the one place where httpx is set up.

httpx bounds each read, not all of them together. A sync pool therefore gets a network backend that
cuts every connect, read and write down to what `at_most` leaves; asyncio can cut from outside.
"""

from __future__ import annotations

import functools
import ssl
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, TypedDict

import httpcore
import httpx
from typing_extensions import Unpack

from meshapi._core.checks import is_whole
from meshapi.errors import ConfigurationError


class _Arguments(TypedDict):
    proxy: str | None
    verify: ssl.SSLContext
    limits: httpx.Limits


class NetworkOptions(TypedDict):
    """How the network is reached; fixed for the life of a client."""

    proxy: str | None
    ssl_context: ssl.SSLContext | None
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


class _Client(httpx.Client):
    """Obeys `at_most`, and closes itself when nobody holds it any more."""

    _made = False

    def __init__(self, **arguments: Unpack[_Arguments]) -> None:
        super().__init__(**arguments)
        for transport in (self._transport, *self._mounts.values()):
            if isinstance(transport, httpx.HTTPTransport):
                # httpx has no door to the backend; the tests of sync deadlines guard this one.
                pool = transport._pool  # pyright: ignore[reportPrivateUsage]
                pool._network_backend = _ClampedBackend()  # pyright: ignore[reportPrivateUsage]

        self._made = True

    def __del__(self) -> None:
        if self._made:
            self.close()


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
        left = _bound.left(timeout, httpcore.ConnectTimeout)
        return _ClampedStream(super().connect_tcp(host, port, left, local_address, socket_options))


class _ClampedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _bound.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _bound.left(timeout))

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
    return {
        "proxy": options["proxy"],
        "verify": options["ssl_context"] or _default_trust(),
        "limits": httpx.Limits(
            max_connections=most, max_keepalive_connections=most, keepalive_expiry=30
        ),
    }


@functools.cache
def _default_trust() -> ssl.SSLContext:
    # Loading the certificates takes tens of milliseconds: once per process is enough.
    return httpx.create_ssl_context()


@contextmanager
def _proxy_checked() -> Generator[None]:
    try:
        yield
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        # The text of `error` may hold the proxy's password; its kind does not.
        what = "needs the package socksio" if isinstance(error, ImportError) else "is no proxy URL"
        raise ConfigurationError(f"The proxy, given or from the environment, {what}") from None
