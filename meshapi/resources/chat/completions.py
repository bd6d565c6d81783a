"""The calls of `POST /v1/chat/completions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar, overload

from typing_extensions import Unpack

from meshapi._core.call import Call, CallOptions
from meshapi._core.resource import AsyncResource, Resource, post
from meshapi.resources.chat.params import ChatCompletionParams

if TYPE_CHECKING:
    from meshapi.resources.chat.chunks import ChatCompletionChunk
    from meshapi.resources.chat.parsed import ParsedCompletion
    from meshapi.resources.chat.parsed_streams import (
        AsyncParsedCompletionStream,
        ParsedCompletionStream,
    )
    from meshapi.resources.chat.replies import ChatCompletionResponse
    from meshapi.resources.chat.schemas import TypeLike
    from meshapi.resources.chat.streams import AsyncChatCompletionStream, ChatCompletionStream

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

        Raises:
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            InvalidResponse: the answer is not what the wire promises.
            InvalidRequest: the params cannot be sent.
        """
        if getattr(params, "stream", None) is True:
            return self.stream(params, **options)
        return self._with(options).send(_whole(params, options))

    def stream(
        self, params: ChatCompletionParams[bool], **options: Unpack[CallOptions]
    ) -> ChatCompletionStream:
        """Ask for a completion as a stream, whatever `params.stream` says.

        Raises:
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            StreamInterrupted: what came is no stream.
            InvalidRequest: the params cannot be sent.
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
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            InvalidResponse: the answer is not what the wire promises.
        """
        from meshapi.resources.chat.outputs import asking  # Not all programs parse.

        asked, reader = asking(params, output)
        return reader.read(self._with(options).send(_whole(asked, options)))

    def parse_stream(
        self,
        params: ChatCompletionParams[bool],
        output: TypeLike[T],
        **options: Unpack[CallOptions],
    ) -> ParsedCompletionStream[T]:
        """Ask for the same as a stream: the value as it grows, and at the end `final().parsed`.

        Raises:
            InvalidRequest: the type has no JSON Schema, or the params cannot be sent.
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            StreamInterrupted: what came is no stream.
        """
        from meshapi.resources.chat.outputs import asking  # Not all programs parse.
        from meshapi.resources.chat.parsed_streams import ParsedCompletionStream

        asked, reader = asking(params, output)
        return ParsedCompletionStream(self._with(options), _streamed(asked, options), reader)


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

        Raises:
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            InvalidResponse: the answer is not what the wire promises.
            InvalidRequest: the params cannot be sent.
        """
        if getattr(params, "stream", None) is True:
            return await self.stream(params, **options).__aenter__()
        return await self._with(options).send(_whole(params, options))

    def stream(
        self, params: ChatCompletionParams[bool], **options: Unpack[CallOptions]
    ) -> AsyncChatCompletionStream:
        """Ask for a completion as a stream, whatever `params.stream` says.

        Raises:
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            StreamInterrupted: what came is no stream.
            InvalidRequest: the params cannot be sent.
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
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            InvalidResponse: the answer is not what the wire promises.
        """
        from meshapi.resources.chat.outputs import asking  # Not all programs parse.

        asked, reader = asking(params, output)
        return reader.read(await self._with(options).send(_whole(asked, options)))

    def parse_stream(
        self,
        params: ChatCompletionParams[bool],
        output: TypeLike[T],
        **options: Unpack[CallOptions],
    ) -> AsyncParsedCompletionStream[T]:
        """Ask for the same as a stream: the value as it grows, and at the end `final().parsed`.

        Raises:
            InvalidRequest: the type has no JSON Schema, or the params cannot be sent.
            APIStatusError: the gateway refused; its subclasses say why.
            ConnectionFailed: no answer came, or none in time (`DeadlineExceeded`).
            StreamInterrupted: what came is no stream.
        """
        from meshapi.resources.chat.outputs import asking  # Not all programs parse.
        from meshapi.resources.chat.parsed_streams import AsyncParsedCompletionStream

        asked, reader = asking(params, output)
        return AsyncParsedCompletionStream(self._with(options), _streamed(asked, options), reader)


def _whole(
    params: ChatCompletionParams[bool], options: CallOptions
) -> Call[ChatCompletionResponse]:
    from meshapi.resources.chat.replies import ChatCompletionResponse

    return post(_PATH, params, ChatCompletionParams, ChatCompletionResponse, options)


def _streamed(
    params: ChatCompletionParams[bool], options: CallOptions
) -> Call[ChatCompletionChunk]:
    from meshapi.resources.chat.chunks import ChatCompletionChunk

    return post(_PATH, params, ChatCompletionParams, ChatCompletionChunk, options, streams=True)
