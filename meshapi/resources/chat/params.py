"""What a chat completion is asked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeAlias, cast

from pydantic import Field, GetPydanticSchema, SerializeAsAny
from typing_extensions import TypeVar

from meshapi._core.models import Number, Params, Text, Whole
from meshapi.resources.chat.messages import ChatMessage
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
"""One stop sequence or several."""

ChatCompletionRequestToolChoice: TypeAlias = (
    Literal["none", "auto", "required"] | Text | ToolChoice | Mapping[str, object]
)
"""May the model call tools (`auto`), must it not (`none`), must it (`required`), or one of them."""

History: TypeAlias = Annotated[
    Sequence[ChatMessage | Mapping[str, object]],
    GetPydanticSchema(lambda _source, handler: handler(list[SerializeAsAny[ChatMessage]])),
]
"""A conversation: messages, answers as they came and plain mappings, in any mix."""


# The flag's type defaults to Literal[False]; no checker can see that its value does as well.
_NOT = cast("Any", False)  # noqa: FBT003


class ChatCompletionParams(Params, Generic[StreamFlag]):
    """The body of `POST /v1/chat/completions`.

    What is not set is not sent, so that the defaults of the key, the template and the gateway hold.
    What is set to None is sent as null. Fields newer than this version go through `extra_body`.

    Raises:
        pydantic.ValidationError: when a field is unknown, of a wrong type, or out of its bounds,
            at construction and on assignment.
    """

    messages: History
    """The conversation so far, oldest first. Required."""

    model: Text | None = None
    """The model's id, such as `openai/gpt-4o-mini`; unset, the key or the template decides."""

    template: Text | None = None
    """A stored prompt template, by name or UUID, expanded before inference (Mesh)."""

    variables: Mapping[str, Text] | None = None
    """Values for the template's `{{slot}}` placeholders (Mesh)."""

    session_id: Text | None = None
    """Groups calls in usage reports, by a key of your own (Mesh)."""

    stream: StreamFlag = Field(default=_NOT, strict=True)
    """Whether the answer comes in chunks: then `create` gives a stream."""

    temperature: Number | None = Field(default=None, ge=0, le=2)
    """How freely tokens are sampled: 0 to 2, low is more deterministic."""

    max_tokens: Whole | None = Field(default=None, ge=1)
    """How many tokens the answer may have: at least 1."""

    top_p: Number | None = Field(default=None, ge=0, le=1)
    """Sample only from the likeliest tokens that reach this probability together: 0 to 1."""

    frequency_penalty: Number | None = Field(default=None, ge=-2, le=2)
    """Makes tokens rarer the more often they appeared: -2 to 2."""

    presence_penalty: Number | None = Field(default=None, ge=-2, le=2)
    """Makes tokens rarer once they appeared: -2 to 2."""

    stop: ChatCompletionRequestStop | None = None
    """Where the answer ends: one sequence or several."""

    seed: Whole | None = None
    """Asks for the same answer to the same request, as far as the provider can."""

    tools: Annotated[
        Sequence[Tool | Mapping[str, object]] | None,
        GetPydanticSchema(lambda _source, handler: handler(list[Tool] | None)),
    ] = None
    """What the model may call."""

    tool_choice: ChatCompletionRequestToolChoice | None = None
    """Whether it may, must or must not call a tool, or which one it must."""

    transforms: list[Text] | None = None
    """OpenRouter transforms to apply before inference, in order."""

    models: list[Text] | None = None
    """Models to fall back to, in order (OpenRouter)."""

    user: Text | None = Field(default=None, max_length=256)
    """Names your end user for abuse monitoring: at most 256 characters."""

    if not TYPE_CHECKING:

        def __class_getitem__(cls, flag):
            """Stay one class: a class parametrised at run time would not pickle."""
            return cls
