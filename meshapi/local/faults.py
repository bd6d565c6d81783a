"""What can go wrong on purpose: a reply in, the same reply gone wrong out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field, Strict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from meshapi._core.models import JSONObject
from meshapi.local.checking import checked
from meshapi.local.refusal import INVALID, Refusal, invalid
from meshapi.local.replies import DONE, Cut, Piece, Reply, event, page, streamed, whole

FaultName: TypeAlias = Literal[
    "html",
    "error_in_200",
    "error_first",
    "error_mid_stream",
    "disconnect",
    "truncate",
    "corrupt",
    "stall",
    "slow",
    "one_byte_writes",
    "crlf",
    "bom",
    "comments",
    "huge_event",
]
"""What goes wrong, beside a plain status.

`html`: a 502 page of HTML. `error_in_200`: an error with status 200. `error_first` and
`error_mid_stream`: an error in a stream. `disconnect`: the connection is dropped. `truncate`: the
answer ends too early. `corrupt`: it is broken JSON. `stall`: silence in the middle; `slow`: at the
beginning. The rest is right, and looks odd: `one_byte_writes`, `crlf`, `bom`, `comments`,
`huge_event`.
"""

HEADER = "x-meshapi-fault"
"""The request header that asks for a fault: `429; retry_after=60` or `truncate; after=3`."""


@with_config(extra="forbid")
class FaultOptions(TypedDict, total=False):
    """How something goes wrong."""

    code: str
    """The error's code; the one that goes with the status unless given."""

    message: str
    """The error's words."""

    retry_after: Annotated[int, Field(ge=0)]
    """Seconds to wait, 0 or more, told in body and header."""

    retry_after_body: Annotated[float, Field(allow_inf_nan=False)]
    """What the body alone says, whatever the header does."""

    retry_after_header: Annotated[str, Field(pattern="^[ -~]*$")]
    """What the header alone says: seconds or a date."""

    after: Annotated[int, Field(ge=0)]
    """How many events come before, 0 or more: none before a `disconnect`, else 1, unless given."""

    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """How many seconds a `stall` or a `slow` beginning lasts, 0 or more; 30 unless given."""

    size: Annotated[int, Field(ge=0, le=2**30)]
    """How many bytes a `huge_event` has, 0 to 1,073,741,824; 10,000,000 unless given."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one request, after all checks have passed."""

    kind: int | FaultName
    """A status to answer with, or the name of what goes wrong."""

    options: FaultOptions

    @property
    def silence(self) -> float:
        """How long nothing is sent, in seconds."""
        return self.options.get("seconds", 30.0)

    def refusal(self, status: int) -> Refusal:
        """The error that it stands for."""
        asked = self.options
        refusal = Refusal(
            status,
            asked.get("code") or _code(status),
            asked.get("message", "This was asked for"),
            retry_after=asked.get("retry_after"),
        )
        if "retry_after_header" in asked:
            refusal.headers["retry-after"] = asked["retry_after_header"]
        if "retry_after_body" in asked:
            refusal.error["retry_after_seconds"] = asked["retry_after_body"]
        return refusal

    def instead(self, headers: Mapping[str, str], *, streams: bool) -> Reply | None:
        """What is sent in place of an answer, which then nobody gives and nobody pays.

        Raises:
            Refusal: it is an error status; or the fault is one of streams, and this is none.
        """
        if isinstance(self.kind, int):
            raise self.refusal(self.kind)
        if not streams and self.kind in _OF_STREAMS:
            message = f"The fault {self.kind} is for streams, and this request asked for none"
            raise invalid(message, "stream")
        substitute = _SUBSTITUTES.get(self.kind)
        return substitute and substitute(self, headers)

    def spoil(self, reply: Reply) -> Reply:
        """The same reply, gone wrong."""
        return _SPOILERS[self.kind](self, reply) if self.kind in _SPOILERS else reply

    def envelope(self, headers: Mapping[str, str]) -> JSONObject:
        """The error that it stands for, where no status says it."""
        return self.refusal(HTTPStatus.BAD_GATEWAY).envelope(headers["x-request-id"])

    def cut(self, reply: Reply) -> tuple[list[Piece], Iterator[Piece]]:
        """What comes before it, and what would come after."""
        wanted = self.options.get("after", 1)
        rest = iter(reply.pieces)
        before: list[Piece] = []
        while sum(isinstance(piece, bytes) for piece in before) < wanted:
            try:
                before.append(next(rest))
            except StopIteration:
                break
        return before, rest


_KIND = TypeAdapter[int | FaultName](
    Annotated[int, Strict(), Field(ge=300, le=303)]
    | Annotated[int, Strict(), Field(ge=305, le=599)]
    | FaultName
)
_OPTIONS = TypeAdapter(FaultOptions)


def fault_of(kind: object, options: Mapping[str, object]) -> Fault:
    """Check what was asked for.

    Raises:
        ValueError: there is no such fault or option, or it is out of its bounds.
    """
    try:
        known = _KIND.validate_python(kind)
    except ValidationError:
        names = ", ".join(get_args(FaultName))
        statuses = "no status from 300 to 599 (304 has no body)"
        raise ValueError(f"The kind {kind!r} is {statuses}, nor of {names}") from None
    return Fault(known, checked(_OPTIONS, options, "A fault", FaultOptions.__annotations__))


def fault_asked(headers: Mapping[str, str]) -> Fault | None:
    """The fault that a request asks for by its header.

    Raises:
        Refusal: 422, it asks for none that there is.
    """
    if HEADER not in headers:
        return None
    kind, *fields = (each.strip() for each in headers[HEADER].split(";"))
    pairs = (each.partition("=") for each in fields if each)
    options = {name.strip(): value.strip() for name, _, value in pairs}
    try:
        return fault_of(int(kind) if re.fullmatch("[0-9]{3}", kind) else kind, options)
    except ValueError as problem:
        message = str(problem)
    detail = {"loc": ["header", HEADER], "msg": message, "type": "value_error"}
    raise Refusal(422, "validation_error", INVALID, details=[detail])


_CODES = {
    400: "bad_request",
    401: "unauthorized",
    402: "spend_limit_exceeded",
    403: "forbidden",
    404: "model_not_found",
    409: "conflict",
    422: "validation_error",
    429: "rate_limit_exceeded",
    500: "internal_error",
    502: "upstream_error",
    503: "provider_not_available",
    504: "gateway_timeout",
}


def _code(status: int) -> str:
    return _CODES.get(status, "internal_error" if status >= 500 else f"http_{status}")


def _html(_fault: Fault, headers: Mapping[str, str]) -> Reply:
    text = "<html><head><title>502 Bad Gateway</title></head><body>502</body></html>"
    return page(HTTPStatus.BAD_GATEWAY, text.encode(), "text/html", headers)


def _error_in_200(fault: Fault, headers: Mapping[str, str]) -> Reply:
    return whole(HTTPStatus.OK, fault.envelope(headers), headers)


def _error_first(fault: Fault, headers: Mapping[str, str]) -> Reply:
    return streamed([event(fault.envelope(headers)), DONE], headers)


_SUBSTITUTES: Mapping[int | str, Callable[[Fault, Mapping[str, str]], Reply]] = {
    "html": _html,
    "error_in_200": _error_in_200,
    "error_first": _error_first,
}


def _error_mid_stream(fault: Fault, reply: Reply) -> Reply:
    return _with(reply, [*fault.cut(reply)[0], event(fault.envelope(reply.headers)), DONE])


def _disconnect(fault: Fault, reply: Reply) -> Reply:
    if not fault.options.get("after"):
        return dataclasses.replace(reply, never_comes=True)
    before = fault.cut(reply)[0] if reply.is_stream else [_half(reply)]
    return _with(reply, [*before, Cut.CUT])


def _truncate(fault: Fault, reply: Reply) -> Reply:
    if reply.is_stream:
        return _with(reply, fault.cut(reply)[0])
    return _with(reply, [_half(reply), Cut.CUT])


def _corrupt(fault: Fault, reply: Reply) -> Reply:
    if not reply.is_stream:
        return page(reply.status, _half(reply), "application/json", _ids(reply))
    before, rest = fault.cut(reply)
    return _with(reply, chain(before, [b'data: {"id": "chatcmpl-\n\n'], rest))


def _stall(fault: Fault, reply: Reply) -> Reply:
    before, rest = fault.cut(reply) if reply.is_stream else ([], iter(reply.pieces))
    return _with(reply, chain(before, [fault.silence], rest))


def _slow(fault: Fault, reply: Reply) -> Reply:
    return dataclasses.replace(reply, delay=fault.silence)


def _one_byte_writes(_fault: Fault, reply: Reply) -> Reply:
    return _each(reply, lambda piece: (bytes([byte]) for byte in piece))


def _crlf(_fault: Fault, reply: Reply) -> Reply:
    return _each(reply, lambda piece: iter([piece.replace(b"\n", b"\r\n")]))


def _comments(_fault: Fault, reply: Reply) -> Reply:
    return _each(reply, lambda piece: iter([b": still here\n\n", piece]))


def _bom(_fault: Fault, reply: Reply) -> Reply:
    mark = b"\xef\xbb\xbf"
    if reply.is_stream:
        return _with(reply, chain([mark], reply.pieces))
    return page(reply.status, mark + _body(reply), "application/json", _ids(reply))


def _huge_event(fault: Fault, reply: Reply) -> Reply:
    size = fault.options.get("size", 10_000_000)
    if not reply.is_stream:
        body = _body(reply) + b" " * size
        return page(reply.status, body, "application/json", _ids(reply))
    choice = {"index": 0, "delta": {"content": "x" * size}, "finish_reason": None}
    head = {"id": "huge", "object": "chat.completion.chunk", "created": 0, "model": "local/babble"}
    before, rest = fault.cut(reply)
    return _with(reply, chain(before, [event({**head, "choices": [choice]})], rest))


_SPOILERS: Mapping[int | str, Callable[[Fault, Reply], Reply]] = {
    "error_mid_stream": _error_mid_stream,
    "disconnect": _disconnect,
    "truncate": _truncate,
    "corrupt": _corrupt,
    "stall": _stall,
    "slow": _slow,
    "one_byte_writes": _one_byte_writes,
    "crlf": _crlf,
    "bom": _bom,
    "comments": _comments,
    "huge_event": _huge_event,
}

_OF_STREAMS = {"error_first", "error_mid_stream", "crlf", "comments"}


def _ids(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("x-")}


def _with(reply: Reply, pieces: Iterator[Piece] | list[Piece]) -> Reply:
    return dataclasses.replace(reply, pieces=pieces)


def _each(reply: Reply, change: Callable[[bytes], Iterator[bytes]]) -> Reply:
    pieces = (change(each) if isinstance(each, bytes) else iter([each]) for each in reply.pieces)
    return _with(reply, chain.from_iterable(pieces))


def _body(reply: Reply) -> bytes:
    return b"".join(piece for piece in reply.pieces if isinstance(piece, bytes))


def _half(reply: Reply) -> bytes:
    body = _body(reply)
    return body[: len(body) // 2]
