"""A streamed completion whose text is a value: it grows, and is read as its type at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

from meshapi._core.call import Call
from meshapi._core.transport import AsyncTransport, Transport
from meshapi.resources.chat.chunks import ChatCompletionChunk
from meshapi.resources.chat.outputs import OutputType
from meshapi.resources.chat.parsed import ParsedCompletion
from meshapi.resources.chat.streams import AsyncChatCompletionStream, ChatCompletionStream

T = TypeVar("T")


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
    async def object_stream(self) -> AsyncIterator[object]:
        """The value as it grows: what JSON has for it (dicts, lists, ...), not validated yet.

        What has not ended, a text above all, is shown as far as it can be read. Of a value above
        16 KiB not every step is shown.
        """
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
