"""Hooks: functions of the user's that are told of every attempt, and can break none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from meshapi._core.meta import Headers
from meshapi.errors import ConfigurationError, MeshAPIError


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInfo:
    """An attempt that is about to be sent."""

    method: str
    """`POST` or `GET`."""

    path: str
    """Which endpoint, such as `/v1/chat/completions`; without the base URL and the query."""

    attempt: int
    """1, and one more for each retry."""

    streams: bool
    """Whether the answer is asked for as a stream."""

    idempotency_key: str | None
    """The same for all attempts of a call, and another for each call; None of a GET."""

    session_id: str | None
    """The session that the call belongs to, if any."""

    body_bytes: int
    """How large the body is, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseInfo:
    """An attempt that is over; of a stream, one whose first event has come."""

    request: RequestInfo
    """What was sent: the very object that `on_request` was given."""

    status_code: int | None
    """The HTTP status; None where no answer came."""

    request_id: str | None
    """The header `x-request-id`."""

    headers: Headers = field(repr=False)
    """Every response header, by name in any case."""

    elapsed: float
    """Seconds from when it was sent to the whole answer; of a stream, to its first event."""

    error: type[MeshAPIError] | None
    """The class of the error that came of it; None of a good answer."""

    code: str | int | None
    """The wire's own code of the error, where the gateway gave one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryInfo:
    """An attempt that failed and is retried, before the wait."""

    response: ResponseInfo
    """What came of it: the very object that `on_response` was given."""

    wait: float
    """Seconds until the next attempt: what the server asked for and up to a tenth more, or the
    client's own wait if it asked for none."""

    server_named_wait: bool
    """Whether the server asked for the wait; else it is the client's own."""


RequestHook: TypeAlias = Callable[[RequestInfo], Awaitable[None] | None]
"""What may be `Hooks.on_request`."""

ResponseHook: TypeAlias = Callable[[ResponseInfo], Awaitable[None] | None]
"""What may be `Hooks.on_response`."""

RetryHook: TypeAlias = Callable[[RetryInfo], Awaitable[None] | None]
"""What may be `Hooks.on_retry`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Functions that are told what a client does; on `AsyncMeshAPI` they may be async.

    They only look: an exception in one is logged under `meshapi`, and the call goes on. They are
    called in the thread or task of the call, so that a slow one delays it. An async one is ended
    with the deadline of the call, and cancelled with the call.

    Raises:
        ConfigurationError: one of them cannot be called.
    """

    on_request: RequestHook | None = None
    """Called right before each attempt is sent, once there is a token and room for it."""

    on_response: ResponseHook | None = None
    """Called after each attempt, whatever came of it, unless the call was cancelled in it; of a
    stream, once its first event came or it failed before."""

    on_retry: RetryHook | None = None
    """Called before each wait for another attempt."""

    def __post_init__(self) -> None:
        """Refuse what cannot be called."""
        for name in ("on_request", "on_response", "on_retry"):
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise ConfigurationError(f"{name} must be a function, not {type(hook).__name__}")
