"""Runs of tools as they happen: what `run_stream` gives."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from meshapi._core.waiting import one_at_a_time, within
from meshapi.errors import MeshAPIError
from meshapi.resources.chat.chunks import ChatCompletionChunk
from meshapi.resources.chat.events import ChatCompletionEvent, ChunkEvents
from meshapi.resources.chat.run_steps import (
    AsyncInFlight,
    AsyncOnToolError,
    InFlight,
    OnToolError,
    async_steps,
    steps,
)
from meshapi.resources.chat.running import Running
from meshapi.resources.chat.runs import ToolResult, ToolRun
from meshapi.resources.chat.streams import HEARTBEAT_SECONDS

if TYPE_CHECKING:
    import asyncio

    from typing_extensions import TypeIs

    from meshapi.resources.chat.completions import AsyncChatCompletions, ChatCompletions
    from meshapi.resources.chat.relay import AsyncServerSentEvents, ServerSentEvents

ToolRunEvent: TypeAlias = ChatCompletionEvent | ToolResult
"""What a run tells: the events of its answers, and the results of its calls; see `event.type`."""


class ToolRunStream:
    """A run as it happens: the chunks of each answer, and the result of each call.

    Use it in a `with` block or bare in a `for` loop; nothing is asked before its first event. A
    loop over it raises what `run` would, with `run` and `partial` on the error.
    """

    def __init__(
        self, completions: ChatCompletions, running: Running, on_tool_error: OnToolError | None
    ) -> None:
        """Ask nothing yet."""
        self._running = running
        self._in_flight = InFlight()
        self._steps = steps(
            completions, running, on_tool_error, streams=True, in_flight=self._in_flight
        )
        self._told: ChunkEvents | None = None
        self._failure: MeshAPIError | None = None
        self._closed = False
        self._one_at_a_time = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ChatCompletionChunk | ToolResult:
        with self._one_at_a_time:
            if self._failure:
                raise self._failure
            try:
                step = next(self._steps)
            except MeshAPIError as failure:
                if self._closed:
                    raise StopIteration from None
                self._running.tell(failure)
                self._failure = failure
                raise
            if self._closed:  # While it was waited for.
                self._steps.close()
                raise StopIteration
            return step

    @property
    def text_stream(self) -> Iterator[str]:
        """The text of the answers, piece by piece."""
        return (event.text for event in self if _has_text(event))

    @property
    def events(self) -> Iterator[ToolRunEvent]:
        """What happens, as typed events and results; a `DoneEvent` is the last one.

        Left and asked for again, it goes on where it was. It raises what the stream raises.
        """
        told = self._told = self._told or ChunkEvents()
        if not self._closed:
            yield from told.told()
        for step in self:
            if isinstance(step, ToolResult):
                told = self._told = ChunkEvents()
                yield step
            else:
                told.add(step)
                yield from told.told()
        if not self._closed:
            told.add_end(self.final().completion)
            yield from told.told()

    def final(self) -> ToolRun:
        """Go on to the end, and return the whole run.

        Raises:
            StreamInterrupted: it was closed before it was over.
        """
        for _ in self:
            pass
        if not self._running.over:
            raise self._running.left_half_way(self._in_flight.cut())
        return self._running.result()

    def to_sse(
        self,
        *,
        heartbeat: float | None = HEARTBEAT_SECONDS,
        on_error: Callable[[MeshAPIError], str | None] | None = None,
    ) -> ServerSentEvents:
        """Send the run on to a browser: the body of a response of type `text/event-stream`.

        As `ChatCompletionStream.to_sse`; between the chunks, a frame `event: tool_result` names
        each call that was answered. What its function gave is not in it.

        Raises:
            InvalidRequest: the heartbeat is not above 0.
        """
        from meshapi.resources.chat.relay import ServerSentEvents  # Few relay.
        from meshapi.resources.chat.sse import frames

        return ServerSentEvents(frames(self._to_its_end(), on_error), self.close, heartbeat)

    def _to_its_end(self) -> Iterator[ChatCompletionChunk | ToolResult]:
        yield from self
        self.final()

    def close(self) -> None:
        """Give up the rest and the connection; a loop over it ends, also in another thread.

        A loop of a task ends at once; one of a thread waits for the question that it opens, or for
        the functions that run, and gives nothing that comes of them.
        """
        self._closed = True
        try:
            self._steps.close()
        except ValueError:  # Another thread waits in it: end its wait.
            if self._in_flight.stream:
                self._in_flight.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncToolRunStream:
    """A run as it happens: the chunks of each answer, and the result of each call.

    Use it in an `async with` block or bare in an `async for` loop; nothing is asked before its
    first event. A loop over it raises what `run` would, with `run` and `partial` on the error.
    """

    def __init__(
        self,
        completions: AsyncChatCompletions,
        running: Running,
        on_tool_error: AsyncOnToolError | None,
    ) -> None:
        """Ask nothing yet."""
        self._running = running
        self._in_flight = AsyncInFlight()
        self._steps = async_steps(
            completions, running, on_tool_error, streams=True, in_flight=self._in_flight
        )
        self._told: ChunkEvents | None = None
        self._failure: MeshAPIError | None = None
        self._closed = False
        self._waiting: asyncio.Timeout | None = None
        self._one_at_a_time = one_at_a_time()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatCompletionChunk | ToolResult:
        async with self._one_at_a_time:
            if self._failure:
                raise self._failure
            if self._closed:
                await self._steps.aclose()
            try:
                async with within(None) as self._waiting:
                    return await anext(self._steps)
            except TimeoutError:
                if not self._closed:
                    raise
                raise StopAsyncIteration from None  # It was `close` that let it expire.
            except MeshAPIError as failure:
                if self._closed:
                    raise StopAsyncIteration from None
                self._running.tell(failure)
                self._failure = failure
                raise
            finally:
                self._waiting = None

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """The text of the answers, piece by piece."""
        return (event.text async for event in self if _has_text(event))

    @property
    async def events(self) -> AsyncIterator[ToolRunEvent]:
        """What happens, as typed events and results; a `DoneEvent` is the last one.

        Left and asked for again, it goes on where it was. It raises what the stream raises.
        """
        told = self._told = self._told or ChunkEvents()
        if not self._closed:
            for event in told.told():
                yield event
        async for step in self:
            if isinstance(step, ToolResult):
                told = self._told = ChunkEvents()
                yield step
            else:
                told.add(step)
                for event in told.told():
                    yield event
        if not self._closed:
            told.add_end((await self.final()).completion)
            for event in told.told():
                yield event

    async def final(self) -> ToolRun:
        """Go on to the end, and return the whole run.

        Raises:
            StreamInterrupted: it was closed before it was over.
        """
        async for _ in self:
            pass
        if not self._running.over:
            raise self._running.left_half_way(await self._in_flight.cut())
        return self._running.result()

    def to_sse(
        self,
        *,
        heartbeat: float | None = HEARTBEAT_SECONDS,
        on_error: Callable[[MeshAPIError], str | None] | None = None,
    ) -> AsyncServerSentEvents:
        """Send the run on to a browser: the body of a response of type `text/event-stream`.

        As `ChatCompletionStream.to_sse`; between the chunks, a frame `event: tool_result` names
        each call that was answered. What its function gave is not in it.

        Raises:
            InvalidRequest: the heartbeat is not above 0.
        """
        from meshapi.resources.chat.relay import AsyncServerSentEvents  # Few relay.
        from meshapi.resources.chat.sse import async_frames

        return AsyncServerSentEvents(
            async_frames(self._to_its_end(), on_error), self.close, heartbeat
        )

    async def _to_its_end(self) -> AsyncIterator[ChatCompletionChunk | ToolResult]:
        async for step in self:
            yield step
        await self.final()

    async def close(self) -> None:
        """Give up the rest and the connection; a loop over it ends, also in another task.

        A loop of a task ends at once; one of a thread waits for the question that it opens, or for
        the functions that run, and gives nothing that comes of them.
        """
        self._closed = True
        if self._waiting and not self._waiting.expired():
            self._waiting.reschedule(0)
        async with self._one_at_a_time:  # Until whoever waits in it has given up.
            await self._steps.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _has_text(event: ChatCompletionChunk | ToolResult) -> TypeIs[ChatCompletionChunk]:
    return isinstance(event, ChatCompletionChunk) and bool(event.text)
