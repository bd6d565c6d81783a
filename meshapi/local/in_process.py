"""The gateway without a socket: an httpx transport that asks the service itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import aclosing, contextmanager

import httpx

from meshapi._core.waiting import async_sleep
from meshapi.local.replies import Piece, Reply
from meshapi.local.requests import RecordedRequest, recorded
from meshapi.local.service import Service
from meshapi.local.waiting import leave, pieces_of, replied


class InProcessTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers the requests of an `httpx.Client` or `httpx.AsyncClient` in this process."""

    def __init__(self, service: Service) -> None:
        """Take what answers."""
        self._service = service

    def http_client(self) -> httpx.Client:
        """A client that asks the service, and nobody else."""
        return httpx.Client(transport=self)

    def async_http_client(self) -> httpx.AsyncClient:
        """An async client that asks the service, and nobody else."""
        return httpx.AsyncClient(transport=self)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, as a server would."""
        request.read()
        reply = self._service.respond(_received(request))
        with _left_if_it_fails(reply):
            _wait(reply.delay, request)
            return _response(reply, request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, as a server would."""
        await request.aread()
        reply = await replied(self._service, _received(request))
        with _left_if_it_fails(reply):
            await _async_wait(reply.delay, request)
            return _response(reply, request)


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The pieces of a reply, each when its time has come."""

    def __init__(self, reply: Reply, request: httpx.Request) -> None:
        self._reply = reply
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._reply.pieces:
            if isinstance(piece, float):
                _wait(piece, self._request)
            else:
                yield _sent(piece, self._request)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(pieces_of(self._reply)) as pieces:
            async for piece in pieces:
                if isinstance(piece, float):
                    await _async_wait(piece, self._request)
                else:
                    yield _sent(piece, self._request)

    def close(self) -> None:
        """Make no more of it."""
        leave(self._reply)

    async def aclose(self) -> None:
        """Make no more of it."""
        leave(self._reply)


@contextmanager
def _left_if_it_fails(reply: Reply) -> Generator[None]:
    try:
        yield
    except BaseException:
        leave(reply)
        raise


def _received(request: httpx.Request) -> RecordedRequest:
    path = request.url.raw_path.decode("ascii")
    return recorded(request.method, path, request.headers.raw, request.content)


def _response(reply: Reply, request: httpx.Request) -> httpx.Response:
    if reply.never_comes:
        message = "Server disconnected without sending a response."
        raise httpx.RemoteProtocolError(message, request=request)
    return httpx.Response(reply.status, headers=reply.headers, stream=_Body(reply, request))


def _sent(piece: Piece, request: httpx.Request) -> bytes:
    if not isinstance(piece, bytes):
        raise httpx.RemoteProtocolError("peer closed connection", request=request)
    return piece


def _wait(seconds: float, request: httpx.Request) -> None:
    patience = _patience(request)
    time.sleep(min(seconds, patience))
    _check(seconds, patience, request)


async def _async_wait(seconds: float, request: httpx.Request) -> None:
    patience = _patience(request)
    await async_sleep(min(seconds, patience))
    _check(seconds, patience, request)


def _patience(request: httpx.Request) -> float:
    limit = request.extensions.get("timeout", {}).get("read")
    return float("inf") if limit is None else float(limit)


def _check(seconds: float, patience: float, request: httpx.Request) -> None:
    if seconds > patience:
        raise httpx.ReadTimeout("The read operation timed out", request=request)
