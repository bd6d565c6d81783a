"""What form an answer takes: text, JSON of a schema, an image, speech."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from pydantic import Field

from meshapi._core.models import Flag, Params, Tagged, Text, Whole

if TYPE_CHECKING:
    from meshapi.resources.chat.schemas import TypeLike

T = TypeVar("T")


class ResponseFormatText(Tagged, Params):
    """Plain text, the default."""

    type: Literal["text"] = "text"
    """Always `text`; sent whether it was given or not."""


class ResponseFormatJSONObject(Tagged, Params):
    """Some JSON object (a model without support answers in prose)."""

    type: Literal["json_object"] = "json_object"
    """Always `json_object`; sent whether it was given or not."""


class ResponseFormatSchema(Params):
    """A schema, and a name for it."""

    name: Text
    """What the model calls it."""

    description: Text | None = None
    """What it is for, for the model to read."""

    schema_: Mapping[str, object] | None = Field(default=None, alias="schema")
    """The JSON Schema itself, sent as it is given; write it as `schema=`."""

    strict: Flag | None = None
    """Whether the answer must follow it to the letter."""


class ResponseFormatJSONSchema(Tagged, Params):
    """A JSON object that follows a schema (a model without support answers in prose)."""

    type: Literal["json_schema"] = "json_schema"
    """Always `json_schema`; sent whether it was given or not."""

    json_schema: ResponseFormatSchema
    """The schema."""

    @classmethod
    def from_type(cls, output: "TypeLike[T]") -> "ResponseFormatJSONSchema":
        """What `parse` asks for: the JSON Schema of a type, strict where it can be.

        It cannot be where an object has free keys, and where there is a tuple or a type that may be
        anything.

        Raises:
            InvalidRequest: the type has no JSON Schema.
        """
        from meshapi.resources.chat.answer_form import form_of  # Not all programs parse.

        return form_of(output).response_format.model_copy(deep=True)


ResponseFormat: TypeAlias = (
    ResponseFormatText | ResponseFormatJSONObject | ResponseFormatJSONSchema | Mapping[str, object]
)
"""The form of the answer's text; other forms, such as OpenRouter's `grammar`, go as mappings."""


class ImageOptions(Params):
    """How images are made, with `modality="image"`."""

    n: Whole | None = Field(default=None, ge=1, le=10)
    """How many: 1 to 10; 1 on the server (Mesh's docs)."""

    size: Text | None = None
    """Width and height in pixels, such as `1024x1024`, the server's default (Mesh's docs)."""

    quality: Text | None = None
    """How well; `high` on the server (Mesh's docs)."""

    response_format: Literal["url", "b64_json"] | Text | None = None
    """How they come: as a `url`, or inline as `b64_json` (Mesh's docs)."""


class AudioOptions(Params):
    """How speech is made, with `modalities=["text", "audio"]`."""

    voice: Text | None = None
    """Whose voice; `alloy` on the server (Mesh's docs)."""

    format: Literal["wav", "mp3", "flac", "opus", "pcm16"] | Text | None = None
    """How it is encoded (Mesh's docs)."""
