"""Streams: open, iterate, close. One that is left half-way, or dropped, frees its connection."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self

from meshapi._core.call import Call
from meshapi._core.fork import Process
from meshapi._core.meta import Meta
from meshapi._core.models import PayloadT
from meshapi._core.waiting import one_at_a_time, within
from meshapi.errors import MeshAPIError, StreamInterrupted

if TYPE_CHECKING:
    import asyncio

    from meshapi._core.reader import Fold
    from meshapi._core.transport import AsyncOpened, AsyncTransport, Transport

_NOT_OURS = "it belongs to the process that opened it"


class Stream(Generic[PayloadT]):
    """The events of an answer, as they come; complete, or it raises.

    Use it in a `with` block or bare in a `for` loop.

    Raises:
        StreamInterrupted: while iterating, when it ended before it was complete.
        DeadlineExceeded: while iterating, when no event came for `Timeout.idle` seconds.
        APIStatusError: while iterating, when the server sent an error.
    """

    def __init__(self, transport: Transport, call: Call[PayloadT], fold: Fold[PayloadT]) -> None:
        """Send the call, and wait for the first event."""
        self._opened = transport.open(call, fold)
        self._failure: MeshAPIError | None = None
        self._closed = False
        self._process = Process.generation
        self._one_at_a_time = threading.Lock()

    @property
    def meta(self) -> Meta:
        """The exchange: HTTP status, request id, headers, attempts, seconds to the first event."""
        return self._opened.reader.meta

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PayloadT:
        if self._process != Process.generation:
            raise self._opened.reader.interrupted(_NOT_OURS)
        with self._one_at_a_time:
            if self._failure:
                raise self._failure
            if self._closed:  # While another thread waited here, and nothing could end its wait.
                self.close()
            try:
                opened = self._opened
                return opened.ahead.pop() if opened.ahead else next(opened.events)
            except StopIteration:
                self._check_left_on_purpose()
                raise
            except MeshAPIError as failure:
                if self._closed:
                    raise StopIteration from None
                self._failure = failure
                raise
            except (ValueError, IndexError):
                if not self._closed:
                    raise
                raise StopIteration from None  # Another thread ends the events at this moment.

    def close(self) -> None:
        """Give up the rest and the connection; a loop over it ends, also in another thread."""
        self._closed = True
        if self._process != Process.generation:
            return
        self._opened.ahead.clear()
        try:
            self._opened.events.close()
        except ValueError:  # Another thread is waiting for the next event: end its wait.
            self._opened.reader.is_left = True
            self._opened.abort()

    def _check_left_on_purpose(self) -> None:
        if not self._closed:
            self._opened.reader.check_complete()

    def _finish(self) -> None:
        for _ in self:
            pass
        self._opened.reader.check_complete()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncStream(Generic[PayloadT]):
    """The events of an answer, as they come; complete, or it raises.

    Use it in an `async with` block or bare in an `async for` loop.

    Raises:
        StreamInterrupted: while iterating, when it ended before it was complete.
        DeadlineExceeded: while iterating, when no event came for `Timeout.idle` seconds.
        APIStatusError: while iterating, when the server sent an error.
    """

    def __init__(
        self, transport: AsyncTransport, call: Call[PayloadT], fold: Fold[PayloadT]
    ) -> None:
        """Send nothing yet: entering the stream, or asking for its first event, does."""
        # Not a method: the stream must hold no way back to itself, to be freed when it is dropped.
        self._open: Callable[[], Awaitable[AsyncOpened[PayloadT]]] = lambda: transport.open(
            call, fold
        )
        self._opened: AsyncOpened[PayloadT] | None = None
        self._failure: MeshAPIError | None = None
        self._closed = False
        self._process = Process.generation
        self._opening: asyncio.Timeout | None = None
        self._one_at_a_time = one_at_a_time()

    @property
    def meta(self) -> Meta:
        """The exchange: HTTP status, request id, headers, attempts, seconds to the first event.

        Empty until the stream is open.
        """
        return self._opened.reader.meta if self._opened else Meta()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PayloadT:
        if self._opened and self._process != Process.generation:
            raise self._opened.reader.interrupted(_NOT_OURS)
        await self._one_at_a_time.acquire()  # Not `async with`, which costs as much as the rest.
        try:
            if self._failure:
                raise self._failure
            opened = self._opened or await self._ensure_open()
            if self._closed:
                await self.close()
            return opened.ahead.pop() if opened.ahead else await anext(opened.events)
        except StopAsyncIteration:
            self._check_left_on_purpose()
            raise
        except MeshAPIError as failure:
            if self._closed:
                raise StopAsyncIteration from None
            self._failure = failure
            raise
        except RuntimeError:
            if not self._closed:
                raise
            raise StopAsyncIteration from None  # Another task ends the events at this moment.
        finally:
            self._one_at_a_time.release()

    async def _ensure_open(self) -> AsyncOpened[PayloadT]:
        if self._opened is None:
            if self._closed:
                raise StopAsyncIteration
            try:
                async with within(None) as self._opening:
                    self._opened = await self._open()
            except TimeoutError:  # It was `close` that let it expire.
                raise StopAsyncIteration from None
            finally:
                self._opening = None
        return self._opened

    async def close(self) -> None:
        """Give up the rest and the connection; a loop over it ends, also in another task."""
        self._closed = True
        if self._opening:
            if not self._opening.expired():
                self._opening.reschedule(0)
            async with self._one_at_a_time:  # Until whoever opens it has given up.
                pass
        if self._opened is None or self._process != Process.generation:
            return
        self._opened.ahead.clear()
        try:
            await self._opened.events.aclose()
        except RuntimeError:  # Another task is waiting for the next event: end its wait.
            self._opened.reader.is_left = True
            await self._opened.abort()

    def _check_left_on_purpose(self) -> None:
        if not self._closed and self._opened:
            self._opened.reader.check_complete()

    async def _finish(self) -> None:
        async for _ in self:
            pass
        if self._opened is None:
            raise StreamInterrupted("The stream was closed before it was open", events=0)
        self._opened.reader.check_complete()

    async def __aenter__(self) -> Self:
        async with self._one_at_a_time:
            if self._failure:
                raise self._failure
            if self._closed:
                return self
            try:
                await self._ensure_open()
            except StopAsyncIteration:  # It was closed meanwhile: a loop over it ends at once.
                pass
            except MeshAPIError as failure:
                self._failure = failure
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
