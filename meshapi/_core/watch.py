"""Who watches a call: the totals, the log, and telemetry where it is on. They only look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol

from meshapi._core import log
from meshapi._core.call import Call
from meshapi._core.fork import Process
from meshapi._core.meta import Meta
from meshapi._core.models import Answer, AnswerT, PayloadT
from meshapi._core.settings import Settings
from meshapi._core.totals import Ledger
from meshapi._core.usage import NOTHING, Used
from meshapi.errors import APIStatusError, MeshAPIError

if TYPE_CHECKING:
    from meshapi._core.hooks import RequestInfo, ResponseInfo, RetryInfo
    from meshapi._core.reader import Fold, StreamReader
    from meshapi.resources.chat.replies import ChatCompletionResponse


class Span(Protocol):
    """What telemetry tells of one call."""

    def chunk(self) -> None:
        """An event of its stream came."""
        ...

    def handed_over(self) -> None:
        """Its stream goes to the caller: what is done from now on is no part of the call."""
        ...

    def answered(self, answer: Answer, used: Used) -> None:
        """The whole answer came."""
        ...

    def failed(self, meta: Meta, error: BaseException) -> None:
        """The call failed, or was given up."""
        ...

    def ended(self, reader: StreamReader[Any], failure: MeshAPIError | None) -> None:
        """Its stream is over: complete, failed or left."""
        ...


class Telemetry(Protocol):
    """What makes a span of each call that is worth one."""

    def begin(self, call: Call[Any], settings: Settings) -> Span | None:
        """A call begins."""
        ...


class Watch:
    """Tells those who watch what becomes of one call."""

    telemetry: ClassVar[Telemetry | None] = None
    """Off, until it is turned on for the whole process."""

    # How a call begins, here and not in `__init__`: most calls change little of it.
    _attempts = 0
    _sent_at: float | None = None
    """When what is on its way was sent; None where nothing is."""
    _request: RequestInfo | None = None
    _response: ResponseInfo | None = None
    """What came of it, once somebody asked."""
    _is_wait_named = False
    """Whether the server named a wait for the next attempt."""
    _process: int | None = None
    """Where its stream was handed over; None before."""
    _ended: StreamReader[Any] | None = None
    """Its stream, where that was complete before it was handed over."""

    def __init__(
        self,
        call: Call[PayloadT],
        settings: Settings,
        idempotency_key: str | None,
        ledger: Ledger,
        clock: Callable[[], float],
    ) -> None:
        """The call begins."""
        telemetry = self.telemetry  # Another thread may turn it off.
        self.span: Span | None = telemetry.begin(call, settings) if telemetry else None
        self._session = session_of(call, settings)
        self._call = call
        self._key = idempotency_key
        self._ledger = ledger
        self._clock = clock

    def queued(self, wait: float) -> None:
        """An attempt waits for its turn."""
        if wait:
            log.queue(self._call.method, self._call.endpoint, wait)

    def request(self, number: int) -> RequestInfo:
        """An attempt as it is to be sent: the same object however often it is asked for."""
        if self._request is None or self._request.attempt != number:
            from meshapi._core.hooks import RequestInfo  # Few ask for it.

            call = self._call
            self._request = RequestInfo(
                method=call.method,
                path=call.endpoint,
                attempt=number,
                streams=call.streams,
                idempotency_key=self._key,
                session_id=self._session,
                body_bytes=len(call.body),
            )
        return self._request

    def sending(self, number: int) -> None:
        """An attempt leaves."""
        self._attempts = number
        self._sent_at = self._clock()

    def tried(self, meta: Meta, error: MeshAPIError | None) -> ResponseInfo | None:
        """The attempt is over, and what came of it; None where nothing was sent."""
        if self._sent_at is None:
            return None
        self._is_wait_named = error is not None and error.retry_after is not None
        return self._outcome(meta, error)

    def repeats(self, wait: float) -> RetryInfo:
        """The attempt failed, and after a wait there is another."""
        from meshapi._core.hooks import RetryInfo  # Only who fails asks for it.

        response = self._response
        # Before an attempt is sent it fails for good, or at the deadline.
        assert response, "What was not sent is not repeated"
        self._sent_at = self._response = None
        retry = RetryInfo(response=response, wait=wait, server_named_wait=self._is_wait_named)
        if log.is_on():
            log.attempt(response, response.error, retry=retry)
        return retry

    def answered(self, call: Call[AnswerT], answer: AnswerT) -> None:
        """The whole answer came."""
        used = call.used(answer) if call.used else NOTHING
        self._ledger.write(self._session, 1, self._attempts, used)
        if log.is_on():
            log.attempt(self._outcome(answer.meta, None))
        if self.span:
            self.span.answered(answer, used)

    def failed(self, meta: Meta, error: BaseException) -> None:
        """The call failed, or was given up."""
        self._ledger.write(self._session, 1, self._attempts, error=_class_of(error))
        if self._sent_at is not None and log.is_on():
            response = self._outcome(meta, error)
            log.attempt(response, response.error or type(error))
        if self.span:
            self.span.failed(meta, error)

    def handed_over(self, meta: Meta) -> None:
        """The stream is open, and goes to the caller."""
        self._process = Process.generation
        self._ledger.write(self._session, 1, self._attempts)
        if log.is_on():  # Now, as nothing can be imported any more at the end of a program.
            log.opening(self._outcome(meta, None))
        if self.span:
            self.span.handed_over()
        if self._ended:
            self.ended(self._ended, None)

    def ended(self, reader: StreamReader[Any], failure: MeshAPIError | None) -> None:
        """The stream is over: complete, failed or left. Before it is open, it may be retried."""
        if self._process is None:
            self._ended = None if failure else reader
            return
        if self._process != Process.generation:
            return  # It goes on in the process that opened it.
        self._ledger.write(self._session, 0, 0, reader.used, _class_of(failure))
        if log.is_on():
            opened, kind = self._outcome(reader.meta, None), _class_of(failure)
            log.attempt(
                replace(opened, elapsed=self._elapsed, error=kind, code=_code_of(failure)),
                kind,
                events=reader.events,
                is_left=failure is None and not reader.is_complete,
            )
        if self.span:
            self.span.ended(reader, failure)

    @property
    def _elapsed(self) -> float:
        assert self._sent_at is not None, "Something is on its way"
        return self._clock() - self._sent_at

    def _outcome(self, meta: Meta, error: BaseException | None) -> ResponseInfo:
        """What came of the attempt: the same object however often it is asked for."""
        if self._response is None:
            from meshapi._core.hooks import ResponseInfo  # Few ask for it.

            self._response = ResponseInfo(
                request=self.request(self._attempts),
                status_code=meta.status_code,
                request_id=meta.request_id,
                headers=meta.headers,
                elapsed=self._elapsed,
                error=_class_of(error),
                code=_code_of(error),
            )
        return self._response


def session_of(call: Call[Any], settings: Settings) -> str | None:
    """The session that a call belongs to: the body's comes before that of the header."""
    return call.session_id or settings.headers.get("x-session-id")


def _class_of(error: BaseException | None) -> type[MeshAPIError] | None:
    return type(error) if isinstance(error, MeshAPIError) else None


def _code_of(error: BaseException | None) -> str | int | None:
    return error.code if isinstance(error, APIStatusError) else None


class Watched(Generic[PayloadT]):
    """A fold whose events telemetry is told of."""

    def __init__(self, fold: Fold[PayloadT], span: Span) -> None:
        """Stand before the fold."""
        self._fold = fold
        self._span = span

    @property
    def complete(self) -> bool:
        """As the fold says."""
        return self._fold.complete

    @property
    def used(self) -> Used:
        """As the fold says."""
        return self._fold.used

    def add(self, event: PayloadT, /) -> None:
        """Take the next event."""
        self._span.chunk()
        self._fold.add(event)

    def partial(self, meta: Meta) -> ChatCompletionResponse | None:
        """As the fold says."""
        return self._fold.partial(meta)
