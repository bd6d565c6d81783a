"""One test, both colours: the same words drive `MeshAPI` and `AsyncMeshAPI`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, TypeAlias, TypeVar, cast

import httpx
from typing_extensions import Unpack

from meshapi import (
    AsyncChatCompletionStream,
    AsyncMeshAPI,
    AsyncToolRunStream,
    ChatCompletionChunk,
    ChatCompletionEvent,
    ChatCompletionParams,
    ChatCompletionStream,
    MeshAPI,
    ToolRunStream,
)
from meshapi._core.settings import ClientOptions
from meshapi.local import LocalGateway
from meshapi.resources.chat.sse import OnError

T = TypeVar("T")
Client: TypeAlias = MeshAPI | AsyncMeshAPI
AnyStream: TypeAlias = ChatCompletionStream | AsyncChatCompletionStream
AnyRunStream: TypeAlias = ToolRunStream | AsyncToolRunStream


class Sync:
    """Plain calls."""

    name = "sync"

    def client(self, **options: object) -> Client:
        return cast("Callable[..., MeshAPI]", MeshAPI)(**options)

    def in_process(self, gateway: LocalGateway, **options: Unpack[ClientOptions]) -> Client:
        """A client that asks a gateway without a socket."""
        return gateway.client(**options)

    def mocked(self, answer: Callable[[httpx.Request], httpx.Response]) -> object:
        """An httpx client of the user's own, answering from memory."""
        return httpx.Client(transport=httpx.MockTransport(answer))

    @contextmanager
    def lent(self, *, wanted: bool = True) -> Generator[object]:
        """An httpx client of the user's own, over real sockets; None where none is wanted."""
        with httpx.Client() as client:
            yield client if wanted else None

    def settle(self, value: T | Awaitable[T]) -> T:
        return cast("T", value)

    def together(self, call: Callable[[], T | Awaitable[T]], times: int) -> list[T]:
        """The same call so many times at once."""
        with ThreadPoolExecutor(times) as threads:
            calls = [threads.submit(call) for _ in range(times)]
            return [self.settle(each.result()) for each in calls]

    def create_stream(
        self, client: Client, params: ChatCompletionParams[Literal[True]]
    ) -> AnyStream:
        assert isinstance(client, MeshAPI)
        return client.chat.completions.create(params)

    def collect(self, stream: AnyStream) -> list[ChatCompletionChunk]:
        assert isinstance(stream, ChatCompletionStream)
        return list(stream)

    def text_of(self, stream: AnyStream) -> list[str]:
        assert isinstance(stream, ChatCompletionStream)
        return list(stream.text_stream)

    def events_of(
        self,
        stream: AnyStream,
        told: list[ChatCompletionEvent] | None = None,
        most: int | None = None,
    ) -> list[ChatCompletionEvent]:
        """Read the typed events (into a list that survives an error), at most so many."""
        assert isinstance(stream, ChatCompletionStream)
        told = [] if told is None else told
        for event in stream.events:
            told.append(event)
            if len(told) == most:
                break
        return told

    def frames_of(
        self, stream: AnyStream | AnyRunStream, on_error: OnError | None = None
    ) -> list[bytes]:
        assert isinstance(stream, (ChatCompletionStream, ToolRunStream))
        return list(stream.to_sse(on_error=on_error))

    def take(self, stream: AnyStream, count: int) -> list[ChatCompletionChunk]:
        """Read so many events, and leave by `break`."""
        assert isinstance(stream, ChatCompletionStream)
        taken: list[ChatCompletionChunk] = []
        for event in stream:
            taken.append(event)
            if len(taken) == count:
                break
        return taken

    def end(self) -> None:
        """Nothing to clean up."""


class Async(Sync):
    """The same calls, each awaited on one event loop."""

    name = "async"

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def client(self, **options: object) -> Client:
        return cast("Callable[..., AsyncMeshAPI]", AsyncMeshAPI)(**options)

    def in_process(self, gateway: LocalGateway, **options: Unpack[ClientOptions]) -> Client:
        return gateway.async_client(**options)

    def mocked(self, answer: Callable[[httpx.Request], httpx.Response]) -> object:
        return httpx.AsyncClient(transport=httpx.MockTransport(answer))

    @contextmanager
    def lent(self, *, wanted: bool = True) -> Generator[object]:
        client = httpx.AsyncClient()
        yield client if wanted else None
        self._runner.run(client.aclose())

    def settle(self, value: T | Awaitable[T]) -> T:
        async def awaited() -> T:
            return cast("T", await value if inspect.isawaitable(value) else value)

        return self._runner.run(awaited())

    def together(self, call: Callable[[], T | Awaitable[T]], times: int) -> list[T]:
        async def gathered() -> list[T]:
            return await asyncio.gather(*(cast("Awaitable[T]", call()) for _ in range(times)))

        return self._runner.run(gathered())

    def create_stream(
        self, client: Client, params: ChatCompletionParams[Literal[True]]
    ) -> AnyStream:
        assert isinstance(client, AsyncMeshAPI)
        return self._runner.run(client.chat.completions.create(params))

    def collect(self, stream: AnyStream) -> list[ChatCompletionChunk]:
        async def collected() -> list[ChatCompletionChunk]:
            assert isinstance(stream, AsyncChatCompletionStream)
            return [event async for event in stream]

        return self._runner.run(collected())

    def text_of(self, stream: AnyStream) -> list[str]:
        async def collected() -> list[str]:
            assert isinstance(stream, AsyncChatCompletionStream)
            return [text async for text in stream.text_stream]

        return self._runner.run(collected())

    def events_of(
        self,
        stream: AnyStream,
        told: list[ChatCompletionEvent] | None = None,
        most: int | None = None,
    ) -> list[ChatCompletionEvent]:
        kept: list[ChatCompletionEvent] = [] if told is None else told

        async def collected() -> None:
            assert isinstance(stream, AsyncChatCompletionStream)
            async for event in stream.events:
                kept.append(event)
                if len(kept) == most:
                    break

        self._runner.run(collected())
        return kept

    def frames_of(
        self, stream: AnyStream | AnyRunStream, on_error: OnError | None = None
    ) -> list[bytes]:
        async def collected() -> list[bytes]:
            assert isinstance(stream, (AsyncChatCompletionStream, AsyncToolRunStream))
            return [frame async for frame in stream.to_sse(on_error=on_error)]

        return self._runner.run(collected())

    def take(self, stream: AnyStream, count: int) -> list[ChatCompletionChunk]:
        async def taken() -> list[ChatCompletionChunk]:
            assert isinstance(stream, AsyncChatCompletionStream)
            events: list[ChatCompletionChunk] = []
            async for event in stream:
                events.append(event)
                if len(events) == count:
                    break
            return events

        return self._runner.run(taken())

    def end(self) -> None:
        self._runner.close()
