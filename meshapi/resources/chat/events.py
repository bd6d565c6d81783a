"""What the chunks of a stream tell, one thing at a time: events, each of a type of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic_core import from_json

from meshapi._core.checks import fields_of
from meshapi._core.models import JSONObject
from meshapi.resources.chat.chunks import (
    ChatCompletionChunk,
    ChatCompletionDelta,
    ToolCallDelta,
)
from meshapi.resources.chat.fold import CallsByPiece
from meshapi.resources.chat.messages import joined_text
from meshapi.resources.chat.replies import ChatCompletionResponse, UsageInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class _Growing:
    index: int
    """Which answer, from 0: always 0, unless several were asked for."""

    delta: str
    """What is added to the text."""

    # All events of one text share its pieces. That nothing is joined before it is asked for is what
    # keeps a long stream from costing the square of its length.
    _pieces: Sequence[str] = field(default=(), repr=False, compare=False)
    _length: int = field(default=0, repr=False, compare=False)

    @property
    def snapshot(self) -> str:
        """The whole text up to and with this piece, joined each time it is asked for."""
        return "".join(self._pieces[: self._length])

    def __reduce__(self) -> tuple[Any, ...]:  # The shared pieces may have grown since.
        told = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return partial(type(self), **told | {"_pieces": (self.snapshot,), "_length": 1}), ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentEvent(_Growing):
    """The next piece of an answer's text."""

    type: Literal["content"] = field(default="content", init=False)
    """Tells this event from the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningEvent(_Growing):
    """The next piece of what the model thinks, as text."""

    type: Literal["reasoning"] = field(default="reasoning", init=False)
    """Tells this event from the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalEvent(_Growing):
    """The next piece of why the model will not answer."""

    type: Literal["refusal"] = field(default="refusal", init=False)
    """Tells this event from the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallEvent(_Growing):
    """A tool call that begins (`delta` may be "" then), or the next piece of its arguments."""

    call_index: int
    """Which call of the message: the server's index, else its place in the order of beginning."""

    id: str
    """The call's id; "" until it is known."""

    name: str
    """The function's name; "" until it is known."""

    type: Literal["tool_call"] = field(default="tool_call", init=False)
    """Tells this event from the others."""

    @property
    def parsed(self) -> JSONObject:
        """The arguments as far as they can be read; the last text or number may still grow.

        Read each time they are asked for; `{}` while there is nothing, or nothing like an object.
        """
        try:
            return fields_of(
                from_json(self.snapshot, allow_inf_nan=False, allow_partial="trailing-strings")
            )
        except ValueError:
            return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent:
    """Tokens used by one answer; a server that sends it twice for one means the last."""

    usage: UsageInfo
    """The count."""

    type: Literal["usage"] = field(default="usage", init=False)
    """Tells this event from the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneEvent:
    """The end of a stream that was complete: the last event, and the only one of its type."""

    completion: ChatCompletionResponse
    """All chunks, added up to the whole answer."""

    type: Literal["done"] = field(default="done", init=False)
    """Tells this event from the others."""


ChatCompletionEvent: TypeAlias = (
    ContentEvent | ReasoningEvent | RefusalEvent | ToolCallEvent | UsageEvent | DoneEvent
)
"""What a streamed completion tells; `event.type` says which it is, also to a type checker."""

TextEventT = TypeVar("TextEventT", ContentEvent, ReasoningEvent, RefusalEvent)


class ChunkEvents:
    """Makes events of chunks; remembers what the texts were so far, and what was not told yet."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._answers: dict[int, _Answer] = {}
        self._untold: deque[ChatCompletionEvent] = deque()
        self._over = False

    def events_of(self, chunk: ChatCompletionChunk) -> list[ChatCompletionEvent]:
        """What the next chunk tells: reasoning, refusal, content and calls, then usage."""
        told: list[ChatCompletionEvent] = []
        for choice in chunk.choices:
            answer = self._answers.get(choice.index)
            if answer is None:
                answer = self._answers[choice.index] = _Answer(choice.index)
            told.extend(answer.events_of(choice.delta))
        if chunk.usage:
            told.append(UsageEvent(usage=chunk.usage))
        return told

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Keep what the next chunk tells, until it is told."""
        self._untold.extend(self.events_of(chunk))

    def add_end(self, completion: ChatCompletionResponse) -> None:
        """Keep the last event, the first time the end is reached."""
        if not self._over:
            self._over = True
            self._untold.append(DoneEvent(completion=completion))

    def told(self) -> Iterator[ChatCompletionEvent]:
        """Tell what was kept; who leaves half-way finds the rest here."""
        while self._untold:
            yield self._untold.popleft()


class _Answer:
    def __init__(self, index: int) -> None:
        self._index = index
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._content: list[str] = []
        self._calls = CallsByPiece(_Call)

    def events_of(self, delta: ChatCompletionDelta) -> Iterator[ChatCompletionEvent]:
        if reasoning := delta.reasoning or _reasoning_content_of(delta):
            yield self._grown(ReasoningEvent, self._reasoning, reasoning)
        if delta.refusal:
            yield self._grown(RefusalEvent, self._refusal, delta.refusal)
        if content := joined_text(delta.content):
            yield self._grown(ContentEvent, self._content, content)
        for piece in delta.tool_calls or ():
            yield self._calls.call_of(piece).event_of(piece, self._index)

    def _grown(self, kind: type[TextEventT], pieces: list[str], delta: str) -> TextEventT:
        pieces.append(delta)
        return kind(index=self._index, delta=delta, _pieces=pieces, _length=len(pieces))


def _reasoning_content_of(delta: ChatCompletionDelta) -> str:
    """What servers send that follow DeepSeek and not OpenRouter."""
    text = (delta.model_extra or {}).get("reasoning_content")
    return text if isinstance(text, str) else ""


class _Call:
    def __init__(self, place: int) -> None:
        self._place = place
        self._id = ""
        self._name = ""
        self._arguments: list[str] = []

    def event_of(self, piece: ToolCallDelta, index: int) -> ToolCallEvent:
        function = piece.function
        arguments = function.arguments if function else ""
        self._id = piece.id or self._id
        self._name = (function and function.name) or self._name
        self._arguments.append(arguments)
        return ToolCallEvent(
            index=index,
            delta=arguments,
            call_index=self._place,
            id=self._id,
            name=self._name,
            _pieces=self._arguments,
            _length=len(self._arguments),
        )
