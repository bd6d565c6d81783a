"""What a chat completion is asked with."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeAlias, cast

from pydantic import Discriminator, Field, GetPydanticSchema, SerializeAsAny, Tag
from typing_extensions import TypeVar

from meshapi._core.checks import fields_of
from meshapi._core.models import Flag, Number, OneClass, Params, Text, Whole
from meshapi.resources.chat.formats import AudioOptions, ImageOptions, ResponseFormat
from meshapi.resources.chat.messages import ChatMessage
from meshapi.resources.chat.routing import (
    DebugOptions,
    Plugin,
    ProviderPreferences,
    Reasoning,
    ReasoningEffort,
    StreamOptions,
)
from meshapi.resources.chat.tools import Tool, ToolChoice

if TYPE_CHECKING:
    StreamFlag = TypeVar(
        "StreamFlag",
        Literal[True],
        Literal[False],
        bool,
        covariant=True,
        default=Literal[False],
    )
else:
    # Pydantic validates a bare generic against its TypeVar, so at run time any bool must do.
    StreamFlag = TypeVar("StreamFlag", bound=bool)

ChatCompletionRequestStop: TypeAlias = Text | list[Text]
"""One stop sequence, or a list of them."""

ChatCompletionRequestToolChoice: TypeAlias = (
    Literal["none", "auto", "required"] | Text | ToolChoice | Mapping[str, object]
)
"""Whether the model may call tools (`auto`), must not (`none`), must (`required`), or which one.

A certain one is `ToolChoice(function=ToolChoiceFunction(name=...))`, or the same as a mapping."""

History: TypeAlias = Annotated[
    Sequence[ChatMessage | Mapping[str, object]],
    GetPydanticSchema(lambda _source, handler: handler(list[SerializeAsAny[ChatMessage]])),
]
"""A conversation: messages, answers as they came and plain mappings, in any mix."""


def _tool_kind(tool: object) -> str:
    is_function = fields_of(tool).get("type", "function") == "function"
    return "function" if isinstance(tool, Tool) or is_function else "other"


Tools: TypeAlias = Annotated[
    Sequence[Tool | Mapping[str, object]],
    GetPydanticSchema(
        lambda _source, handler: handler(
            list[
                Annotated[
                    Annotated[Tool, Tag("function")] | Annotated[dict[str, object], Tag("other")],
                    Discriminator(_tool_kind),
                ]
            ]
        )
    ),
]
"""What a model may call: functions, as models or mappings, and tools of other kinds as mappings."""


class ChatCompletionParams(OneClass, Params, Generic[StreamFlag]):
    """The body of `POST /v1/chat/completions`.

    In brackets behind each field stands where it is published: sources 000 to 003 are four pages,
    which `docs/wire.md` names.

    What is not set is not sent, so that the defaults of the key, the template and the gateway hold.
    What is set to None is sent as null. Fields newer than this version go through `extra_body`.

    Type checkers know from `stream` what `create` returns. They cannot see it in `**fields` of a
    `dict[str, Any]`, nor in `model_copy(update={"stream": ...})`: annotate the result there.

    Raises:
        pydantic.ValidationError: a field is unknown, of a wrong type, or out of its bounds; when it
            is made, and when a field is set.
    """

    messages: History
    """The conversation so far, oldest first; required (all sources)."""

    model: Text | None = None
    """The model's id, such as `openai/gpt-4o-mini`, or `auto`. Unset, the key's or the template's
    model answers, at last `openai/gpt-4o` (all sources)."""

    models: list[Text] | None = None
    """Models to fall back to, in order (all sources)."""

    template: Text | None = None
    """A stored prompt template to expand, by name or UUID (sources 000, 002, 003)."""

    variables: Mapping[str, Text] | None = None
    """Values for the template's `{{placeholders}}` (sources 000, 002, 003)."""

    session_id: Text | None = None
    """A name of your own that groups calls in usage reports and in `client.totals`; any length on
    Mesh, at most 256 characters at OpenRouter (all sources)."""

    if TYPE_CHECKING:
        # The flag's type defaults to Literal[False]; no checker sees that its value does as well.
        stream: StreamFlag = False  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # see above
        """True or False: whether the answer comes in chunks, so that `create` gives a stream; False
        on the server (all sources)."""
    else:
        stream: StreamFlag = Field(default=False, strict=True)

    stream_options: StreamOptions | Mapping[str, object] | None = None
    """What a stream carries besides the answer (source 001; not confirmed on Mesh)."""

    temperature: Number | None = Field(default=None, ge=0, le=2)
    """How freely tokens are sampled: 0 to 2, where 0 is the most predictable; OpenRouter's default
    is 1 (all sources, bounds of 003)."""

    top_p: Number | None = Field(default=None, ge=0, le=1)
    """Sample only the likeliest tokens that reach this probability together: 0 to 1; OpenRouter's
    default is 1 (all sources, bounds of 003)."""

    frequency_penalty: Number | None = Field(default=None, ge=-2, le=2)
    """Makes tokens rarer the more often they appeared: -2 to 2 (all sources, bounds of 003)."""

    presence_penalty: Number | None = Field(default=None, ge=-2, le=2)
    """Makes tokens rarer once they appeared: -2 to 2 (all sources, bounds of 003)."""

    max_tokens: Whole | None = Field(default=None, ge=1)
    """How many tokens the answer may have: at least 1; where that cuts it, `finish_reason` is
    `length` (all sources, bound of 003)."""

    max_completion_tokens: Whole | None = Field(default=None, ge=1)
    """The same under OpenAI's newer name: at least 1 (source 001; not confirmed on Mesh)."""

    stop: ChatCompletionRequestStop | None = None
    """Where the answer ends: one sequence, or a list of them, at OpenRouter of 4 at the most (all
    sources)."""

    seed: Whole | None = None
    """Asks for the same answer to the same request, as far as the provider can (all sources)."""

    logit_bias: Mapping[str, Number] | None = None
    """Makes tokens, by their id, likelier or rarer (source 001; not confirmed on Mesh)."""

    logprobs: Flag | None = None
    """Whether the answer brings log probabilities (source 001; not confirmed on Mesh)."""

    top_logprobs: Whole | None = Field(default=None, ge=0, le=20)
    """How many of the likeliest tokens it brings at each place: 0 to 20 (source 001; not confirmed
    on Mesh)."""

    tools: Tools | None = None
    """What the model may call (all sources)."""

    tool_choice: ChatCompletionRequestToolChoice | None = None
    """Whether it may, must or must not call a tool, or which one it must (all sources)."""

    response_format: ResponseFormat | None = None
    """The form of the answer's text: a JSON object, or one that follows a schema (source 001,
    Mesh's docs)."""

    reasoning_effort: ReasoningEffort | None = None
    """How hard to think: none, low, medium or high; Mesh refuses others with 422 (Mesh's docs)."""

    reasoning: Reasoning | Mapping[str, object] | None = None
    """How hard to think, and what to tell of it (source 001; not confirmed on Mesh)."""

    modality: Literal["text", "image"] | Text | None = None
    """What is made: `text` or `image` (source 003)."""

    modalities: list[Literal["text", "audio", "image"] | Text] | None = None
    """What the answer is made of: `text`, `audio`, at OpenRouter also `image` (source 003)."""

    image: ImageOptions | Mapping[str, object] | None = None
    """How images are made (source 003)."""

    audio: AudioOptions | Mapping[str, object] | None = None
    """How speech is made (source 003)."""

    async_mode: Flag = False
    """Whether the work is done in the background; False on the server (source 003)."""

    cache: Flag | None = None
    """Whether the gateway may answer from its response cache (Mesh's docs)."""

    timeout: Number | None = Field(default=None, gt=0)
    """How long the gateway waits for the provider, in seconds above 0; 300 on the server (Mesh's
    docs). How long you wait is the option `timeout` of the call."""

    service_tier: Literal["default", "auto", "flex"] | Text | None = None
    """How urgent it is: `default`, `auto` or `flex` (up to 15 minutes) (Mesh's docs)."""

    weight_profile: (
        Literal["quality_first", "balanced", "cost_first", "latency_first"] | Text | None
    ) = None
    """What `model="auto"` weighs most; `balanced` on the server (Mesh's docs)."""

    transforms: list[Text] | None = None
    """OpenRouter transforms to apply before inference, in order (sources 000, 002, 003)."""

    route: Literal["fallback", "sort"] | Text | None = None
    """How `models` are routed; `fallback` by default (source 001, gone from OpenRouter since)."""

    provider: ProviderPreferences | Mapping[str, object] | None = None
    """Which providers may answer, and which first (source 001; not confirmed on Mesh)."""

    plugins: Sequence[Plugin | Mapping[str, object]] | None = None
    """Plugins to run for this request (source 001; not confirmed on Mesh)."""

    metadata: Mapping[str, Text] | None = None
    """Notes of your own, kept with the call (source 001; not confirmed on Mesh)."""

    debug: DebugOptions | Mapping[str, object] | None = None
    """What to show of the request on its way (source 001; not confirmed on Mesh)."""

    user: Text | None = Field(default=None, max_length=256)
    """Names your end user for abuse monitoring: at most 256 characters (all sources; bound of 000
    and 003)."""


def without_stream(params: ChatCompletionParams[bool]) -> ChatCompletionParams:
    """The params, or where they ask for a stream a copy that asks for the whole answer."""
    if not params.stream:
        return cast("ChatCompletionParams", params)
    names = params.model_fields_set - {"stream", "stream_options"}
    fields = {name: getattr(params, name) for name in names}
    return cast("ChatCompletionParams", type(params).model_validate(fields, by_name=True))
