"""How many connections are in use at once: who comes when all are waits, and is served in turn.

Entering, leaving and giving up cost the same however many wait.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

import httpcore

from meshapi._core.connections.guard import Guard

if TYPE_CHECKING:
    import asyncio

WaiterT = TypeVar("WaiterT", threading.Event, "asyncio.Event")

_FULL = "All connections are in use"


class _Turns(Generic[WaiterT]):
    """Who is in, and who waits, in the order of their coming."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._ended = False
        self._waiting: OrderedDict[WaiterT, None] = OrderedDict()

    def enter(self) -> bool:
        if self._ended:
            return True
        if not self._free:
            return False
        self._free -= 1
        return True

    def queue(self, waiter: WaiterT) -> None:
        self._waiting[waiter] = None

    def leave(self) -> WaiterT | None:
        """Pass the place on to whoever waits longest."""
        if self._waiting:
            return self._waiting.popitem(last=False)[0]
        self._free += 1
        return None

    def end(self) -> list[WaiterT]:
        """Those who wait: from now on, nobody does, and places are not counted."""
        self._ended = True
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def give_up(self, waiter: WaiterT) -> bool:
        """Stop waiting; False where the place has come meanwhile."""
        is_waiting = waiter in self._waiting
        if is_waiting:
            del self._waiting[waiter]
        return is_waiting


class Limit:
    """A fair limit for threads."""

    def __init__(self, most: int) -> None:
        """Let so many in."""
        self._turns: _Turns[threading.Event] = _Turns(most)
        self._guard = Guard()

    def enter(self, seconds: float) -> None:
        """Take a place, after waiting for one if need be.

        Raises:
            httpcore.PoolTimeout: none came within so many seconds.
        """
        if self._guard.now(self._turns.enter):
            return
        turn = threading.Event()
        if self._guard.now(lambda: self._enter_or_queue(turn)):
            return
        came = False
        try:
            came = turn.wait(seconds)
        finally:
            if not came:
                self._guard.soon(lambda: self._give_up(turn))
        if not came:
            raise httpcore.PoolTimeout(_FULL)

    def leave(self) -> None:
        """Give the place back."""
        self._guard.soon(self._leave)

    def end(self) -> None:
        """Let nobody wait any more: there is nothing left to wait for."""
        self._guard.soon(self._end)

    def _enter_or_queue(self, turn: threading.Event) -> bool:
        entered = self._turns.enter()
        if not entered:
            self._turns.queue(turn)
        return entered

    def _leave(self) -> None:
        if turn := self._turns.leave():
            turn.set()

    def _end(self) -> None:
        for turn in self._turns.end():
            turn.set()

    def _give_up(self, turn: threading.Event) -> None:
        if not self._turns.give_up(turn):
            self._leave()


class AsyncLimit:
    """A fair limit for the tasks of one event loop."""

    def __init__(self, most: int) -> None:
        """Let so many in."""
        self._turns: _Turns[asyncio.Event] = _Turns(most)

    async def enter(self, seconds: float) -> None:
        """Take a place, after waiting for one if need be.

        Raises:
            httpcore.PoolTimeout: none came within so many seconds.
        """
        if self._turns.enter():
            return
        import asyncio

        self._turns.queue(turn := asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await turn.wait()
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError):
                raise httpcore.PoolTimeout(_FULL) from None
            raise

    def leave(self) -> None:
        """Give the place back."""
        if turn := self._turns.leave():
            turn.set()

    def end(self) -> None:
        """Let nobody wait any more: there is nothing left to wait for."""
        for turn in self._turns.end():
            turn.set()

    def _give_up(self, turn: asyncio.Event) -> None:
        if not self._turns.give_up(turn):
            self.leave()
