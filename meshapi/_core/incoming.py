"""The body of an answer as it comes in: inflated, held to its deadline, its failures translated."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from itertools import islice

import httpx

from meshapi._core.exchange import Exchange
from meshapi._core.inflate import InflateError, Inflater, encoding_of
from meshapi._core.models import PayloadT
from meshapi._core.waiting import async_sleep, within
from meshapi.errors import (
    ConfigurationError,
    ConnectionFailed,
    InvalidRequest,
    InvalidResponse,
    MeshAPIError,
    RetrySafety,
)


def pieces_of(exchange: Exchange[PayloadT], response: httpx.Response) -> Iterator[bytes]:
    """The body as it comes; reading it raises one of `FOREIGN` where it breaks."""
    if response.is_stream_consumed:
        return _read_before(response)
    assert isinstance(response.stream, httpx.SyncByteStream)
    is_bounded = "bounded" in response.extensions
    stream = iter(response.stream) if is_bounded else _bounded(exchange, response.stream)
    encoding = encoding_of(exchange.headers.get("content-encoding"))
    return stream if encoding is None else _inflated(exchange, stream, encoding)


def async_pieces_of(exchange: Exchange[PayloadT], response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes; reading it raises one of `FOREIGN` where it breaks."""
    if response.is_stream_consumed:
        return _async_read_before(response)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    is_bounded = "bounded" in response.extensions
    stream = aiter(response.stream) if is_bounded else _async_bounded(exchange, response.stream)
    encoding = encoding_of(exchange.headers.get("content-encoding"))
    return stream if encoding is None else _async_inflated(exchange, stream, encoding)


# A hook of a lent client, or a mock, may have read it before us: then it is inflated, too.


def _read_before(response: httpx.Response) -> Iterator[bytes]:
    yield response.content


async def _async_read_before(response: httpx.Response) -> AsyncIterator[bytes]:
    yield response.content


# What a few bytes stand for may take long to go through, so the deadline is looked at on the way.


def _inflated(
    exchange: Exchange[PayloadT], stream: Iterator[bytes], encoding: str
) -> Iterator[bytes]:
    inflater = Inflater(encoding)
    for data in stream:
        for piece in inflater.push(data):
            _check_time(exchange)
            yield piece


async def _async_inflated(
    exchange: Exchange[PayloadT], stream: AsyncIterator[bytes], encoding: str
) -> AsyncIterator[bytes]:
    inflater = Inflater(encoding)
    async for data in stream:
        for piece in inflater.push(data):
            _check_time(exchange)
            yield piece
            await async_sleep(0)  # Other tasks have their turn.


# Our own connections end their waits with the deadline. Those of a lent client, or of a mock, do
# not know it: there it is looked at between the pieces.


def _bounded(exchange: Exchange[PayloadT], stream: Iterable[bytes]) -> Iterator[bytes]:
    for data in stream:
        _check_time(exchange)
        yield data


async def _async_bounded(
    exchange: Exchange[PayloadT], stream: AsyncIterable[bytes]
) -> AsyncIterator[bytes]:
    pieces = aiter(stream)
    while True:
        async with within(exchange.deadline.left):
            data = await anext(pieces, None)
        if data is None:
            return
        _check_time(exchange)
        yield data


def _check_time(exchange: Exchange[PayloadT]) -> None:
    if not exchange.deadline.left:
        raise TimeoutError


def next_of(exchange: Exchange[PayloadT], pieces: Iterator[bytes]) -> bytes | None:
    """The next piece of a body; None at its end.

    Raises:
        MeshAPIError: it broke.
    """
    try:
        return next(pieces, None)
    except FOREIGN as error:
        failure = failure_of(error, exchange)
    raise failure


async def anext_of(exchange: Exchange[PayloadT], pieces: AsyncIterator[bytes]) -> bytes | None:
    """The next piece of a body; None at its end.

    Raises:
        MeshAPIError: it broke.
    """
    try:
        return await anext(pieces, None)
    except FOREIGN as error:
        failure = failure_of(error, exchange)
    raise failure


_DRAIN_SECONDS = 0.1
_DRAIN_PIECES = 16


def drain(exchange: Exchange[PayloadT], pieces: Iterator[bytes]) -> None:
    """Read what follows the end of a stream, for a moment: then its connection can be kept."""
    exchange.deadline.restart(_DRAIN_SECONDS)
    with suppress(*FOREIGN):
        for _ in islice(pieces, _DRAIN_PIECES):
            pass


async def async_drain(exchange: Exchange[PayloadT], pieces: AsyncIterator[bytes]) -> None:
    """Read what follows the end of a stream, for a moment: then its connection can be kept."""
    exchange.deadline.restart(_DRAIN_SECONDS)
    with suppress(*FOREIGN):
        for _ in range(_DRAIN_PIECES):
            if await anext(pieces, None) is None:
                return


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
FOREIGN = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    InflateError,
    UnicodeError,
    OSError,
)


def failure_of(
    error: Exception, exchange: Exchange[PayloadT], *, has_left: bool = True
) -> MeshAPIError:
    """What a failure from below is to the caller, by whether any of the request may have left."""
    if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
        is_over = isinstance(error, httpx.PoolTimeout) or not exchange.deadline.left
        return exchange.too_late("not_sent", None if is_over else "connect")
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return exchange.too_late("ambiguous" if has_left else "not_sent")
    kind, safety, what = next(row[1:] for row in _FAILURES if isinstance(error, row[0]))
    if safety == "ambiguous" and not has_left:
        safety = "not_sent"
    reason = exchange.token.hide_in_text(str(error)) or type(error).__name__
    return kind(f"{what}: {exchange.url} ({reason})", retry_safety=safety, meta=exchange.meta)
