"""Who answers: `babble`, `echo`, or what a script says; and an answer in both forms of the wire."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from meshapi._core.checks import fields_of, items_of
from meshapi._core.models import JSONObject
from meshapi.local.babble import Babbled, babble, bounded, tokens_of
from meshapi.local.refusal import Refusal
from meshapi.local.requests import ChatRequest, Tool
from meshapi.local.rules import Admitted

Answers: TypeAlias = Literal["babble", "echo", "script"]
"""Who answers where no script does: a model of nonsense, an echo, or nobody."""


class Answer(Protocol):
    """An answer to one request, in both forms of the wire; its usage is in it, once it is known."""

    def whole(self) -> JSONObject:
        """The answer as one object."""
        ...

    def chunks(self) -> Iterator[JSONObject]:
        """The answer in pieces, its usage in a last chunk without choices."""
        ...

    def leave(self) -> None:
        """Make no more of it: nobody reads on."""
        ...


@dataclass(frozen=True, slots=True)
class Called:
    """A call that a model asks for: which function, and its arguments as JSON, in tokens."""

    id: str
    name: str
    arguments: Sequence[str]

    def whole(self) -> JSONObject:
        """The call as it stands in a message."""
        return self.piece("".join(self.arguments))

    def piece(self, arguments: str) -> JSONObject:
        """The call with some of its arguments."""
        function = {"name": self.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a model said, in tokens, and why it stopped."""

    tokens: Sequence[str] = ()
    calls: Sequence[Called] = ()
    refusal: str | None = None
    reasoning: str | None = None
    finish_reason: str = "stop"

    @property
    def has_text(self) -> bool:
        """Whether there is text, even if empty: nothing is said beside calls or a refusal."""
        return bool(self.tokens) or not (self.calls or self.refusal)

    @property
    def count(self) -> int:
        """How many tokens that is."""
        texts = (self.refusal or "", self.reasoning or "")
        said = [*self.tokens, *(token for call in self.calls for token in call.arguments)]
        return len(said) + sum(len(tokens_of(text)) for text in texts)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a model of this process said to a request."""

    asked: Admitted
    said: Said
    created: int

    def whole(self) -> JSONObject:
        """The answer as one object."""
        said = self.said
        content = "".join(said.tokens) if said.has_text else None
        message: JSONObject = {"role": "assistant", "content": content, **self._asides()}
        if said.calls:
            message["tool_calls"] = [call.whole() for call in said.calls]
        choice: JSONObject = {
            "index": 0,
            "message": message,
            "finish_reason": said.finish_reason,
        }
        return self._document("chat.completion", choice) | {"usage": self._usage()}

    def chunks(self) -> Iterator[JSONObject]:
        """The answer token by token, its usage in a last chunk without choices."""
        kind = "chat.completion.chunk"
        head = self._document(kind)
        for delta in self._deltas():
            yield head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        finish: JSONObject = {"index": 0, "delta": {}, "finish_reason": self.said.finish_reason}
        yield head | {"choices": [finish]}
        yield head | {"usage": self._usage()}

    def leave(self) -> None:
        """It is made already."""

    def _asides(self) -> JSONObject:
        asides = {"refusal": self.said.refusal, "reasoning": self.said.reasoning}
        return {name: text for name, text in asides.items() if text is not None}

    def _deltas(self) -> Iterator[JSONObject]:
        yield {"role": "assistant", "content": "" if self.said.has_text else None}
        for name, text in self._asides().items():
            for token in tokens_of(str(text)):
                yield {name: token}
        for token in self.said.tokens:
            yield {"content": token}
        for index, call in enumerate(self.said.calls):
            yield {"tool_calls": [{"index": index, **call.piece("")}]}
            for token in call.arguments:
                yield {"tool_calls": [{"index": index, "function": {"arguments": token}}]}

    def _document(self, kind: str, *choices: JSONObject) -> JSONObject:
        document: JSONObject = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": kind,
            "created": self.created,
            "model": self.asked.model,
            "choices": list(choices),
        }
        if self.asked.request.model == "auto":
            document |= {"x_auto_routed": True, "x_resolved_model_id": self.asked.model}
        return document

    def _usage(self) -> JSONObject:
        asked, said = self.asked.prompt_tokens, self.said.count
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def text_of(document: JSONObject) -> str:
    """The words in a completion or in a chunk of one."""
    choice = fields_of(next(iter(items_of(document.get("choices"))), None))
    said = fields_of(choice.get("message") or choice.get("delta")).get("content")
    return said if isinstance(said, str) else ""


def babbled(asked: Admitted) -> Said:
    """What `babble` says: calls where tools are due, JSON where it is asked for, else words."""
    request = asked.request
    dice = random.Random(request.seed)
    if tools := _tools_to_call(asked, dice):
        calls = [
            Called(new_call_id(), tool.function.name, tokens_of(drawn_arguments(tool, dice)))
            for tool in tools
        ]
        return _cut_to_length(calls, _limit(request))
    if (text := _formatted(request, dice)) is not None:
        return _words(bounded(tokens_of(text), _limit(request), _stops(request)))
    return _words(
        babble(
            asked.prompt,
            dice,
            temperature=1.0 if request.temperature is None else request.temperature,
            top_p=1.0 if request.top_p is None else request.top_p,
            stop=_stops(request),
            max_tokens=_limit(request),
        )
    )


def echoed(asked: Admitted) -> Said:
    """The last words that a user said."""
    users = [message.text for message in asked.messages if message.role == "user"]
    text = users[-1] if users else ""
    return _words(bounded(tokens_of(text), _limit(asked.request), _stops(asked.request)))


def unscripted(_asked: Admitted) -> Said:
    """Nobody answers but a script, and it is over."""
    raise Refusal(502, "upstream_error", "The script is over: it has no answer to this request")


SPEAKERS: dict[Answers, Callable[[Admitted], Said]] = {
    "babble": babbled,
    "echo": echoed,
    "script": unscripted,
}


def drawn_arguments(tool: Tool, dice: random.Random) -> str:
    """Arguments that satisfy a tool's schema, as JSON."""
    return _drawn(tool.function.parameters or {"type": "object"}, dice)


def json_text(value: object) -> str:
    """A value as a model would write it.

    Raises:
        TypeError, ValueError: it has no form in JSON.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def new_call_id() -> str:
    """An id for a call: another one for each, whatever the seed, as its answer refers to it."""
    return f"call_{uuid.uuid4().hex[:24]}"


def _drawn(schema: object, dice: random.Random) -> str:
    from meshapi.local.schemas import Unsatisfiable, instance_of  # Only schemas need its libraries.

    try:
        return json_text(instance_of(schema, dice))
    except Unsatisfiable as problem:
        message = f"The local model cannot follow this schema: {problem}"
    raise Refusal(422, "unprocessable_entity", message)


def _tools_to_call(asked: Admitted, dice: random.Random) -> list[Tool]:
    """The tools that must be called, or that the user's last words name."""
    tools, choice = asked.request.tools or [], asked.request.tool_choice
    if not tools or choice == "none":
        return []
    if choice is not None and not isinstance(choice, str):
        return [tool for tool in tools if tool.function.name == choice.function.name][:1]
    named = [tool for tool in tools if _is_named(tool, asked)]
    if choice == "required":
        return named or [dice.choice(tools)]
    return named


def _is_named(tool: Tool, asked: Admitted) -> bool:
    last = asked.messages[-1] if asked.messages else None
    if last is None or last.role != "user":
        return False
    return bool(_words_of(last.text) & _words_of(tool.function.name) - _IN_MANY_NAMES)


_IN_MANY_NAMES = {"get", "set", "the", "for", "and"}


def _words_of(text: str) -> set[str]:
    """The words of a text or a name, of three letters and more."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text).lower()
    return set(re.findall(r"\w{3,}", apart))


def _formatted(request: ChatRequest, dice: random.Random) -> str | None:
    form = request.response_format
    if form is None or form.type not in {"json_object", "json_schema"}:
        return None
    schema = form.json_schema.schema_ if form.json_schema else None
    return _drawn(schema or {"type": "object"}, dice)


def _cut_to_length(calls: list[Called], limit: int | None) -> Said:
    left = sum(len(call.arguments) for call in calls) if limit is None else limit
    kept: list[Called] = []
    for call in calls:
        if left <= 0 and call.arguments:
            return Said(calls=kept, finish_reason="length")
        kept.append(Called(call.id, call.name, call.arguments[:left]))
        left -= len(call.arguments)
    return Said(calls=kept, finish_reason="length" if left < 0 else "tool_calls")


def _words(said: Babbled) -> Said:
    return Said(tokens=said.tokens, finish_reason=said.finish_reason)


def _limit(request: ChatRequest) -> int | None:
    return request.max_completion_tokens or request.max_tokens


def _stops(request: ChatRequest) -> Sequence[str]:
    return [request.stop] if isinstance(request.stop, str) else request.stop or []
