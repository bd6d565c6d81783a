"""A stream on its way to a browser: when the browser leaves, the upstream call is closed."""

from __future__ import annotations

import asyncio
import atexit
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, Self, TypeAlias

from meshapi._core.checks import is_seconds
from meshapi.errors import InvalidRequest
from meshapi.resources.chat.sse import HEARTBEAT

_closing = set[asyncio.Task[None]]()  # A loop holds its tasks weakly.

_Answer: TypeAlias = asyncio.Future[bytes | None]


class _Relay(ABC):
    """What an ASGI server iterates. The next frame is waited for apart from who asks for it.

    A heartbeat then leaves that wait as it is; and who asks may be cancelled so that nothing it
    awaits can end in peace (as Starlette's tasks are), which closing a stream must.
    """

    _next: _Answer | None = None
    _reader: asyncio.Task[Any] | None = None

    def __init__(self, heartbeat: float | None) -> None:
        if heartbeat is not None and not (is_seconds(heartbeat) and heartbeat > 0):
            raise InvalidRequest("heartbeat must be a number of seconds above 0, or None")
        self._heartbeat = heartbeat

    @abstractmethod
    def _ask(self) -> _Answer:
        """Begin to wait for the next frame; None is the end."""

    @abstractmethod
    def _let_go(self) -> None:
        """Close the stream, without waiting for it; whoever waits for a frame of it wakes up."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._watch(asyncio.current_task())
        self._next = self._next or self._ask()
        try:
            await asyncio.sleep(0)  # A frame that is there already, as most are, comes cheaply.
            if not self._next.done():
                await asyncio.wait([self._next], timeout=self._heartbeat)
            if not self._next.done():
                return HEARTBEAT
            frame = self._next.result()
        except BaseException:
            self._let_go()
            raise
        self._next = None
        if frame is None:
            self._let_go()
            raise StopAsyncIteration
        return frame

    def _watch(self, reader: asyncio.Task[Any] | None) -> None:
        """Let go if who reads is cancelled elsewhere: while it writes to a browser that left."""
        if reader is None or reader is self._reader:
            return
        self._reader = reader
        me = weakref.ref(self)  # To be freed when it is dropped, however long the reader lives.

        def ended(task: asyncio.Task[Any]) -> None:
            relay = me()
            if relay and task.cancelled() and task is relay._reader:
                relay._let_go()

        reader.add_done_callback(ended)


class ServerSentEvents(_Relay):
    """The frames of a stream: iterate it, or give it to a web framework as the response's body.

    To WSGI it is an iterator with `close()`. To ASGI it is an asynchronous one, which waits in a
    thread of its own.
    """

    _asked: SimpleQueue[_Answer | None] | None = None

    def __init__(
        self, frames: Iterator[bytes], close: Callable[[], None], heartbeat: float | None
    ) -> None:
        """Take the frames, and what closes the stream from any thread."""
        super().__init__(heartbeat)
        self._frames = frames
        self._close = close

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._frames)
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Close the stream, also from another thread."""
        self._let_go()

    async def aclose(self) -> None:
        """Close the stream."""
        self._let_go()

    def _ask(self) -> _Answer:
        answer = asyncio.get_running_loop().create_future()
        if self._asked is None:
            self._asked = _begun(self._frames, self._close)
        self._asked.put(answer)
        return answer

    def _let_go(self) -> None:
        asked, self._asked = self._asked, None
        _end(self._close, asked)

    def __del__(self) -> None:
        if self._asked:  # The thread holds the frames, also while nobody waits for one.
            self._let_go()


class AsyncServerSentEvents(_Relay):
    """The frames of a stream: iterate it, or give it to a web framework as the response's body."""

    def __init__(
        self,
        frames: AsyncIterator[bytes],
        close: Callable[[], Awaitable[None]],
        heartbeat: float | None,
    ) -> None:
        """Take the frames, and what closes the stream from any task."""
        super().__init__(heartbeat)
        self._frames = frames
        self._close = close

    async def aclose(self) -> None:
        """Close the stream."""
        await self._close()

    def _ask(self) -> _Answer:
        return asyncio.get_running_loop().create_task(_next_of(self._frames))

    def _let_go(self) -> None:
        if self._reader:
            with suppress(RuntimeError):  # Of an event loop that is closed.
                self._reader.get_loop().call_soon_threadsafe(_close_soon, self._close)

    def __del__(self) -> None:
        if self._next and not self._next.done():
            self._let_go()


async def _next_of(frames: AsyncIterator[bytes]) -> bytes | None:
    return await anext(frames, None)


async def _settle(close: Callable[[], Awaitable[None]]) -> None:
    await close()


def _close_soon(close: Callable[[], Awaitable[None]]) -> None:
    closing = asyncio.get_running_loop().create_task(_settle(close))
    _closing.add(closing)
    closing.add_done_callback(_closing.discard)


# A relay of a sync stream has a thread of its own: those of a pool could all be waiting for streams
# that are silent, and an exit would wait for them. A thread does not survive the end of the
# interpreter, so that what it waits for ends before.

_threads = dict[Thread, Callable[[], None]]()


def _begun(frames: Iterator[bytes], close: Callable[[], None]) -> SimpleQueue[_Answer | None]:
    """Begin a thread that answers what is put into its queue with the next frame, until None is."""
    asked: SimpleQueue[_Answer | None] = SimpleQueue()
    thread = Thread(target=_answer_from, args=(frames, asked), daemon=True)
    _threads[thread] = partial(_end, close, asked)
    thread.start()
    return asked


def _answer_from(frames: Iterator[bytes], asked: SimpleQueue[_Answer | None]) -> None:
    while answer := asked.get():
        try:
            settle = partial(answer.set_result, next(frames, None))
        except BaseException as error:  # noqa: BLE001  # It is raised where the answer is awaited.
            settle = partial(answer.set_exception, error)
        with suppress(RuntimeError):  # Of an event loop that is closed.
            answer.get_loop().call_soon_threadsafe(settle)
    _threads.pop(current_thread(), None)


def _end(close: Callable[[], None], asked: SimpleQueue[_Answer | None] | None) -> None:
    close()
    if asked:
        asked.put(None)


@atexit.register
def _end_threads() -> None:
    for thread, end in list(_threads.items()):
        end()
        thread.join(timeout=1)
