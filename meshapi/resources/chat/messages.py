"""Messages: they go both ways, and keep what they do not know."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, GetPydanticSchema

from meshapi._core.models import (
    JSONObject,
    NullableText,
    Payload,
    Tagged,
    Text,
    Timestamp,
    null_reads_as,
)
from meshapi.resources.chat.parts import (
    AnswerPart,
    ContentPart,
    ImageContentPart,
    TextContentPart,
    UnknownContentPart,
)
from meshapi.resources.chat.tools import ToolCall, ToolCallFunction

ChatMessageRole: TypeAlias = Literal["system", "user", "assistant", "tool"] | str
"""Who speaks: the published four, or another that the gateway may take (`developer`, perhaps)."""

ChatMessageContent: TypeAlias = str | Sequence[ContentPart | Mapping[str, object]]
"""What a message says: text, or parts (mappings are as good)."""


class ChatMessage(Tagged, Payload):
    """One message of a conversation, in OpenAI's chat format (source 002)."""

    tag: ClassVar[str] = "role"
    """The name of its tag."""

    role: ChatMessageRole
    """Who speaks."""

    content: Annotated[
        ChatMessageContent | None,
        GetPydanticSchema(lambda _source, handler: handler(Text | list[ContentPart] | None)),
    ] = None
    """What is said; may be None beside `tool_calls`."""

    name: str | None = None
    """Tells participants of one role apart."""

    tool_call_id: str | None = None
    """On a `tool` message: the id of the call that it answers."""

    tool_calls: list[ToolCall] | None = None
    """On an `assistant` message: the calls that the model asks for."""

    def model_post_init(self, context: object, /) -> None:
        """Count the role as set, and build the class: pydantic before 2.14 sends no other."""
        super().model_post_init(context)
        type(self).model_rebuild()

    def _repr_markdown_(self) -> str:
        """What a notebook shows: all that the message says and asks for."""
        from meshapi.resources.chat.markdown import message_markdown  # For notebooks alone.

        return message_markdown(self)


class UrlCitation(Payload):
    """A page that the answer rests on (OpenAI, OpenRouter)."""

    url: NullableText = ""
    """Where it is."""

    title: str | None = None
    """Its title."""

    content: str | None = None
    """What of it was used."""

    start_index: int | None = None
    """Where in the text the citation begins, in characters."""

    end_index: int | None = None
    """Where it ends, in characters."""


class Annotation(Payload):
    """A note on the answer: a citation, or a file that was read (OpenAI, OpenRouter)."""

    type: NullableText = ""
    """What kind of note: `url_citation`, `file`, ..."""

    url_citation: UrlCitation | None = None
    """The page, on a `url_citation`."""


class OutputAudio(Payload):
    """Speech that the model made (Mesh's docs, OpenAI)."""

    id: NullableText = ""
    """Names it, so that a later message can refer to it."""

    data: NullableText = ""
    """The audio in base64."""

    transcript: NullableText = ""
    """What is said in it."""

    expires_at: Timestamp | None = None
    """Until when the id is known, in seconds since 1970, UTC."""


OutputImage: TypeAlias = Annotated[
    ImageContentPart | UnknownContentPart, Field(union_mode="left_to_right")
]
"""An image that a model made, kept whole in whatever form it came."""


class ModelOutput(Payload):
    """What a model may say besides text: whole in a message, in pieces in a delta."""

    refusal: str | None = None
    """Why the model will not answer (OpenAI)."""

    reasoning: str | None = None
    """What it thought, as text (OpenRouter)."""

    reasoning_details: list[JSONObject] | None = None
    """What it thought, for the provider: send it back unchanged (OpenRouter, Mesh's docs)."""

    annotations: list[Annotation] | None = None
    """Citations and other notes on the text (OpenAI, OpenRouter)."""

    images: list[OutputImage] | None = None
    """Images that it made (OpenRouter)."""

    audio: OutputAudio | None = None
    """Speech that it made (Mesh's docs, OpenAI)."""

    function_call: ToolCallFunction | None = None
    """The call it asks for, in the form before `tool_calls` (OpenAI)."""


class ChatCompletionMessage(ModelOutput, ChatMessage):
    """The model's answer: a message that can be sent back as it is in the next call."""

    role: Annotated[ChatMessageRole, null_reads_as(lambda: "assistant")] = "assistant"
    """`assistant`, also where the server left it out."""

    # What came back has been read, so no mapping is left among the parts.
    content: Text | list[AnswerPart] | None = None  # pyright: ignore[reportIncompatibleVariableOverride]  # see above
    """What the model said; None beside `tool_calls`, a refusal or audio."""


def joined_text(content: ChatMessageContent | None) -> str:
    """Read content as text: a string as it is, parts by their `text`, nothing as ""."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = (
        part.text if isinstance(part, TextContentPart) else getattr(part, "said", "")
        for part in content
    )
    return "".join(texts)
