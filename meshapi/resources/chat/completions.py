"""The calls of `POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from typing_extensions import Unpack

from meshapi._core.call import Call, CallOptions
from meshapi._core.resource import AsyncResource, Resource, post
from meshapi.resources.chat.params import ChatCompletionParams, without_stream

if TYPE_CHECKING:
    from meshapi.resources.chat.chunks import ChatCompletionChunk
    from meshapi.resources.chat.parsed import ParsedCompletion
    from meshapi.resources.chat.parsed_streams import (
        AsyncParsedCompletionStream,
        ParsedCompletionStream,
    )
    from meshapi.resources.chat.replies import ChatCompletionResponse
    from meshapi.resources.chat.run_steps import AsyncOnToolError, OnToolError
    from meshapi.resources.chat.run_streams import AsyncToolRunStream, ToolRunStream
    from meshapi.resources.chat.running import Running
    from meshapi.resources.chat.runs import ToolRun
    from meshapi.resources.chat.schemas import TypeLike
    from meshapi.resources.chat.streams import AsyncChatCompletionStream, ChatCompletionStream
    from meshapi.resources.chat.toolbox import ToolLike

T = TypeVar("T")

_PATH = "/v1/chat/completions"


class ChatCompletions(Resource):
    """`client.chat.completions`: ask a model."""

    @overload
    def create(
        self, params: ChatCompletionParams[Literal[False]], **options: Unpack[CallOptions]
    ) -> ChatCompletionResponse: ...

    @overload
    def create(
        self, params: ChatCompletionParams[Literal[True]], **options: Unpack[CallOptions]
    ) -> ChatCompletionStream: ...

    @overload
    def create(
        self, params: ChatCompletionParams[bool], **options: Unpack[CallOptions]
    ) -> ChatCompletionResponse | ChatCompletionStream: ...

    def create(
        self, params: ChatCompletionParams[bool], **options: Unpack[CallOptions]
    ) -> ChatCompletionResponse | ChatCompletionStream:
        """Ask for a completion: whole, or as a stream when `params.stream` is True.

        Args:
            params: what to ask.
            options: settings for this call alone.

        Raises:
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            InvalidResponse: the answer is not what the wire promises.
            InvalidRequest: the params cannot be sent.
            ConfigurationError: an option cannot work, the token's function failed, or the client is
                closed.
        """
        if getattr(params, "stream", None) is True:
            return self.stream(params, **options)
        return self._with(options).send(_whole(params, options))

    def stream(
        self, params: ChatCompletionParams[bool], **options: Unpack[CallOptions]
    ) -> ChatCompletionStream:
        """Ask for a completion as a stream, whatever `params.stream` says.

        Raises:
            StreamInterrupted: what came is no stream.
            MeshAPIError: the call failed, as in `create`.
        """
        from meshapi.resources.chat.streams import ChatCompletionStream  # Not all programs stream.

        return ChatCompletionStream(self._with(options), _streamed(params, options))

    def parse(
        self,
        params: ChatCompletionParams[bool],
        output: TypeLike[T],
        **options: Unpack[CallOptions],
    ) -> ParsedCompletion[T]:
        """Ask for a completion whose text is a value of a type: a pydantic model, a dataclass, ...

        The JSON Schema of the type is sent as `response_format`, strict where it can be, unless
        the params have one of their own. A list, a union or another type that is no object is asked
        for as an object with the one field `value`. mypy sees the type of a union, `Literal` or
        `Annotated` in a `TypeAdapter` of it.

        Raises:
            OutputParseError: the answer is not of the type; `completion` and `raw_text` keep it.
                Its subclasses: the model refused (`OutputRefused`), or the answer was cut
                (`OutputTruncated`).
            InvalidRequest: the type has no JSON Schema, or the params cannot be sent.
            MeshAPIError: the call failed, as in `create`.
        """
        from meshapi.resources.chat.outputs import asking  # Not all programs parse.

        asked, reader = asking(params, output)
        return reader.read(self._with(options).send(_whole(without_stream(asked), options)))

    def parse_stream(
        self,
        params: ChatCompletionParams[bool],
        output: TypeLike[T],
        **options: Unpack[CallOptions],
    ) -> ParsedCompletionStream[T]:
        """Ask for the same as a stream: the value as it grows, and at the end `final().parsed`.

        Raises:
            InvalidRequest: the type has no JSON Schema, or the params cannot be sent.
            MeshAPIError: the call failed, as in `stream`; `final` raises what `parse` would.
        """
        from meshapi.resources.chat.outputs import asking  # Not all programs parse.
        from meshapi.resources.chat.parsed_streams import ParsedCompletionStream

        asked, reader = asking(params, output)
        return ParsedCompletionStream(self._with(options), _streamed(asked, options), reader)

    def run(
        self,
        params: ChatCompletionParams[bool],
        *,
        tools: Sequence[ToolLike],
        max_turns: int = 10,
        on_tool_error: OnToolError | None = None,
        **options: Unpack[CallOptions],
    ) -> ToolRun:
        """Ask, run the functions that the model calls, tell it what they gave, until it is done.

        The calls of one answer run at the same time, in threads, on `AsyncMeshAPI` async ones in
        this loop; on `MeshAPI` one that is alone runs in this thread. What a function raises, and
        arguments that do not fit, are told to the model. A conversation that ends with calls goes
        on with these, so that what was left half-way can be taken up again.

        Args:
            params: what to ask. `params.tools` are tools without a function: the run ends at a
                call of one, which is then in `pending`.
            tools: the functions that the model may call, or tools made by `Tool.from_function`.
            max_turns: how often the model may be asked, 1 or more; 10 unless given.
            on_tool_error: told of each call whose function raised, and of what; the text that it
                returns is told to the model instead, and what it raises ends the run.
            options: those of `create`, for each question. An `idempotency_key` is sent with the
                number of the model's answer in the conversation behind it.

        Raises:
            MaxTurnsExceeded: the model calls again after its last turn; these calls are not run.
            MeshAPIError: a question failed, as in `create`; `error.run` is what was done so far.
            InvalidRequest: something is no function, cannot be described, or cannot be sent;
                `max_turns` is below 1, or there are no tools.
        """
        from meshapi.resources.chat.run_steps import run  # Not all have tools.

        running = _begun(params, tools, max_turns, on_tool_error, options, awaits=False)
        return run(ChatCompletions(self._with(options)), running, on_tool_error)

    def run_stream(
        self,
        params: ChatCompletionParams[bool],
        *,
        tools: Sequence[ToolLike],
        max_turns: int = 10,
        on_tool_error: OnToolError | None = None,
        **options: Unpack[CallOptions],
    ) -> ToolRunStream:
        """Run as `run` does, and give what happens as it happens; a loop raises what `run` would.

        Raises:
            InvalidRequest: something is no function, cannot be described, or cannot be sent.
        """
        from meshapi.resources.chat.run_streams import ToolRunStream  # Not all have tools.

        running = _begun(params, tools, max_turns, on_tool_error, options, awaits=False)
        return ToolRunStream(ChatCompletions(self._with(options)), running, on_tool_error)


class AsyncChatCompletions(AsyncResource):
    """`client.chat.completions`: ask a model."""

    @overload
    async def create(
        self, params: ChatCompletionParams[Literal[False]], **options: Unpack[CallOptions]
    ) -> ChatCompletionResponse: ...

    @overload
    async def create(
        self, params: ChatCompletionParams[Literal[True]], **options: Unpack[CallOptions]
    ) -> AsyncChatCompletionStream: ...

    @overload
    async def create(
        self, params: ChatCompletionParams[bool], **options: Unpack[CallOptions]
    ) -> ChatCompletionResponse | AsyncChatCompletionStream: ...

    async def create(
        self, params: ChatCompletionParams[bool], **options: Unpack[CallOptions]
    ) -> ChatCompletionResponse | AsyncChatCompletionStream:
        """Ask for a completion: whole, or as a stream when `params.stream` is True.

        Args:
            params: what to ask.
            options: settings for this call alone.

        Raises:
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            InvalidResponse: the answer is not what the wire promises.
            InvalidRequest: the params cannot be sent.
            ConfigurationError: an option cannot work, the token's function failed, or the client is
                closed.
        """
        if getattr(params, "stream", None) is True:
            return await self.stream(params, **options).__aenter__()
        return await self._with(options).send(_whole(params, options))

    def stream(
        self, params: ChatCompletionParams[bool], **options: Unpack[CallOptions]
    ) -> AsyncChatCompletionStream:
        """Ask for a completion as a stream, whatever `params.stream` says.

        Raises:
            StreamInterrupted: what came is no stream.
            MeshAPIError: the call failed, as in `create`.
        """
        from meshapi.resources.chat.streams import AsyncChatCompletionStream  # Not all stream.

        return AsyncChatCompletionStream(self._with(options), _streamed(params, options))

    async def parse(
        self,
        params: ChatCompletionParams[bool],
        output: TypeLike[T],
        **options: Unpack[CallOptions],
    ) -> ParsedCompletion[T]:
        """Ask for a completion whose text is a value of a type: a pydantic model, a dataclass, ...

        The JSON Schema of the type is sent as `response_format`, strict where it can be, unless
        the params have one of their own. A list, a union or another type that is no object is asked
        for as an object with the one field `value`. mypy sees the type of a union, `Literal` or
        `Annotated` in a `TypeAdapter` of it.

        Raises:
            OutputParseError: the answer is not of the type; `completion` and `raw_text` keep it.
                Its subclasses: the model refused (`OutputRefused`), or the answer was cut
                (`OutputTruncated`).
            InvalidRequest: the type has no JSON Schema, or the params cannot be sent.
            MeshAPIError: the call failed, as in `create`.
        """
        from meshapi.resources.chat.outputs import asking  # Not all programs parse.

        asked, reader = asking(params, output)
        return reader.read(await self._with(options).send(_whole(without_stream(asked), options)))

    def parse_stream(
        self,
        params: ChatCompletionParams[bool],
        output: TypeLike[T],
        **options: Unpack[CallOptions],
    ) -> AsyncParsedCompletionStream[T]:
        """Ask for the same as a stream: the value as it grows, and at the end `final().parsed`.

        Raises:
            InvalidRequest: the type has no JSON Schema, or the params cannot be sent.
            MeshAPIError: the call failed, as in `stream`; `final` raises what `parse` would.
        """
        from meshapi.resources.chat.outputs import asking  # Not all programs parse.
        from meshapi.resources.chat.parsed_streams import AsyncParsedCompletionStream

        asked, reader = asking(params, output)
        return AsyncParsedCompletionStream(self._with(options), _streamed(asked, options), reader)

    async def run(
        self,
        params: ChatCompletionParams[bool],
        *,
        tools: Sequence[ToolLike],
        max_turns: int = 10,
        on_tool_error: AsyncOnToolError | None = None,
        **options: Unpack[CallOptions],
    ) -> ToolRun:
        """Ask, run the functions that the model calls, tell it what they gave, until it is done.

        The calls of one answer run at the same time, in threads, on `AsyncMeshAPI` async ones in
        this loop; on `MeshAPI` one that is alone runs in this thread. What a function raises, and
        arguments that do not fit, are told to the model. A conversation that ends with calls goes
        on with these, so that what was left half-way can be taken up again.

        Args:
            params: what to ask. `params.tools` are tools without a function: the run ends at a
                call of one, which is then in `pending`.
            tools: the functions that the model may call, or tools made by `Tool.from_function`.
            max_turns: how often the model may be asked, 1 or more; 10 unless given.
            on_tool_error: told of each call whose function raised, and of what; the text that it
                returns is told to the model instead, and what it raises ends the run.
            options: those of `create`, for each question. An `idempotency_key` is sent with the
                number of the model's answer in the conversation behind it.

        Raises:
            MaxTurnsExceeded: the model calls again after its last turn; these calls are not run.
            MeshAPIError: a question failed, as in `create`; `error.run` is what was done so far.
            InvalidRequest: something is no function, cannot be described, or cannot be sent;
                `max_turns` is below 1, or there are no tools.
        """
        from meshapi.resources.chat.run_steps import async_run  # Not all have tools.

        running = _begun(params, tools, max_turns, on_tool_error, options, awaits=True)
        return await async_run(AsyncChatCompletions(self._with(options)), running, on_tool_error)

    def run_stream(
        self,
        params: ChatCompletionParams[bool],
        *,
        tools: Sequence[ToolLike],
        max_turns: int = 10,
        on_tool_error: AsyncOnToolError | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncToolRunStream:
        """Run as `run` does, and give what happens as it happens; a loop raises what `run` would.

        Raises:
            InvalidRequest: something is no function, cannot be described, or cannot be sent.
        """
        from meshapi.resources.chat.run_streams import AsyncToolRunStream  # Not all have tools.

        running = _begun(params, tools, max_turns, on_tool_error, options, awaits=True)
        return AsyncToolRunStream(AsyncChatCompletions(self._with(options)), running, on_tool_error)


def _whole(
    params: ChatCompletionParams[bool], options: CallOptions
) -> Call[ChatCompletionResponse]:
    from meshapi.resources.chat.replies import ChatCompletionResponse, used_by

    model = ChatCompletionResponse
    return post(_PATH, params, ChatCompletionParams, model, options, used=used_by)


def _begun(
    params: ChatCompletionParams[bool],
    tools: Sequence[ToolLike],
    max_turns: int,
    on_tool_error: OnToolError | AsyncOnToolError | None,
    options: CallOptions,
    *,
    awaits: bool,
) -> Running:
    from meshapi.resources.chat.running import Running  # Not all have tools.
    from meshapi.resources.chat.toolbox import check_hook

    check_hook(on_tool_error, awaits=awaits)
    running = Running(params, tools, max_turns, options)
    _whole(*running.question())  # What cannot be sent is refused before a function runs.
    return running


def _streamed(
    params: ChatCompletionParams[bool], options: CallOptions
) -> Call[ChatCompletionChunk]:
    from meshapi.resources.chat.chunks import ChatCompletionChunk

    return post(_PATH, params, ChatCompletionParams, ChatCompletionChunk, options, streams=True)
