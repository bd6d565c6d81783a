"""What comes back: a whole completion."""

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from meshapi._core.models import Answer, JSONObject, NullableText, Payload, Timestamp, null_reads_as
from meshapi._core.usage import NO_COST, Used
from meshapi.resources.chat.messages import ChatCompletionMessage, joined_text

ChatCompletionChoiceFinishReason: TypeAlias = (
    Literal["stop", "length", "tool_calls", "content_filter", "function_call"] | str
)
"""Why the model stopped: the published five, or what a newer gateway says.

`stop`: it was done, or came to a stop sequence. `length`: the token limit cut it. `tool_calls`: it
asks for calls. `content_filter`: the provider held it back. `function_call`: it asks for a call, in
OpenAI's older form.
"""


class PromptTokensDetails(Payload):
    """What the prompt's tokens were (source 002)."""

    cached_tokens: int | None = None
    """How many of them the provider read from its cache."""

    cache_write_tokens: int | None = None
    """How many of them it wrote to its cache (OpenRouter)."""

    audio_tokens: int | None = None
    """How many of them were audio (OpenAI, OpenRouter)."""


class CompletionTokensDetails(Payload):
    """What the answer's tokens were (Mesh's docs, OpenAI)."""

    reasoning_tokens: int | None = None
    """How many of them were spent on thinking, and are not in the text."""

    audio_tokens: int | None = None
    """How many of them were audio."""


class UsageInfo(Payload):
    """What the call used, in tokens (source 002)."""

    prompt_tokens: Annotated[int, null_reads_as(int)] = 0
    """Tokens of the request; 0 where the server did not count."""

    completion_tokens: Annotated[int, null_reads_as(int)] = 0
    """Tokens of the answer; 0 where the server did not count."""

    total_tokens: Annotated[int, null_reads_as(int)] = 0
    """Both together, as the server added them up."""

    prompt_tokens_details: PromptTokensDetails | None = None
    """What the prompt's tokens were, where the provider says."""

    completion_tokens_details: CompletionTokensDetails | None = None
    """What the answer's tokens were, where the provider says."""

    classifier_tokens: int | None = None
    """Tokens that went into choosing the model, with `model="auto"` (Mesh's docs)."""

    cost: Decimal | None = None
    """US dollars, where the server says (OpenRouter does; Mesh bills by `meta.request_id`)."""

    is_byok: bool | None = None
    """Whether a provider key of your own paid (OpenRouter)."""


class ChatCompletionChoiceLogprobs(Payload):
    """Log probabilities of the tokens, in the provider's own shape."""


class ChatCompletionChoice(Payload):
    """One of the answers (source 002)."""

    index: Annotated[int, null_reads_as(lambda: _UNNUMBERED)] = 0
    """Its number among the answers, from 0; its place in the list where the server left it out."""

    message: Annotated[ChatCompletionMessage, null_reads_as(ChatCompletionMessage)] = Field(
        default_factory=ChatCompletionMessage
    )
    """What the model said; an empty message where the server sent none."""

    finish_reason: ChatCompletionChoiceFinishReason | None = None
    """Why it stopped; None where the server did not say."""

    logprobs: ChatCompletionChoiceLogprobs | None = None
    """Log probabilities, where they were asked for."""

    native_finish_reason: str | None = None
    """Why it stopped, in the provider's own words (OpenRouter)."""


_UNNUMBERED = -1


def _numbered(choices: list[ChatCompletionChoice]) -> list[ChatCompletionChoice]:
    for position, choice in enumerate(choices):
        if choice.index == _UNNUMBERED or "index" not in choice.model_fields_set:
            choice.index = position
    return choices


class CompletionFacts(Payload):
    """What is told of a completion besides its choices: whole, or on any chunk of a stream."""

    id: NullableText = ""
    """The completion's id; "" where the server sent none. Support asks for `meta.request_id`."""

    object: NullableText = ""
    """`chat.completion`, or `chat.completion.chunk`."""

    created: Timestamp | None = None
    """When it was made, in seconds since 1970, UTC."""

    model: NullableText = ""
    """The model that answered: often the provider's build, not the id that was asked for."""

    usage: UsageInfo | None = None
    """Tokens used, where the server counted; of a stream, on one of the last chunks."""

    system_fingerprint: str | None = None
    """The provider's build, for runs that should repeat."""

    service_tier: str | None = None
    """How urgently it was answered (OpenAI)."""

    provider: str | None = None
    """Who answered (OpenRouter)."""

    cost: Decimal | None = None
    """US dollars, where the server says."""

    x_auto_routed: bool | None = None
    """Whether the gateway chose the model, with `model="auto"` (Mesh's docs)."""

    x_resolved_model_id: str | None = None
    """Which model it chose."""

    x_classifier_usage: list[JSONObject] | None = None
    """What choosing used, one entry per try; its keys are the gateway's."""

    x_auto_routed_fallback: bool | None = None
    """Whether choosing failed, so that a model was taken that is always there."""

    x_auto_routed_fallback_reason: str | None = None
    """Why it failed, such as `classifier_timeout`."""


class ChatCompletionResponse(CompletionFacts, Answer):
    """A whole answer of `POST /v1/chat/completions` (sources 001, 002)."""

    choices: Annotated[list[ChatCompletionChoice], null_reads_as(list), AfterValidator(_numbered)]
    """The answers, one unless more were asked for."""

    @property
    def text(self) -> str:
        """The first answer's text; "" when there is none."""
        return joined_text(self.choices[0].message.content) if self.choices else ""

    def _repr_markdown_(self) -> str:
        """What a notebook shows: every answer, and a small line of facts."""
        from meshapi.resources.chat.markdown import completion_markdown  # For notebooks alone.

        return completion_markdown(self)


def told_cost(facts: CompletionFacts) -> Decimal | None:
    """US dollars, wherever the server says so."""
    usage = facts.usage
    return facts.cost if usage is None or usage.cost is None else usage.cost


def used_by(facts: CompletionFacts) -> Used:
    """What a completion took, as far as the server says."""
    return counted(facts.usage, facts.cost)


def counted(usage: UsageInfo | None, cost: Decimal | None = None) -> Used:
    """Tokens and US dollars as they are added up; the cost beside the usage, where it says none."""
    if usage is None:
        return Used(cost=cost or NO_COST)
    prompt, completion, dollars = usage.prompt_tokens, usage.completion_tokens, usage.cost
    cost = cost if dollars is None else dollars
    total = usage.total_tokens or prompt + completion
    return Used._make((prompt, completion, total, cost or NO_COST))  # In half the time of `Used()`.
