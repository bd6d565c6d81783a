"""One logical call on its way: what all its attempts share, and what they have used up."""

from __future__ import annotations

import dataclasses
import platform
import uuid
from collections.abc import Callable, Iterable
from typing import Generic

from meshapi._core.call import Call, Reply
from meshapi._core.inflate import ACCEPTED
from meshapi._core.meta import Headers, Meta
from meshapi._core.models import PayloadT
from meshapi._core.reader import Fold, StreamReader
from meshapi._core.retry import Attempts, RetryBudget
from meshapi._core.settings import Settings
from meshapi._core.token import Token
from meshapi._version import __version__
from meshapi.errors import DeadlineExceeded, InvalidResponse, RetrySafety

_MAX_ERROR_BYTES = 1024 * 1024

_LONGEST_WAIT = 10.0**8  # Years: more than sockets take for a number of seconds.

_FIXED_HEADERS = {
    "accept-encoding": ACCEPTED,
    "content-type": "application/json",
    "user-agent": f"meshapi/{__version__} python/{platform.python_version()}",
    "x-meshapi-sdk": f"python/{__version__}",
}


class Exchange(Generic[PayloadT]):
    """One logical call on its way; it belongs to that call alone."""

    def __init__(
        self,
        call: Call[PayloadT],
        settings: Settings,
        budget: RetryBudget,
        clock: Callable[[], float],
    ) -> None:
        """Start the clock."""
        self.call = call
        self.settings = settings
        self.url = settings.base_url + call.path
        self.token = settings.token
        self._answer = Meta()
        self._clock = clock
        self._begun = clock()
        self._limit, seconds = self._first_limit()
        self._patience = self._begun + seconds
        self.attempts = Attempts(settings.retry, budget, self._patience, clock)
        self._headers = {
            **_FIXED_HEADERS,
            "accept": "text/event-stream" if call.streams else "application/json",
            **settings.headers,
            "idempotency-key": call.idempotency_key or str(uuid.uuid4()),
        }

    def _first_limit(self) -> tuple[str, float]:
        limits = self.settings.timeout
        if self.call.streams and limits.first_event < limits.total:
            return "first_event", limits.first_event
        return "total", limits.total

    def next_headers(self, token: Token) -> dict[str, str]:
        """Begin the next attempt: the headers it is sent with."""
        self.token = token
        self.attempts.count += 1
        self._answer = Meta(attempts=self.attempts.count)
        return {
            **self._headers,
            "x-meshapi-attempt": str(self.attempts.count),
            "authorization": token.header(),
        }

    def answered(self, status_code: int, headers: Iterable[tuple[str, str]]) -> None:
        """Take the head of the answer."""
        kept = Headers((name, self.token.hide_in_text(value)) for name, value in headers)
        self._answer = Meta(
            request_id=kept.get("x-request-id") or None,
            status_code=status_code,
            headers=kept,
            attempts=self.attempts.count,
        )

    @property
    def meta(self) -> Meta:
        """What is known of the latest attempt by now."""
        return dataclasses.replace(self._answer, elapsed=self._clock() - self._begun)

    @property
    def failed(self) -> bool:
        """Whether the status says that no answer follows, but an error."""
        return (self._answer.status_code or 0) >= 300

    def reader(self, fold: Fold[PayloadT]) -> StreamReader[PayloadT]:
        """What reads the stream that this call opened."""
        limit = self.settings.max_event_bytes
        return StreamReader(self.call.model, fold, self.meta, self.token, max_event_bytes=limit)

    @property
    def left(self) -> float:
        """Seconds that the next bytes may take; 0 once the limit has passed."""
        return min(max(0.0, self._patience - self._clock()), _LONGEST_WAIT)

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
        self._patience = self._clock() + self.settings.timeout.idle


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
