"""Runs of tools as they happen: the two shells that ask, call and wait."""

from __future__ import annotations

import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from dataclasses import dataclass
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from meshapi._core.waiting import one_at_a_time, within
from meshapi.errors import MeshAPIError
from meshapi.resources.chat.chunks import ChatCompletionChunk
from meshapi.resources.chat.functions import is_async
from meshapi.resources.chat.params import without_stream
from meshapi.resources.chat.running import Running
from meshapi.resources.chat.runs import ToolResult, ToolRun
from meshapi.resources.chat.streams import HEARTBEAT_SECONDS
from meshapi.resources.chat.toolbox import PreparedCall, told_instead

if TYPE_CHECKING:
    import asyncio

    from typing_extensions import TypeIs

    from meshapi.resources.chat.completions import AsyncChatCompletions, ChatCompletions
    from meshapi.resources.chat.events import ChatCompletionEvent
    from meshapi.resources.chat.relay import AsyncServerSentEvents, ServerSentEvents
    from meshapi.resources.chat.streams import ChatCompletionStream
    from meshapi.resources.chat.tools import ToolCall

OnToolError: TypeAlias = "Callable[[ToolCall, Exception], str | None]"
"""Told of what a function raised; the text that it returns is told to the model instead."""

AsyncOnToolError: TypeAlias = "Callable[[ToolCall, Exception], str | Awaitable[str | None] | None]"
"""Told of what a function raised; the text that it returns is told to the model instead."""

ToolRunEvent: TypeAlias = "ChatCompletionEvent | ToolResult"
"""What a run tells: the events of its answers, and the results of its calls; see `event.type`."""

_MOST_THREADS = 32


class InFlight:
    """The stream that a run reads at the moment, so that it can be closed from outside."""

    stream: ChatCompletionStream | None = None


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

        It raises what the stream raises.
        """
        from meshapi.resources.chat.events import ChunkEvents, DoneEvent  # Few ask for them.

        told = ChunkEvents()
        for step in self:
            if isinstance(step, ToolResult):
                told = ChunkEvents()
                yield step
            else:
                yield from told.events_of(step)
        if not self._closed:
            yield DoneEvent(completion=self.final().completion)

    def final(self) -> ToolRun:
        """Go on to the end, and return the whole run.

        Raises:
            StreamInterrupted: it was closed before it was over.
        """
        for _ in self:
            pass
        if not self._running.over:
            raise self._running.left_half_way()
        return self._running.result()

    def to_sse(self, *, heartbeat: float | None = HEARTBEAT_SECONDS) -> ServerSentEvents:
        """Send the run on to a browser: the body of a response of type `text/event-stream`.

        As `ChatCompletionStream.to_sse`; between the chunks, a frame `event: tool_result` names
        each call that was answered. What its function gave is not in it.

        Raises:
            InvalidRequest: the heartbeat is not above 0.
        """
        from meshapi.resources.chat.relay import ServerSentEvents  # Few relay.
        from meshapi.resources.chat.sse import frames

        return ServerSentEvents(frames(self._to_its_end()), self.close, heartbeat)

    def _to_its_end(self) -> Iterator[ChatCompletionChunk | ToolResult]:
        yield from self
        self.final()

    def close(self) -> None:
        """Give up the rest and the connection; a loop over it ends, also in another thread.

        A task ends at once. A thread waits for the question that it opens, or for the functions
        that run, and gives nothing that comes of them.
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
        self._steps = async_steps(completions, running, on_tool_error, streams=True)
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

        It raises what the stream raises.
        """
        from meshapi.resources.chat.events import ChunkEvents, DoneEvent  # Few ask for them.

        told = ChunkEvents()
        async for step in self:
            if isinstance(step, ToolResult):
                told = ChunkEvents()
                yield step
            else:
                for event in told.events_of(step):
                    yield event
        if not self._closed:
            yield DoneEvent(completion=(await self.final()).completion)

    async def final(self) -> ToolRun:
        """Go on to the end, and return the whole run.

        Raises:
            StreamInterrupted: it was closed before it was over.
        """
        async for _ in self:
            pass
        if not self._running.over:
            raise self._running.left_half_way()
        return self._running.result()

    def to_sse(self, *, heartbeat: float | None = HEARTBEAT_SECONDS) -> AsyncServerSentEvents:
        """Send the run on to a browser: the body of a response of type `text/event-stream`.

        As `ChatCompletionStream.to_sse`; between the chunks, a frame `event: tool_result` names
        each call that was answered. What its function gave is not in it.

        Raises:
            InvalidRequest: the heartbeat is not above 0.
        """
        from meshapi.resources.chat.relay import AsyncServerSentEvents  # Few relay.
        from meshapi.resources.chat.sse import async_frames

        return AsyncServerSentEvents(async_frames(self._to_its_end()), self.close, heartbeat)

    async def _to_its_end(self) -> AsyncIterator[ChatCompletionChunk | ToolResult]:
        async for step in self:
            yield step
        await self.final()

    async def close(self) -> None:
        """Give up the rest and the connection; a loop over it ends, also in another task.

        A task ends at once. A thread waits for the question that it opens, or for the functions
        that run, and gives nothing that comes of them.
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


# The steps of a run come from generators, which hold nothing of the stream that hands them out: one
# that is dropped half-way is closed at once, and with it what it is in the middle of.


def steps(
    completions: ChatCompletions,
    running: Running,
    on_tool_error: OnToolError | None,
    *,
    streams: bool,
    in_flight: InFlight,
) -> Generator[ChatCompletionChunk | ToolResult]:
    """Call and ask in turn, until the run is over."""
    while not running.over:
        if due := running.prepared():
            yield from _answers(running, due, on_tool_error)
        elif streams:
            yield from _chunks(completions, running, in_flight)
        else:
            params, options = running.question()
            running.hear(completions.create(without_stream(params), **options))


def run(
    completions: ChatCompletions, running: Running, on_tool_error: OnToolError | None
) -> ToolRun:
    """Take all steps without streams."""
    try:
        for _ in steps(completions, running, on_tool_error, streams=False, in_flight=InFlight()):
            pass
    except MeshAPIError as error:
        running.tell(error)
        raise
    return running.result()


def _chunks(
    completions: ChatCompletions, running: Running, in_flight: InFlight
) -> Generator[ChatCompletionChunk]:
    params, options = running.question()
    with completions.stream(params, **options) as stream:
        in_flight.stream = stream
        yield from stream
        in_flight.stream = None
        running.hear(stream.final())


def _answers(
    running: Running, due: Sequence[PreparedCall | ToolResult], on_tool_error: OnToolError | None
) -> Generator[ToolResult]:
    for each, result in zip(due, _results(running, due), strict=True):
        if on_tool_error and (error := _raised_by(each, result)):
            result = told_instead(result, on_tool_error(result.call, error))
        yield running.answer(result)


def _results(running: Running, due: Sequence[PreparedCall | ToolResult]) -> Generator[ToolResult]:
    if len(due) == 1:
        yield _result(running, due[0])
        return
    threads = _threads_for(due)
    waits = True
    try:
        futures = [threads.submit(copy_context().run, _result, running, each) for each in due]
        for future in futures:
            yield future.result()
    except GeneratorExit:  # Who closes a stream, perhaps an event loop, is not to wait.
        waits = False
        raise
    finally:
        threads.shutdown(wait=waits, cancel_futures=True)


def _result(running: Running, due: PreparedCall | ToolResult) -> ToolResult:
    if isinstance(due, ToolResult):
        return due
    try:
        return running.keep(due.ended(_settled(due.run())))
    except BaseException as error:  # noqa: BLE001  # Whatever it is, the model is told.
        return due.failed(_failure(error))


def _settled(value: object) -> object:
    """What an async function gives, waited for in a thread whose loop is its own."""
    if not isawaitable(value):
        return value
    import asyncio  # Not all functions are async.

    async def settled() -> object:
        return await value

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, settled()).result()


def _threads_for(due: Sequence[PreparedCall | ToolResult]) -> ThreadPoolExecutor:
    """The threads of one answer's calls, which share none with anything else."""
    return ThreadPoolExecutor(min(len(due), _MOST_THREADS))


async def async_steps(
    completions: AsyncChatCompletions,
    running: Running,
    on_tool_error: AsyncOnToolError | None,
    *,
    streams: bool,
) -> AsyncGenerator[ChatCompletionChunk | ToolResult]:
    """Call and ask in turn, until the run is over."""
    # No generator stands within this one: a loop that ends closes all generators at once.
    while not running.over:
        if due := running.prepared():
            async with aclosing(_Calls(running, due)) as calls:
                for each, task in calls.begun:
                    result = await _result_of(each, task)
                    yield running.answer(await _told(result, each, on_tool_error))
        elif streams:
            params, options = running.question()
            async with completions.stream(params, **options) as stream:
                async for chunk in stream:
                    yield chunk
                running.hear(await stream.final())
        else:
            params, options = running.question()
            running.hear(await completions.create(without_stream(params), **options))


async def async_run(
    completions: AsyncChatCompletions, running: Running, on_tool_error: AsyncOnToolError | None
) -> ToolRun:
    """Take all steps without streams."""
    try:
        async with aclosing(
            async_steps(completions, running, on_tool_error, streams=False)
        ) as taken:
            async for _ in taken:
                pass
    except MeshAPIError as error:
        running.tell(error)
        raise
    return running.result()


async def _told(
    result: ToolResult, due: PreparedCall | ToolResult, on_tool_error: AsyncOnToolError | None
) -> ToolResult:
    if on_tool_error and (error := _raised_by(due, result)):
        told = on_tool_error(result.call, error)
        return told_instead(result, await told if isawaitable(told) else told)
    return result


class _Calls:
    """The calls of one answer, begun at the same time; closing it ends those that still run."""

    def __init__(self, running: Running, due: Sequence[PreparedCall | ToolResult]) -> None:
        """Begin them all."""
        import asyncio  # It is there: this runs in a loop.

        self._threads = _threads_for(due)
        self.begun = [
            (each, asyncio.create_task(_async_result(running, each, self._threads))) for each in due
        ]

    async def aclose(self) -> None:
        """Cancel them, and wait for those that are not in threads."""
        import asyncio  # It is there: this runs in a loop.

        self._threads.shutdown(wait=False, cancel_futures=True)
        tasks = [task for _, task in self.begun]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _result_of(due: PreparedCall | ToolResult, task: asyncio.Task[ToolResult]) -> ToolResult:
    import asyncio  # It is there: this runs in a loop.

    await asyncio.wait([task])  # It raises where the run is cancelled, not where the call is.
    if task.cancelled() and isinstance(due, PreparedCall):
        return due.failed(CancelledError())
    return task.result()


async def _async_result(
    running: Running, due: PreparedCall | ToolResult, threads: ThreadPoolExecutor
) -> ToolResult:
    if isinstance(due, ToolResult):
        return due
    try:
        value = due.run() if is_async(due.run) else await _in_thread(due, threads)
        if isinstance(value, _Raised):
            return due.failed(value.error)
        return running.keep(due.ended(await value if isawaitable(value) else value))
    except Exception as error:  # noqa: BLE001  # Whatever it is, the model is told.
        return due.failed(error)


async def _in_thread(due: PreparedCall, threads: ThreadPoolExecutor) -> object:
    import asyncio  # It is there: this runs in a loop.

    run = copy_context().run
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: run(_attempt, due))


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a function raised in a thread: a `StopIteration` would never get out of one."""

    error: Exception


def _attempt(due: PreparedCall) -> object:
    try:
        return due.run()
    except BaseException as error:  # noqa: BLE001  # Whatever it is, the model is told.
        return _Raised(_failure(error))


def _failure(error: BaseException) -> Exception:
    """The error that a function ended with; also where it says that it was cancelled.

    Raises:
        BaseException: it is no error, and ends the run.
    """
    if isinstance(error, Exception):
        return error
    import asyncio  # Hardly any function ends so.

    if isinstance(error, asyncio.CancelledError):
        return CancelledError(*error.args)
    raise error


def _raised_by(due: PreparedCall | ToolResult, result: ToolResult) -> Exception | None:
    """What the function raised; None also where it was not run."""
    return result.error if isinstance(due, PreparedCall) else None
