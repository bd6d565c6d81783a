"""A server that plays byte-exact scripts over a real socket, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import enum
import json
import queue
import re
import socket
import ssl
import struct
import threading
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.parser import BytesParser
from types import TracebackType
from typing import Any, Self, TypeAlias, cast


class End(enum.Enum):
    """How a connection is ended in the middle of a script; without one, by a FIN after it."""

    FIN = "nothing more is sent, the rest is still read"
    RESET = "the system refuses whatever is still to come"
    RAGGED = "nothing more is sent, and TLS does not say so"


@dataclass(frozen=True)
class Forever:
    """Bytes to write again and again, until the client has had enough."""

    what: bytes


@dataclass(frozen=True)
class Silence:
    """Seconds to wait, unless the client leaves first; it must not send anything meanwhile."""

    seconds: float


Step: TypeAlias = bytes | float | End | Forever | Silence
"""Bytes to write, seconds to wait (cut short when the server stops), or an end."""


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    raw: bytes

    def json(self) -> dict[str, object]:
        return cast("dict[str, object]", json.loads(self.body))


Script: TypeAlias = bytes | Sequence[Step] | Callable[[Received], Sequence[Step]]
"""What one request is answered with; it may depend on the request."""


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


CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def http_chunk(body: bytes | str) -> bytes:
    """A piece of a chunked body."""
    body = body.encode() if isinstance(body, str) else body
    return b"%x\r\n%s\r\n" % (len(body), body)


def echo(request: Received) -> list[Step]:
    """Answer with the question, whole or word by word, and leave the connection open.

    The word "slowly" has a wait after it.
    """
    asked = cast("dict[str, Any]", request.json())
    text: str = asked["messages"][-1]["content"]
    if not asked.get("stream"):
        answer = {"choices": [{"message": {"content": text}}]}
        return [response(json.dumps(answer), headers={"connection": "keep-alive"})]
    chunks = [{"choices": [{"delta": {"content": word}}]} for word in re.findall(r"\S+\s*", text)]
    pieces = [*(json.dumps(each) for each in chunks), "[DONE]"]
    steps: list[Step] = [CHUNKED]
    for piece in pieces:
        steps += [http_chunk(f"data: {piece}\n\n"), 0.3 if "slowly" in piece else b""]
    return [*steps, LAST_CHUNK]


class WireServer:
    """Plays one script per request, the last one for all that follow.

    A script with `connection: keep-alive` leaves the connection open for the next request. The
    greeting is played to every new connection, before anything is read from it.
    """

    def __init__(
        self,
        *scripts: Script,
        greeting: Sequence[Step] = (),
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.ended: queue.Queue[float] = queue.Queue()
        """When each connection ended, on `time.monotonic`."""
        self._tls = tls
        self._host = host
        self._greeting = greeting
        self._scripts = scripts
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        # A client that breaks off is what many tests are about.
        self._loop.set_exception_handler(lambda _, __: None)
        self._stop = asyncio.Event()
        server = await asyncio.start_server(
            self._serve, self._host, 0, ssl=self._tls, limit=2**26, backlog=2000
        )
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        try:
            await self._play(self._greeting, reader, writer)
            while await self._answer(reader, writer):
                pass
        except (OSError, EOFError, ssl.SSLError):
            pass
        finally:
            self.ended.put(time.monotonic())
            writer.close()

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> bool:
        """Answer one request; whether another may follow on this connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        request_line, _, fields = head.partition(b"\r\n")
        headers = {
            name.lower(): str(value) for name, value in BytesParser().parsebytes(fields).items()
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = request_line.split()[1].decode()
        self.requests.append(Received(path, headers, body, head + body))
        script = self._scripts[min(len(self.requests), len(self._scripts)) - 1]
        steps = script(self.requests[-1]) if callable(script) else script
        steps = [steps] if isinstance(steps, bytes) else steps
        await self._play(steps, reader, writer)
        return b"connection: keep-alive" in b"".join(s for s in steps if isinstance(s, bytes))

    async def _play(
        self, steps: Iterable[Step], reader: StreamReader, writer: StreamWriter
    ) -> None:
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, Forever):
                while True:
                    writer.write(step.what)
                    await writer.drain()
            elif isinstance(step, Silence):
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.readexactly(1), step.seconds)
            elif step is End.FIN:
                writer.write_eof()
            elif step is End.RAGGED:
                writer.transport.abort()
                raise ConnectionAbortedError
            elif step is End.RESET:
                connection: socket.socket = writer.get_extra_info("socket")
                linger_for_nothing = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
                writer.transport.abort()
                raise ConnectionAbortedError
            else:
                await asyncio.sleep(step)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
