"""What the gateway decides: who may ask, for what, how often, and at what cost. No waiting here."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import ConfigDict, ValidationError

from meshapi import (
    ChatCompletionParams,
    ChatMessage,
    ErrorBody,
    TextContentPart,
    UsageInfo,
    ValidationErrorDetail,
)
from meshapi._core.checks import items_of


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens."""

    prompt: Decimal
    completion: Decimal

    def of(self, usage: UsageInfo) -> Decimal:
        """The cost of one call, in US dollars."""
        tokens = usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion
        return tokens / 1_000_000


MODELS: Mapping[str, Price] = {
    "openai/gpt-4o": Price(Decimal("2.50"), Decimal("10.00")),
    "openai/gpt-4o-mini": Price(Decimal("0.15"), Decimal("0.60")),
    "local/babble": Price(Decimal(0), Decimal(0)),
}
"""The models the gateway routes; behind every name it is `babble` that answers."""


class ChatRequest(ChatCompletionParams[bool]):
    """A request body as the gateway takes it: what it does not know, it drops."""

    model_config = ConfigDict(extra="ignore")


class Refusal(Exception):
    """A request that is refused, in the wire's words."""

    def __init__(
        self,
        status_code: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        details: list[ValidationErrorDetail] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        """Say why, with what the envelope has fields for."""
        super().__init__(message)
        optional = {"param": param, "details": details, "retry_after_seconds": retry_after_seconds}
        given = {name: value for name, value in optional.items() if value is not None}
        self.status_code = status_code
        self.error = ErrorBody.model_validate({"code": code, "message": message, **given})
        self.retry_after_seconds = retry_after_seconds


@dataclass(slots=True)
class Window:
    """Counts requests in fixed windows: they begin at whole multiples of their length."""

    limit: int | None
    seconds: int
    name: str
    _number: int = -1
    _count: int = 0

    def check(self, now: float) -> None:
        """Refuse one request too many, with the true seconds to the window's edge."""
        number = math.floor(now / self.seconds)
        if number != self._number:
            self._number, self._count = number, 0
        if self.limit is not None and self._count >= self.limit:
            wait = max(1, math.ceil((number + 1) * self.seconds - now))
            message = f"{self.name} limit of {self.limit} exceeded"
            raise Refusal(429, "rate_limit_exceeded", message, retry_after_seconds=wait)

    def count(self) -> None:
        """Count a request that was let through."""
        self._count += 1


@dataclass(slots=True)
class Key:
    """A bearer key and what it may do."""

    token: str
    active: bool = True
    default_model: str = "openai/gpt-4o"
    rpm: int | None = None
    rpd: int | None = None
    spend_cap_usd: Decimal | None = None
    spent_usd: Decimal = Decimal(0)
    _windows: tuple[Window, Window] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Start counting."""
        self._windows = (
            Window(self.rpm, 60, "Requests-per-minute"),
            Window(self.rpd, 86_400, "Requests-per-day"),
        )

    def admit(self, now: float) -> None:
        """Let a request through, or refuse it for its rate or its cost."""
        for window in self._windows:
            window.check(now)
        if self.spend_cap_usd is not None and self.spent_usd >= self.spend_cap_usd:
            message = f"The key has reached its spend cap of ${self.spend_cap_usd}"
            raise Refusal(402, "spend_limit_exceeded", message)
        for window in self._windows:
            window.count()


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it arrived."""

    headers: Mapping[str, str]
    """By name in lower case."""

    body: bytes
    """As it was sent."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that passed every check."""

    key: Key
    request: ChatRequest
    model: str
    prompt: str


@dataclass(slots=True)
class Rules:
    """Keys, models and templates, and the checks in the gateway's order."""

    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    models: dict[str, Price] = field(default_factory=lambda: dict(MODELS))
    templates: dict[str, str] = field(default_factory=dict[str, str])
    requests: list[RecordedRequest] = field(default_factory=list[RecordedRequest])
    clock: Callable[[], float] = time.time

    def authorize(self, authorization: str | None) -> Key:
        """401 and 403: who is asking?"""
        scheme, _, token = (authorization or "").partition(" ")
        key = self.keys.get(token) if scheme.lower() == "bearer" else None
        if key is None:
            raise Refusal(401, "unauthorized", "Invalid or missing API key")
        if not key.active:
            raise Refusal(403, "forbidden", "The key is not active")
        return key

    def admit(self, key: Key, body: bytes) -> Admitted:
        """422, 404, 429 and 402: what is asked, and may it be?"""
        request = _parsed(body)
        model = request.model or key.default_model
        prompt = self._prompt(request)
        if model not in self.models:
            raise Refusal(404, "model_not_found", f"Unknown model {model}", param="model")
        key.admit(self.clock())
        return Admitted(key, request, model, prompt)

    def charge(self, admitted: Admitted, usage: UsageInfo) -> None:
        """Add a call to what its key has spent; the call that crosses the cap still completes."""
        admitted.key.spent_usd += self.models[admitted.model].of(usage)

    def _prompt(self, request: ChatRequest) -> str:
        said = " ".join(_text(message) for message in request.messages)
        if request.template is None:
            return said
        if request.template not in self.templates:
            message = f"Unknown template {request.template}"
            raise Refusal(404, "not_found", message, param="template")
        return f"{_rendered(self.templates[request.template], request.variables or {})} {said}"


def _parsed(body: bytes) -> ChatRequest:
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    details = [
        ValidationErrorDetail(loc=["body", *each["loc"]], msg=each["msg"], type=each["type"])
        for each in problems
    ]
    raise Refusal(422, "validation_error", "Request validation failed", details=details)


def _text(message: object) -> str:
    """The words of a message, for a model that reads nothing else."""
    content = message.content if isinstance(message, ChatMessage) else None
    if isinstance(content, str):
        return content
    parts = items_of(content)
    return " ".join(part.text for part in parts if isinstance(part, TextContentPart))


def _rendered(template: str, variables: Mapping[str, str]) -> str:
    def value(slot: re.Match[str]) -> str:
        if slot[1] in variables:
            return variables[slot[1]]
        detail = ValidationErrorDetail(
            loc=["body", "variables", slot[1]], msg="Field required", type="missing"
        )
        message = f"The template needs the variable {slot[1]}"
        raise Refusal(422, "validation_error", message, param="variables", details=[detail])

    return re.sub(r"\{\{\s*(\w+)\s*\}\}", value, template)
