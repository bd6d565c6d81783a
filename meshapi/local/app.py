"""The gateway as an ASGI application: it reads requests and writes pieces, and decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from meshapi.local.replies import Reply
from meshapi.local.requests import RecordedRequest, recorded
from meshapi.local.service import Service
from meshapi.local.waiting import leave, pieces_of, replied


class App:
    """A service behind every path."""

    def __init__(self, service: Service, abort: Callable[[Scope], None]) -> None:
        """Take what answers, and what drops the connection of a request."""
        self._service = service
        self._abort = abort

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless who asked has left before it was all there."""
        with suppress(ClientDisconnect):
            request = await _received(Request(scope, receive))
            reply = await replied(self._service, request)
            try:
                await self._answer(reply, scope, receive, send)
            finally:
                leave(reply)

    async def _answer(self, reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(reply.delay)
        if reply.never_comes:
            await self._drop(scope, receive)
        else:
            body = self._body(reply, scope)
            await StreamingResponse(body, reply.status, reply.headers)(scope, receive, send)

    async def _drop(self, scope: Scope, receive: Receive) -> None:
        self._abort(scope)
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _body(self, reply: Reply, scope: Scope) -> AsyncIterator[bytes]:
        """The pieces, each when its time has come."""
        async with aclosing(pieces_of(reply)) as pieces:
            async for piece in pieces:
                if isinstance(piece, bytes):
                    yield piece
                elif isinstance(piece, float):
                    await asyncio.sleep(piece)
                else:
                    self._abort(scope)
                    await asyncio.Future[None]()  # Until the server has seen it, and cancels this.


async def _received(request: Request) -> RecordedRequest:
    path, query = request.scope["raw_path"].decode("latin-1"), request.url.query
    whole = f"{path}?{query}" if query else path
    return recorded(request.method, whole, request.headers.raw, await request.body())
