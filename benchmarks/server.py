"""The loopback server that all clients are measured against: every answer is written beforehand.

The first step of a request's path names the scenario that it is answered with; `/connections` tells
how many connections there have been. Only the standard library, so that it costs next to nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from benchmarks.wordings import ANSWER, EVENTS_OF, SHORT_EVENTS, chunk_of

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Scenario:
    """What is written, piece by piece, and how long to wait before each."""

    pieces: Sequence[bytes]
    wait: float = 0.0


def _whole(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"{head}x-request-id: req_01JBENCH\r\n\r\n".encode() + body


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"x-request-id: req_01JBENCH\r\n\r\n"
)


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _events(count: int) -> list[bytes]:
    documents = [json.dumps(chunk_of(place, count)) for place in range(count)]
    return [f"data: {each}\n\n".encode() for each in (*documents, "[DONE]")]


def _at_once(count: int) -> Scenario:
    body = b"".join(map(_http_chunk, _events(count)))
    return Scenario([_STREAM_HEAD + body + _http_chunk(b"")])


def _packed(count: int, size: int) -> Scenario:
    text = b"".join(_events(count))
    chunks = [_http_chunk(text[start : start + size]) for start in range(0, len(text), size)]
    return Scenario([_STREAM_HEAD + b"".join(chunks) + _http_chunk(b"")])


def _paced(count: int, wait: float) -> Scenario:
    *events, done = map(_http_chunk, _events(count))
    return Scenario([_STREAM_HEAD + events[0], *events[1:], done + _http_chunk(b"")], wait)


_CHAT = _whole(json.dumps(ANSWER).encode())

SCENARIOS = {
    "chat": Scenario([_CHAT]),
    "slow": Scenario([_CHAT], wait=1.0),
    "each": _at_once(EVENTS_OF["each"]),
    "packed": _packed(EVENTS_OF["packed"], 16 * 1024),
    "paced": _paced(EVENTS_OF["paced"], wait=0.001),
    "short": _at_once(SHORT_EVENTS),
    "patient": _paced(EVENTS_OF["patient"], wait=0.1),
}


class _Connection(asyncio.Protocol):
    """Answers one request after the other."""

    opened = 0
    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._unread = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _Connection.opened += 1
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._unread[:end])
        length = _LENGTH.search(head)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._unread) >= whole:
            del self._unread[:whole]
            self._answer(head.split(b"/", 2)[1].split(b" ")[0].decode())

    def _answer(self, name: str) -> None:
        if name == "connections":
            self._transport.write(_whole(str(_Connection.opened).encode()))
            return
        scenario = SCENARIOS[name]
        if scenario.wait:
            asyncio.get_running_loop().call_later(scenario.wait, self._write, scenario, 0)
        else:
            self._transport.writelines(scenario.pieces)

    def _write(self, scenario: Scenario, place: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(scenario.pieces[place])
        if place + 1 < len(scenario.pieces):
            loop = asyncio.get_running_loop()
            loop.call_later(scenario.wait, self._write, scenario, place + 1)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=2000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving() -> Generator[str]:
    """Run the server in a process of its own; gives its URL."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve())
