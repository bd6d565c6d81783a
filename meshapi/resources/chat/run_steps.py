"""The steps of a run of tools: the two shells that ask and call in turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeAlias

from meshapi.errors import MeshAPIError, StreamInterrupted
from meshapi.resources.chat.chunks import ChatCompletionChunk
from meshapi.resources.chat.params import without_stream
from meshapi.resources.chat.run_calls import Calls, raised_by, result_of, results
from meshapi.resources.chat.running import Running
from meshapi.resources.chat.runs import ToolResult, ToolRun
from meshapi.resources.chat.toolbox import PreparedCall, told_instead
from meshapi.resources.chat.tools import ToolCall

if TYPE_CHECKING:
    from meshapi.resources.chat.completions import AsyncChatCompletions, ChatCompletions
    from meshapi.resources.chat.streams import AsyncChatCompletionStream, ChatCompletionStream

OnToolError: TypeAlias = Callable[[ToolCall, Exception], str | None]
"""Told of what a function raised; the text that it returns is told to the model instead."""

AsyncOnToolError: TypeAlias = Callable[[ToolCall, Exception], str | Awaitable[str | None] | None]
"""Told of what a function raised; the text that it returns is told to the model instead."""


class InFlight:
    """The stream that a run reads at the moment, so that it can be closed from outside.

    Once the run was left, it is the stream that it was in the middle of.
    """

    stream: ChatCompletionStream | None = None

    def cut(self) -> StreamInterrupted | None:
        """What this stream, closed by now, says of its end; None where there is none."""
        try:
            if self.stream:
                self.stream.final()
        except StreamInterrupted as error:
            return error
        return None


class AsyncInFlight:
    """The stream that a run reads at the moment; once it was left, that it was in the middle of."""

    stream: AsyncChatCompletionStream | None = None

    async def cut(self) -> StreamInterrupted | None:
        """What this stream, closed by now, says of its end; None where there is none."""
        try:
            if self.stream:
                await self.stream.final()
        except StreamInterrupted as error:
            return error
        return None


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
    for each, result in zip(due, results(running, due), strict=True):
        if on_tool_error and (error := raised_by(each, result)):
            result = told_instead(result, on_tool_error(result.call, error))
        yield running.answer(result)


async def async_steps(
    completions: AsyncChatCompletions,
    running: Running,
    on_tool_error: AsyncOnToolError | None,
    *,
    streams: bool,
    in_flight: AsyncInFlight,
) -> AsyncGenerator[ChatCompletionChunk | ToolResult]:
    """Call and ask in turn, until the run is over."""
    # No generator stands within this one: a loop that ends closes all generators at once.
    while not running.over:
        if due := running.prepared():
            async with aclosing(Calls(running, due)) as calls:
                for each, task in calls.begun:
                    result = await result_of(each, task)
                    yield running.answer(await _told(result, each, on_tool_error))
        elif streams:
            params, options = running.question()
            async with completions.stream(params, **options) as stream:
                in_flight.stream = stream
                async for chunk in stream:
                    yield chunk
                in_flight.stream = None
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
            async_steps(
                completions, running, on_tool_error, streams=False, in_flight=AsyncInFlight()
            )
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
    if on_tool_error and (error := raised_by(due, result)):
        told = on_tool_error(result.call, error)
        return told_instead(result, await told if isawaitable(told) else told)
    return result
