"""A stream without the waiting: bytes in, payloads out, and complete or interrupted at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pydantic import ValidationError

from meshapi._core.call import document_of, in_band_error, says_error, says_nan, summary
from meshapi._core.checks import fields_of
from meshapi._core.envelope import read_error
from meshapi._core.events import EventDecoder, EventError
from meshapi._core.models import Payload, PayloadT, validator_of, with_event
from meshapi._core.retry import FINAL_CODES, longest_wait
from meshapi.errors import (
    APIStatusError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidResponse,
    MeshAPIError,
    RetrySafety,
    StreamInterrupted,
)

if TYPE_CHECKING:
    from meshapi._core.meta import Meta
    from meshapi._core.token import Token
    from meshapi._core.usage import Used
    from meshapi.resources.chat.replies import ChatCompletionResponse

_MAX_PAGE_BYTES = 1024 * 1024
_DONE = "[DONE]"

FoldedT = TypeVar("FoldedT", bound=Payload, contravariant=True)
MeshAPIErrorT = TypeVar("MeshAPIErrorT", bound=MeshAPIError)


class Fold(Protocol[FoldedT]):
    """What adds the events of a stream up to an answer."""

    @property
    def complete(self) -> bool:
        """Whether the answer is whole, so that the stream may end here."""
        ...

    @property
    def used(self) -> Used:
        """What the answer took, as far as it was told."""
        ...

    def add(self, event: FoldedT, /) -> None:
        """Take the next event."""
        ...

    def partial(self, meta: Meta) -> ChatCompletionResponse | None:
        """The answer so far, for an error to carry."""
        ...


class StreamReader(Generic[PayloadT]):
    """Reads one stream: each event is a payload, the end, or a typed error."""

    def __init__(
        self,
        model: type[PayloadT],
        fold: Fold[PayloadT],
        meta: Meta,
        token: Token,
        *,
        max_event_bytes: int,
    ) -> None:
        """Begin with nothing read."""
        self._token = token
        self.meta = meta
        self.events: int = 0
        self.done: bool = False
        self.is_left = False
        """Whether the caller ends it, so that nothing that breaks from now on is a failure."""
        self._ended = False
        self._model = model
        self._validate = validator_of(model)
        self._fold = fold
        self._decoder = EventDecoder(max_event_bytes)
        self._page = bytearray()

    def read(self, data: bytes) -> Iterator[PayloadT]:
        """Read the next bytes of the body, up to `[DONE]`.

        Raises:
            APIStatusError: an event is an error.
            StreamInterrupted: an event cannot be read.
        """
        if not self.events and len(self._page) < _MAX_PAGE_BYTES:
            self._page += data
        texts = self._decoder.plain(data)
        return self._read_parts(data) if texts is None else self._read_plain(texts)

    def _read_parts(self, data: bytes) -> Iterator[PayloadT]:
        for part in self._decoder.parts(data):
            texts = self._decoder.plain(part)
            yield from self._read_lines(part) if texts is None else self._read_plain(texts)
            if self.done:
                return

    def _read_plain(self, texts: list[str]) -> Iterator[PayloadT]:
        for text in texts:
            if text == _DONE:
                self.done = True
                return
            yield self._payload(text)

    def _read_lines(self, data: bytes) -> Iterator[PayloadT]:
        try:
            for event in self._decoder.push(data):
                text = event.data.strip()
                if text == _DONE:
                    self.done = True
                    return
                if text:
                    yield self._payload(event.data, event.event)
        except EventError as error:
            raise self.interrupted(str(error), self._safety_of_nonsense) from None

    def end(self) -> Iterator[PayloadT]:
        """Read the end of the body, where the last event may still be open.

        Raises:
            APIStatusError: an error came, as an event or in the place of events.
            StreamInterrupted: the answer is not complete.
        """
        if self.done:
            return
        self._ended = True
        was_complete = self._fold.complete
        try:
            last = self._decoder.end()
            # A `[DONE]` that was cut says nothing either way; what came before it decides.
            self.done = last is not None and last.data.strip() == _DONE
            if last and not _DONE.startswith(last.data.strip()):
                yield self._payload(last.data, last.event)
        except (EventError, StreamInterrupted) as cut:
            if not was_complete:
                raise self.interrupted(f"it was cut within an event ({cut})") from None
        if not self.is_complete:
            raise self.interrupted("it ended too early") if self.events else self._no_stream()

    def cut(self, failure: MeshAPIError) -> MeshAPIError | None:
        """Tell what a failure means here: once it is whole or left, a lost connection is none."""
        if self._ended or not isinstance(failure, (ConnectionFailed, InvalidResponse)):
            return failure
        if self._fold.complete or self.is_left:
            return None
        if isinstance(failure, DeadlineExceeded):
            return self._in_stream(failure)
        is_nonsense = isinstance(failure, InvalidResponse)
        return self.interrupted(
            failure.message, self._safety_of_nonsense if is_nonsense else "ambiguous"
        )

    @property
    def _safety_of_nonsense(self) -> RetrySafety:
        # Before the first event it is a bad answer, after it a stream that was sent and breaks.
        return "ambiguous" if self.events else "final"

    def interrupted(self, reason: str, safety: RetrySafety = "ambiguous") -> StreamInterrupted:
        """The error for a stream that cannot go on."""
        plural = "event" if self.events == 1 else "events"
        return StreamInterrupted(
            f"The stream was not complete after {self.events} {plural}: {reason}",
            events=self.events,
            retry_safety=safety,
            retry_after=longest_wait(self.meta.headers),
            partial=self.partial,
            meta=self.meta,
        )

    def check_complete(self) -> None:
        """Refuse to take for an answer what was left half-way.

        Raises:
            StreamInterrupted: neither `[DONE]` nor every finish_reason has come.
        """
        if not self.is_complete:
            raise self.interrupted("it was left half-way")

    @property
    def is_complete(self) -> bool:
        """Whether `[DONE]` or every finish_reason has come."""
        return self.done or self._fold.complete

    @property
    def used(self) -> Used:
        """What the answer took, as far as it was told."""
        return self._fold.used

    @property
    def partial(self) -> ChatCompletionResponse | None:
        """The answer so far; None before the first event."""
        return self._fold.partial(self.meta) if self.events else None

    def _payload(self, text: str, name: str = "message") -> PayloadT:
        if name == "error" and "error" not in self._model.model_fields:
            raise self._in_stream(read_error(document_of(text), self.meta, self._token))
        try:
            payload: PayloadT = self._validate(text)
        except ValidationError as problem:
            raise self._unreadable(text, problem) from None
        if says_nan(text):
            raise self.interrupted(
                "an event cannot be read: NaN is no JSON number", self._safety_of_nonsense
            )
        if payload.__pydantic_extra__ and (error := in_band_error(payload, self.meta, self._token)):
            raise self._in_stream(error)
        if not self.events:
            self._page.clear()
        self.events += 1
        if name != "message":
            with_event(payload, name)
        self._fold.add(payload)
        return payload

    def _unreadable(self, text: str, problem: ValidationError) -> MeshAPIError:
        document = document_of(text)
        fields = fields_of(document)
        if says_error(fields, self._model, fields.keys()):
            return self._in_stream(read_error(document, self.meta, self._token))
        reason = f"an event cannot be read: {summary(problem)}"
        return self.interrupted(reason, self._safety_of_nonsense)

    def _no_stream(self) -> MeshAPIError:
        """Tell what came in the place of a stream."""
        document = document_of(bytes(self._page))
        fields = fields_of(document)
        if says_error(fields, Payload, fields.keys()):
            return read_error(document, self.meta, self._token)
        if self.meta.status_code in {202, 204} and not self._page:
            return InvalidResponse("The answer is empty", meta=self.meta)
        kind = self.meta.headers.get("content-type", "no content type")
        return self.interrupted(f"the body holds no events ({kind})", "final")

    def _in_stream(self, error: MeshAPIErrorT) -> MeshAPIErrorT:
        """Add to an error what is known once events have come: it was sent, and may be billed."""
        if self.events:
            error.partial = self.partial
            if not (isinstance(error, APIStatusError) and error.code in FINAL_CODES):
                error.retry_safety = "ambiguous"
        return error
