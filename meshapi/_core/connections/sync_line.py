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
import httpx

from meshapi._core.connections.deadline import bound
from meshapi._core.connections.line import CUT, LOOK_SECONDS, LineFacts, is_reset, shares

_SLICE = 64 * 1024


def cut_off(response: httpx.Response) -> None:
    """End another thread's wait for this response's next bytes."""
    if cut := response.extensions.get("cut"):
        cut()
    elif stream := response.extensions.get("network_stream"):  # Of a lent client.
        _shut_down(stream)


def _shut_down(stream: httpcore.NetworkStream) -> None:
    connection = stream.get_extra_info("socket")
    if isinstance(connection, socket.socket):
        with suppress(OSError):
            # Not TLS's own method, which would let another thread go on in the clear.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Line(LineFacts, httpcore.SyncBackend):
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
        self.connecting(timeout)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        limit = bound.left(self.time_to_connect(), httpcore.ConnectTimeout)
        for address, share in shares(found, limit):
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
            _shut_down(self._wire)

    def close(self) -> None:
        """Close the connection, if one was made."""
        if self._wire:
            self._wire.close()


class Wire(httpcore.NetworkStream):
    """A connection whose reads and writes end when the deadline of their thread does."""

    def __init__(self, stream: httpcore.NetworkStream, line: Line) -> None:
        """Wrap a connection that was just made, and tell its line what happens."""
        self._stream = stream
        self._line = line

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for the next bytes; none at the end."""
        self._line.check_process()
        try:
            data = self._stream.read(max_bytes, bound.left(timeout))
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

    def _look_for_refusal(self) -> None:
        connection = self.get_extra_info("socket")
        while self._line.may_be_refused and not self._line.refused:
            self._line.refused = is_reset(connection.fileno(), LOOK_SECONDS)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send the bytes."""
        self._line.check_process()
        # In slices, as the stream below starts its clock anew for each part that the system takes.
        for start in range(0, len(buffer), _SLICE):
            left = bound.left(timeout, httpcore.WriteTimeout)
            self._line.check_wanted()
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
        left = bound.left(
            self._line.time_to_connect() if timeout else None, httpcore.ConnectTimeout
        )
        try:
            self._stream = self._stream.start_tls(ssl_context, server_hostname, left)
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
