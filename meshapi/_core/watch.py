"""Who watches a call: the totals, the log, and telemetry where it is on. They only look."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol

from meshapi._core import log
from meshapi._core.call import Call
from meshapi._core.meta import Meta
from meshapi._core.models import Answer, AnswerT, PayloadT
from meshapi._core.settings import Settings
from meshapi._core.totals import Ledger
from meshapi._core.usage import Used
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
        self.span = telemetry.begin(call, settings) if telemetry else None
        self._session = call.session_id or settings.headers.get("x-session-id")
        self._about = (call.method, call.path.partition("?")[0], call.streams, len(call.body))
        self._key = idempotency_key
        self._ledger = ledger
        self._clock = clock
        self._attempt = 0
        self._begun = 0.0
        self._request: RequestInfo | None = None
        self._response: ResponseInfo | None = None
        self._is_sent = False
        self._is_wait_named = False
        self._is_logged = True
        self._is_handed_over = False
        self._early_end: tuple[StreamReader[Any], MeshAPIError | None] | None = None
        ledger.begun(self._session)

    def sending(self, attempt: int) -> None:
        """An attempt begins."""
        self._attempt = attempt
        self._begun = self._clock()
        self._request = self._response = self._early_end = None
        self._is_sent = True
        self._is_logged = False
        self._ledger.sent(self._session, attempt)

    @property
    def request(self) -> RequestInfo:
        """The attempt as it is sent."""
        if self._request is None:
            from meshapi._core.hooks import RequestInfo  # Few ask for it.

            method, path, streams, body_bytes = self._about
            self._request = RequestInfo(
                method=method,
                path=path,
                attempt=self._attempt,
                streams=streams,
                idempotency_key=self._key,
                session_id=self._session,
                body_bytes=body_bytes,
            )
        return self._request

    def tried(self, meta: Meta, error: MeshAPIError | None) -> ResponseInfo | None:
        """The attempt is over, and what came of it; None where nothing was sent."""
        if not self._is_sent:
            return None
        self._is_sent = False
        self._is_wait_named = error is not None and error.retry_after is not None
        self._response = self._info(meta, error)
        return self._response

    def _info(self, meta: Meta, error: BaseException | None = None) -> ResponseInfo:
        from meshapi._core.hooks import ResponseInfo  # Few ask for it.

        return ResponseInfo(
            request=self.request,
            status_code=meta.status_code,
            request_id=meta.request_id,
            headers=meta.headers,
            elapsed=self._clock() - self._begun,
            error=type(error) if isinstance(error, MeshAPIError) else None,
            code=error.code if isinstance(error, APIStatusError) else None,
        )

    def repeats(self, wait: float) -> RetryInfo:
        """The attempt failed, and after a wait there is another."""
        from meshapi._core.hooks import RetryInfo  # Only who fails asks for it.

        assert self._response is not None
        asked = ", as the server asked" if self._is_wait_named else ""
        self._log(self._response, f"{log.reason(self._response)}, again in {wait:.2f} s{asked}")
        return RetryInfo(response=self._response, wait=wait, server_named_wait=self._is_wait_named)

    def answered(self, call: Call[AnswerT], answer: AnswerT) -> None:
        """The whole answer came."""
        used = call.used(answer) if call.used else Used()
        self._ledger.used(self._session, used)
        if log.is_on():
            self._log(self._info(answer.meta))
        if self.span:
            self.span.answered(answer, used)

    def failed(self, meta: Meta, error: BaseException) -> None:
        """The call failed, or was given up."""
        if isinstance(error, MeshAPIError):
            self._ledger.failed(self._session, type(error))
        if log.is_on() and not self._is_logged:
            response = self._response or self._info(meta, error)
            self._log(response, log.reason(response) or type(error).__name__)
        if self.span:
            self.span.failed(meta, error)

    def handed_over(self) -> None:
        """The stream is open, and goes to the caller."""
        self._is_handed_over = True
        if self.span:
            self.span.handed_over()
        if self._early_end:
            self._tell_end(*self._early_end)
            self._early_end = None

    def ended(self, reader: StreamReader[Any], failure: MeshAPIError | None) -> None:
        """The stream is over: complete, failed or left. Before it is open, it may be repeated."""
        if self._is_handed_over:
            self._tell_end(reader, failure)
        else:
            self._early_end = reader, failure

    def _tell_end(self, reader: StreamReader[Any], failure: MeshAPIError | None) -> None:
        self._ledger.used(self._session, reader.used)
        if failure:
            self._ledger.failed(self._session, type(failure))
        if log.is_on():
            response = self._info(reader.meta, failure)
            left = "" if reader.is_complete else "left half-way"
            self._log(response, log.reason(response) or left, events=reader.events)
        if self.span:
            self.span.ended(reader, failure)

    def _log(self, response: ResponseInfo, outcome: str = "", *, events: int | None = None) -> None:
        if not log.is_on():
            return
        self._is_logged = True
        log.write(response, outcome, events)


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
