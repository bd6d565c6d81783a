"""The error envelope, in every shape that servers send it: a document in, a typed error out."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, ValidationError
from pydantic_core import to_json

from meshapi import errors
from meshapi._core.checks import fields_of, items_of
from meshapi._core.meta import Meta
from meshapi._core.models import NullableText, Payload, null_reads_as
from meshapi._core.retry import longest_wait, safety_of_status
from meshapi._core.token import Token

ErrorBodyCode: TypeAlias = (
    Literal[
        "unauthorized",
        "forbidden",
        "not_found",
        "model_not_found",
        "validation_error",
        "unprocessable_entity",
        "rate_limit_exceeded",
        "spend_limit_exceeded",
        "conflict",
        "upstream_error",
        "provider_not_available",
        "gateway_timeout",
    ]
    | str
)
"""What went wrong: the published twelve (source 002), or what a newer gateway says."""

ValidationErrorDetailLocItems: TypeAlias = str | Annotated[int, Field(ge=0, lt=10**18)]
"""One step on the way to the field at fault: a name, or a position from 0."""


class ValidationErrorDetail(Payload):
    """One thing that is wrong with the request body (source 002)."""

    loc: Annotated[list[ValidationErrorDetailLocItems], null_reads_as(list)] = Field(
        default_factory=list[ValidationErrorDetailLocItems]
    )
    """The way to the field, such as `["body", "messages", 0, "content"]`."""

    msg: NullableText = ""
    """What is wrong with it, in words."""

    type: NullableText = ""
    """What is wrong with it, as a code."""

    def __str__(self) -> str:
        return ": ".join(filter(None, [".".join(str(step) for step in self.loc), self.msg]))


class ProviderError(Payload):
    """What the model's provider said (source 002)."""

    provider: NullableText = ""
    """Which provider."""

    status: int | None = None
    """The HTTP status that it gave to the gateway."""

    message: str | None = None
    """Its own words."""


class ErrorBody(Payload):
    """What went wrong (source 002)."""

    code: ErrorBodyCode | int | None = None
    """The kind of error."""

    message: NullableText = ""
    """The error in words."""

    param: str | None = None
    """The request field at fault."""

    details: list[ValidationErrorDetail] | None = None
    """One entry per field that failed validation."""

    provider_error: ProviderError | None = None
    """What the model's provider said."""

    retry_after_seconds: int | float | None = None
    """How long to wait before the next try, in seconds."""


class ErrorEnvelope(Payload):
    """The body of every error answer (source 002)."""

    error: ErrorBody
    """What went wrong."""

    request_id: NullableText = ""
    """The gateway's id of the request."""


# code -> the class it is raised as, and the status it stands for where the wire shows none.
# The first twelve are the published enum; the rest is the gateway's reference of September 2026.
CODES: Mapping[str, tuple[type[errors.APIStatusError], int]] = {
    "unauthorized": (errors.Unauthorized, 401),
    "forbidden": (errors.Forbidden, 403),
    "not_found": (errors.NotFound, 404),
    "model_not_found": (errors.ModelNotFound, 404),
    "validation_error": (errors.ValidationFailed, 422),
    "unprocessable_entity": (errors.UnprocessableEntity, 422),
    "rate_limit_exceeded": (errors.RateLimitExceeded, 429),
    "spend_limit_exceeded": (errors.SpendLimitExceeded, 402),
    "conflict": (errors.Conflict, 409),
    "upstream_error": (errors.UpstreamError, 502),
    "provider_not_available": (errors.ProviderNotAvailable, 503),
    "gateway_timeout": (errors.GatewayTimeout, 504),
    "bad_request": (errors.BadRequest, 400),
    "invalid_request": (errors.BadRequest, 400),
    "invalid_request_error": (errors.BadRequest, 400),
    "invalid_input": (errors.BadRequest, 400),
    "invalid_api_version": (errors.BadRequest, 400),
    "context_window_exceeded": (errors.ContextWindowExceeded, 400),
    "content_policy_violation": (errors.ContentPolicyViolation, 400),
    "model_capability_not_supported": (errors.BadRequest, 400),
    "model_not_available_on_pinned_provider": (errors.BadRequest, 400),
    "mixed_models": (errors.BadRequest, 400),
    "invalid_search_parameter": (errors.BadRequest, 400),
    "unsupported_operation": (errors.BadRequest, 400),
    "resource_not_found": (errors.NotFound, 404),
    "provider_resource_not_found": (errors.NotFound, 404),
    "insufficient_credits": (errors.SpendLimitExceeded, 402),
    "upstream_auth_error": (errors.Unauthorized, 401),
    "model_excluded": (errors.Forbidden, 403),
    "model_brand_unknown": (errors.Forbidden, 403),
    "upstream_rate_limit_error": (errors.RateLimitExceeded, 429),
    "batch_limit_exceeded": (errors.RateLimitExceeded, 429),
    "internal_error": (errors.ServerError, 500),
    "provider_job_failed": (errors.ServerError, 500),
    "api_version_migration_failed": (errors.ServerError, 500),
    "secret_provision_failed": (errors.ServerError, 500),
    "not_implemented": (errors.ServerError, 501),
    "all_models_failed": (errors.ServerError, 502),
    "byok_fallback_disabled": (errors.ServerError, 502),
    "model_policy_unavailable": (errors.ProviderNotAvailable, 503),
    "pii_redaction_unavailable": (errors.ProviderNotAvailable, 503),
}

STATUSES: Mapping[int, type[errors.APIStatusError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    402: errors.SpendLimitExceeded,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.PayloadTooLarge,
    422: errors.UnprocessableEntity,
    429: errors.RateLimitExceeded,
    503: errors.ProviderNotAvailable,
    504: errors.GatewayTimeout,
}


# What OpenAI and Anthropic name `type` -> the status it stands for, where nothing else says.
TYPES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "server_error": 500,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def read_error(document: object, meta: Meta, token: Token) -> errors.APIStatusError:
    """Read an error out of whatever document came in its place.

    Args:
        document: the parsed body, or None where it was no JSON.
        meta: the exchange; its status decides where the body is silent.
        token: masked wherever the server echoes it.
    """
    document = token.hide(document)
    body = _error_object(document)
    code = _code(body)
    status = _status(body, code, meta.status_code)
    retry_after = longest_wait(meta.headers, body.get("retry_after_seconds"))
    return _class(code, status)(
        _message(body) or _without_words(status),
        status_code=status,
        code=code,
        param=_text(body.get("param")),
        details=_details(body),
        provider_error=_provider_error(body),
        body=body,
        request_id=_request_id(document, body),
        retry_after=retry_after,
        retry_safety=safety_of_status(status, code, names_wait=retry_after is not None),
        meta=meta,
    )


def _error_object(document: object) -> Mapping[str, object]:
    """Find the object that describes the error, whatever it is wrapped in."""
    if isinstance(document, str):
        return {"message": document}
    fields = fields_of(document)
    error = fields.get("error")
    if isinstance(error, str):
        return {"message": error, **fields}
    return fields_of(error) or fields


def _code(body: Mapping[str, object]) -> str | int | None:
    code = body.get("code")
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool):
        return code if abs(code) < _LARGEST_CODE else None
    return code if isinstance(code, str) and code else None


# Python refuses to print an integer of thousands of digits.
_LARGEST_CODE = 10**18


def _status(body: Mapping[str, object], code: str | int | None, on_the_wire: int | None) -> int:
    if _HTTP_ERROR.fullmatch(str(code)):
        return int(str(code))
    if on_the_wire is not None and on_the_wire >= 400:
        return on_the_wire
    named = code if code in CODES else str(body.get("type"))
    return CODES[str(named)][1] if named in CODES else TYPES.get(str(named), 500)


_HTTP_ERROR = re.compile("[45][0-9][0-9]")


def _class(code: str | int | None, status: int) -> type[errors.APIStatusError]:
    if code in CODES:
        return CODES[str(code)][0]
    return STATUSES.get(status, errors.ServerError if status >= 500 else errors.APIStatusError)


def _message(body: Mapping[str, object]) -> str | None:
    words = _text(body.get("message")) or _text(body.get("detail"))
    return words or ("The request did not fit" if _details(body) else None)


def _without_words(status: int) -> str:
    phrases = {each.value: each.phrase for each in HTTPStatus}
    return f"The server answered {phrases.get(status, 'with an error')} and gave no reason"


def _details(body: Mapping[str, object]) -> list[ValidationErrorDetail]:
    return [_detail(each) for each in items_of(body.get("details") or body.get("detail"))]


def _detail(item: object) -> ValidationErrorDetail:
    try:
        return ValidationErrorDetail.model_validate(item)
    except ValidationError:
        return ValidationErrorDetail(msg=_text(item) or to_json(item).decode())


def _provider_error(body: Mapping[str, object]) -> ProviderError | None:
    told = body.get("provider_error") or _told_by_openrouter(fields_of(body.get("metadata")))
    try:
        return ProviderError.model_validate(told)
    except ValidationError:
        return None


def _told_by_openrouter(metadata: Mapping[str, object]) -> Mapping[str, object] | None:
    if not _text(metadata.get("provider_name")):
        return None
    raw = metadata.get("raw")
    message = raw if raw is None or isinstance(raw, str) else to_json(raw).decode()
    return {"provider": metadata["provider_name"], "message": message}


def _request_id(document: object, body: Mapping[str, object]) -> str | None:
    return _text(fields_of(document).get("request_id")) or _text(body.get("request_id"))


def _text(value: object) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None
