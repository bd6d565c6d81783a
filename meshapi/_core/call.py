"""One exchange as a frozen value: what is asked, and how to read an answer or an event."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypedDict

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from meshapi._core.checks import fields_of, is_mapping
from meshapi._core.meta import Meta
from meshapi._core.models import AnswerT, Params, Payload, PayloadT, with_meta
from meshapi._core.retry import longest_wait
from meshapi._core.settings import Timeout
from meshapi._core.token import Token
from meshapi.errors import APIStatusError, InvalidRequest, InvalidResponse, MeshAPIError

if TYPE_CHECKING:
    from meshapi._core.usage import Used


class CallOptions(TypedDict, total=False):
    """What every endpoint method takes after its params; what is left out is as the client says.

    A call raises `ConfigurationError` where one of them cannot work, `InvalidRequest` where
    `extra_body` or `idempotency_key` cannot be sent, and `TypeError` where there is no such option.
    """

    timeout: float | Timeout
    """Seconds for the whole call, above 0, or a `Timeout`."""

    max_retries: int
    """How often a failed request may be retried: 0 or more; 0 means never."""

    headers: Mapping[str, str]
    """Headers to add, or to send instead of the client's; what may be in them is as there."""

    extra_body: Mapping[str, object]
    """Fields to add to the body, or to send instead of the params' own: not checked, and not
    `stream`."""

    idempotency_key: str
    """Sent as `Idempotency-Key` with every attempt, instead of a random one; printable ASCII
    without spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[PayloadT]):
    """A request, and the model that its answer, or each event of its stream, is read as."""

    method: str
    path: str
    body: bytes = field(repr=False)
    model: type[PayloadT]
    streams: bool = False
    idempotency_key: str | None = None
    session_id: str | None = None
    used: Callable[[PayloadT], Used] | None = None
    """What tells how much an answer took; None where answers take nothing."""

    @property
    def endpoint(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer."""

    content: bytes = field(repr=False)
    meta: Meta
    token: Token


def encode(params: Params, options: CallOptions, *, streams: bool) -> bytes:
    """Write a request body: what is set in the params, `extra_body` over it, and `stream` if so.

    Raises:
        InvalidRequest: something in it has no form in JSON: NaN, a cycle, an object.
    """
    extra_body = options.get("extra_body")
    if extra_body is not None and not is_mapping(extra_body):
        raise InvalidRequest("extra_body must be a mapping of fields to values")
    if extra_body and "stream" in extra_body:
        raise InvalidRequest("Set stream on the params, not in extra_body: it decides what returns")
    try:
        body = _written(params, extra_body, streams=streams)
        is_json = not says_nan(body)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidRequest(f"The request has no form in JSON: {error}") from None
    if not is_json:
        raise InvalidRequest("The request has no form in JSON: NaN is no number there")
    return body


def _written(params: Params, extra_body: Mapping[str, object] | None, *, streams: bool) -> bytes:
    # Its own serializer, as `model_dump_json` would make a str of the bytes.
    body = params.__pydantic_serializer__.to_json(
        params,
        exclude_unset=True,
        exclude={"stream"} if streams else None,
        by_alias=True,
        warnings="error",
    )
    if streams:
        body = body[:-1] + (b"," if len(body) > len(b"{}") else b"") + b'"stream":true}'
    if extra_body:
        body = to_json({**from_json(body), **extra_body}, inf_nan_mode="constants")
    return body


def says_nan(document: bytes | str) -> bool:
    """Whether JSON holds NaN or Infinity as a number, which pydantic reads and the wire forbids."""
    if isinstance(document, str):
        is_suspicious = "NaN" in document or "Infinity" in document
    else:
        is_suspicious = b"NaN" in document or b"Infinity" in document
    if not is_suspicious:
        return False
    found: list[str] = []
    json.loads(document, parse_constant=found.append)
    return bool(found)


def read_answer(model: type[AnswerT], reply: Reply) -> AnswerT:
    """Read a whole answer.

    Raises:
        APIStatusError: it is an error, whatever its status.
        InvalidResponse: it is not what the wire promises.
    """
    if (reply.meta.status_code or 0) >= 300:
        raise read_failure(reply)
    try:
        answer = model.model_validate_json(reply.content)
    except ValidationError as problem:
        raise _not_an_answer(reply, problem) from None
    if says_nan(reply.content):
        raise _invalid(reply, "The answer is not JSON: NaN is no number there")
    if error := in_band_error(answer, reply.meta, reply.token):
        raise error
    return with_meta(answer, reply.meta)


def read_failure(reply: Reply) -> MeshAPIError:
    """Read an answer whose status says that it is none."""
    status = reply.meta.status_code or 0
    if status >= 400:
        return _error_in(document_of(reply.content), reply.meta, reply.token)
    return _invalid(
        reply, f"The server redirected ({status}), which is not followed: check base_url"
    )


def _invalid(reply: Reply, message: str) -> InvalidResponse:
    wait = longest_wait(reply.meta.headers)
    return InvalidResponse(message, retry_after=wait, meta=reply.meta)


def in_band_error(payload: Payload, meta: Meta, token: Token) -> APIStatusError | None:
    """The error that a payload carries beside or instead of its fields, if any."""
    extra = payload.model_extra
    if not extra or not says_error(extra, type(payload), payload.model_fields_set):
        return None
    return _error_in(extra, meta, token)


def _error_in(document: object, meta: Meta, token: Token) -> APIStatusError:
    from meshapi._core.envelope import read_error  # Only who fails pays for its models.

    return read_error(document, meta, token)


def says_error(fields: Mapping[str, object], model: type[Payload], present: Set[str]) -> bool:
    """Whether a document is an error: an `error`, or FastAPI's `detail` in the place of an answer.

    Where the model has a field `error` of its own, text in it is data.
    """
    error = fields.get("error")
    if error and not (isinstance(error, str) and "error" in model.model_fields):
        return True
    return bool(fields.get("detail")) and not present - {"detail"}


def _not_an_answer(reply: Reply, problem: ValidationError) -> MeshAPIError:
    """Tell why a body with a good status could not be read."""
    document = document_of(reply.content)
    fields = fields_of(document)
    if says_error(fields, Payload, fields.keys()):
        return _error_in(document, reply.meta, reply.token)
    if document is not None:
        return _invalid(reply, f"The answer does not fit: {summary(problem)}")
    kind = reply.meta.headers.get("content-type", "of no content type")
    what = f"not JSON ({kind})" if reply.content.strip() else "empty"
    return _invalid(reply, f"The answer is {what}")


def summary(problem: ValidationError) -> str:
    """Name the first fields that did not fit, without what was in them."""
    problems = problem.errors(include_url=False, include_input=False, include_context=False)
    named = [
        _named(each["loc"], each["msg"]) for each in problems if not _is_null_branch(each["loc"])
    ]
    return "; ".join(named[:3])


def _named(loc: tuple[str | int, ...], message: str) -> str:
    # Between the fields, pydantic names the branches of unions: list[X], X, str.
    steps = [str(step) for step in loc if re.fullmatch(r"[a-z_]+\w*|\d+", str(step))]
    if steps and steps[-1] in {"str", "int", "float"}:
        steps.pop()
    return ": ".join(filter(None, [".".join(steps), message]))


def _is_null_branch(loc: tuple[str | int, ...]) -> bool:
    return any(str(step).startswith("chain[none") for step in loc)


def document_of(content: bytes | str) -> object:
    """Parse a body; None when it is no JSON."""
    try:
        return from_json(content)
    except ValueError:
        return None
