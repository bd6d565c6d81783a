"""A streamed completion: chunks as they come, their text, and at the end the whole answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from meshapi._core.call import Call
from meshapi._core.streams import AsyncStream, Stream
from meshapi._core.transport import AsyncTransport, Transport
from meshapi.resources.chat.chunks import ChatCompletionChunk
from meshapi.resources.chat.fold import CompletionFold
from meshapi.resources.chat.replies import ChatCompletionResponse, UsageInfo

if TYPE_CHECKING:
    from meshapi.resources.chat.outputs import OutputType
    from meshapi.resources.chat.parsed import ParsedCompletion

T = TypeVar("T")


class ChatCompletionStream(Stream[ChatCompletionChunk]):
    """The chunks of a completion; their text in `text_stream`, the whole answer in `final()`."""

    def __init__(self, transport: Transport, call: Call[ChatCompletionChunk]) -> None:
        """Send the call, and wait for the first chunk."""
        self._fold = CompletionFold()
        super().__init__(transport, call, self._fold)

    @property
    def text_stream(self) -> Iterator[str]:
        """The first answer's text, piece by piece."""
        return (chunk.text for chunk in self if chunk.text)

    @property
    def usage(self) -> UsageInfo | None:
        """Tokens used; None until the chunk that brings them (one of the last) has been read."""
        return self._fold.usage

    def final(self) -> ChatCompletionResponse:
        """Read what is left, and add all chunks up to the whole answer.

        Raises:
            StreamInterrupted: the stream ended, or was closed, before it was complete.
        """
        self._finish()
        return self._fold.partial(self.meta)


class AsyncChatCompletionStream(AsyncStream[ChatCompletionChunk]):
    """The chunks of a completion; their text in `text_stream`, the whole answer in `final()`."""

    def __init__(self, transport: AsyncTransport, call: Call[ChatCompletionChunk]) -> None:
        """Send nothing yet: entering the stream, or asking for its first chunk, does."""
        self._fold = CompletionFold()
        super().__init__(transport, call, self._fold)

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """The first answer's text, piece by piece."""
        return (chunk.text async for chunk in self if chunk.text)

    @property
    def usage(self) -> UsageInfo | None:
        """Tokens used; None until the chunk that brings them (one of the last) has been read."""
        return self._fold.usage

    async def final(self) -> ChatCompletionResponse:
        """Read what is left, and add all chunks up to the whole answer.

        Raises:
            StreamInterrupted: the stream ended, or was closed, before it was complete.
        """
        await self._finish()
        return self._fold.partial(self.meta)


class ParsedCompletionStream(ChatCompletionStream, Generic[T]):
    """The chunks of a completion whose text is a value: it grows, and `final()` has it whole."""

    def __init__(
        self, transport: Transport, call: Call[ChatCompletionChunk], output: OutputType[T]
    ) -> None:
        """Send the call, and wait for the first chunk."""
        self._output = output
        super().__init__(transport, call)

    @property
    def object_stream(self) -> Iterator[object]:
        """The value as it grows: what JSON has for it (dicts, lists, ...), not validated yet.

        What has not ended, a text above all, is shown as far as it can be read. Of a value above
        16 KiB not every step is shown.
        """
        return self._objects()

    def _objects(self) -> Iterator[object]:
        growing = self._output.growing(self._fold.partial(self.meta).text)
        for text in self.text_stream:
            yield from growing.add(text)
        yield from growing.look()

    def final(self) -> ParsedCompletion[T]:
        """Read what is left, and read the whole answer as the type.

        Raises:
            OutputParseError: it is not of the type, was refused or cut.
            StreamInterrupted: the stream ended, or was closed, before it was complete.
        """
        return self._output.read(super().final())


class AsyncParsedCompletionStream(AsyncChatCompletionStream, Generic[T]):
    """The chunks of a completion whose text is a value: it grows, and `final()` has it whole."""

    def __init__(
        self, transport: AsyncTransport, call: Call[ChatCompletionChunk], output: OutputType[T]
    ) -> None:
        """Send nothing yet: entering the stream, or asking for its first chunk, does."""
        self._output = output
        super().__init__(transport, call)

    @property
    def object_stream(self) -> AsyncIterator[object]:
        """The value as it grows: what JSON has for it (dicts, lists, ...), not validated yet.

        What has not ended, a text above all, is shown as far as it can be read. Of a value above
        16 KiB not every step is shown.
        """
        return self._objects()

    async def _objects(self) -> AsyncIterator[object]:
        growing = self._output.growing(self._fold.partial(self.meta).text)
        async for text in self.text_stream:
            for shown in growing.add(text):
                yield shown
        for shown in growing.look():
            yield shown

    async def final(self) -> ParsedCompletion[T]:
        """Read what is left, and read the whole answer as the type.

        Raises:
            OutputParseError: it is not of the type, was refused or cut.
            StreamInterrupted: the stream ended, or was closed, before it was complete.
        """
        return self._output.read(await super().final())
