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
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, cast

import httpcore
import httpx

from meshapi._core.token import mask_logs

# At INFO, httpx writes down the status line of every answer, at DEBUG httpcore its headers.
mask_logs("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")

_SLICE = 64 * 1024
_MOST_UNREAD = 256 * 1024
_SECONDS_PER_ADDRESS = 1.0
"""The time that an address of a host has before the next one is tried."""

_Found: TypeAlias = tuple[int, int, int, str, tuple[str | int | bytes, ...]]

_CROSSING_SECONDS = 0.05
"""What a refusal may take to come back, besides the time of two ways there and back."""

_LOOK_SECONDS = 0.005
_CUT = "the connection was closed on this side"


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


class Departure:
    """Whether any of a request has left: unless it is known that it has not, it may have."""

    left = True

    @classmethod
    def of(cls, request: httpcore.Request) -> Departure:
        """The one that came with a request."""
        extensions: Mapping[str, Departure] = vars(request)[
            "extensions"
        ]  # By `vars`: it is untyped.
        return extensions.get("departure") or cls()


class _Line:
    """What is known of one connection, whatever colour it has."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._departure = Departure()
        self._used = False
        self._kept = False
        self._heard = False
        self._wrote_at = 0.0
        self._round_trip = 0.0
        self.was_cut = False
        self.refused = False
        """Whether the server had closed a kept connection when the request reached it."""

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was made here; a child process has only copies of its parent's."""
        return self._process == os.getpid()

    @property
    def has_written(self) -> bool:
        """Whether anything has left since the request began."""
        return self._wrote_at > 0

    @property
    def may_be_refused(self) -> bool:
        """Whether the end of this connection may have crossed the request on its way.

        So it is on a kept connection that nothing has come from, for as long as a refusal of the
        request takes to come back.
        """
        if not self._kept or self._heard or self.was_cut:
            return False
        return time.monotonic() < self._wrote_at + _CROSSING_SECONDS + 2 * self._round_trip

    def begin(self, departure: Departure) -> None:
        """Begin a request."""
        self._kept, self._used = self._used, True
        self._heard, self._wrote_at = False, 0.0
        self._departure = departure

    def connecting(self) -> None:
        """Note that a connection is made first."""
        self._departure.left = False

    def writing(self, data: bytes) -> None:
        """Note what leaves: the request, or what a proxy is told before it."""
        self._wrote_at = time.monotonic()
        if not self._departure.left:
            self._departure.left = data[:1].isalpha() and not data.startswith(b"CONNECT ")

    def heard(self) -> None:
        """Note that the server said something."""
        self._heard = True

    def check_process(self) -> None:
        """Refuse to read here what another process was answered."""
        if not self.is_of_this_process:
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
        self.connecting()
        limit = _bound.left(timeout, httpcore.ConnectTimeout)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address, share in _shares(found, limit):
            begun = time.monotonic()
            try:
                stream = super().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                self._round_trip = time.monotonic() - begun
                self._wire = Wire(stream, self)
                return self._wire
        raise failure

    def cut(self) -> None:
        """End another thread's wait on the connection, if one was made."""
        self.was_cut = True
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
        line = self._line
        line.check_process()
        try:
            data = self._stream.read(max_bytes, _bound.left(timeout))
        except httpcore.ReadError:
            line.refused = line.may_be_refused
            raise
        if data:
            line.heard()
        elif line.was_cut:
            raise httpcore.ReadError(_CUT)
        else:
            self._look_for_refusal()
        return data

    def _look_for_refusal(self) -> None:
        connection = self.get_extra_info("socket")
        while self._line.may_be_refused and not self._line.refused:
            self._line.refused = _is_reset(connection.fileno(), _LOOK_SECONDS)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send the bytes."""
        self._line.check_process()
        # In slices, as the stream below starts its clock anew for each part that the system takes.
        for start in range(0, len(buffer), _SLICE):
            left = _bound.left(timeout, httpcore.WriteTimeout)
            self._line.writing(buffer)
            self._stream.write(buffer[start : start + _SLICE], left)

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


def _is_reset(descriptor: int, seconds: float) -> bool:
    """Whether the other side refuses what was sent: it does once it has closed the connection."""
    if not hasattr(select, "poll"):  # On Windows, where it is not known.
        time.sleep(seconds)
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # An error or a full hang-up, which are told unasked.
    return bool(poll.poll(seconds * 1000))


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
        self.connecting()
        loop = asyncio.get_running_loop()
        local = (local_address, 0) if local_address else None
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        try:
            async with asyncio.timeout(timeout):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error) or "No address in time") from error
        for address, share in _shares(found, timeout):
            begun = time.monotonic()
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
                self._round_trip = time.monotonic() - begun
                self._wire = wire
                return wire
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between the tries that we do not ask it for."""
        await asyncio.sleep(seconds)

    def cut(self) -> None:
        """End whatever waits on the connection, if one was made."""
        self.was_cut = True
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
        self._copy: int | None = None
        self._failure: Exception | None = None
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class.

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
        if self._line.may_be_refused:
            # A copy, to look for a refusal when asyncio has closed its own.
            self._copy = os.dup(self.get_extra_info("socket").fileno())
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits on a connection that is gone."""
        if exc:
            self._line.refused = self._line.may_be_refused
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
            await self._look_for_refusal()
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
        self._line.writing(buffer)
        self._transport.write(buffer)
        if not self._writable.is_set():
            await _within(timeout, self._writable, httpcore.WriteTimeout)
            self._line.writing(buffer)

    async def aclose(self) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection at once: whatever was still to come is of no use to anybody."""
        if self._line.is_of_this_process:  # The event loop of a child would close its parent's.
            self._transport.abort()
        self._end(ConnectionAbortedError(_CUT))
        self._close_copy()

    async def _look_for_refusal(self) -> None:
        try:
            while self._copy is not None and self._line.may_be_refused and not self._line.refused:
                self._line.refused = _is_reset(self._copy, 0)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            self._close_copy()

    def _close_copy(self) -> None:
        if self._copy is not None:
            os.close(self._copy)
            self._copy = None

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
