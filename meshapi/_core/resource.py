"""What every endpoint's two classes stand on: a transport, and how a call is made of its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from meshapi._core.call import Call, CallOptions, encode, summary
from meshapi._core.checks import is_token
from meshapi._core.models import Params, PayloadT
from meshapi._core.settings import ClientOptions, check_names
from meshapi.errors import InvalidRequest

if TYPE_CHECKING:
    from meshapi._core.transport import AsyncTransport, Transport
    from meshapi._core.usage import Used


ParamsT = TypeVar("ParamsT", bound=Params)


class Resource:
    """An endpoint, or a group of them, on a `MeshAPI` client."""

    def __init__(self, transport: Transport) -> None:
        """Stand on the client's transport."""
        self._transport = transport

    def _with(self, options: CallOptions) -> Transport:
        shared = client_options(options)
        return self._transport.with_options(shared) if shared else self._transport


class AsyncResource:
    """An endpoint, or a group of them, on an `AsyncMeshAPI` client."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Stand on the client's transport."""
        self._transport = transport

    def _with(self, options: CallOptions) -> AsyncTransport:
        shared = client_options(options)
        return self._transport.with_options(shared) if shared else self._transport


def post(
    path: str,
    params: Params,
    takes: type[Params],
    model: type[PayloadT],
    options: CallOptions,
    *,
    streams: bool = False,
    used: Callable[[PayloadT], Used] | None = None,
) -> Call[PayloadT]:
    """Describe a POST of params, which must be of the class that the endpoint takes.

    Raises:
        InvalidRequest: they are of another class, or have no form in JSON, or the idempotency key
            is none.
    """
    key = options.get("idempotency_key")
    if key is not None and not is_token(key):
        raise InvalidRequest("idempotency_key must be printable ASCII without spaces")
    return Call(
        method="POST",
        path=path,
        body=encode(checked(params, takes), options, streams=streams),
        model=model,
        streams=streams,
        idempotency_key=key,
        session_id=_session_of(params, options),
        used=used,
    )


def _session_of(params: Params, options: CallOptions) -> str | None:
    session: object = getattr(params, "session_id", None)
    if extra_body := options.get("extra_body"):
        session = extra_body.get("session_id", session)
    return session if isinstance(session, str) else None


def get(
    path: str,
    params: Params | None,
    takes: type[Params],
    model: type[PayloadT],
    options: CallOptions,
) -> Call[PayloadT]:
    """Describe a GET whose query is what is set in the params.

    Raises:
        InvalidRequest: they are of another class than the endpoint takes, or an option is given
            that only a POST has.
    """
    for name in ("extra_body", "idempotency_key"):
        if options.get(name) is not None:
            raise InvalidRequest(f"{name} belongs to a POST: this is a GET, which has no body")
    if params is not None:
        check_class(params, takes)
    query = _query(params)
    return Call(method="GET", path=f"{path}?{query}" if query else path, body=b"", model=model)


def _query(params: Params | None) -> str:
    fields = params.model_dump(exclude_none=True, by_alias=True) if params else {}
    return urlencode({name: _word(value) for name, value in fields.items()})


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_class(params: Params, takes: type[Params]) -> None:
    """Refuse params of another class than an endpoint takes.

    Raises:
        InvalidRequest: they are.
    """
    if not isinstance(params, takes):
        name, what = takes.__name__, type(params).__name__
        raise InvalidRequest(f"Pass {name}, not {what}: {name}(**fields) makes it of a dict")


def checked(params: ParamsT, takes: type[ParamsT]) -> ParamsT:
    """Params that are of the class that an endpoint takes, with every message validated.

    Raises:
        InvalidRequest: they are of another class, or a message is none.
    """
    check_class(params, takes)
    return _whole(params)


def _whole(params: ParamsT) -> ParamsT:
    """Validate messages that were put into the list behind the model's back, as a checker warns."""
    messages = getattr(params, "messages", ())
    if all(isinstance(each, BaseModel) for each in messages):
        return params
    try:
        return params.model_copy(update={"messages": messages})
    except ValidationError as problem:
        reason = summary(problem)
    raise InvalidRequest(f"The request does not fit: {reason}")


def client_options(options: CallOptions) -> ClientOptions:
    """The options of a call that a client has as well.

    Raises:
        TypeError: an option does not exist.
    """
    check_names(options, CallOptions)
    shared: ClientOptions = {}
    if "timeout" in options:
        shared["timeout"] = options["timeout"]
    if "max_retries" in options:
        shared["max_retries"] = options["max_retries"]
    if "headers" in options:
        shared["headers"] = options["headers"]
    return shared
