"""Messages and the parts of their content: they go both ways and keep what they do not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Discriminator, GetPydanticSchema, Tag

from meshapi._core.checks import fields_of
from meshapi._core.models import Payload, Tagged, Text, null_reads_as
from meshapi.resources.chat.tools import ToolCall

ChatMessageRole: TypeAlias = Literal["system", "user", "assistant", "tool"] | str
"""Who speaks: the published four, or another that the gateway may take (`developer`, perhaps)."""

ImageUrlDetail: TypeAlias = Literal["auto", "low", "high"] | str
"""How closely an image is looked at; the gateway's default is `auto`."""


class ImageUrl(Payload):
    """Where an image is."""

    url: str
    """A remote URL or a `data:` URI."""

    detail: ImageUrlDetail | None = None
    """How closely to look at it; unset is the gateway's `auto`."""


class TextContentPart(Tagged, Payload):
    """A piece of text."""

    type: Literal["text"] = "text"
    """Always `text`; sent whether it was given or not."""

    text: str
    """The text itself."""


class ImageContentPart(Tagged, Payload):
    """An image to look at."""

    type: Literal["image_url"] = "image_url"
    """Always `image_url`; sent whether it was given or not."""

    image_url: ImageUrl
    """The image: remote or inline."""


class UnknownContentPart(Tagged, Payload):
    """A part of a kind this version does not know, kept whole."""

    type: str
    """The kind, as the wire names it."""


def _kind(part: object) -> str:
    kind = fields_of(part).get("type", getattr(part, "type", None))
    return kind if isinstance(kind, str) and kind in _KNOWN_KINDS else "unknown"


_KNOWN_KINDS = frozenset({"text", "image_url"})

ContentPart: TypeAlias = Annotated[
    Annotated[TextContentPart, Tag("text")]
    | Annotated[ImageContentPart, Tag("image_url")]
    | Annotated[UnknownContentPart, Tag("unknown")],
    Discriminator(_kind),
]
"""One piece of a message's content, told apart by its `type`."""

ChatMessageContent: TypeAlias = str | Sequence[ContentPart | Mapping[str, object]]
"""What a message says: text, or parts (mappings are as good)."""


class ChatMessage(Tagged, Payload):
    """One message of a conversation, in OpenAI's chat format."""

    tag: ClassVar[str] = "role"

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


class ChatCompletionMessage(ChatMessage):
    """The model's answer: a message that can be sent back as it is in the next call."""

    role: Annotated[ChatMessageRole, null_reads_as(lambda: "assistant")] = "assistant"
    """`assistant`, also where the server left it out."""

    # What came back has been read, so no mapping is left among the parts.
    content: Text | list[ContentPart] | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """What the model said; None beside `tool_calls`, a refusal or audio."""


def joined_text(content: ChatMessageContent | None) -> str:
    """Read content as text: a string as it is, parts by their `text`, nothing as ""."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content if isinstance(part, TextContentPart))
