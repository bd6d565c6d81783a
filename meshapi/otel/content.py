"""The conversation itself, for those who ask for it, as the parts that OpenTelemetry knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from opentelemetry.util.genai.types import (
    BlobPart,
    FilePart,
    FunctionToolDefinition,
    GenericToolDefinition,
    InputMessage,
    MessagePart,
    Modality,
    OutputMessage,
    ReasoningPart,
    TextPart,
    ToolCallRequestPart,
    ToolCallResponsePart,
    ToolDefinition,
)
from opentelemetry.util.genai.utils import (
    decode_base64,
    image_from_url,
    tool_arguments_to_any_value,
)

from meshapi._core.checks import fields_of, items_of

Document = Mapping[str, object]
_Parts = Iterable[MessagePart | None]


def asked_messages(body: Document) -> list[InputMessage]:
    """The messages of a request."""
    return [
        InputMessage(_text(message.get("role")) or "user", _parts(message), _name(message))
        for message in map(fields_of, items_of(body.get("messages")))
    ]


def given_messages(answer: Document) -> list[OutputMessage]:
    """What a completion says, one message per choice; or what each model of a comparison says."""
    choices = map(fields_of, items_of(answer.get("choices")))
    said = [_given(fields_of(choice.get("message"))) for choice in choices]
    judge = {"model": answer.get("comparison_model"), "content": answer.get("comparison")}
    compared = [*map(fields_of, items_of(answer.get("results"))), judge]
    return said + [_given(each, each.get("model")) for each in compared if each.get("content")]


def defined_tools(body: Document) -> list[ToolDefinition]:
    """The tools that a request offers."""
    return [_tool(fields_of(tool)) for tool in items_of(body.get("tools"))]


def _given(message: Document, name: object = None) -> OutputMessage:
    return OutputMessage("assistant", _parts(message), name=_text(name) or _name(message))


def _tool(tool: Document) -> ToolDefinition:
    function = fields_of(tool.get("function"))
    kind = _text(tool.get("type")) or "function"
    name = _text(function.get("name")) or _text(tool.get("name")) or kind
    if not function:
        return GenericToolDefinition(name, kind)
    described = _text(function.get("description")) or None
    return FunctionToolDefinition(name, described, function.get("parameters"))


def _parts(message: Document) -> list[MessagePart]:
    if message.get("role") == "tool":
        call = _text(message.get("tool_call_id")) or None
        return [ToolCallResponsePart(message.get("content"), call)]
    return [part for part in _all_parts(message) if part]


def _all_parts(message: Document) -> _Parts:
    yield _reasoning(message.get("reasoning"))
    yield from _said(message.get("content"))
    yield _said_text(message.get("refusal"))
    yield from map(_part, items_of(message.get("images")))
    yield from _speech(fields_of(message.get("audio")))
    yield from map(_call, map(fields_of, items_of(message.get("tool_calls"))))
    if function := fields_of(message.get("function_call")):
        yield _call({"function": function})


def _said(content: object) -> _Parts:
    yield _said_text(content)
    yield from map(_part, items_of(content))


def _said_text(said: object) -> TextPart | None:
    return TextPart(said) if isinstance(said, str) and said else None


def _reasoning(thought: object) -> ReasoningPart | None:
    return ReasoningPart(thought) if isinstance(thought, str) and thought else None


def _call(call: Document) -> ToolCallRequestPart:
    function = fields_of(call.get("function"))
    arguments = tool_arguments_to_any_value(function.get("arguments"))
    return ToolCallRequestPart(
        arguments, _text(function.get("name")), _text(call.get("id")) or None
    )


def _part(part: object) -> MessagePart | None:
    fields = fields_of(part)
    read = _PARTS.get(_text(fields.get("type")))
    return read(fields) if read else _said_text(fields.get("text"))


def _image(part: Document) -> MessagePart | None:
    return _linked(fields_of(part.get("image_url")).get("url"), Modality.IMAGE)


def _video(part: Document) -> MessagePart | None:
    return _linked(fields_of(part.get("video_url")).get("url"), Modality.VIDEO)


def _audio(part: Document) -> MessagePart | None:
    audio = fields_of(part.get("input_audio"))
    inline = _blob(audio.get("data"), f"audio/{_text(audio.get('format')) or 'wav'}")
    return inline or _linked(audio.get("url") or audio.get("uri"), Modality.AUDIO)


def _file(part: Document) -> MessagePart | None:
    file = fields_of(part.get("file"))
    uploaded = _text(file.get("file_id"))
    if uploaded:
        return FilePart(None, Modality.DOCUMENT, uploaded)
    return _linked(file.get("file_data"), Modality.DOCUMENT)


_PARTS: Mapping[str, Callable[[Document], MessagePart | None]] = {
    "image_url": _image,
    "video_url": _video,
    "input_audio": _audio,
    "file": _file,
}


def _linked(url: object, modality: Modality) -> MessagePart | None:
    return image_from_url(url, modality=modality) if isinstance(url, str) and url else None


def _speech(audio: Document) -> _Parts:
    yield _blob(audio.get("data"), None)
    yield _said_text(audio.get("transcript"))


def _blob(data: object, media_type: str | None) -> BlobPart | None:
    content = decode_base64(data) if isinstance(data, str) and data else None
    return BlobPart(media_type, Modality.AUDIO, content) if content else None


def _name(message: Document) -> str | None:
    return _text(message.get("name")) or None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
