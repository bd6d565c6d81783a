"""The only module that waits on the network: sends, opens streams, repeats what may be repeated.

What to send, how to read it and whether to try again is decided elsewhere. Here is only the
waiting, once without `await` and once with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
)
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Generic, TypeAlias, TypeVar

import httpx

from meshapi._core.call import Call, Reply, read_answer, read_failure
from meshapi._core.connections import AsyncPool, Departure, Pool, at_most, cut_off
from meshapi._core.exchange import Body, Exchange
from meshapi._core.inflate import InflateError, Inflater, encoding_of
from meshapi._core.models import AnswerT, PayloadT
from meshapi._core.reader import Fold, StreamReader
from meshapi._core.retry import RetryBudget
from meshapi._core.settings import ClientOptions, Settings
from meshapi._core.token import Token
from meshapi.errors import (
    ConfigurationError,
    ConnectionFailed,
    InvalidRequest,
    InvalidResponse,
    MeshAPIError,
    RetrySafety,
)

ResultT = TypeVar("ResultT")
EventsT = TypeVar("EventsT")
AbortT = TypeVar("AbortT")


@dataclass(slots=True)
class Opened(Generic[PayloadT, EventsT, AbortT]):
    """A stream whose first event has come: it waits in `ahead`, the rest comes from `events`."""

    reader: StreamReader[PayloadT]
    ahead: list[PayloadT]
    events: EventsT
    abort: AbortT
    """Ends a wait for the next event, from outside."""


SyncOpened: TypeAlias = Opened[PayloadT, Generator[PayloadT], Callable[[], None]]
AsyncOpened: TypeAlias = Opened[PayloadT, AsyncGenerator[PayloadT], Callable[[], Awaitable[None]]]


@dataclass(slots=True)
class Transport:
    """Sends calls and opens streams over one pool of connections."""

    pool: Pool
    settings: Settings
    owns_pool: bool = True
    budget: RetryBudget = field(default_factory=RetryBudget)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def with_options(self, options: ClientOptions) -> Transport:
        """The same pool and budget under other settings; closing it closes nothing."""
        return replace(self, settings=self.settings.replaced(options), owns_pool=False)

    def close(self) -> None:
        """Close the pool, unless it is somebody else's."""
        if self.owns_pool:
            self.pool.close()

    def send(self, call: Call[AnswerT]) -> AnswerT:
        """Send a call and read its whole answer."""
        exchange = _begin(self, call)
        return self._persist(exchange, lambda: self._ask(exchange))

    def open(self, call: Call[PayloadT], fold: Fold[PayloadT]) -> SyncOpened[PayloadT]:
        """Send a call and wait for the first event of its answer."""
        exchange = _begin(self, call)
        return self._persist(exchange, lambda: self._listen(exchange, fold))

    def _persist(self, exchange: Exchange[PayloadT], attempt: Callable[[], ResultT]) -> ResultT:
        try:
            return attempt()
        except MeshAPIError as error:
            first = error
        return self._repeat(exchange, attempt, first)

    def _repeat(
        self, exchange: Exchange[PayloadT], attempt: Callable[[], ResultT], first: MeshAPIError
    ) -> ResultT:
        if not exchange.attempts.may_follow(first):
            raise first
        from tenacity import Retrying  # Only who fails pays for this import.

        for turn in Retrying(**exchange.attempts.rules(), sleep=self.sleep):
            with turn:
                if turn.retry_state.attempt_number == 1:
                    raise first
                return attempt()
        raise first

    def _ask(self, exchange: Exchange[AnswerT]) -> AnswerT:
        response = self._head(exchange)
        answer = read_answer(exchange.call.model, self._whole(exchange, response))
        self.budget.refund()
        return answer

    def _listen(self, exchange: Exchange[PayloadT], fold: Fold[PayloadT]) -> SyncOpened[PayloadT]:
        response = self._head(exchange)
        if not response.is_success:
            raise read_failure(self._whole(exchange, response))
        reader = exchange.reader(fold)
        events = _events(self.pool, exchange, reader, response)
        ahead = list(islice(events, 1))
        reader.meta = exchange.meta
        self.budget.refund()
        return Opened(reader, ahead, events, lambda: cut_off(response))

    def _head(self, exchange: Exchange[PayloadT]) -> httpx.Response:
        token = self.settings.token.ask()
        http = self.pool.client()
        departure = Departure()
        try:
            with at_most(exchange.left):
                request = _request(http, exchange, token, departure)
                response = http.send(request, stream=True, auth=None, follow_redirects=False)
        except _FOREIGN as error:
            failure = _failure(error, exchange, departure)
        else:
            response.extensions.pop("reason_phrase", None)  # A server's own words, for our repr.
            exchange.answered(response.status_code, response.headers.multi_items())
            return response
        raise failure

    def _whole(self, exchange: Exchange[PayloadT], response: httpx.Response) -> Reply:
        body = Body(exchange)
        pieces = _pieces(response)
        try:
            while body.take(_next(exchange, pieces)):
                pass
        except (ConnectionFailed, InvalidResponse):
            if not exchange.failed:
                raise
        finally:
            response.close()
        return body.reply()


@dataclass(slots=True)
class AsyncTransport:
    """Sends calls and opens streams over one pool of connections."""

    pool: AsyncPool
    settings: Settings
    owns_pool: bool = True
    budget: RetryBudget = field(default_factory=RetryBudget)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def with_options(self, options: ClientOptions) -> AsyncTransport:
        """The same pool and budget under other settings; closing it closes nothing."""
        return replace(self, settings=self.settings.replaced(options), owns_pool=False)

    async def close(self) -> None:
        """Close the pool, unless it is somebody else's."""
        if self.owns_pool:
            await self.pool.close()

    async def send(self, call: Call[AnswerT]) -> AnswerT:
        """Send a call and read its whole answer."""
        exchange = _begin(self, call)
        return await self._persist(exchange, lambda: self._ask(exchange))

    async def open(self, call: Call[PayloadT], fold: Fold[PayloadT]) -> AsyncOpened[PayloadT]:
        """Send a call and wait for the first event of its answer."""
        exchange = _begin(self, call)
        return await self._persist(exchange, lambda: self._listen(exchange, fold))

    async def _persist(
        self, exchange: Exchange[PayloadT], attempt: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        try:
            return await attempt()
        except MeshAPIError as error:
            first = error
        return await self._repeat(exchange, attempt, first)

    async def _repeat(
        self,
        exchange: Exchange[PayloadT],
        attempt: Callable[[], Awaitable[ResultT]],
        first: MeshAPIError,
    ) -> ResultT:
        if not exchange.attempts.may_follow(first):
            raise first
        from tenacity import AsyncRetrying  # Only who fails pays for this import.

        async for turn in AsyncRetrying(**exchange.attempts.rules(), sleep=self.sleep):
            with turn:
                if turn.retry_state.attempt_number == 1:
                    raise first
                return await attempt()
        raise first

    async def _ask(self, exchange: Exchange[AnswerT]) -> AnswerT:
        response = await self._head(exchange)
        answer = read_answer(exchange.call.model, await self._whole(exchange, response))
        self.budget.refund()
        return answer

    async def _listen(
        self, exchange: Exchange[PayloadT], fold: Fold[PayloadT]
    ) -> AsyncOpened[PayloadT]:
        response = await self._head(exchange)
        if not response.is_success:
            raise read_failure(await self._whole(exchange, response))
        reader = exchange.reader(fold)
        events = _async_events(self.pool, exchange, reader, response)
        first = await anext(events, None)
        reader.meta = exchange.meta
        self.budget.refund()
        return Opened(reader, [] if first is None else [first], events, response.aclose)

    async def _head(self, exchange: Exchange[PayloadT]) -> httpx.Response:
        token = await self._ask_token(exchange)
        http = await self.pool.client()
        departure = Departure()
        try:
            async with asyncio.timeout(exchange.left):
                request = _request(http, exchange, token, departure)
                response = await http.send(request, stream=True, auth=None, follow_redirects=False)
        except _FOREIGN as error:
            failure = _failure(error, exchange, departure)
        else:
            response.extensions.pop("reason_phrase", None)  # A server's own words, for our repr.
            exchange.answered(response.status_code, response.headers.multi_items())
            return response
        raise failure

    async def _ask_token(self, exchange: Exchange[PayloadT]) -> Token:
        try:
            async with asyncio.timeout(exchange.left):
                return await self.settings.token.ask_async()
        except TimeoutError:
            raise exchange.too_late("not_sent") from None

    async def _whole(self, exchange: Exchange[PayloadT], response: httpx.Response) -> Reply:
        body = Body(exchange)
        pieces = _async_pieces(response)
        try:
            while body.take(await _anext(exchange, pieces)):
                pass
        except (ConnectionFailed, InvalidResponse):
            if not exchange.failed:
                raise
        finally:
            await response.aclose()
        return body.reply()


# The events of a stream come from generators, and not from methods of the stream: they hold nothing
# of the stream, so that one that is dropped half-way is closed at once, in `finally`. They do hold
# the pool, so that a stream outlives its client.


def _events(
    pool: Pool,
    exchange: Exchange[PayloadT],
    reader: StreamReader[PayloadT],
    response: httpx.Response,
) -> Generator[PayloadT]:
    pieces = _pieces(response)
    failure: MeshAPIError | None = None
    event: PayloadT | None = None
    try:
        while not reader.done and (piece := _next(exchange, pieces)) is not None:
            for event in reader.read(piece):
                yield event
                exchange.heard()
        for event in reader.end():
            yield event
        if reader.done and pool.is_own:
            _drain(pieces)
    except MeshAPIError as error:
        failure = reader.cut(error)
    finally:
        response.close()
    if failure:
        piece = event = None  # What a server said is no part of a traceback.
        raise failure.with_traceback(None)


async def _async_events(
    pool: AsyncPool,
    exchange: Exchange[PayloadT],
    reader: StreamReader[PayloadT],
    response: httpx.Response,
) -> AsyncGenerator[PayloadT]:
    pieces = _async_pieces(response)
    failure: MeshAPIError | None = None
    event: PayloadT | None = None
    try:
        while not reader.done and (piece := await _anext(exchange, pieces)) is not None:
            for event in reader.read(piece):
                yield event
                exchange.heard()
        for event in reader.end():
            yield event
        if reader.done and pool.is_own:
            await _async_drain(pieces)
    except MeshAPIError as error:
        failure = reader.cut(error)
    finally:
        await response.aclose()
    if failure:
        piece = event = None  # What a server said is no part of a traceback.
        raise failure.with_traceback(None)


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    if response.is_stream_consumed:  # By a hook of a lent client, or a mock: it is inflated, too.
        yield response.content
        return
    assert isinstance(response.stream, httpx.SyncByteStream)
    encoding = encoding_of(response.headers.get("content-encoding", ""))
    if encoding is None:
        yield from response.stream
        return
    inflater = Inflater(encoding)
    for data in response.stream:
        yield from inflater.push(data)


async def _async_pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:  # By a hook of a lent client, or a mock: it is inflated, too.
        yield response.content
        return
    assert isinstance(response.stream, httpx.AsyncByteStream)
    encoding = encoding_of(response.headers.get("content-encoding", ""))
    if encoding is None:
        async for data in response.stream:
            yield data
        return
    inflater = Inflater(encoding)
    async for data in response.stream:
        for piece in inflater.push(data):
            yield piece


_DRAIN_SECONDS = 0.1
_DRAIN_PIECES = 16


def _drain(pieces: Iterator[bytes]) -> None:
    """Read what follows the end of a stream, for a moment: then its connection can be kept."""
    with suppress(*_FOREIGN), at_most(_DRAIN_SECONDS):
        for _ in islice(pieces, _DRAIN_PIECES):
            pass


async def _async_drain(pieces: AsyncIterator[bytes]) -> None:
    """Read what follows the end of a stream, for a moment: then its connection can be kept."""
    with suppress(*_FOREIGN):
        async with asyncio.timeout(_DRAIN_SECONDS):
            for _ in range(_DRAIN_PIECES):
                if await anext(pieces, None) is None:
                    return


def _next(exchange: Exchange[PayloadT], pieces: Iterator[bytes]) -> bytes | None:
    try:
        with at_most(exchange.left):
            piece = next(pieces, None)
    except _FOREIGN as error:
        failure = _failure(error, exchange)
    else:
        if exchange.left:
            return piece
        failure = exchange.too_late("ambiguous")
        piece = None  # What a server said is no part of a traceback.
    raise failure


async def _anext(exchange: Exchange[PayloadT], pieces: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(exchange.left):
            piece = await anext(pieces, None)
    except _FOREIGN as error:
        failure = _failure(error, exchange)
    else:
        if exchange.left:
            return piece
        failure = exchange.too_late("ambiguous")
        piece = None  # What a server said is no part of a traceback.
    raise failure


def _begin(transport: Transport | AsyncTransport, call: Call[PayloadT]) -> Exchange[PayloadT]:
    return Exchange(call, transport.settings, transport.budget, transport.clock)


def _request(
    http: httpx.Client | httpx.AsyncClient,
    exchange: Exchange[PayloadT],
    token: Token,
    departure: Departure,
) -> httpx.Request:
    left = max(exchange.left, 0.001)
    # Exact limits are set around each wait; these serve a client that is not ours.
    read = max(left, exchange.settings.timeout.idle) if exchange.call.streams else left
    connect = min(left, exchange.settings.timeout.connect)
    return http.build_request(
        exchange.call.method,
        exchange.url,
        content=exchange.call.body,
        headers=exchange.next_headers(token),
        timeout=httpx.Timeout(connect=connect, read=read, write=left, pool=left),
        extensions={"departure": departure},
    )


# What httpx raises -> what it is to the caller; the first row that fits decides.
_FAILURES: tuple[tuple[type[Exception], type[MeshAPIError], RetrySafety, str], ...] = (
    (httpx.ProxyError, ConnectionFailed, "not_sent", "The proxy refused"),
    (httpx.ConnectError, ConnectionFailed, "not_sent", "No connection"),
    (httpx.UnsupportedProtocol, ConfigurationError, "final", "The URL cannot be called"),
    (httpx.InvalidURL, ConfigurationError, "final", "The URL cannot be called"),
    (UnicodeError, ConfigurationError, "final", "The URL cannot be called"),
    (httpx.LocalProtocolError, InvalidRequest, "final", "The request cannot be sent"),
    (InflateError, InvalidResponse, "final", "The answer cannot be inflated"),
    (httpx.DecodingError, InvalidResponse, "final", "The answer cannot be inflated"),
    (Exception, ConnectionFailed, "ambiguous", "The connection broke"),
)


# What comes from below. It holds the request and so the token: our own error is raised after the
# `except` block, so that it does not even have it as its context.
_FOREIGN = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    InflateError,
    UnicodeError,
    OSError,
)


def _failure(
    error: Exception, exchange: Exchange[PayloadT], departure: Departure | None = None
) -> MeshAPIError:
    has_left = departure is None or departure.happened
    if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
        is_over = isinstance(error, httpx.PoolTimeout) or not exchange.left
        return exchange.too_late("not_sent", None if is_over else "connect")
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return exchange.too_late("ambiguous" if has_left else "not_sent")
    kind, safety, what = next(row[1:] for row in _FAILURES if isinstance(error, row[0]))
    if safety == "ambiguous" and not has_left:
        safety = "not_sent"
    reason = exchange.token.hide_in_text(str(error)) or type(error).__name__
    return kind(f"{what}: {exchange.url} ({reason})", retry_safety=safety, meta=exchange.meta)
