"""Sockets for threads, as httpcore asks for them."""

from __future__ import annotations

import socket
import ssl
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import httpcore

from meshapi._core.connections.line import (
    CUT,
    LOOK_SECONDS,
    LineFacts,
    is_head,
    is_reset,
    shares,
)

_SLICE = 256 * 1024  # The deadline is looked at before each.


def shut_down(stream: httpcore.NetworkStream) -> None:
    """End whatever another thread waits for on a connection."""
    connection = stream.get_extra_info("socket")
    if isinstance(connection, socket.socket):
        with suppress(OSError):
            # Not TLS's own method, which would let another thread go on in the clear.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Line(LineFacts, httpcore.SyncBackend):
    """Makes one connection, within the deadline of its request, and remembers it."""

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
        self.connecting(timeout)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address, share in shares(found, self.time_to_connect()):
            begun = time.monotonic()
            try:
                stream = super().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                self._wire = Wire(stream, self)
                self.connected(time.monotonic() - begun)
                return self._wire
        raise failure

    def cut(self) -> None:
        """End another thread's wait on the connection, if one was made."""
        self.was_cut = True
        if self._wire:
            shut_down(self._wire)

    def close(self) -> None:
        """Close the connection, if one was made."""
        if self._wire:
            self._wire.close()


class Wire(httpcore.NetworkStream):
    """A connection whose reads and writes end when the deadline of the request does.

    What httpcore names as their timeouts is for connections that know no deadline.
    """

    def __init__(self, stream: httpcore.NetworkStream, line: Line) -> None:
        """Wrap a connection that was just made, and tell its line what happens."""
        self._stream = stream
        self._socket: socket.socket | None = stream.get_extra_info("socket")
        self._line = line
        self._head = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for the next bytes; none at the end."""
        self._line.check_process()
        seconds = self._line.left(httpcore.ReadTimeout)
        try:
            data = self._read(max_bytes, seconds)
        except httpcore.ReadError as error:
            self._line.broke(error.__cause__)
            raise
        if self._line.was_cut:
            raise httpcore.ReadError(CUT)
        if data:
            self._line.heard()
        elif not self.get_extra_info("ssl_object"):  # TLS itself answers the end, and is refused.
            self._look_for_refusal()
        return data

    def _read(self, max_bytes: int, seconds: float) -> bytes:
        if self._socket is None:
            return self._stream.read(max_bytes, seconds)
        try:
            self._socket.settimeout(seconds)
            return self._socket.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def _look_for_refusal(self) -> None:
        connection = self.get_extra_info("socket")
        while self._line.may_be_refused and not self._line.refused:
            self._line.refused = is_reset(connection.fileno(), LOOK_SECONDS)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send the bytes; a request's head waits for what follows, of which there may be none."""
        self._line.check_process()
        if is_head(buffer) and not self._head:
            self._head = buffer
            return
        first, self._head = self._head + buffer[:_SLICE], b""
        self._write_all(memoryview(first), first)
        self._write_all(memoryview(buffer)[_SLICE:], first)

    def _write_all(self, data: memoryview, first: bytes) -> None:
        while data:
            seconds = self._line.left(httpcore.WriteTimeout)
            self._line.check_wanted()
            self._line.writing(first)
            data = data[self._write(data[:_SLICE], seconds) :]

    def _write(self, data: memoryview, seconds: float) -> int:
        """Send some of it, at least a byte; how many bytes that was."""
        if self._socket is None:
            self._stream.write(bytes(data), seconds)
            return len(data)
        try:
            self._socket.settimeout(seconds)
            return self._socket.send(data)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

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
        left = self._line.time_to_connect()
        try:
            self._stream = self._stream.start_tls(ssl_context, server_hostname, left)
            # TLS within TLS, to a server through a proxy, is no socket that could be used as one.
            is_first = type(self._socket) is socket.socket
            self._socket = self._stream.get_extra_info("socket") if is_first else None
        except httpcore.ConnectError as error:
            _close_half_made(error)
            raise
        self._line.check_wanted()
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        return self._stream.get_extra_info(info)


def _close_half_made(error: BaseException) -> None:
    """Close the socket that `ssl` was making: after an early reset, it lets it go unclosed."""
    cause = error.__cause__
    for frame, _ in traceback.walk_tb(cause.__traceback__ if cause else None):
        half_made = frame.f_locals.get("self")
        if isinstance(half_made, ssl.SSLSocket):
            half_made.close()
