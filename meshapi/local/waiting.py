"""What makes a gateway's shells wait for another server: a thread, so that nobody else waits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from meshapi.local.replies import Piece, Reply
from meshapi.local.requests import RecordedRequest

if TYPE_CHECKING:
    from meshapi.local.service import Service

ResultT = TypeVar("ResultT")


async def replied(service: Service, request: RecordedRequest) -> Reply:
    """What a service answers; in a thread where somebody else may take his time."""
    if service.forward is None:
        return service.respond(request)
    return await _in_thread(lambda: service.respond(request))


async def pieces_of(reply: Reply) -> AsyncGenerator[Piece]:
    """The pieces of a reply, as they are made; no more of them are made once nobody asks."""
    if reply.leave is None:
        for piece in reply.pieces:
            yield piece
        return
    pieces = iter(reply.pieces)
    try:
        while (next_piece := await _in_thread(lambda: next(pieces, None))) is not None:
            yield next_piece
    finally:
        leave(reply)


def leave(reply: Reply) -> None:
    """Make no more pieces, and book what was made."""
    if reply.leave is None:
        return
    reply.leave()
    with suppress(ValueError):  # A thread is at work on them, and comes to their end by itself.
        close: Callable[[], None] = getattr(reply.pieces, "close", lambda: None)
        close()


async def _in_thread(work: Callable[[], ResultT]) -> ResultT:
    from anyio import CapacityLimiter, to_thread  # httpx and starlette bring it.

    # With a limit of its own, no request waits for another one; nor for one that nobody wants.
    return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=CapacityLimiter(1))
