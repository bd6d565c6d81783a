"""A streamed completion: chunks as they come, their text, and at the end the whole answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

from meshapi._core.call import Call
from meshapi._core.streams import AsyncStream, Stream
from meshapi._core.transport import AsyncTransport, Transport
from meshapi.resources.chat.chunks import ChatCompletionChunk
from meshapi.resources.chat.fold import CompletionFold
from meshapi.resources.chat.replies import ChatCompletionResponse, UsageInfo

if TYPE_CHECKING:
    from meshapi.errors import MeshAPIError
    from meshapi.resources.chat.events import ChatCompletionEvent, ChunkEvents
    from meshapi.resources.chat.relay import AsyncServerSentEvents, ServerSentEvents

HEARTBEAT_SECONDS = 15.0


class ChatCompletionStream(Stream[ChatCompletionChunk]):
    """The chunks of a completion; their text in `text_stream`, the whole answer in `final()`."""

    def __init__(self, transport: Transport, call: Call[ChatCompletionChunk]) -> None:
        """Send the call, and wait for the first chunk."""
        self._fold = CompletionFold()
        self._told: ChunkEvents | None = None
        super().__init__(transport, call, self._fold)

    @property
    def text_stream(self) -> Iterator[str]:
        """The first answer's text, piece by piece."""
        return (chunk.text for chunk in self if chunk.text)

    @property
    def events(self) -> Iterator[ChatCompletionEvent]:
        """What the chunks tell, as typed events; a `DoneEvent` is the last one.

        Left and asked for again, it goes on where it was. It raises what the stream raises. Chunks
        that are read in between by other ways are not told: a snapshot is what was told as events.
        """
        from meshapi.resources.chat.events import ChunkEvents  # Few ask for them.

        told = self._told = self._told or ChunkEvents()
        if not self._closed:
            yield from told.told()
        for chunk in self:
            told.add(chunk)
            yield from told.told()
        if not self._closed:
            told.add_end(self.final())
            yield from told.told()

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

    def to_sse(
        self,
        *,
        heartbeat: float | None = HEARTBEAT_SECONDS,
        on_error: Callable[[MeshAPIError], str | None] | None = None,
    ) -> ServerSentEvents:
        """Send the stream on to a browser: the body of a response of type `text/event-stream`.

        Each chunk is a frame, then comes `[DONE]`. An error is a frame too, as the gateway's own
        are. When the browser leaves, the call is closed.

        Args:
            heartbeat: after how many seconds of silence a comment is sent, by which a server that
                does not listen for the browser's leaving notices it: above 0, 15 unless given;
                None sends none. A plain `for` loop, as WSGI has, gets none.
            on_error: told of the error that ended the stream; the text that it returns is sent
                instead of the error's message, which may name models, limits and providers.

        Raises:
            InvalidRequest: the heartbeat is not above 0.
        """
        from meshapi.resources.chat.relay import ServerSentEvents  # Few relay.
        from meshapi.resources.chat.sse import frames

        return ServerSentEvents(frames(self._to_its_end(), on_error), self.close, heartbeat)

    def _to_its_end(self) -> Iterator[ChatCompletionChunk]:
        yield from self
        self._finish()


class AsyncChatCompletionStream(AsyncStream[ChatCompletionChunk]):
    """The chunks of a completion; their text in `text_stream`, the whole answer in `final()`."""

    def __init__(self, transport: AsyncTransport, call: Call[ChatCompletionChunk]) -> None:
        """Send nothing yet: entering the stream, or asking for its first chunk, does."""
        self._fold = CompletionFold()
        self._told: ChunkEvents | None = None
        super().__init__(transport, call, self._fold)

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """The first answer's text, piece by piece."""
        return (chunk.text async for chunk in self if chunk.text)

    @property
    async def events(self) -> AsyncIterator[ChatCompletionEvent]:
        """What the chunks tell, as typed events; a `DoneEvent` is the last one.

        Left and asked for again, it goes on where it was. It raises what the stream raises. Chunks
        that are read in between by other ways are not told: a snapshot is what was told as events.
        """
        from meshapi.resources.chat.events import ChunkEvents  # Few ask for them.

        told = self._told = self._told or ChunkEvents()
        if not self._closed:
            for event in told.told():
                yield event
        async for chunk in self:
            told.add(chunk)
            for event in told.told():
                yield event
        if not self._closed:
            told.add_end(await self.final())
            for event in told.told():
                yield event

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

    def to_sse(
        self,
        *,
        heartbeat: float | None = HEARTBEAT_SECONDS,
        on_error: Callable[[MeshAPIError], str | None] | None = None,
    ) -> AsyncServerSentEvents:
        """Send the stream on to a browser: the body of a response of type `text/event-stream`.

        Each chunk is a frame, then comes `[DONE]`. An error is a frame too, as the gateway's own
        are. When the browser leaves, the call is closed.

        Args:
            heartbeat: after how many seconds of silence a comment is sent, by which a server that
                does not listen for the browser's leaving notices it: above 0, 15 unless given;
                None sends none. A plain `for` loop, as WSGI has, gets none.
            on_error: told of the error that ended the stream; the text that it returns is sent
                instead of the error's message, which may name models, limits and providers.

        Raises:
            InvalidRequest: the heartbeat is not above 0.
        """
        from meshapi.resources.chat.relay import AsyncServerSentEvents  # Few relay.
        from meshapi.resources.chat.sse import async_frames

        return AsyncServerSentEvents(
            async_frames(self._to_its_end(), on_error), self.close, heartbeat
        )

    async def _to_its_end(self) -> AsyncIterator[ChatCompletionChunk]:
        async for chunk in self:
            yield chunk
        await self._finish()
