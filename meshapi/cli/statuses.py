"""What an error is to a shell and to who sits before it: an exit status, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from meshapi.errors import (
    APIStatusError,
    BadRequest,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    DeadlineExceeded,
    Forbidden,
    GatewayTimeout,
    InvalidRequest,
    InvalidResponse,
    MaxTurnsExceeded,
    MeshAPIError,
    ModelNotFound,
    NotFound,
    OutputParseError,
    OutputRefused,
    OutputTruncated,
    PayloadTooLarge,
    ProviderNotAvailable,
    RateLimitExceeded,
    ServerError,
    SpendLimitExceeded,
    StreamInterrupted,
    Unauthorized,
    UnprocessableEntity,
    UpstreamError,
    ValidationFailed,
)

OK = 0
WRONG_USAGE = 2
INTERRUPTED = 130
NOBODY_READS = 141

STATUSES: Mapping[type[MeshAPIError], int] = {
    MeshAPIError: 1,
    ConfigurationError: 10,
    InvalidRequest: 11,
    ConnectionFailed: 12,
    DeadlineExceeded: 13,
    InvalidResponse: 14,
    StreamInterrupted: 15,
    OutputParseError: 16,
    OutputRefused: 17,
    OutputTruncated: 18,
    MaxTurnsExceeded: 19,
    APIStatusError: 20,
    BadRequest: 21,
    ContextWindowExceeded: 22,
    ContentPolicyViolation: 23,
    Unauthorized: 24,
    SpendLimitExceeded: 25,
    Forbidden: 26,
    NotFound: 27,
    ModelNotFound: 28,
    Conflict: 29,
    PayloadTooLarge: 30,
    UnprocessableEntity: 31,
    ValidationFailed: 32,
    RateLimitExceeded: 33,
    ServerError: 34,
    UpstreamError: 35,
    ProviderNotAvailable: 36,
    GatewayTimeout: 37,
}

_ADVICE: Mapping[type[MeshAPIError], str] = {
    DeadlineExceeded: "Wait longer with --timeout, or see what `meshapi doctor` finds.",
    ConnectionFailed: "`meshapi doctor` finds out where the way to the gateway ends.",
    InvalidResponse: "Is MESHAPI_BASE_URL a gateway? `meshapi doctor` shows it.",
    StreamInterrupted: "What came may have been billed; ask again for a whole answer.",
    ContextWindowExceeded: "Shorten the question, or take a model with a longer context.",
    Unauthorized: "Check the key: `meshapi doctor` says where it comes from.",
    SpendLimitExceeded: "Add credit or raise the cap of the key: asking again cannot help.",
    ModelNotFound: "`meshapi models` lists those there are.",
    RateLimitExceeded: "Ask again later, or raise the limit of the key.",
    ServerError: "It is not your fault: ask again later, or another model with --model.",
}


def status_of(error: MeshAPIError) -> int:
    """The exit status of an error: its class's own."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def advice_on(error: MeshAPIError) -> str:
    """What to do about an error; "" where its own sentence says all there is to say."""
    if isinstance(error, RateLimitExceeded) and error.retry_after is not None:
        return f"Ask again in {error.retry_after:g} s, or raise the limit of the key."
    return next((_ADVICE[kind] for kind in type(error).__mro__ if kind in _ADVICE), "")
