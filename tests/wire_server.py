"""A server that plays byte-exact scripts over a real socket, and keeps what it was sent."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesParser
from types import TracebackType
from typing import Self, TypeAlias, cast

Step: TypeAlias = bytes | float
"""Bytes to write, or seconds to wait (cut short when the server stops)."""


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        return cast("dict[str, object]", json.loads(self.body))


def response(
    body: bytes | str,
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole HTTP answer."""
    body = body.encode() if isinstance(body, str) else body
    fields = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "connection": "close",
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body


def events(body: bytes | str, *, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole stream that ends when the server closes, as an HTTP/1.0 body does."""
    body = body.encode() if isinstance(body, str) else body
    fields = {"content-type": "text/event-stream", "connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body


class WireServer:
    """Plays one script per request, the last one for all that follow.

    A script with `connection: keep-alive` leaves the connection open for the next request.
    """

    def __init__(self, *scripts: bytes | Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._tls = tls
        self._scripts = [[each] if isinstance(each, bytes) else list(each) for each in scripts]
        self._stopped = threading.Event()
        server = self

        class Quiet(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that breaks off is what many tests are about."""

        class Handler(socketserver.StreamRequestHandler):
            def setup(self) -> None:
                if server._tls:
                    self.request = server._tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self) -> None:
                super().finish()
                if server._tls:
                    self.request.close()

            def handle(self) -> None:
                server.connections += 1
                while server._play(self):
                    pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def _play(self, connection: socketserver.StreamRequestHandler) -> bool:
        """Answer one request; whether another may follow on this connection."""
        request_line = connection.rfile.readline()
        if not request_line:
            return False
        head = b"".join(iter(connection.rfile.readline, b"\r\n"))
        headers = {
            name.lower(): str(value) for name, value in BytesParser().parsebytes(head).items()
        }
        body = connection.rfile.read(int(headers.get("content-length", "0")))
        self.requests.append(Received(request_line.split()[1].decode(), headers, body))
        turn = min(len(self.requests), len(self._scripts)) - 1
        steps = self._scripts[turn]
        for step in steps:
            if isinstance(step, bytes):
                try:
                    connection.wfile.write(step)
                except OSError:
                    return False
            else:
                self._stopped.wait(step)
        return b"connection: keep-alive" in b"".join(s for s in steps if isinstance(s, bytes))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
