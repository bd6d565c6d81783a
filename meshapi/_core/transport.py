"""The two shells that wait: they send, open streams, and retry what may be retried.

What to send, how to read it and whether to try again is decided elsewhere. Here is only the
waiting, once without `await` and once with it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
)
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import httpx

from meshapi._core.call import Call, Reply, read_answer, read_failure
from meshapi._core.deadline import Deadline
from meshapi._core.exchange import Body, Exchange
from meshapi._core.incoming import (
    FOREIGN,
    anext_of,
    async_drain,
    async_pieces_of,
    drain,
    failure_of,
    next_of,
    pieces_of,
)
from meshapi._core.models import AnswerT, PayloadT
from meshapi._core.outgoing import Departure, Outgoing
from meshapi._core.retry import RetryBudget
from meshapi._core.settings import ClientOptions, Settings
from meshapi._core.telling import async_tell, tell
from meshapi._core.token import Token
from meshapi._core.totals import Ledger
from meshapi._core.waiting import async_sleep, within
from meshapi.errors import (
    ConnectionFailed,
    InvalidResponse,
    MeshAPIError,
)

if TYPE_CHECKING:
    from meshapi._core.connections.async_pool import AsyncPool
    from meshapi._core.connections.pool import Pool
    from meshapi._core.rate_limit import RateLimit
    from meshapi._core.reader import Fold, StreamReader

ResultT = TypeVar("ResultT")
EventsT = TypeVar("EventsT")
AbortT = TypeVar("AbortT")


class Opened(Generic[PayloadT, EventsT, AbortT]):
    """A stream whose first event has come: it waits in `ahead`, the rest comes from `events`."""

    __slots__ = ("abort", "ahead", "events", "reader")

    def __init__(
        self,
        reader: StreamReader[PayloadT],
        ahead: list[PayloadT],
        events: EventsT,
        abort: AbortT,
    ) -> None:
        """Take what belongs to it; `abort` ends a wait for the next event, from outside."""
        self.reader: StreamReader[PayloadT] = reader
        self.ahead: list[PayloadT] = ahead
        self.events: EventsT = events
        self.abort: AbortT = abort


SyncOpened: TypeAlias = Opened[PayloadT, Generator[PayloadT], Callable[[], None]]
AsyncOpened: TypeAlias = Opened[PayloadT, AsyncGenerator[PayloadT], Callable[[], Awaitable[None]]]


class Transport:
    """Sends calls and opens streams over one pool of connections."""

    # On the class, so that the local gateway can move the time of every client.
    clock: Callable[[], float] = staticmethod(time.monotonic)
    sleep: Callable[[float], None] = staticmethod(time.sleep)

    def __init__(self, pool: Pool, settings: Settings) -> None:
        """Own the pool."""
        self.pool = pool
        self.settings = settings
        self.owns_pool = True
        self.budget: RetryBudget = RetryBudget()
        self.ledger: Ledger = Ledger()

    def with_options(self, options: ClientOptions) -> Transport:
        """The same pool, budget and ledger under other settings; closing it closes nothing."""
        other = copy.copy(self)
        other.settings = self.settings.replaced(options)
        other.owns_pool = False
        return other

    def close(self) -> None:
        """Close the pool, unless it is somebody else's."""
        if self.owns_pool:
            self.pool.close()

    def send(self, call: Call[AnswerT]) -> AnswerT:
        """Send a call and read its whole answer."""
        exchange = _begin(self, call)
        try:
            answer = self._persist(exchange, lambda: self._ask(exchange))
        except BaseException as error:
            exchange.given_up(error)
            raise
        exchange.watch.answered(call, answer)
        return answer

    def open(self, call: Call[PayloadT], fold: Fold[PayloadT]) -> SyncOpened[PayloadT]:
        """Send a call and wait for the first event of its answer."""
        exchange = _begin(self, call)
        try:
            opened = self._persist(exchange, lambda: self._listen(exchange, fold))
        except BaseException as error:
            exchange.given_up(error)
            raise
        exchange.watch.handed_over(opened.reader.meta)
        return opened

    def _persist(self, exchange: Exchange[PayloadT], attempt: Callable[[], ResultT]) -> ResultT:
        if self.settings.rate_limit:
            self._take_turn(exchange, self.settings.rate_limit)
        try:
            return self.once(exchange, attempt)
        except MeshAPIError as error:
            # In a list it can be taken out of: a frame that holds the error it raises is held by
            # it, and both are left to the garbage collector.
            failed = [error]
        return self._repeat(exchange, attempt, failed)

    def _repeat(
        self,
        exchange: Exchange[PayloadT],
        attempt: Callable[[], ResultT],
        failed: list[MeshAPIError],
    ) -> ResultT:
        if not exchange.attempts.may_follow(failed[0]):
            raise failed.pop()
        from tenacity import Retrying  # Only who fails pays for this import.

        for turn in Retrying(
            **exchange.attempts.rules(), sleep=lambda wait: self._rest(exchange, wait)
        ):
            with turn:
                if failed:
                    raise failed.pop()
                if self.settings.rate_limit:
                    self._take_turn(exchange, self.settings.rate_limit)
                return self.once(exchange, attempt)
        raise AssertionError("The last attempt returns or raises")

    def _rest(self, exchange: Exchange[PayloadT], wait: float) -> None:
        retry = exchange.watch.repeats(wait)
        if self.settings.hooks:
            pause = Deadline(wait, self.clock)
            tell(self.settings.hooks.on_retry, retry)
            wait = pause.left
        self.sleep(wait)

    def once(self, exchange: Exchange[PayloadT], attempt: Callable[[], ResultT]) -> ResultT:
        """Make one attempt, and tell those who asked what came of it."""
        try:
            result = attempt()
        except MeshAPIError as error:
            self._end_attempt(exchange, error)
            raise
        if self.settings.hooks:
            self._end_attempt(exchange)
        return result

    def _take_turn(self, exchange: Exchange[PayloadT], limit: RateLimit) -> None:
        for wait in exchange.turn(limit):
            self.sleep(wait)

    def _end_attempt(self, exchange: Exchange[PayloadT], error: MeshAPIError | None = None) -> None:
        response = exchange.tried(error)
        if self.settings.hooks and response:
            tell(self.settings.hooks.on_response, response)

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
        events = _events(exchange, reader, response, drains=self.pool.is_own)
        ahead = list(islice(events, 1))
        reader.meta = exchange.meta
        self.budget.refund()
        return Opened(reader, ahead, events, lambda: self.pool.cut_off(response))

    def _head(self, exchange: Exchange[PayloadT]) -> httpx.Response:
        token = self.settings.token
        token = token if token.is_fixed else token.ask()
        if self.settings.hooks:
            tell(self.settings.hooks.on_request, exchange.next_request())
        outgoing = _outgoing(exchange, token)
        try:
            response = self.pool.send(outgoing)
        except FOREIGN as error:
            failure = failure_of(error, exchange, has_left=outgoing.departure.happened)
        else:
            response.extensions.pop("reason_phrase", None)  # A server's own words, for our repr.
            exchange.answered(response.status_code, response.headers.raw)
            return response
        raise failure

    def _whole(self, exchange: Exchange[PayloadT], response: httpx.Response) -> Reply:
        body = Body(exchange)
        pieces = pieces_of(exchange, response)
        try:
            while body.take(next_of(exchange, pieces)):
                pass
        except (ConnectionFailed, InvalidResponse):
            if not exchange.failed:
                raise
        finally:
            response.close()
        return body.reply()


class AsyncTransport:
    """Sends calls and opens streams over one pool of connections."""

    clock: Callable[[], float] = staticmethod(time.monotonic)
    sleep: Callable[[float], Awaitable[None]] = staticmethod(async_sleep)

    def __init__(self, pool: AsyncPool, settings: Settings) -> None:
        """Own the pool."""
        self.pool = pool
        self.settings = settings
        self.owns_pool = True
        self.budget: RetryBudget = RetryBudget()
        self.ledger: Ledger = Ledger()

    def with_options(self, options: ClientOptions) -> AsyncTransport:
        """The same pool, budget and ledger under other settings; closing it closes nothing."""
        other = copy.copy(self)
        other.settings = self.settings.replaced(options)
        other.owns_pool = False
        return other

    async def close(self) -> None:
        """Close the pool, unless it is somebody else's."""
        if self.owns_pool:
            await self.pool.close()

    async def send(self, call: Call[AnswerT]) -> AnswerT:
        """Send a call and read its whole answer."""
        exchange = _begin(self, call)
        try:
            answer = await self._persist(exchange, lambda: self._ask(exchange))
        except BaseException as error:
            exchange.given_up(error)
            raise
        exchange.watch.answered(call, answer)
        return answer

    async def open(self, call: Call[PayloadT], fold: Fold[PayloadT]) -> AsyncOpened[PayloadT]:
        """Send a call and wait for the first event of its answer."""
        exchange = _begin(self, call)
        try:
            opened = await self._persist(exchange, lambda: self._listen(exchange, fold))
        except BaseException as error:
            exchange.given_up(error)
            raise
        exchange.watch.handed_over(opened.reader.meta)
        return opened

    async def _persist(
        self, exchange: Exchange[PayloadT], attempt: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        if self.settings.rate_limit:
            await self._take_turn(exchange, self.settings.rate_limit)
        try:
            return await self.once(exchange, attempt)
        except MeshAPIError as error:
            failed = [error]
        return await self._repeat(exchange, attempt, failed)

    async def _repeat(
        self,
        exchange: Exchange[PayloadT],
        attempt: Callable[[], Awaitable[ResultT]],
        failed: list[MeshAPIError],
    ) -> ResultT:
        if not exchange.attempts.may_follow(failed[0]):
            raise failed.pop()
        from tenacity import AsyncRetrying  # Only who fails pays for this import.

        async for turn in AsyncRetrying(
            **exchange.attempts.rules(), sleep=lambda wait: self._rest(exchange, wait)
        ):
            with turn:
                if failed:
                    raise failed.pop()
                if self.settings.rate_limit:
                    await self._take_turn(exchange, self.settings.rate_limit)
                return await self.once(exchange, attempt)
        raise AssertionError("The last attempt returns or raises")

    async def _rest(self, exchange: Exchange[PayloadT], wait: float) -> None:
        retry = exchange.watch.repeats(wait)
        if self.settings.hooks:
            pause = Deadline(wait, self.clock)
            await async_tell(self.settings.hooks.on_retry, retry, exchange.deadline.left)
            wait = pause.left
        await self.sleep(wait)

    async def once(
        self, exchange: Exchange[PayloadT], attempt: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        """Make one attempt, and tell those who asked what came of it."""
        try:
            result = await attempt()
        except MeshAPIError as error:
            await self._end_attempt(exchange, error)
            raise
        if self.settings.hooks:
            await self._end_attempt(exchange)
        return result

    async def _take_turn(self, exchange: Exchange[PayloadT], limit: RateLimit) -> None:
        for wait in exchange.turn(limit):
            await self.sleep(wait)

    async def _end_attempt(
        self, exchange: Exchange[PayloadT], error: MeshAPIError | None = None
    ) -> None:
        response = exchange.tried(error)
        if self.settings.hooks and response:
            left = exchange.deadline.left
            await async_tell(self.settings.hooks.on_response, response, left)

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
        events = _async_events(exchange, reader, response, drains=self.pool.is_own)
        first = await anext(events, None)
        reader.meta = exchange.meta
        self.budget.refund()
        return Opened(reader, [] if first is None else [first], events, response.aclose)

    async def _head(self, exchange: Exchange[PayloadT]) -> httpx.Response:
        token = await self._ask_token(exchange)
        if self.settings.hooks:
            left = exchange.deadline.left
            await async_tell(self.settings.hooks.on_request, exchange.next_request(), left)
        outgoing = _outgoing(exchange, token)
        try:
            async with within(exchange.deadline.left):
                response = await self.pool.send(outgoing)
        except FOREIGN as error:
            failure = failure_of(error, exchange, has_left=outgoing.departure.happened)
        else:
            response.extensions.pop("reason_phrase", None)  # A server's own words, for our repr.
            exchange.answered(response.status_code, response.headers.raw)
            return response
        raise failure

    async def _ask_token(self, exchange: Exchange[PayloadT]) -> Token:
        if self.settings.token.is_fixed:
            return self.settings.token
        try:
            async with within(exchange.deadline.left):
                return await self.settings.token.ask_async()
        except TimeoutError:
            raise exchange.too_late("not_sent") from None

    async def _whole(self, exchange: Exchange[PayloadT], response: httpx.Response) -> Reply:
        body = Body(exchange)
        pieces = async_pieces_of(exchange, response)
        try:
            while body.take(await anext_of(exchange, pieces)):
                pass
        except (ConnectionFailed, InvalidResponse):
            if not exchange.failed:
                raise
        finally:
            await response.aclose()
        return body.reply()


# The events of a stream come from generators, and not from methods of the stream: they hold nothing
# of the stream, so that one that is dropped half-way is closed at once, in `finally`. It is the
# stream that holds the pool, by what ends its wait or opens it, and so outlives its client.


def _events(
    exchange: Exchange[PayloadT],
    reader: StreamReader[PayloadT],
    response: httpx.Response,
    *,
    drains: bool,
) -> Generator[PayloadT]:
    pieces = pieces_of(exchange, response)
    failure: MeshAPIError | None = None
    event = piece = None
    try:
        for piece in pieces:
            for event in reader.read(piece):
                yield event
            if event is not None:
                exchange.heard()
                event = None
            if reader.done:
                break
        for event in reader.end():
            yield event
        if reader.done and drains:
            drain(exchange, pieces)
    except MeshAPIError as error:
        failure = reader.cut(error)
    except FOREIGN as error:
        failure = reader.cut(failure_of(error, exchange))
    finally:
        try:
            response.close()
        finally:
            exchange.watch.ended(reader, failure)
    if failure:
        piece = event = None  # What a server said is no part of a traceback.
        raise failure.with_traceback(None)


async def _async_events(
    exchange: Exchange[PayloadT],
    reader: StreamReader[PayloadT],
    response: httpx.Response,
    *,
    drains: bool,
) -> AsyncGenerator[PayloadT]:
    pieces = async_pieces_of(exchange, response)
    failure: MeshAPIError | None = None
    event = piece = None
    try:
        async for piece in pieces:
            for event in reader.read(piece):
                yield event
            if event is not None:
                exchange.heard()
                event = None
            if reader.done:
                break
        for event in reader.end():
            yield event
        if reader.done and drains:
            await async_drain(exchange, pieces)
    except MeshAPIError as error:
        failure = reader.cut(error)
    except FOREIGN as error:
        failure = reader.cut(failure_of(error, exchange))
    finally:
        try:
            await response.aclose()
        finally:
            exchange.watch.ended(reader, failure)
    if failure:
        piece = event = None  # What a server said is no part of a traceback.
        raise failure.with_traceback(None)


def _begin(transport: Transport | AsyncTransport, call: Call[PayloadT]) -> Exchange[PayloadT]:
    return Exchange(call, transport.settings, transport.budget, transport.ledger, transport.clock)


def _outgoing(exchange: Exchange[PayloadT], token: Token) -> Outgoing:
    left = max(exchange.deadline.left, 0.001)
    limits = exchange.settings.timeout
    return Outgoing(
        exchange.call,
        exchange.url,
        exchange.next_headers(token),
        {
            "connect": min(left, limits.connect),
            "read": max(left, limits.idle) if exchange.call.streams else left,
            "write": left,
            "pool": left,
        },
        Departure(exchange.deadline, exchange.leaves if exchange.settings.rate_limit else None),
    )
