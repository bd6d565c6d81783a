"""The parts of a message's content: text, images, audio, video and files.

Parts go both ways, and keep fields they do not know.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag

from meshapi._core.checks import fields_of
from meshapi._core.models import Payload, Tagged, Text
from meshapi.resources.chat.inline import (
    audio_format,
    audio_format_of_file,
    checked_image_type,
    data_uri,
    file_type,
    image_type,
    in_base64,
)

ImageUrlDetail: TypeAlias = Literal["auto", "low", "high"] | str
"""How closely an image is looked at; the gateway's default is `auto`."""

InputAudioFormat: TypeAlias = (
    Literal["wav", "mp3", "aiff", "aac", "ogg", "flac", "m4a", "pcm16", "pcm24"] | str
)
"""How audio that is sent is encoded: the nine forms the gateway takes."""


class CacheControl(Payload):
    """Asks the provider to cache the prompt up to here; dropped where it cannot (Mesh's docs)."""

    type: Literal["ephemeral"] | str = "ephemeral"
    """How long to keep it: `ephemeral`, the one kind there is."""


class ImageUrl(Payload):
    """Where an image is (source 002)."""

    url: Text
    """A remote URL or a `data:` URI."""

    detail: ImageUrlDetail | None = None
    """How closely to look at it: `auto` (the server's default), `low` or `high`."""


class _Part(Tagged, Payload):
    cache_control: CacheControl | None = None
    """Asks the provider to cache the prompt up to this part (Mesh's docs)."""


class TextContentPart(_Part):
    """A piece of text (source 002)."""

    type: Literal["text"] = "text"
    """Always `text`; sent whether it was given or not."""

    text: Text
    """The text itself."""


class ImageContentPart(_Part):
    """An image to look at (source 002).

    One on the web is `ImageContentPart(image_url=ImageUrl(url="https://..."))`.
    """

    type: Literal["image_url"] = "image_url"
    """Always `image_url`; sent whether it was given or not."""

    image_url: ImageUrl
    """The image: remote or inline."""

    @classmethod
    def from_file(cls, path: str | Path, *, detail: ImageUrlDetail | None = None) -> Self:
        """Read an image (.png, .jpg, .jpeg, .webp or .gif) and send it inline.

        Args:
            path: where it is.
            detail: how closely to look at it; the server's default is `auto`.

        Raises:
            InvalidRequest: the name has none of these endings, or the file is empty.
            OSError: the file cannot be read.
        """
        media_type = image_type(Path(path))
        return cls.from_bytes(Path(path).read_bytes(), media_type, detail=detail)

    @classmethod
    def from_bytes(
        cls, data: bytes, media_type: str, *, detail: ImageUrlDetail | None = None
    ) -> Self:
        """Send an image inline, as a `data:` URI.

        Args:
            data: the image.
            media_type: `image/png`, `image/jpeg`, `image/webp` or `image/gif`.
            detail: how closely to look at it; the server's default is `auto`.

        Raises:
            InvalidRequest: the media type is none of these, or there is no data.
        """
        image_url = ImageUrl(url=data_uri(data, checked_image_type(media_type)))
        if detail is not None:
            image_url.detail = detail
        return cls(image_url=image_url)


class InputAudio(Payload):
    """Audio to listen to, from one of `data`, `uri` and `url`."""

    data: Text | None = None
    """The audio in base64, without a `data:` prefix."""

    uri: Text | None = None
    """Where the provider finds it."""

    url: Text | None = None
    """Where the gateway finds it."""

    format: InputAudioFormat | None = None
    """How it is encoded."""


class AudioContentPart(_Part):
    """Audio to listen to (Mesh's docs, OpenAI)."""

    type: Literal["input_audio"] = "input_audio"
    """Always `input_audio`; sent whether it was given or not."""

    input_audio: InputAudio
    """The audio: remote or inline."""

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read audio and send it inline.

        Args:
            path: where it is; the name's ending tells the format: .wav, .mp3, .aiff, .aac, .ogg,
                .flac, .m4a, .pcm16 or .pcm24.

        Raises:
            InvalidRequest: the name has none of these endings, or the file is empty.
            OSError: the file cannot be read.
        """
        form = audio_format_of_file(Path(path))
        return cls(input_audio=InputAudio(data=in_base64(Path(path).read_bytes()), format=form))

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str) -> Self:
        """Send audio inline, in base64.

        Args:
            data: the audio.
            media_type: that of one of these formats, such as `audio/wav`, `audio/mpeg` (mp3) or
                `audio/mp4` (m4a).

        Raises:
            InvalidRequest: the media type is none of theirs, or there is no data.
        """
        return cls(input_audio=InputAudio(data=in_base64(data), format=audio_format(media_type)))


class VideoUrl(Payload):
    """Where a video is."""

    url: Text
    """A remote URL or a `data:` URI."""


class VideoContentPart(_Part):
    """A video to watch (Mesh's docs, OpenRouter)."""

    type: Literal["video_url"] = "video_url"
    """Always `video_url`; sent whether it was given or not."""

    video_url: VideoUrl
    """The video: remote or inline."""

    fps: Text | None = None
    """How many frames of a second to look at, as text."""


class FileData(Payload):
    """A file, inline or by the id of one that was uploaded."""

    filename: Text | None = None
    """Its name."""

    file_data: Text | None = None
    """Its content as a `data:` URI, or its URL."""

    file_id: Text | None = None
    """Its id, where it was uploaded before."""


class FileContentPart(_Part):
    """A file to read, such as a PDF (OpenAI, OpenRouter)."""

    type: Literal["file"] = "file"
    """Always `file`; sent whether it was given or not."""

    file: FileData
    """The file."""

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a file and send it inline; the name's ending tells its media type.

        Raises:
            InvalidRequest: the ending tells no media type, or the file is empty.
            OSError: the file cannot be read.
        """
        path = Path(path)
        return cls.from_bytes(path.read_bytes(), file_type(path), filename=path.name)

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str, *, filename: str | None = None) -> Self:
        """Send a file inline, as a `data:` URI.

        Args:
            data: the file's content.
            media_type: such as `application/pdf`.
            filename: its name, for the model.

        Raises:
            InvalidRequest: the media type is not written as one, or there is no data.
        """
        file = FileData(file_data=data_uri(data, media_type))
        if filename is not None:
            file.filename = filename
        return cls(file=file)


class UnknownContentPart(_Part):
    """A part of a kind this version does not know, or that misses what its kind has, kept whole."""

    type: str | None = None
    """The kind, as the wire names it; None where it does not."""

    def model_post_init(self, _context: object, /) -> None:
        """Add nothing to what came, not even a type."""

    @property
    def said(self) -> str:
        """Its `text`, where it has one."""
        text = (self.model_extra or {}).get("text")
        return text if isinstance(text, str) else ""


_KINDS = frozenset({"text", "image_url", "input_audio", "video_url", "file"})


def _kind(part: object) -> str:
    kind = fields_of(part).get("type", getattr(part, "type", None))
    return kind if isinstance(kind, str) and kind in _KINDS else "unknown"


ContentPart: TypeAlias = Annotated[
    Annotated[TextContentPart, Tag("text")]
    | Annotated[ImageContentPart, Tag("image_url")]
    | Annotated[AudioContentPart, Tag("input_audio")]
    | Annotated[VideoContentPart, Tag("video_url")]
    | Annotated[FileContentPart, Tag("file")]
    | Annotated[UnknownContentPart, Tag("unknown")],
    Discriminator(_kind),
]
"""One piece of a message's content, told apart by its `type`."""

AnswerPart: TypeAlias = Annotated[
    ContentPart | UnknownContentPart, Field(union_mode="left_to_right")
]
"""One piece of an answer's content; one that misses something is still kept."""
