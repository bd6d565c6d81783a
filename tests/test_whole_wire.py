"""Every field of every published source, sent exactly as meant, alone and all together."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from pydantic import ValidationError

from meshapi import (
    AudioContentPart,
    AudioOptions,
    CacheControl,
    ChatCompletionParams,
    ChatMessage,
    DebugOptions,
    FileContentPart,
    FileData,
    ImageContentPart,
    ImageOptions,
    ImageUrl,
    InputAudio,
    InvalidRequest,
    Plugin,
    ProviderPreferences,
    Reasoning,
    ResponseFormatJSONSchema,
    ResponseFormatSchema,
    StreamOptions,
    TextContentPart,
    VideoContentPart,
    VideoUrl,
)
from tests.colours import Sync

HISTORY = [{"role": "user", "content": "Hi"}]

# Every field of the merged table, with a value that the wire takes.
FIELDS: dict[str, Any] = {
    "messages": HISTORY,
    "model": "auto",
    "models": ["openai/gpt-4o", "openai/gpt-4o-mini"],
    "template": "support-reply",
    "variables": {"company": "Acme"},
    "session_id": "s" * 300,
    "stream": False,
    "temperature": 0.2,
    "max_tokens": 10,
    "top_p": 0.5,
    "frequency_penalty": -2,
    "presence_penalty": 2,
    "stop": [".", "!"],
    "seed": -1,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"default": None}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "transforms": ["middle-out"],
    "user": "u" * 256,
    "modality": "image",
    "modalities": ["text", "audio"],
    "image": {"n": 2, "size": "1024x1024", "quality": "high", "response_format": "url"},
    "audio": {"voice": "alloy", "format": "mp3"},
    "async_mode": True,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object", "x": None}, "strict": True},
    },
    "reasoning_effort": "low",
    "timeout": 12.5,
    "cache": False,
    "service_tier": "flex",
    "weight_profile": "cost_first",
    "provider": {"order": ["openai"], "sort": {"by": "price", "partition": None}},
    "plugins": [{"id": "web", "max_results": 3}],
    "route": "fallback",
    "reasoning": {"effort": "high", "exclude": True},
    "logit_bias": {"50256": -100.0},
    "logprobs": True,
    "top_logprobs": 20,
    "max_completion_tokens": 5,
    "metadata": {"team": "a"},
    "stream_options": {"include_usage": True},
    "debug": {"echo_upstream_body": True},
}
NULLABLE = sorted(FIELDS.keys() - {"messages", "stream", "async_mode"})


def sent(colour: Sync, fields: dict[str, Any]) -> dict[str, Any]:
    """What goes over the wire for params of these fields."""
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200, json={"choices": []})

    client = colour.client(token="rsk_test", http_client=colour.mocked(answer))
    params = ChatCompletionParams.model_validate({"messages": HISTORY, **fields})
    colour.settle(client.chat.completions.create(params))
    return cast("dict[str, Any]", json.loads(bodies[0]))


def test_the_params_have_every_field_of_the_table_and_no_other() -> None:
    assert ChatCompletionParams.model_fields.keys() == FIELDS.keys()


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_sent_exactly_as_it_is_set(name: str, colour: Sync) -> None:
    assert sent(colour, {name: FIELDS[name]}) == {"messages": HISTORY, name: FIELDS[name]}


def test_all_fields_together_are_sent_exactly_as_they_are_set(colour: Sync) -> None:
    assert sent(colour, FIELDS) == FIELDS


@pytest.mark.parametrize("name", NULLABLE)
def test_a_field_set_to_none_is_sent_as_null(name: str, colour: Sync) -> None:
    assert sent(colour, {name: None}) == {"messages": HISTORY, name: None}


def test_the_models_of_a_request_are_sent_like_the_mappings_they_stand_for(colour: Sync) -> None:
    schema = ResponseFormatSchema(name="n", schema={"type": "object", "x": None}, strict=True)
    models: dict[str, Any] = {
        "image": ImageOptions(n=2, size="1024x1024", quality="high", response_format="url"),
        "audio": AudioOptions(voice="alloy", format="mp3"),
        "response_format": ResponseFormatJSONSchema(json_schema=schema),
        "provider": ProviderPreferences(order=["openai"], sort={"by": "price", "partition": None}),
        "plugins": [Plugin.model_validate({"id": "web", "max_results": 3})],
        "reasoning": Reasoning(effort="high", exclude=True),
        "stream_options": StreamOptions(include_usage=True),
        "debug": DebugOptions(echo_upstream_body=True),
    }

    assert sent(colour, models) == {"messages": HISTORY, **{name: FIELDS[name] for name in models}}


@pytest.mark.parametrize("choice", ["none", "auto", "required", "brand_new", {"type": "any"}])
def test_a_tool_choice_of_any_form_is_sent_as_it_is(choice: Any, colour: Sync) -> None:
    assert sent(colour, {"tool_choice": choice})["tool_choice"] == choice


def test_a_tool_of_another_kind_is_sent_as_it_is(colour: Sync) -> None:
    cached = {**FIELDS["tools"][0], "cache_control": {"type": "ephemeral"}}
    tools = [{"type": "openrouter:web_search", "parameters": None}, cached]

    assert sent(colour, {"tools": tools})["tools"] == tools


@pytest.mark.parametrize(
    ("fields", "name", "bound"),
    [
        ({"max_completion_tokens": 0}, "max_completion_tokens", "1"),
        ({"top_logprobs": 21}, "top_logprobs", "20"),
        ({"top_logprobs": -1}, "top_logprobs", "0"),
        ({"timeout": 0}, "timeout", "0"),
        ({"logprobs": "yes"}, "logprobs", "boolean"),
        ({"async_mode": None}, "async_mode", "boolean"),
        ({"cache": 1}, "cache", "boolean"),
        ({"logit_bias": {"1": "x"}}, "logit_bias", "number"),
        ({"modalities": "text"}, "modalities", "list"),
    ],
    ids=str,
)
def test_a_bound_of_the_wider_wire_is_checked(
    fields: dict[str, Any], name: str, bound: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        ChatCompletionParams.model_validate({"messages": HISTORY, **fields})

    assert name in str(caught.value)
    assert bound in str(caught.value)


def test_a_bound_of_a_nested_model_is_checked() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 10"):
        ImageOptions(n=11)


PARTS: list[tuple[Any, dict[str, Any]]] = [
    (TextContentPart(text="a"), {"type": "text", "text": "a"}),
    (
        ImageContentPart(image_url=ImageUrl(url="https://a/b.png", detail="low")),
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
    ),
    (
        AudioContentPart(input_audio=InputAudio(url="https://a/b.mp3", format="mp3")),
        {"type": "input_audio", "input_audio": {"url": "https://a/b.mp3", "format": "mp3"}},
    ),
    (
        VideoContentPart(video_url=VideoUrl(url="https://a/b.mp4"), fps="2"),
        {"type": "video_url", "video_url": {"url": "https://a/b.mp4"}, "fps": "2"},
    ),
    (FileContentPart(file=FileData(file_id="f1")), {"type": "file", "file": {"file_id": "f1"}}),
    (
        TextContentPart(text="long", cache_control=CacheControl(type="ephemeral")),
        {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}},
    ),
    (
        {"type": "hologram", "beam": None, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "hologram", "beam": None, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ),
]


@pytest.mark.parametrize(("part", "wire"), PARTS, ids=lambda part: type(part).__name__)
def test_a_part_is_sent_as_the_wire_has_it(part: Any, wire: dict[str, Any], colour: Sync) -> None:
    for content in ([part], [wire]):
        message = ChatMessage(role="user", content=content)
        assert sent(colour, {"messages": [message]})["messages"][0]["content"] == [wire]


DATA = b"\x00\x01binary"
ENCODED = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.png", "image/png"),
        ("a.JPG", "image/jpeg"),
        ("a.jpeg", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.gif", "image/gif"),
    ],
)
def test_an_image_is_made_of_a_file_or_of_bytes(name: str, media_type: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(DATA)

    for part in (
        ImageContentPart.from_file(path),
        ImageContentPart.from_file(str(path)),
        ImageContentPart.from_bytes(DATA, media_type),
    ):
        assert part.model_dump(exclude_unset=True) == {
            "type": "image_url",
            "image_url": {"url": f"data:{media_type};base64,{ENCODED}"},
        }
    assert ImageContentPart.from_file(path, detail="high").image_url.detail == "high"


@pytest.mark.parametrize(
    ("name", "media_type", "form"),
    [
        ("a.wav", "audio/wav", "wav"),
        ("a.mp3", "audio/mpeg", "mp3"),
        ("a.M4A", "audio/mp4", "m4a"),
        ("a.flac", "audio/flac", "flac"),
        ("a.ogg", "audio/ogg", "ogg"),
        ("a.aac", "audio/aac", "aac"),
        ("a.aiff", "audio/aiff", "aiff"),
        ("a.pcm16", "audio/pcm16", "pcm16"),
        ("a.pcm24", "audio/pcm24", "pcm24"),
    ],
)
def test_audio_is_made_of_a_file_or_of_bytes(
    name: str, media_type: str, form: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(DATA)

    for part in (
        AudioContentPart.from_file(path),
        AudioContentPart.from_bytes(DATA, media_type),
    ):
        assert part.model_dump(exclude_unset=True) == {
            "type": "input_audio",
            "input_audio": {"data": ENCODED, "format": form},
        }


def test_a_file_is_made_of_a_file_or_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(DATA)
    uri = f"data:application/pdf;base64,{ENCODED}"

    assert FileContentPart.from_file(path).model_dump(exclude_unset=True) == {
        "type": "file",
        "file": {"file_data": uri, "filename": "report.pdf"},
    }
    assert FileContentPart.from_bytes(DATA, "application/pdf").model_dump(exclude_unset=True) == {
        "type": "file",
        "file": {"file_data": uri},
    }


def test_a_packed_file_is_sent_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf.gz"
    path.write_bytes(DATA)

    packed = FileContentPart.from_file(path).file.file_data
    plain = FileContentPart.from_bytes(DATA, "text/plain; charset=utf-8").file.file_data

    assert packed == f"data:application/gzip;base64,{ENCODED}"
    assert plain == f"data:text/plain;charset=utf-8;base64,{ENCODED}"


def test_a_kind_that_the_wire_does_not_take_is_refused(tmp_path: Path) -> None:
    for name in ("a.txt", "a", "a.svg", "a.unknown", "empty.png", "empty.mp3", "empty.pdf"):
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else DATA)

    with pytest.raises(InvalidRequest, match=r"a\.svg.*png"):
        ImageContentPart.from_file(tmp_path / "a.svg")
    with pytest.raises(InvalidRequest, match=r"image/tiff.*image/png"):
        ImageContentPart.from_bytes(DATA, "image/tiff")
    with pytest.raises(InvalidRequest, match=r"a\.txt.*mp3"):
        AudioContentPart.from_file(tmp_path / "a.txt")
    with pytest.raises(InvalidRequest, match=r"audio/midi.*audio/mpeg"):
        AudioContentPart.from_bytes(DATA, "audio/midi")
    with pytest.raises(InvalidRequest, match="from_bytes"):
        FileContentPart.from_file(tmp_path / "a.unknown")
    with pytest.raises(InvalidRequest, match="media type"):
        FileContentPart.from_bytes(DATA, "pdf")
    for kind, name in (
        (ImageContentPart, "empty.png"),
        (AudioContentPart, "empty.mp3"),
        (FileContentPart, "empty.pdf"),
    ):
        with pytest.raises(InvalidRequest, match="0 bytes"):
            kind.from_file(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        ImageContentPart.from_file(tmp_path / "missing.png")
