"""Sockets for asyncio, as httpcore asks for them."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

import httpcore

from meshapi._core.connections.line import (
    CUT,
    LOOK_SECONDS,
    LineFacts,
    is_head,
    is_reset,
    shares,
)

_MOST_UNREAD = 256 * 1024


class AsyncLine(LineFacts, httpcore.AsyncNetworkBackend):
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
        self.connecting(timeout)
        loop = asyncio.get_running_loop()
        local = (local_address, 0) if local_address else None
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        try:
            async with asyncio.timeout(self.time_to_connect()):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise httpcore.ConnectTimeout("No address in time") from None
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for address, share in shares(found, self.time_to_connect()):
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
                self._wire = wire
                self.connected(time.monotonic() - begun)
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
    """A connection of the running event loop, for one reader and one writer at a time.

    Its waits end with the deadline of the request, and not with the timeouts that httpcore names.
    """

    _transport: asyncio.Transport

    def __init__(self, line: AsyncLine) -> None:
        """Wait to be connected, and tell the line what happens."""
        self._line = line
        self._unread: deque[bytes] = deque()
        self._size = 0
        self._head = b""
        self._reader: asyncio.Future[bool] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._until = 0.0
        self._paused = False
        self._ended = False
        self._copy: int | None = None
        self._failure: Exception | None = None
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
        if self._reader:
            _tell(self._reader, something_came=True)
        if self._size > _MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note the end; the connection closes itself."""
        # TLS itself answers the end, and is refused.
        if self._line.may_be_refused and not self.get_extra_info("ssl_object"):
            with suppress(OSError):  # A copy, to look at when asyncio has closed its own.
                self._copy = os.dup(self.get_extra_info("socket").fileno())
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits on a connection that is gone."""
        self._line.broke(exc)
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
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if self._reader:
            _tell(self._reader, something_came=True)
        self._writable.set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for the next bytes; none at the end."""
        self._line.check_process()
        seconds = self._line.left(httpcore.ReadTimeout)
        if not self._unread and not self._ended:
            await self._something_comes(seconds)
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
        if self._paused and self._size <= _MOST_UNREAD / 2 and not self._ended:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def _something_comes(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._reader = loop.create_future()
        self._set_alarm(loop, loop.time() + seconds)
        try:
            if not await self._reader:
                raise httpcore.ReadTimeout("Nothing came in time")
        finally:
            self._reader = None

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        """Let the wait end then. One alarm serves many waits: when it rings early, it is set again.

        A timer for each wait would cost a tenth of what a chunk does where many streams are open.
        """
        self._until = until
        if self._alarm and self._alarm.when() <= until:
            return
        if self._alarm:
            self._alarm.cancel()
        self._alarm = loop.call_at(until, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alarm = None
        if self._reader is None:
            return
        if loop.time() < self._until:
            self._set_alarm(loop, self._until)
        else:
            _tell(self._reader, something_came=False)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send the bytes; a request's head waits for what follows, of which there may be none."""
        self._line.check_process()
        if is_head(buffer) and not self._head:
            self._head = buffer
            return
        buffer, self._head = self._head + buffer, b""
        if not buffer:
            return
        if self._ended:
            kind = httpcore.WriteError if self._line.has_written else httpcore.ConnectError
            raise kind("the server has closed this connection")
        self._line.check_wanted()
        self._line.writing(buffer)
        self._transport.write(buffer)
        if not self._writable.is_set():
            await self._takes_more()
            self._line.writing(buffer)

    async def _takes_more(self) -> None:
        try:
            async with asyncio.timeout(self._line.left(httpcore.WriteTimeout)):
                await self._writable.wait()
        except TimeoutError:
            raise httpcore.WriteTimeout("Not sent in time") from None

    async def aclose(self) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection at once: whatever was still to come is of no use to anybody."""
        if self._line.is_of_this_process:  # The event loop of a child would close its parent's.
            self._shut_down()
            with suppress(RuntimeError):  # Of an event loop that is closed.
                self._transport.abort()
        self._end(ConnectionAbortedError(CUT))
        self._close_copy()

    def _shut_down(self) -> None:
        """End it also for the copies that child processes hold; with uvloop, theirs stay open."""
        connection = self.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError, TypeError):
                connection.shutdown(socket.SHUT_RDWR)

    async def _look_for_refusal(self) -> None:
        try:
            while self._copy is not None and self._line.may_be_refused and not self._line.refused:
                self._line.refused = is_reset(self._copy, 0)
                await asyncio.sleep(LOOK_SECONDS)
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
        if self._unread or self._ended:  # It could pass for what comes over TLS.
            self.close()
            raise httpcore.ConnectError("the server spoke, or left, before TLS began")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._line.time_to_connect()):
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
            raise httpcore.ConnectError("the server left before TLS began")
        self._transport = encrypted
        self._line.check_wanted()
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


def _tell(reader: asyncio.Future[bool], *, something_came: bool) -> None:
    if not reader.done():
        reader.set_result(something_came)
