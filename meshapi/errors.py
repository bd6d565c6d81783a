"""Everything that can go wrong, as a tree: catch as widely or as narrowly as you like.

    MeshAPIError
    ├── ConfigurationError          a setting that cannot work
    ├── InvalidRequest              a request that cannot be sent
    ├── ConnectionFailed            no answer came
    │   └── DeadlineExceeded        none came in time
    ├── InvalidResponse             an answer that is not what the wire promises
    ├── StreamInterrupted           a stream that ended before it was complete
    ├── OutputParseError            an answer that is not the type that was asked for
    │   ├── OutputRefused           the model would not answer
    │   └── OutputTruncated         the answer was cut
    ├── MaxTurnsExceeded            a run of tools that does not come to an end
    └── APIStatusError              the gateway said no
        ├── BadRequest              400
        │   ├── ContextWindowExceeded
        │   └── ContentPolicyViolation
        ├── Unauthorized            401
        ├── SpendLimitExceeded      402
        ├── Forbidden               403
        ├── NotFound                404
        │   └── ModelNotFound
        ├── Conflict                409
        ├── PayloadTooLarge         413
        ├── UnprocessableEntity     422
        │   └── ValidationFailed
        ├── RateLimitExceeded       429
        └── ServerError             5xx
            ├── UpstreamError
            ├── ProviderNotAvailable    503
            └── GatewayTimeout          504

The class comes from the code in the body first and from the status second, so the same condition is
the same class as a 4xx or 5xx, inside a 200, and in the middle of a stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from meshapi._core.meta import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError

    from meshapi._core.envelope import ProviderError, ValidationErrorDetail
    from meshapi.resources.chat.replies import ChatCompletionResponse
    from meshapi.resources.chat.runs import ToolRun

RetrySafety: TypeAlias = Literal["not_sent", "refused", "ambiguous", "final"]
"""Whether a failed request may be retried.

`not_sent`: it never left, so a retry is free. `refused`: the server turned it away, so a retry
after the wait is free. `ambiguous`: it may have run and been billed. `final`: no retry can help.
"""


class MeshAPIError(Exception):
    """The root of everything this package raises."""

    message: str
    """What went wrong, in the server's words where it gave any."""

    request_id: str | None
    """The gateway's id of the request, for support: from the body, else from the header
    `x-request-id`; None where no answer came."""

    retry_after: float | None
    """Seconds the server asked to wait before the next try; None if it named none."""

    retry_safety: RetrySafety
    """Whether the request may be retried."""

    partial: ChatCompletionResponse | None
    """What a stream had delivered before it failed, as an answer; None before its first event, and
    where the call was no stream."""

    meta: Meta
    """The exchange: HTTP status, headers, attempts, seconds."""

    run: ToolRun | None = None
    """What a run of tools had done before it failed, to go on with; None elsewhere."""

    def __init__(
        self,
        message: str,
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
        retry_safety: RetrySafety = "final",
        partial: ChatCompletionResponse | None = None,
        meta: Meta | None = None,
    ) -> None:
        """Keep the facts; everything but the message is optional."""
        super().__init__(message)
        self.message = message
        self.meta = meta or Meta()
        self.request_id = request_id or self.meta.request_id
        self.retry_after = retry_after
        self.retry_safety = retry_safety
        self.partial = partial

    def __str__(self) -> str:
        return self._ending_with_request_id(self.message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def _ending_with_request_id(self, sentence: str) -> str:
        return (
            f"{sentence.rstrip('.')}, request id {self.request_id}" if self.request_id else sentence
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle as `class(*args)`, which a required keyword argument would refuse.
        return _revive, (type(self), self.args), self.__dict__


def _revive(kind: type[MeshAPIError], args: tuple[object, ...]) -> MeshAPIError:
    return kind.__new__(kind, *args)


class ConfigurationError(MeshAPIError):
    """A setting cannot work: token, base_url, proxy or TLS; or the client was used after close."""


class InvalidRequest(MeshAPIError, ValueError):
    """The request cannot be sent: not a params object, NaN, a value that JSON has no form for."""


class ConnectionFailed(MeshAPIError):
    """No answer came: DNS, refused, TLS, reset, or bytes that are not HTTP."""


class DeadlineExceeded(ConnectionFailed):
    """The total deadline, or the limit for connect, first event or idle, passed first."""


class InvalidResponse(MeshAPIError):
    """The answer is not what the wire promises: HTML in a 200, bad JSON, too large, a redirect."""


class StreamInterrupted(MeshAPIError):
    """The stream ended before it was complete; `partial` holds what had come."""

    events: int
    """How many events came before the end, 0 or more."""

    def __init__(
        self,
        message: str,
        *,
        events: int = 0,
        request_id: str | None = None,
        retry_after: float | None = None,
        retry_safety: RetrySafety = "ambiguous",
        partial: ChatCompletionResponse | None = None,
        meta: Meta | None = None,
    ) -> None:
        """Keep the facts; `events` counts what came."""
        super().__init__(
            message,
            request_id=request_id,
            retry_after=retry_after,
            retry_safety=retry_safety,
            partial=partial,
            meta=meta,
        )
        self.events = events


class OutputParseError(MeshAPIError):
    """The answer came, but it is not the type that was asked for."""

    completion: ChatCompletionResponse
    """The whole answer, so also its usage."""

    raw_text: str
    """The text that could not be read; of a refusal without a text, its words."""

    validation_error: ValidationError | None
    """What pydantic says of it; None of a refusal, where it has no objection, and in a copy of the
    error if a rule of the type's own raised what cannot be copied."""

    def __init__(
        self,
        message: str,
        *,
        completion: ChatCompletionResponse,
        raw_text: str,
        validation_error: ValidationError | None = None,
    ) -> None:
        """Keep the answer next to what is wrong with it."""
        super().__init__(message, meta=completion.meta)
        self.completion = completion
        self.raw_text = raw_text
        self.validation_error = validation_error

    def __reduce__(self) -> tuple[object, ...]:
        problem = self.validation_error and _portable(self.validation_error)
        return _revive, (type(self), self.args), {**self.__dict__, "validation_error": problem}


def _portable(problem: ValidationError) -> ValidationError | None:
    """It, where it pickles; an exception that a rule of the type's own raised may not."""
    import pickle  # Only who copies an error needs it.

    try:
        pickle.loads(pickle.dumps(problem))
    except Exception:  # noqa: BLE001  # Whatever the rule raised decides what pickling raises.
        return None
    return problem


class OutputRefused(OutputParseError):
    """The model, or its provider's content filter, refused to answer."""


class OutputTruncated(OutputParseError):
    """The answer was cut at its token limit, even where what came can be read."""


class MaxTurnsExceeded(MeshAPIError):
    """The model still called tools when it had been asked `max_turns` times.

    `run` holds what was done. The calls that it asked for last were not run.
    """

    run: ToolRun  # pyright: ignore[reportIncompatibleVariableOverride]  # It comes from a run only.
    """What was done, to go on with."""


class APIStatusError(MeshAPIError):
    """The gateway, or the provider behind it, answered with an error."""

    status_code: int
    """The HTTP status that the error stands for; `meta.status_code` is what was on the wire."""

    code: str | int | None
    """The wire's own code: one of `ErrorBodyCode`, a newer string, or a provider's number."""

    param: str | None
    """The request field at fault, where the server named it."""

    details: list[ValidationErrorDetail]
    """One entry per field that failed validation; empty where there are none."""

    provider_error: ProviderError | None
    """What the model's provider said, where the gateway passed it on."""

    body: Mapping[str, object]
    """The whole error object as it was sent, fields this version does not know included."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        code: str | int | None = None,
        param: str | None = None,
        details: list[ValidationErrorDetail] | None = None,
        provider_error: ProviderError | None = None,
        body: Mapping[str, object] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        retry_safety: RetrySafety = "final",
        partial: ChatCompletionResponse | None = None,
        meta: Meta | None = None,
    ) -> None:
        """Keep the facts of the error envelope."""
        super().__init__(
            message,
            request_id=request_id,
            retry_after=retry_after,
            retry_safety=retry_safety,
            partial=partial,
            meta=meta,
        )
        self.status_code = status_code
        self.code = code
        self.param = param
        self.details = details or []
        self.provider_error = provider_error
        self.body = body or {}

    def __str__(self) -> str:
        sentence = self.message.rstrip(".")
        if self.details:
            sentence += ": " + "; ".join(str(detail) for detail in self.details)
        label = (
            f"{self.status_code} {self.code}" if isinstance(self.code, str) else self.status_code
        )
        return self._ending_with_request_id(f"{sentence} ({label})")


class BadRequest(APIStatusError):
    """400: a field is missing, malformed or not supported by the model."""


class ContextWindowExceeded(BadRequest):
    """The messages hold more tokens than the model can take."""


class ContentPolicyViolation(BadRequest):
    """The provider's content filter refused the request."""


class Unauthorized(APIStatusError):
    """401: the token is missing, malformed, unknown or revoked."""


class SpendLimitExceeded(APIStatusError):
    """402: the key reached its spend cap, or the account has no credit. A retry cannot help."""


class Forbidden(APIStatusError):
    """403: the token is valid, but not active or not allowed to do this."""


class NotFound(APIStatusError):
    """404: a template or another resource does not exist, or this key cannot see it."""


class ModelNotFound(NotFound):
    """The model is unknown, disabled, or not allowed for this key."""


class Conflict(APIStatusError):
    """409: the state of the resource does not allow this."""


class PayloadTooLarge(APIStatusError):
    """413: the request body is larger than the gateway takes (32 MiB)."""


class UnprocessableEntity(APIStatusError):
    """422: well-formed, but it makes no sense to the gateway."""


class ValidationFailed(UnprocessableEntity):
    """The body broke the schema; `details` names each field and what is wrong with it."""


class RateLimitExceeded(APIStatusError):
    """429: requests per minute or per day are used up; `retry_after` says when to come back.

    A `RateLimit` of the client's own raises it, too, where the turn of a call would come after its
    deadline: then nothing was sent, and `retry_safety` is `not_sent`.
    """


class ServerError(APIStatusError):
    """5xx: the gateway or the provider failed."""


class UpstreamError(ServerError):
    """The model's provider failed; `provider_error` says how, where it is known."""


class ProviderNotAvailable(ServerError):
    """503: the provider is not configured on this deployment, or is switched off for now."""


class GatewayTimeout(ServerError):
    """504: the provider did not answer in time."""
