"""What makes a gateway's shells wait for another server: threads, so that nobody else waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, InvalidStateError
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
    return await _in_thread(lambda: service.respond(request), unwanted=leave)


async def pieces_of(reply: Reply) -> AsyncGenerator[Piece]:
    """The pieces of a reply, as they are made."""
    if reply.leave is None:
        for piece in reply.pieces:
            yield piece
        return
    pieces = iter(reply.pieces)

    def next_piece() -> Piece | None:
        return next(pieces, None)

    while True:
        made: Piece | None = await _in_thread(next_piece)
        if made is None:
            return
        yield made


def leave(reply: Reply) -> None:
    """Make no more pieces, and book what was made."""
    if reply.leave:
        reply.leave()


async def _in_thread(
    work: Callable[[], ResultT], unwanted: Callable[[ResultT], None] = lambda _: None
) -> ResultT:
    """Do it in a thread that holds up nobody: neither who has gone, nor the end of the program."""
    outcome: Future[ResultT] = Future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  # Whoever waits gets it.
            with suppress(InvalidStateError):
                outcome.set_exception(error)
            return
        try:
            outcome.set_result(result)
        except InvalidStateError:  # Whoever waited has gone.
            unwanted(result)

    threading.Thread(target=run, daemon=True, name="meshapi-local-upstream").start()
    return await asyncio.wrap_future(outcome)
