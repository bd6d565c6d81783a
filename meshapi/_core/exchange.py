"""One logical call on its way: what all its attempts share, and what they have used up."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic

from meshapi._core.call import Call, Reply
from meshapi._core.deadline import Deadline
from meshapi._core.inflate import ACCEPTED
from meshapi._core.meta import NO_HEADERS, Headers, Meta
from meshapi._core.models import PayloadT
from meshapi._core.retry import Attempts, RetryBudget
from meshapi._core.settings import Settings
from meshapi._core.token import Token
from meshapi._core.totals import Ledger
from meshapi._core.watch import Watch, Watched
from meshapi._version import __version__
from meshapi.errors import (
    DeadlineExceeded,
    InvalidResponse,
    MeshAPIError,
    RateLimitExceeded,
    RetrySafety,
)

if TYPE_CHECKING:
    from meshapi._core.hooks import RequestInfo, ResponseInfo
    from meshapi._core.rate_limit import Place, RateLimit
    from meshapi._core.reader import Fold, StreamReader

_MAX_ERROR_BYTES = 1024 * 1024

# Whoever waits for a turn looks again after half a second, or a tenth of a longer wait: places may
# have been given back. Thousands that wait for minutes would keep the processor busy otherwise.
_STEP = 0.5
_STEPS = 10

_PYTHON = "{}.{}.{}".format(*sys.version_info)

_FIXED_HEADERS = {
    "accept-encoding": ACCEPTED,
    "user-agent": f"meshapi/{__version__} python/{_PYTHON}",
    "x-meshapi-sdk": f"python/{__version__}",
}
_WITH_BODY = {**_FIXED_HEADERS, "content-type": "application/json"}


class Exchange(Generic[PayloadT]):
    """One logical call on its way; it belongs to that call alone."""

    def __init__(
        self,
        call: Call[PayloadT],
        settings: Settings,
        budget: RetryBudget,
        ledger: Ledger,
        clock: Callable[[], float],
    ) -> None:
        """Start the clock."""
        self.call = call
        self.settings = settings
        self.url: str = settings.base_url + call.path
        self.token: Token = settings.token
        self.headers: Headers = NO_HEADERS
        """The headers of the latest answer."""
        self._status_code: int | None = None
        self._place: Place | None = None
        self._clock = clock
        self._begun = clock()
        self._limit, seconds = self._first_limit()
        self.deadline: Deadline = Deadline(seconds, clock)
        self.attempts: Attempts = Attempts(settings.retry, budget, self._begun + seconds, clock)
        self._headers = {
            **(_WITH_BODY if call.body else _FIXED_HEADERS),
            "accept": "text/event-stream" if call.streams else "application/json",
            **settings.headers,
        }
        key = None
        if call.body:
            key = self._headers["idempotency-key"] = call.idempotency_key or os.urandom(16).hex()
        self.watch: Watch = Watch(call, settings, key, ledger, clock)

    def _first_limit(self) -> tuple[str, float]:
        limits = self.settings.timeout
        if self.call.streams and limits.first_event < limits.total:
            return "first_event", limits.first_event
        return "total", limits.total

    def next_request(self) -> RequestInfo:
        """The next attempt, for those who are told of it before it leaves."""
        return self.watch.request(self.attempts.count + 1)

    def next_headers(self, token: Token) -> dict[str, str]:
        """Begin the next attempt: the headers it is sent with."""
        self.token = token
        self.attempts.count += 1
        self.headers, self._status_code = NO_HEADERS, None
        self.watch.sending(self.attempts.count)
        return {
            **self._headers,
            "x-meshapi-attempt": str(self.attempts.count),
            "authorization": token.header(),
        }

    def answered(self, status_code: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the head of the answer."""
        self._status_code = status_code
        self.headers = Headers(self._readable(headers))
        if self._place and self._place.sent_at is None:
            self.leaves()  # Somebody answered in the gateway's place, such as a mock.

    def _readable(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
        pairs = [(_text(name), _text(value)) for name, value in headers]
        whole = "\n".join(text for pair in pairs for text in pair)
        if self.token.hide_in_text(whole) == whole:
            return pairs
        hide = self.token.hide_in_text
        return [(hide(name), hide(value)) for name, value in pairs]

    @property
    def meta(self) -> Meta:
        """What is known of the latest attempt by now."""
        return Meta(
            request_id=self.headers.get("x-request-id") or None,
            status_code=self._status_code,
            headers=self.headers,
            attempts=self.attempts.count,
            elapsed=self._clock() - self._begun,
        )

    @property
    def failed(self) -> bool:
        """Whether the status says that no answer follows, but an error."""
        return (self._status_code or 0) >= 300

    def turn(self, limit: RateLimit) -> Iterator[float]:
        """The waits until the client's own limit allows an attempt.

        Raises:
            RateLimitExceeded: that would be after the deadline.
        """
        from meshapi._core.rate_limit import Place  # Few have a limit.

        self._place = place = self._place or Place()  # Known here, whatever interrupts the rest.
        limit.enter(place)
        wait = limit.wait(place, self._clock())
        self.watch.queued(wait)
        while wait:
            self._check_turn(limit, wait)
            yield min(wait, max(_STEP, wait / _STEPS))
            wait = limit.wait(place, self._clock())

    def leaves(self) -> None:
        """The request leaves, or more of it."""
        if self.settings.rate_limit and self._place:
            self.settings.rate_limit.sent(self._place, self._clock())

    def _give_back_turn(self) -> None:
        if self.settings.rate_limit and self._place:
            self.settings.rate_limit.give_back(self._place)

    def _check_turn(self, limit: RateLimit, wait: float) -> None:
        if wait < self.deadline.left:
            return
        raise RateLimitExceeded(
            f"The client's own {limit!r} has no room for {wait:.1f} s, which is after the deadline",
            status_code=429,
            retry_after=wait,
            retry_safety="not_sent",
            meta=self.meta,
        )

    def tried(self, error: MeshAPIError | None = None) -> ResponseInfo | None:
        """An attempt is over: what came of it, where somebody may ask for it."""
        if error and self.settings.rate_limit:
            self._give_back_turn()
            self.settings.rate_limit.learn(error, self._clock())
        if error or self.settings.hooks:
            return self.watch.tried(self.meta, error)
        return None

    def given_up(self, error: BaseException) -> None:
        """No answer comes: give back a turn that was not used, and tell those who watch."""
        self._give_back_turn()
        self.watch.failed(self.meta, error)

    def reader(self, fold: Fold[PayloadT]) -> StreamReader[PayloadT]:
        """What reads the stream that this call opened."""
        from meshapi._core.reader import StreamReader  # Not all programs stream.

        limit = self.settings.max_event_bytes
        if self.watch.span:
            fold = Watched(fold, self.watch.span)
        return StreamReader(self.call.model, fold, self.meta, self.token, max_event_bytes=limit)

    def too_late(self, safety: RetrySafety, limit: str | None = None) -> DeadlineExceeded:
        """The error for a limit that passed: the one in force, unless another is named."""
        limit = limit or self._limit
        seconds = dataclasses.asdict(self.settings.timeout)[limit]
        what = {"connect": "connection", "total": "answer"}.get(limit, "event")
        where = "to" if limit == "connect" else "from"
        message = f"No {what} {where} {self.url} within {seconds:g} s (Timeout.{limit})"
        return DeadlineExceeded(message, retry_safety=safety, meta=self.meta)

    def heard(self) -> None:
        """An event came, and was dealt with: from now on, the idle limit counts."""
        self._limit = "idle"
        self.deadline.restart(self.settings.timeout.idle)


class Body:
    """The pieces of a whole answer, within the limit on its size."""

    def __init__(self, exchange: Exchange[PayloadT]) -> None:
        """Begin with nothing."""
        self._exchange = exchange
        self._pieces: list[bytes] = []
        self._size = 0
        settings = exchange.settings
        self._most = _MAX_ERROR_BYTES if exchange.failed else settings.max_response_bytes

    def take(self, piece: bytes | None) -> bool:
        """Take a piece; False where no more is wanted: at the end, or once it is too long."""
        if piece is None:
            return False
        self._pieces.append(piece)
        self._size += len(piece)
        return self._size <= self._most

    def reply(self) -> Reply:
        """The whole answer, or the beginning of an error page; without a byte-order mark.

        Raises:
            InvalidResponse: the answer is larger than `max_response_bytes`.
        """
        if self._size > self._most and not self._exchange.failed:
            message = f"The answer is larger than {self._most} bytes"
            raise InvalidResponse(message, meta=self._exchange.meta)
        content = b"".join(self._pieces).removeprefix(b"\xef\xbb\xbf")
        return Reply(content, self._exchange.meta, self._exchange.token)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
