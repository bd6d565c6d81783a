"""The bytes: sockets for threads and for asyncio, as httpcore asks for them, within a deadline.

httpx bounds each read, not all of them together. For threads every connect, read and write is
therefore cut down to what `at_most` leaves; asyncio can cut from outside. A connection tells
whether its server has said anything yet, and works in the process that made it and in no other.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import httpcore
import httpx

from meshapi._core.token import mask_logs

# At DEBUG, httpcore writes down the headers of every answer.
mask_logs("httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")

_SLICE = 64 * 1024
_MOST_UNREAD = 256 * 1024
_SECONDS_PER_ADDRESS = 1.0
"""The time that an address of a host has before the next one is tried."""

_Found: TypeAlias = tuple[int, int, int, str, tuple[str | int | bytes, ...]]

_CROSSED_SECONDS = 1.0
"""The longest that a request and the end of its connection are on their way past each other."""


def cut_off(response: httpx.Response) -> None:
    """End another thread's wait for this response's next bytes."""
    if stream := response.extensions.get("network_stream"):
        _shut_down(stream)


def _shut_down(stream: httpcore.NetworkStream) -> None:
    connection = stream.get_extra_info("socket")
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


class _Line:
    """What is known of one connection, whatever colour it has."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._used = False
        self._heard = False
        self._wrote_at = 0.0

    def begin(self) -> bool:
        """Begin a request; whether there was one before on this connection."""
        was_used, self._used = self._used, True
        self._heard, self._wrote_at = False, 0.0
        return was_used

    def had_ended(self) -> bool:
        """Whether the server must have closed this before the request that met its end reached it.

        It said nothing to the request, and the end showed as soon as the two can have crossed.
        """
        return not self._heard and time.monotonic() - self._wrote_at < _CROSSED_SECONDS

    @property
    def has_written(self) -> bool:
        """Whether any of the request has left."""
        return self._wrote_at > 0

    def wrote(self) -> None:
        """Note that bytes have left."""
        self._wrote_at = time.monotonic()

    def heard(self) -> None:
        """Note that the server said something."""
        self._heard = True

    def check_process(self) -> None:
        """Refuse to read here what another process was answered."""
        if self._process != os.getpid():
            raise httpcore.ReadError("This connection belongs to the process that made it")


class Line(_Line, httpcore.SyncBackend):
    """Makes one connection, within the deadline of its thread, and remembers it."""

    _wire: Wire | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Try one address of the host after the other; the limit is for all of them."""
        limit = _bound.left(timeout, httpcore.ConnectTimeout)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address, share in _shares(found, limit):
            try:
                stream = super().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                self._wire = Wire(stream, self)
                return self._wire
        raise failure

    def cut(self) -> None:
        """End another thread's wait on the connection, if one was made."""
        if self._wire:
            _shut_down(self._wire)

    def close(self) -> None:
        """Close the connection, if one was made."""
        if self._wire:
            self._wire.close()


def _shares(found: Sequence[_Found], limit: float | None) -> Iterator[tuple[str, float | None]]:
    """Each address of a host, and its seconds: one, and for the last all that is left."""
    until = time.monotonic() + (math.inf if limit is None else limit)
    for place, (*_, address) in enumerate(found, start=1):
        left = max(0.001, until - time.monotonic())
        share = left if place == len(found) else min(left, _SECONDS_PER_ADDRESS)
        yield str(address[0]), None if share == math.inf else share


class Wire(httpcore.NetworkStream):
    """A connection whose reads and writes end when the deadline of their thread does."""

    def __init__(self, stream: httpcore.NetworkStream, line: Line) -> None:
        """Wrap a connection that was just made, and tell its line what happens."""
        self._stream = stream
        self._line = line

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for the next bytes; none at the end."""
        self._line.check_process()
        data = self._stream.read(max_bytes, _bound.left(timeout))
        if data:
            self._line.heard()
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send the bytes."""
        self._line.check_process()
        # In slices, as the stream below starts its clock anew for each part that the system takes.
        for start in range(0, len(buffer), _SLICE):
            self._stream.write(buffer[start : start + _SLICE], _bound.left(timeout))
        self._line.wrote()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Speak TLS from here on."""
        left = _bound.left(timeout, httpcore.ConnectTimeout)
        self._stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        return self._stream.get_extra_info(info)


class AsyncLine(_Line, httpcore.AsyncNetworkBackend):
    """Makes one connection on the running event loop, and remembers it."""

    _wire: AsyncWire | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Try one address of the host after the other; the limit is for all of them."""
        loop = asyncio.get_running_loop()
        local = (local_address, 0) if local_address else None
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        try:
            async with asyncio.timeout(timeout):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error) or "No address in time") from error
        for address, share in _shares(found, timeout):
            try:
                async with asyncio.timeout(share):
                    _, wire = await loop.create_connection(
                        lambda: AsyncWire(self), address, port, local_addr=local
                    )
            except TimeoutError:
                failure = httpcore.ConnectTimeout("No connection in time")
            except OSError as error:
                failure = httpcore.ConnectError(str(error))
            else:
                for option in socket_options or ():
                    wire.get_extra_info("socket").setsockopt(*option)
                self._wire = wire
                return wire
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between the tries that we do not ask it for."""
        await asyncio.sleep(seconds)

    def cut(self) -> None:
        """End whatever waits on the connection, if one was made."""
        self.close()

    def close(self) -> None:
        """Close the connection, if one was made."""
        if self._wire:
            self._wire.close()


class AsyncWire(httpcore.AsyncNetworkStream, asyncio.Protocol):
    """A connection of the running event loop, for one reader and one writer at a time."""

    _transport: asyncio.Transport

    def __init__(self, line: AsyncLine) -> None:
        """Wait to be connected, and tell the line what happens."""
        self._line = line
        self._unread: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._failure: Exception | None = None
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what came, and let no more come while too much is unread."""
        self._line.heard()
        self._unread.append(data)
        self._size += len(data)
        self._readable.set()
        if self._size > _MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note the end; the connection closes itself."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits on a connection that is gone."""
        self._end(exc)

    def pause_writing(self) -> None:
        """Let the writer wait: the system takes no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let the writer go on."""
        self._writable.set()

    def _end(self, failure: Exception | None) -> None:
        self._ended = True
        self._failure = self._failure or failure
        self._readable.set()
        self._writable.set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for the next bytes; none at the end."""
        self._line.check_process()
        if not self._unread and not self._ended:
            self._readable.clear()
            await _within(timeout, self._readable, httpcore.ReadTimeout)
        if not self._unread:
            if self._failure:
                raise httpcore.ReadError(str(self._failure))
            return b""
        data = self._unread.popleft()
        if len(data) > max_bytes:
            self._unread.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._size -= len(data)
        if self._paused and self._size <= _MOST_UNREAD and not self._ended:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send the bytes."""
        self._line.check_process()
        if self._ended:
            kind = httpcore.WriteError if self._line.has_written else httpcore.ConnectError
            raise kind("the server has closed this connection")
        self._transport.write(buffer)
        self._line.wrote()
        if not self._writable.is_set():
            await _within(timeout, self._writable, httpcore.WriteTimeout)
            self._line.wrote()

    async def aclose(self) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection at once: whatever was still to come is of no use to anybody."""
        self._transport.abort()
        self._end(ConnectionAbortedError("The connection was closed"))

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from here on."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                encrypted = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout("No TLS in time") from None
            if isinstance(error, OSError):
                raise httpcore.ConnectError(str(error)) from error
            raise
        if encrypted is None:
            raise httpcore.ConnectError("The server left before TLS began")
        self._transport = encrypted
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        if info == "is_readable":
            return self._ended or bool(self._unread) or self._has_more()
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))

    def _has_more(self) -> bool:
        """Whether the system holds bytes, or the end, that the event loop has not seen yet."""
        if not hasattr(select, "poll"):  # On Windows; what is missed here shows when it is used.
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))


async def _within(seconds: float | None, happens: asyncio.Event, too_late: type[Exception]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await happens.wait()
    except TimeoutError:
        raise too_late("Nothing happened in time") from None
