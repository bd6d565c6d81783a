"""What comes back in pieces: the chunks of a streamed completion, and what they add."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from meshapi._core.models import NullableText, Payload, Timestamp, null_reads_as
from meshapi.resources.chat.messages import joined_text
from meshapi.resources.chat.parts import ContentPart
from meshapi.resources.chat.replies import (
    ChatCompletionChoiceFinishReason,
    ChatCompletionChoiceLogprobs,
    UsageInfo,
)
from meshapi.resources.chat.tools import ToolArguments


class ToolCallFunctionDelta(Payload):
    """A piece of a function call."""

    name: str | None = None
    """The function's name, on the piece that begins the call."""

    arguments: ToolArguments
    """The next piece of the arguments' JSON text."""


class ToolCallDelta(Payload):
    """A piece of a tool call."""

    index: int | None = None
    """Which call of the message this continues."""

    id: str | None = None
    """The call's id, on the piece that begins it."""

    type: str | None = None
    """`function`, on the piece that begins the call."""

    function: ToolCallFunctionDelta | None = None
    """What is added to the function call."""


class ChatCompletionDelta(Payload):
    """What a chunk adds to a message."""

    role: str | None = None
    """Who speaks, on the first piece."""

    content: str | list[ContentPart] | None = None
    """The next piece of the text."""

    tool_calls: list[ToolCallDelta] | None = None
    """The next pieces of tool calls."""

    refusal: str | None = None
    """The next piece of a refusal (OpenAI)."""

    reasoning: str | None = None
    """The next piece of what the model thinks (OpenRouter)."""


class ChatCompletionChunkChoice(Payload):
    """What a chunk adds to one of the answers."""

    index: Annotated[int, null_reads_as(int)] = 0
    """Which answer; 0 where the server left it out."""

    delta: Annotated[ChatCompletionDelta, null_reads_as(ChatCompletionDelta)] = Field(
        default_factory=ChatCompletionDelta
    )
    """What is added; an empty delta where the server sent none."""

    finish_reason: ChatCompletionChoiceFinishReason | None = None
    """Why the model stopped, on the last piece."""

    logprobs: ChatCompletionChoiceLogprobs | None = None
    """Log probabilities of this piece, where they were asked for."""


class ChatCompletionChunk(Payload):
    """One event of a streamed answer (its shape is OpenAI's: the document only names it)."""

    id: NullableText = ""
    """The completion's id, the same on every chunk."""

    object: NullableText = ""
    """`chat.completion.chunk`."""

    created: Timestamp | None = None
    """When the completion was made, in seconds since 1970, UTC."""

    model: NullableText = ""
    """The model that answers."""

    choices: Annotated[list[ChatCompletionChunkChoice], null_reads_as(list)] = Field(
        default_factory=list[ChatCompletionChunkChoice]
    )
    """What is added to each answer; empty on the chunk that brings the usage."""

    usage: UsageInfo | None = None
    """Tokens used: on one of the last chunks."""

    system_fingerprint: str | None = None
    """The provider's build, for runs that should repeat."""

    cost: Decimal | None = None
    """US dollars, where the server says, on one of the last chunks."""

    @property
    def text(self) -> str:
        """What this chunk adds to the first answer's text; "" when nothing."""
        return "".join(joined_text(each.delta.content) for each in self.choices if each.index == 0)
