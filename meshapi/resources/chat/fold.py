"""The chunks of a stream, added up to the completion that they were cut from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Generic, TypeVar, cast

from meshapi._core.checks import items_of
from meshapi._core.meta import Meta
from meshapi._core.models import JSONObject, Payload, with_meta
from meshapi._core.usage import Used
from meshapi.resources.chat.chunks import (
    ChatCompletionChunk,
    ChatCompletionChunkChoice,
    ChatCompletionDelta,
    ToolCallDelta,
)
from meshapi.resources.chat.parts import TextContentPart
from meshapi.resources.chat.replies import ChatCompletionResponse, UsageInfo, counted

CallT = TypeVar("CallT")

# Nearly every chunk says of itself what the one before it said, and adds a text to one answer. That
# these are told from the others at once is what makes a stream cheap.
_facts_of = itemgetter(*(name for name in ChatCompletionChunk.model_fields if name != "choices"))
_ending_of = itemgetter("finish_reason", "logprobs", "native_finish_reason")
_GOES_ON = (None, None, None)
_ONLY_TEXT = {"content"}


def _only_text_of(choice: ChatCompletionChunkChoice) -> str | None:
    """The text that a piece adds to its answer, where it does nothing else."""
    delta = choice.delta
    if (
        delta.__pydantic_fields_set__ != _ONLY_TEXT
        or _ending_of(choice.__dict__) != _GOES_ON
        or choice.__pydantic_extra__
    ):
        return None
    return delta.content if isinstance(delta.content, str) else None


class CompletionFold:
    """Adds chunks up; complete once every choice that began has a finish_reason."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._fields = _Record()
        self._facts: tuple[object, ...] = ()
        self._choices: dict[int, _Choice] = {}
        self.usage: UsageInfo | None = None

    @property
    def complete(self) -> bool:
        """Whether every choice that began has ended."""
        choices = self._choices.values()
        return bool(choices) and all(choice.finished for choice in choices)

    @property
    def used(self) -> Used:
        """What the completion took, as far as the chunks say."""
        return counted(self.usage, self._fields.get("cost"))

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Take the next chunk."""
        facts = _facts_of(chunk.__dict__)
        if facts != self._facts or chunk.__pydantic_extra__:
            self._facts = facts
            self._fields.add(field for field in _said(chunk) if field[0] != "choices")
            self.usage = chunk.usage or self.usage
        for choice in chunk.choices:
            known = self._choices.get(choice.index)
            if known is None:
                known = self._choices[choice.index] = _Choice()
            text = _only_text_of(choice)
            if text is None:
                known.add(choice)
            else:
                known.add_text(text)

    def partial(self, meta: Meta) -> ChatCompletionResponse:
        """The completion so far."""
        choices = [
            {**choice.result(), "index": index} for index, choice in sorted(self._choices.items())
        ]
        fields = {**self._fields.result(), "object": "chat.completion", "choices": choices}
        return with_meta(ChatCompletionResponse.model_validate(fields), meta)


def _said(payload: Payload | None) -> list[tuple[str, Any]]:
    """The fields of a piece, known and unknown, that say something: null does not."""
    if payload is None:
        return []
    fields = [*vars(payload).items(), *(payload.model_extra or {}).items()]
    return [field for field in fields if field[1] is not None]


class _Record:
    """Fields that grow: named texts are joined, of all others the newest that says something stays.

    Texts are kept in pieces, so that adding to a long one costs no more than to a short one.
    """

    def __init__(self, *texts: str, keeps_nothing: bool = False) -> None:
        self._texts = texts
        self._keeps_nothing = keeps_nothing
        self._pieces: dict[str, list[str]] = {}
        self._fields: dict[str, Any] = {}

    def add(self, fields: Iterable[tuple[str, Any]]) -> None:
        for name, value in fields:
            if name in self._texts and isinstance(value, str):
                self.join(name, value)
            elif value is not None and value != "":
                self._fields[name] = value
            elif self._keeps_nothing:
                self._fields.setdefault(name, value)

    def join(self, name: str, piece: str) -> None:
        self._pieces.setdefault(name, []).append(piece)

    def get(self, name: str) -> Any:
        return self._fields.get(name)

    def result(self) -> dict[str, Any]:
        return self._fields | {name: "".join(pieces) for name, pieces in self._pieces.items()}


class _Choice:
    def __init__(self) -> None:
        self.finished = False
        self._fields = _Record()
        self._logprobs: dict[str, list[Any]] = {}
        self._logprob_facts: dict[str, Any] = {}
        self._message = _Message()
        self.add_text: Callable[[str], None] = self._message.add_text

    def add(self, choice: ChatCompletionChunkChoice) -> None:
        self.finished = self.finished or bool(choice.finish_reason)
        self._fields.add(field for field in _said(choice) if field[0] not in {"delta", "logprobs"})
        for name, tokens in _said(choice.logprobs):
            if isinstance(tokens, list):
                self._logprobs.setdefault(name, []).extend(items_of(cast("object", tokens)))
            else:
                self._logprob_facts[name] = tokens
        self._message.add(choice.delta)

    def result(self) -> dict[str, Any]:
        logprobs = self._logprob_facts | self._logprobs
        told = {"logprobs": logprobs} if logprobs else {}
        return self._fields.result() | told | {"message": self._message.result()}


class _Message:
    def __init__(self) -> None:
        self._fields = _Record("refusal", "reasoning")
        self._content: list[Any] = []
        self.add_text: Callable[[str], None] = self._content.append
        self._nested = {
            "audio": _Record("data", "transcript"),
            "function_call": _Record("arguments"),
        }
        self._lists: dict[str, list[Any]] = {}
        self._reasoning: dict[int, _Record] = {}
        self._calls = CallsByPiece(_ToolCall)

    def add(self, delta: ChatCompletionDelta) -> None:
        for name, value in _said(delta):
            if name == "tool_calls":
                self._add_calls(value)
            elif name == "content":
                self._content.extend([value] if isinstance(value, str) else value)
            elif name == "reasoning_details":
                self._add_reasoning(value)
            elif name in self._nested:
                self._nested[name].add(_said(value))
            elif isinstance(value, str) and name not in ChatCompletionDelta.model_fields:
                self._fields.join(name, value)
            elif isinstance(value, list):
                self._lists.setdefault(name, []).extend(items_of(cast("object", value)))
            else:
                self._fields.add([(name, value)])

    def _add_calls(self, pieces: Iterable[ToolCallDelta]) -> None:
        for piece in pieces:
            self._calls.call_of(piece).add(piece)

    def _add_reasoning(self, details: Iterable[JSONObject]) -> None:
        for detail in details:
            index = detail.get("index")
            place = index if isinstance(index, int) else max(self._reasoning, default=-1) + 1
            if place not in self._reasoning:
                self._reasoning[place] = _Record("text", "summary", keeps_nothing=True)
            self._reasoning[place].add(detail.items())

    def _whole_content(self) -> str | list[Any]:
        if all(isinstance(piece, str) for piece in self._content):
            return "".join(self._content)
        return [
            TextContentPart(text=piece) if isinstance(piece, str) else piece
            for piece in self._content
            if piece != ""
        ]

    def result(self) -> dict[str, Any]:
        message = self._fields.result() | self._lists
        if self._content:
            message["content"] = self._whole_content()
        grown: dict[str, Any] = {name: each.result() for name, each in self._nested.items()}
        grown["tool_calls"] = [
            call.result() for call in sorted(self._calls.calls, key=lambda call: call.place)
        ]
        grown["reasoning_details"] = [
            record.result() for _, record in sorted(self._reasoning.items())
        ]
        return message | {name: value for name, value in grown.items() if value}


class CallsByPiece(Generic[CallT]):
    """Tells which call a piece belongs to: by index, else by id, else the call that came last."""

    def __init__(self, begin: Callable[[int], CallT]) -> None:
        """Begin with no calls; `begin` makes one, of its place in the message."""
        self.calls: list[CallT] = []
        self._begin = begin
        self._known: dict[int | str, CallT] = {}

    def call_of(self, piece: ToolCallDelta) -> CallT:
        """The call that the piece goes on with, or that it begins."""
        call = self._known_or_new(piece)
        if piece.id:
            self._known[piece.id] = call
        return call

    def _known_or_new(self, piece: ToolCallDelta) -> CallT:
        if piece.index is None and not piece.id and self.calls:
            return self.calls[-1]
        name = piece.index if piece.index is not None else piece.id or ""
        if name not in self._known:
            place = len(self.calls) if piece.index is None else piece.index
            self._known[name] = self._begin(place)
            self.calls.append(self._known[name])
        return self._known[name]


class _ToolCall:
    def __init__(self, place: int) -> None:
        self.place = place
        self._fields = _Record()
        self._function = _Record("arguments")

    def add(self, piece: ToolCallDelta) -> None:
        self._fields.add(field for field in _said(piece) if field[0] not in {"index", "function"})
        self._function.add(_said(piece.function))

    def result(self) -> dict[str, Any]:
        return {**self._fields.result(), "function": self._function.result()}
