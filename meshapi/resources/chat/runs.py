"""What a run of tools gives: the conversation that it led, and what each call came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from meshapi._core.models import Payload, clipped
from meshapi.resources.chat.messages import ChatMessage
from meshapi.resources.chat.params import ChatCompletionParams
from meshapi.resources.chat.replies import ChatCompletionResponse, UsageInfo
from meshapi.resources.chat.tools import ToolCall


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told of a call that it asked for."""

    call: ToolCall
    """The call."""

    content: str
    """What the model reads: the function's result, or what went wrong."""

    error: Exception | None = None
    """What the function raised; an `InvalidResponse` where the model called it wrongly, so that it
    was not run; None where it went well."""

    type: Literal["tool_result"] = field(default="tool_result", init=False)
    """Tells this event from those of a stream."""

    def __repr__(self) -> str:
        facts = f"call={self.call.function.name!r}, content={clipped(self.content)!r}"
        return f"{type(self).__name__}({facts}, error={self.error!r})"


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A conversation that a model led with tools, ready to go on with."""

    params: ChatCompletionParams[bool]
    """The caller's params with the whole conversation, to go on with; the functions are not in it.

    `run.params.messages = [*run.params.messages, {...}]`, then `run(run.params, tools=...)`.
    """

    messages: tuple[ChatMessage, ...]
    """The whole conversation: what was given, the model's answers, the results of its calls."""

    completions: tuple[ChatCompletionResponse, ...]
    """The model's answers, in order."""

    pending: tuple[ToolCall, ...] = ()
    """The calls that are left to the caller: those of tools without a function, and those of an
    answer that was cut (`finish_reason`) or should have had none (`tool_choice` is `none`)."""

    @property
    def completion(self) -> ChatCompletionResponse:
        """The last answer; an empty one in the `run` of an error that came before the first."""
        return self.completions[-1] if self.completions else ChatCompletionResponse(choices=[])

    @property
    def text(self) -> str:
        """The last answer's text; "" when there is none."""
        return self.completion.text

    @property
    def usage(self) -> UsageInfo | None:
        """What all questions used together, cost included; None where nobody counted."""
        counted = [usage for each in self.completions if (usage := _usage_of(each))]
        return UsageInfo.model_validate(_total(counted)) if counted else None

    def __repr__(self) -> str:
        counts = f"messages={len(self.messages)}, completions={len(self.completions)}"
        names = [each.function.name for each in self.pending]
        pending = f", pending={names}" if names else ""
        return f"{type(self).__name__}({counts}, text={clipped(self.text)!r}{pending})"


def _usage_of(completion: ChatCompletionResponse) -> Mapping[str, Any]:
    """What an answer says of its usage, its cost wherever it stands."""
    told = _counts_of(completion.usage) if completion.usage else {}
    return {"cost": completion.cost, **told} if completion.cost is not None else told


def _counts_of(usage: Payload) -> dict[str, Any]:
    fields = {name: getattr(usage, name) for name in type(usage).model_fields}
    return {name: value for name, value in fields.items() if value is not None}


def _total(counted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for each in counted for name in each)
    return {name: _sum([each[name] for each in counted if name in each]) for name in names}


def _sum(values: Sequence[Any]) -> object:
    if isinstance(values[0], Payload):
        return _total([_counts_of(each) for each in values])
    if isinstance(values[0], bool):
        return any(values)
    return sum(values, Decimal(0)) if isinstance(values[0], Decimal) else sum(values)
