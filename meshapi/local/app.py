"""The gateway as an ASGI application: it reads requests and writes pieces, and decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from meshapi.local.replies import Piece, Reply
from meshapi.local.requests import RecordedRequest
from meshapi.local.service import Service


class App:
    """A service behind every path."""

    def __init__(self, service: Service, abort: Callable[[Scope], None]) -> None:
        """Take what answers, and what drops the connection of a request."""
        self._service = service
        self._abort = abort

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = await self._replied(await _received(Request(scope, receive)))
        await asyncio.sleep(reply.delay)
        if reply.never_comes:
            self._abort(scope)
            while (await receive())["type"] != "http.disconnect":
                pass
        else:
            body = self._body(reply, scope)
            await StreamingResponse(body, reply.status, reply.headers)(scope, receive, send)

    async def _replied(self, request: RecordedRequest) -> Reply:
        if self._service.forward is None:
            return self._service.respond(request)
        return await run_in_threadpool(self._service.respond, request)

    async def _body(self, reply: Reply, scope: Scope) -> AsyncIterator[bytes]:
        """The pieces, each when its time has come."""
        async for piece in self._pieces(reply):
            if isinstance(piece, bytes):
                yield piece
            elif isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                self._abort(scope)
                await asyncio.Future[None]()  # Until the server has seen it, and cancels this.

    async def _pieces(self, reply: Reply) -> AsyncIterator[Piece]:
        # Only an upstream makes them wait, and must not keep other requests waiting.
        if self._service.forward is not None:
            async for piece in iterate_in_threadpool(reply.pieces):
                yield piece
            return
        for piece in reply.pieces:
            yield piece


async def _received(request: Request) -> RecordedRequest:
    query = request.url.query
    path = request.url.path + (f"?{query}" if query else "")
    return RecordedRequest.of(request.method, path, request.headers.raw, await request.body())
