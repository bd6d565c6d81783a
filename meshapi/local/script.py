"""What a test has said beforehand: what is answered and what goes wrong, request by request."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Required, TypeAlias, cast

from pydantic import ConfigDict, Field, GetPydanticSchema, Strict, TypeAdapter, with_config
from pydantic_core import from_json
from typing_extensions import TypedDict

from meshapi._core.checks import fields_of
from meshapi._core.models import JSONObject
from meshapi.local.answers import Called, Said, drawn_arguments, json_text, new_call_id
from meshapi.local.babble import tokens_of
from meshapi.local.checking import checked
from meshapi.local.faults import Fault, fault_of
from meshapi.local.refusal import Refusal
from meshapi.local.requests import RecordedRequest, Tool, words_of
from meshapi.local.rules import Admitted


@with_config(extra="forbid")
class ScriptedCall(TypedDict, total=False):
    """A call of a tool."""

    name: Required[str]
    """What is called."""

    arguments: str | Mapping[str, object]
    """With what; a string is sent as it is, even if it is no JSON. Nothing, unless given."""

    id: str
    """The call's id; a new one unless given."""


@with_config(extra="forbid")
class ReplyOptions(TypedDict, total=False):
    """What is said besides text."""

    tool_calls: Sequence[
        str
        | Annotated[
            ScriptedCall | Mapping[str, object],
            GetPydanticSchema(lambda _source, handler: handler(ScriptedCall)),
        ]
    ]
    """What is called: a tool's name, whose arguments are made from its schema, or
    `{"name": ..., "arguments": {...}}`."""

    refusal: str
    """Why there is no answer, in the model's words."""

    reasoning: str
    """What the model thought."""

    finish_reason: str
    """Why it stopped; `tool_calls` or `stop` unless given."""


Content: TypeAlias = str | Mapping[str, object] | list[object] | None
"""What is said: a text, or JSON."""


@dataclass(frozen=True, slots=True)
class Canned:
    """What is answered to one request, instead of what a model would say."""

    content: Content
    options: ReplyOptions

    def said(self, asked: Admitted) -> Said:
        """The same as a model's words.

        Raises:
            Refusal: 422, it names a tool that the request does not have.
        """
        dice = random.Random(asked.request.seed)
        scripted = cast("Sequence[str | ScriptedCall]", self.options.get("tool_calls", ()))
        calls = [_called(each, asked, dice) for each in scripted]
        finish_reason = "tool_calls" if calls else "stop"
        return Said(
            tokens=tokens_of(self._text()),
            calls=calls,
            refusal=self.options.get("refusal"),
            reasoning=self.options.get("reasoning"),
            finish_reason=self.options.get("finish_reason", finish_reason),
        )

    def _text(self) -> str:
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return json_text(self.content)


@dataclass(frozen=True, slots=True)
class Turn:
    """What happens to one request."""

    canned: Canned | None = None
    """What is answered; None leaves it to the model."""

    fault: Fault | None = None
    """What goes wrong."""

    when: str | None = None
    """Words of a conversation that it waits for; None is for any."""

    def is_for(self, said: Sequence[str]) -> bool:
        """Whether the conversation in which this was said is the one that it waits for."""
        when = self.when
        return when is None or any(when in words for words in said)


class Script:
    """The turns to come, first come first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._turns = list[Turn]()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, turn: Turn, times: int = 1) -> None:
        """Put a turn behind the others, so many times.

        Raises:
            ValueError: `times` is below 1, or `when` has no words.
        """
        if turn.when is not None:
            checked(_WHEN, turn.when, "when")
        turns = [turn] * checked(_TIMES, times, "times")
        with self._lock:
            self._turns += turns

    def next(self, request: RecordedRequest) -> Turn:
        """Take the first turn that is for the request; an empty one where there is none."""
        with self._lock:
            is_read = any(turn.when for turn in self._turns)  # Few tests wait for words.
            said = [words_of(each) for each in request.messages] if is_read else []
            for place, turn in enumerate(self._turns):
                if turn.is_for(said):
                    return self._turns.pop(place)
        return Turn()

    def clear(self) -> None:
        """Forget what has not happened yet."""
        with self._lock:
            self._turns.clear()

    def load(self, text: str) -> None:
        """Add turns that are written as JSON, one object a line: see `docs/local-gateway.md`.

        Raises:
            ValueError: a line is none; the message says which, and why. Then none is added.
        """
        lines = enumerate(text.split("\n"), 1)
        turns = [_scripted(number, line) for number, line in lines if line.strip()]
        for turn, times in turns:
            self.add(turn, times)


_TIMES = TypeAdapter(Annotated[int, Strict(), Field(ge=1)])
_WHEN = TypeAdapter(Annotated[str, Strict(), Field(min_length=1)])
_CONTENT = TypeAdapter[Content](Content, config=ConfigDict(strict=True))
_OPTIONS = TypeAdapter(ReplyOptions)


def _scripted(number: int, line: str) -> tuple[Turn, int]:
    try:
        fields = dict(fields_of(from_json(line)))
        times = checked(_TIMES, fields.pop("times", 1), "times")
        when = checked(_WHEN, fields.pop("when"), "when") if "when" in fields else None
        return dataclasses.replace(_turn(fields), when=when), times
    except ValueError as problem:
        raise ValueError(f"Line {number} of the script: {problem}") from None


def _turn(fields: JSONObject) -> Turn:
    if "fail" in fields:
        reply = fields.pop("reply", None)
        canned = None if reply is None else canned_of(reply, {})
        return Turn(canned, fault_of(fields.pop("fail"), fields))
    if "reply" not in fields:
        raise ValueError('give {"reply": ...} or {"fail": ...}')
    return Turn(canned_of(fields.pop("reply"), fields))


def canned_of(content: object, options: Mapping[str, object]) -> Canned:
    """Check an answer.

    Raises:
        ValueError: there is no such option, or something is of a wrong type, or has no form in
            JSON.
    """
    try:
        json_text([content, options]).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"This has no form in JSON: {error}") from None
    content = checked(_CONTENT, content, "The content of a reply")
    return Canned(content, checked(_OPTIONS, options, "A reply", ReplyOptions.__annotations__))


def _called(call: str | ScriptedCall, asked: Admitted, dice: random.Random) -> Called:
    if isinstance(call, str):
        arguments = drawn_arguments(_tool(call, asked), dice)
        return Called(new_call_id(), call, tokens_of(arguments))
    given = call.get("arguments", {})
    arguments = given if isinstance(given, str) else json_text(given)
    return Called(call.get("id", new_call_id()), call["name"], tokens_of(arguments))


def _tool(name: str, asked: Admitted) -> Tool:
    for tool in asked.request.tools or []:
        if tool.function.name == name:
            return tool
    message = f"The script calls {name}, which is not among the tools of this request"
    raise Refusal(422, "unprocessable_entity", message, param="tools")
