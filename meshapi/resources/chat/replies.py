"""What comes back: a whole completion, or the chunks of a streamed one."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from meshapi._core.models import Answer, NullableText, Payload, Timestamp, null_reads_as
from meshapi.resources.chat.messages import ChatCompletionMessage, ContentPart, joined_text
from meshapi.resources.chat.tools import ToolArguments

ChatCompletionChoiceFinishReason: TypeAlias = (
    Literal["stop", "length", "tool_calls", "content_filter", "function_call"] | str
)
"""Why the model stopped: the published five, or what a newer gateway says."""


class PromptTokensDetails(Payload):
    """What the prompt's tokens were."""

    cached_tokens: int | None = None
    """How many of them the provider had cached."""


class UsageInfo(Payload):
    """What the call used, in tokens."""

    prompt_tokens: Annotated[int, null_reads_as(int)] = 0
    """Tokens of the request; 0 where the server did not count."""

    completion_tokens: Annotated[int, null_reads_as(int)] = 0
    """Tokens of the answer; 0 where the server did not count."""

    total_tokens: Annotated[int, null_reads_as(int)] = 0
    """Both together, as the server added them up."""

    prompt_tokens_details: PromptTokensDetails | None = None
    """What the prompt's tokens were, where the provider says."""

    cost: Decimal | None = None
    """US dollars, where the server says (OpenRouter does; Mesh bills by `meta.request_id`)."""


class ChatCompletionChoiceLogprobs(Payload):
    """Log probabilities of the tokens, in the provider's own shape."""


class ChatCompletionChoice(Payload):
    """One of the answers."""

    index: Annotated[int, null_reads_as(lambda: _UNNUMBERED)] = 0
    """Its place among the answers; its position where the server left it out."""

    message: Annotated[ChatCompletionMessage, null_reads_as(ChatCompletionMessage)] = Field(
        default_factory=ChatCompletionMessage
    )
    """What the model said; an empty message where the server sent none."""

    finish_reason: ChatCompletionChoiceFinishReason | None = None
    """Why it stopped."""

    logprobs: ChatCompletionChoiceLogprobs | None = None
    """Log probabilities, where they were asked for."""


_UNNUMBERED = -1


def _numbered(choices: list[ChatCompletionChoice]) -> list[ChatCompletionChoice]:
    for position, choice in enumerate(choices):
        if choice.index == _UNNUMBERED or "index" not in choice.model_fields_set:
            choice.index = position
    return choices


class ChatCompletionResponse(Answer):
    """A whole answer of `POST /v1/chat/completions`."""

    id: NullableText = ""
    """The completion's id; "" where the server sent none. Support asks for `meta.request_id`."""

    object: NullableText = ""
    """`chat.completion`."""

    created: Timestamp | None = None
    """When it was made, in seconds since 1970, UTC."""

    model: NullableText = ""
    """The model that answered: often the provider's build, not the id that was asked for."""

    choices: Annotated[list[ChatCompletionChoice], null_reads_as(list), AfterValidator(_numbered)]
    """The answers, one unless more were asked for."""

    usage: UsageInfo | None = None
    """Tokens used, where the server counted."""

    system_fingerprint: str | None = None
    """The provider's build, for runs that should repeat."""

    cost: Decimal | None = None
    """US dollars, where the server says."""

    @property
    def text(self) -> str:
        """The first answer's text; "" when there is none."""
        return joined_text(self.choices[0].message.content) if self.choices else ""


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
