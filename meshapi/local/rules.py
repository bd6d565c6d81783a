"""What the gateway decides: who may ask, for what, how often, and at what cost."""

from __future__ import annotations

import math
import re
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Annotated, TypeAlias

from pydantic import Field, Strict, TypeAdapter, with_config
from typing_extensions import TypedDict

from meshapi.local.babble import tokens_of
from meshapi.local.checking import checked
from meshapi.local.clock import Clock
from meshapi.local.refusal import Refusal, invalid
from meshapi.local.requests import (
    ChatRequest,
    ComparisonRequest,
    Message,
    Prompted,
    ToolChoice,
    read,
)


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens."""

    prompt: Decimal
    completion: Decimal

    def of(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """The cost of one call, in US dollars."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1_000_000


MODELS: Mapping[str, Price] = {
    "openai/gpt-4o": Price(Decimal("2.50"), Decimal("10.00")),
    "openai/gpt-4o-mini": Price(Decimal("0.15"), Decimal("0.60")),
    "local/babble": Price(Decimal(0), Decimal(0)),
}
"""The models that are routed from the start; behind every name it is the same one that answers."""

_AUTO = "auto"
AUTO_CHOICE = "openai/gpt-4o-mini"


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
            raise Refusal(429, "rate_limit_exceeded", message, retry_after=wait)

    def count(self) -> None:
        """Count a request that was let through."""
        self._count += 1


Dollars: TypeAlias = Decimal | float | str
"""US dollars, as a finite number of 0 or more."""


@with_config(extra="forbid")
class Limits(TypedDict, total=False):
    """What a key may do at the most; what is left out or None is not limited."""

    rpm: Annotated[int, Strict(), Field(ge=0)] | None
    """Requests per minute, 0 or more; then 429."""

    rpd: Annotated[int, Strict(), Field(ge=0)] | None
    """Requests per day, 0 or more; then 429."""

    spend_cap_usd: Dollars | None
    """US dollars, 0 or more; the call that crosses them completes, the next gets 402."""


_LIMITS = TypeAdapter(Limits)


def dollars(amount: Dollars) -> Decimal:
    """Read an amount.

    Raises:
        ValueError: it is no finite number of 0 or more.
    """
    try:
        exact = Decimal(str(amount))
    except InvalidOperation:
        exact = Decimal("nan")
    if not exact.is_finite() or exact < 0:
        raise ValueError(f"{amount!r} is no amount of US dollars: give a number, 0 or more")
    return exact


@dataclass(slots=True)
class Key:
    """A bearer key and what it may do."""

    active: bool = True
    default_model: str = "openai/gpt-4o"
    spent_usd: Decimal = Decimal(0)
    spend_cap_usd: Decimal | None = None
    _windows: Sequence[Window] = ()

    def limit(self, limits: Limits) -> None:
        """Begin to count anew, up to these limits.

        Raises:
            ValueError: there is no such limit, or it is no number of 0 or more.
        """
        cap = checked(_LIMITS, limits, "A limit", Limits.__annotations__).get("spend_cap_usd")
        self.spend_cap_usd = None if cap is None else dollars(cap)
        self._windows = (
            Window(limits.get("rpm"), 60, "Requests-per-minute"),
            Window(limits.get("rpd"), 86_400, "Requests-per-day"),
        )
        self.spent_usd = Decimal(0)

    def admit(self, now: float) -> None:
        """Let a request through, or refuse it for its rate or its cost."""
        for window in self._windows:
            window.check(now)
        if self.spend_cap_usd is not None and self.spent_usd >= self.spend_cap_usd:
            message = f"The key has reached its spend cap of ${self.spend_cap_usd:f}"
            raise Refusal(402, "spend_limit_exceeded", message)
        for window in self._windows:
            window.count()


@dataclass(frozen=True, slots=True)
class Template:
    """A stored prompt, put in front of a request's messages."""

    id: str
    name: str
    text: str
    model: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls have used together."""

    requests: int = 0
    """Requests that were answered."""

    prompt_tokens: int = 0
    """Tokens of the requests."""

    completion_tokens: int = 0
    """Tokens of the answers."""

    cost_usd: Decimal = Decimal(0)
    """US dollars, by the prices of the gateway's models."""

    @property
    def total_tokens(self) -> int:
        """Both kinds of tokens."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that passed every check: its model, and its messages with the template's."""

    key: Key
    request: ChatRequest
    model: str
    messages: list[Message]

    @property
    def prompt(self) -> str:
        """All words of the conversation."""
        return " ".join(message.text for message in self.messages)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens were sent: words, calls and tools."""
        calls = [call for message in self.messages for call in message.tool_calls or []]
        texts = [each.model_dump_json() for each in [*calls, *(self.request.tools or [])]]
        return sum(len(tokens_of(text)) for text in [self.prompt, *texts])


@dataclass(slots=True)
class Rules:
    """Keys, models, templates and what was used, and the checks in the gateway's order."""

    clock: Clock
    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    models: dict[str, Price] = field(default_factory=lambda: dict(MODELS))
    templates: list[Template] = field(default_factory=list[Template])
    usage: dict[str | None, Usage] = field(default_factory=lambda: defaultdict(Usage))
    any_model: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

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
        request = read(ChatRequest, body)
        _check_tools(request)
        template = self._template(request)
        messages = _messages(template, request)
        asked = request.model or (template and template.model) or key.default_model
        model = self.routed([asked, *(request.models or [])])
        self._let_through(key)
        return Admitted(key, request, model, messages)

    def admit_comparison(self, key: Key, body: bytes) -> tuple[ComparisonRequest, list[Message]]:
        """Check the same of a comparison, but its models: an unknown one is a failed result."""
        request = read(ComparisonRequest, body)
        messages = _messages(self._template(request), request)
        self._let_through(key)
        return request, messages

    def routed(self, models: Sequence[str]) -> str:
        """The first of the models that can be asked; 404 where there is none."""
        for model in models:
            if self.any_model or model in self.models:
                return model
            if model == _AUTO:
                return AUTO_CHOICE
        message = f"Unknown model {models[0]}; the local gateway learns it by add_model"
        raise Refusal(404, "model_not_found", message, param="model")

    def cost(self, model: str, prompt: int, completion: int) -> Decimal:
        """What so many tokens cost, in US dollars; nothing where the model has no price."""
        return self.models.get(model, MODELS["local/babble"]).of(prompt, completion)

    def charge(self, asked: Admitted, prompt: int, completion: int) -> None:
        """Book what a call used; the call that crosses a cap completes."""
        cost = self.cost(asked.model, prompt, completion)
        session_id = asked.request.session_id
        with self._lock:
            asked.key.spent_usd += cost
            used = self.usage[session_id]
            self.usage[session_id] = replace(
                used,
                requests=used.requests + 1,
                prompt_tokens=used.prompt_tokens + prompt,
                completion_tokens=used.completion_tokens + completion,
                cost_usd=used.cost_usd + cost,
            )

    def _let_through(self, key: Key) -> None:
        with self._lock:
            key.admit(self.clock.time())

    def _template(self, request: Prompted) -> Template | None:
        if request.template is None:
            return None
        for template in self.templates:
            if request.template in {template.id, template.name}:
                return template
        raise Refusal(404, "not_found", f"Unknown template {request.template}", param="template")


def new_template(name: str, text: str, model: str | None) -> Template:
    """A template with an id of its own."""
    return Template(str(uuid.uuid4()), name, text, model)


def _messages(template: Template | None, request: Prompted) -> list[Message]:
    if template is None:
        return request.messages
    text = _rendered(template.text, request.variables or {})
    return [Message(role="system", content=text), *request.messages]


def _rendered(template: str, variables: Mapping[str, str]) -> str:
    def value(slot: re.Match[str]) -> str:
        if slot[1] not in variables:
            message = f"The template needs the variable {slot[1]}"
            raise invalid(message, "variables", slot[1], kind="missing")
        return variables[slot[1]]

    return re.sub(r"\{\{\s*([^{}]+?)\s*\}\}", value, template)


def _check_tools(request: ChatRequest) -> None:
    names = {tool.function.name for tool in request.tools or []}
    choice = request.tool_choice
    if isinstance(choice, ToolChoice):
        is_known = choice.function.name in names
    else:
        is_known = choice != "required" or bool(names)
    if not is_known:
        message = "tool_choice asks for a tool that is not among the tools"
        raise Refusal(422, "unprocessable_entity", message, param="tool_choice")
