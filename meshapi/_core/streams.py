"""Streams: open, iterate, close. One that is left half-way, or dropped, frees its connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeAlias

from meshapi._core.call import Call
from meshapi._core.meta import Meta
from meshapi._core.models import PayloadT
from meshapi.errors import MeshAPIError

if TYPE_CHECKING:
    from meshapi._core.reader import Fold
    from meshapi._core.transport import AsyncTransport, Opened, Transport

    _AsyncOpened: TypeAlias = Opened[PayloadT, AsyncGenerator[PayloadT]]


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

    @property
    def meta(self) -> Meta:
        """The exchange: HTTP status, request id, headers, attempts, seconds to the first event."""
        return self._opened.reader.meta

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PayloadT:
        if self._failure:
            raise self._failure
        if self._opened.ahead:
            return self._opened.ahead.pop()
        try:
            return next(self._opened.events)
        except StopIteration:
            self._opened.reader.check_complete()
            raise
        except MeshAPIError as failure:
            self._failure = failure
            raise

    def close(self) -> None:
        """Give up the rest and the connection; does nothing on a stream that has ended."""
        self._opened.ahead.clear()
        self._opened.events.close()

    def _finish(self) -> None:
        for _ in self:
            pass

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
        self._opening: Callable[[], Awaitable[_AsyncOpened[PayloadT]]] = lambda: transport.open(
            call, fold
        )
        self._opened: _AsyncOpened[PayloadT] | None = None
        self._failure: MeshAPIError | None = None

    @property
    def meta(self) -> Meta:
        """The exchange: HTTP status, request id, headers, attempts, seconds to the first event.

        Empty until the stream is open.
        """
        return self._opened.reader.meta if self._opened else Meta()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PayloadT:
        if self._failure:
            raise self._failure
        try:
            opened = self._opened or await self._open()
            return opened.ahead.pop() if opened.ahead else await anext(opened.events)
        except StopAsyncIteration:
            if self._opened:
                self._opened.reader.check_complete()
            raise
        except MeshAPIError as failure:
            self._failure = failure
            raise

    async def _open(self) -> _AsyncOpened[PayloadT]:
        self._opened = await self._opening()
        return self._opened

    async def close(self) -> None:
        """Give up the rest and the connection; does nothing on a stream that has ended."""
        if self._opened:
            self._opened.ahead.clear()
            await self._opened.events.aclose()

    async def _finish(self) -> None:
        async for _ in self:
            pass

    async def __aenter__(self) -> Self:
        if self._opened is None:
            await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
