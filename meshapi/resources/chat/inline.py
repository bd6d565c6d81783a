"""Files and bytes, written the way a message holds them: base64, or a `data:` URI."""

from __future__ import annotations

import base64
import mimetypes
import re
from pathlib import Path

from meshapi.errors import InvalidRequest

IMAGES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
}
"""The endings of images' names, and their media types."""

AUDIO = {
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/aiff": "aiff",
    "audio/x-aiff": "aiff",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/pcm16": "pcm16",
    "audio/pcm24": "pcm24",
}
"""The media types of audio, and the formats that the wire knows them by."""


def image_type(path: Path) -> str:
    """The media type of an image, by its name.

    Raises:
        InvalidRequest: the name's ending is no image's.
    """
    ending = _ending(path)
    if ending not in IMAGES:
        raise InvalidRequest(f"{path.name} is no image: its name must end in {', '.join(IMAGES)}")
    return IMAGES[ending]


def checked_image_type(media_type: str) -> str:
    """The media type of an image, in lower case.

    Raises:
        InvalidRequest: it is no image's that the wire takes.
    """
    kinds = dict.fromkeys(IMAGES.values())
    if media_type.lower() not in kinds:
        raise InvalidRequest(f"{media_type!r} is no image: it must be one of {', '.join(kinds)}")
    return media_type.lower()


def audio_format_of_file(path: Path) -> str:
    """The wire's name for the format of an audio file, by its name.

    Raises:
        InvalidRequest: the name's ending is none of the formats.
    """
    formats = dict.fromkeys(AUDIO.values())
    if _ending(path) not in formats:
        raise InvalidRequest(f"{path.name} is no audio: its name must end in {', '.join(formats)}")
    return _ending(path)


def audio_format(media_type: str) -> str:
    """The wire's name for the format of a media type.

    Raises:
        InvalidRequest: it is none that the wire takes.
    """
    if media_type.lower() not in AUDIO:
        raise InvalidRequest(f"{media_type!r} is no audio: it must be one of {', '.join(AUDIO)}")
    return AUDIO[media_type.lower()]


def file_type(path: Path) -> str:
    """The media type of any file, by its name.

    Raises:
        InvalidRequest: the name's ending tells none.
    """
    media_type, packed = mimetypes.guess_type(path.name)
    if packed == "gzip":
        return "application/gzip"
    if media_type is None or packed is not None:
        raise InvalidRequest(f"{path.name} tells no media type: use from_bytes(data, media_type)")
    return media_type


def in_base64(data: bytes) -> str:
    """Bytes as base64.

    Raises:
        InvalidRequest: there are none.
    """
    if not data:
        raise InvalidRequest("There is nothing in it to send: 0 bytes")
    return base64.b64encode(data).decode()


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as a `data:` URI (RFC 2397).

    Raises:
        InvalidRequest: there are none, or the media type is none.
    """
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*", media_type, re.ASCII):
        raise InvalidRequest(f"{media_type!r} is no media type, such as application/pdf")
    return f"data:{media_type.replace('; ', ';')};base64,{in_base64(data)}"


def _ending(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
