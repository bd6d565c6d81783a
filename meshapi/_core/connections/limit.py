"""How many connections are in use at once: who comes when all are waits, and is served in turn.

Entering, leaving and giving up cost the same however many wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

import httpcore

WaiterT = TypeVar("WaiterT", threading.Event, asyncio.Event)

_FULL = "All connections are in use"


class _Turns(Generic[WaiterT]):
    """Who is in, and who waits, in the order of their coming."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: OrderedDict[WaiterT, None] = OrderedDict()

    def enter(self) -> bool:
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

    def give_up(self, waiter: WaiterT) -> bool:
        """Stop waiting; False where the place has come meanwhile."""
        return self._waiting.pop(waiter, waiter) is None


class Limit:
    """A fair limit for threads."""

    def __init__(self, most: int) -> None:
        """Let so many in."""
        self._turns: _Turns[threading.Event] = _Turns(most)
        self._lock = threading.Lock()

    def enter(self, seconds: float | None) -> None:
        """Take a place, after waiting for one if need be.

        Raises:
            httpcore.PoolTimeout: none came within so many seconds.
        """
        with self._lock:
            if self._turns.enter():
                return
            self._turns.queue(turn := threading.Event())
        try:
            if turn.wait(seconds):
                return
        except BaseException:
            self._give_up(turn)
            raise
        self._give_up(turn)
        raise httpcore.PoolTimeout(_FULL)

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            turn = self._turns.leave()
        if turn:
            turn.set()

    def _give_up(self, turn: threading.Event) -> None:
        with self._lock:
            gave_up = self._turns.give_up(turn)
        if not gave_up:
            self.leave()


class AsyncLimit:
    """A fair limit for the tasks of one event loop."""

    def __init__(self, most: int) -> None:
        """Let so many in."""
        self._turns: _Turns[asyncio.Event] = _Turns(most)

    async def enter(self, seconds: float | None) -> None:
        """Take a place, after waiting for one if need be.

        Raises:
            httpcore.PoolTimeout: none came within so many seconds.
        """
        if self._turns.enter():
            return
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

    def _give_up(self, turn: asyncio.Event) -> None:
        if not self._turns.give_up(turn):
            self.leave()
