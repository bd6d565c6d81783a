"""What comes back in pieces: the chunks of a streamed completion, and what they add."""

from typing import Annotated

from pydantic import AliasChoices, Field

from meshapi._core.models import Payload, null_reads_as
from meshapi.resources.chat.messages import ModelOutput, joined_text
from meshapi.resources.chat.parts import AnswerPart
from meshapi.resources.chat.replies import (
    ChatCompletionChoiceFinishReason,
    ChatCompletionChoiceLogprobs,
    CompletionFacts,
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
    """Which call of the message this continues, from 0."""

    id: Annotated[str, Field(coerce_numbers_to_str=True)] | None = None
    """The call's id, on the piece that begins it."""

    type: str | None = None
    """`function`, on the piece that begins the call."""

    function: ToolCallFunctionDelta | None = None
    """What is added to the function call."""


class ChatCompletionDelta(ModelOutput):
    """What a chunk adds to a message: the next pieces of its texts, its calls, its lists."""

    role: str | None = None
    """Who speaks, on the first piece."""

    content: str | list[AnswerPart] | None = None
    """The next piece of the text."""

    name: str | None = None
    """Tells participants of one role apart."""

    tool_call_id: str | None = None
    """The call that is answered; a model does not send it."""

    tool_calls: list[ToolCallDelta] | None = None
    """The next pieces of tool calls."""


class ChatCompletionChunkChoice(Payload):
    """What a chunk adds to one of the answers."""

    index: Annotated[int, null_reads_as(int)] = 0
    """Which answer, from 0; 0 where the server left it out."""

    delta: Annotated[ChatCompletionDelta, null_reads_as(ChatCompletionDelta)] = Field(
        default_factory=ChatCompletionDelta, validation_alias=AliasChoices("delta", "message")
    )
    """What is added (a gateway that buffers says `message`); empty where the server sent none."""

    finish_reason: ChatCompletionChoiceFinishReason | None = None
    """Why the model stopped, on the last piece."""

    logprobs: ChatCompletionChoiceLogprobs | None = None
    """Log probabilities of this piece, where they were asked for."""

    native_finish_reason: str | None = None
    """Why it stopped, in the provider's own words (OpenRouter)."""


class ChatCompletionChunk(CompletionFacts):
    """One event of a streamed answer (its shape is OpenAI's: source 002 only names it)."""

    choices: Annotated[list[ChatCompletionChunkChoice], null_reads_as(list)] = Field(
        default_factory=list[ChatCompletionChunkChoice]
    )
    """What is added to each answer; empty on the chunk that brings the usage."""

    @property
    def text(self) -> str:
        """What this chunk adds to the first answer's text; "" when nothing."""
        return "".join(joined_text(each.delta.content) for each in self.choices if each.index == 0)
