"""What may be asked: the bodies of requests, as the gateway reads them.

These models are the server's own, so that a client that sends something wrong finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, TypeVar, cast
from urllib.parse import parse_qs

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from meshapi._core.checks import fields_of, is_mapping, items_of
from meshapi._core.meta import Headers
from meshapi._core.models import JSONObject
from meshapi.local.refusal import INVALID, Refusal
from meshapi.resources.chat.tools import ToolCall


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it arrived."""

    method: str
    """`POST` or `GET`."""

    path: str
    """Such as `/v1/chat/completions`, with its query."""

    headers: Mapping[str, str] = field(repr=False)
    """The headers by name, in any case; one that came twice has its values joined by a comma."""

    body: bytes
    """The body, byte for byte as it was sent."""

    def json(self) -> JSONObject:
        """The body, read as JSON.

        Raises:
            ValueError: the body is no JSON.
        """
        return cast("JSONObject", from_json(self.body))

    @property
    def messages(self) -> list[JSONObject]:
        """The messages in the body, as they came; none where it has none."""
        body = self.json() if self.body else None
        return [fields_of(each) for each in items_of(fields_of(body).get("messages"))]

    @property
    def text(self) -> str:
        """The words of its last message; "" where it has none."""
        return words_of(self.messages[-1]) if self.messages else ""

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls of tools in its messages, oldest first.

        Raises:
            ValueError: something among them is no call.
        """
        calls = [call for each in self.messages for call in items_of(each.get("tool_calls"))]
        return [ToolCall.model_validate(call) for call in calls]

    @property
    def route(self) -> tuple[str, str]:
        """Method and path, without the query."""
        return self.method, self.path.partition("?")[0]

    def query(self, name: str) -> str | None:
        """A field of the query by its name; None where it is not there."""
        return parse_qs(self.path.partition("?")[2]).get(name, [None])[-1]


def words_of(message: JSONObject) -> str:
    """The words of a message; "" where it has none."""
    content = message.get("content")
    parts = [content, *(fields_of(part).get("text") for part in items_of(content))]
    return " ".join(part for part in parts if isinstance(part, str))


def recorded(
    method: str, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> RecordedRequest:
    """Read a request as servers and httpx hand it over."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return RecordedRequest(method, path, Headers(pairs), body)


class _Asked(BaseModel):
    """Part of a body: types to the letter; what is not known is kept for an upstream alone."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="allow", defer_build=True)


class TextPart(_Asked):
    """Words."""

    type: Literal["text"]
    text: str


class ImageURL(_Asked):
    """Where an image is."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(_Asked):
    """An image."""

    type: Literal["image_url"]
    image_url: ImageURL


class OtherPart(_Asked):
    """What the gateway's docs name besides; `babble` has no ears."""

    type: Literal["input_audio", "video_url", "file"]


Part = Annotated[TextPart | ImagePart | OtherPart, Field(discriminator="type")]


class CalledFunction(_Asked):
    """A function and the arguments it was called with."""

    name: str
    arguments: str


class Call(_Asked):
    """A call that a model asked for in an earlier turn."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class Message(_Asked):
    """One message of the conversation."""

    role: Literal["system", "user", "assistant", "tool", "developer"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[Call] | None = None

    @property
    def text(self) -> str:
        """Its words."""
        if isinstance(self.content, str):
            return self.content
        return " ".join(each.text for each in self.content or [] if isinstance(each, TextPart))


class Function(_Asked):
    """A function that may be called."""

    name: str
    description: str | None = None
    parameters: JSONObject | None = None


class Tool(_Asked):
    """A tool that may be used."""

    type: Literal["function"]
    function: Function


class Named(_Asked):
    """A function's name."""

    name: str


class ToolChoice(_Asked):
    """The function that must be called."""

    type: Literal["function"]
    function: Named


class Schema(_Asked):
    """The schema that an answer must follow."""

    name: str
    schema_: JSONObject | None = Field(default=None, alias="schema")


class ResponseFormat(_Asked):
    """The form of an answer."""

    type: str
    json_schema: Schema | None = None


Share = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Temperature = Annotated[float, Field(ge=0, le=2)]


def _whole(number: object) -> object:
    """Read 1.0 as 1: JSON Schema knows one kind of number."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Field(ge=1)]


class Prompted(_Asked):
    """What every conversation with a model is asked with."""

    messages: list[Message]
    template: str | None = None
    variables: dict[str, str] | None = None
    stream: bool = False
    temperature: Temperature | None = None
    max_tokens: Count | None = None
    cache: bool | None = None


class ChatRequest(Prompted):
    """The body of `POST /v1/chat/completions`, with the bounds of the newest published page."""

    model: str | None = None
    models: list[str] | None = None
    session_id: str | None = None
    top_p: Share | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    max_completion_tokens: Count | None = None
    stop: str | list[str] | None = None
    seed: Whole | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "low", "medium", "high"] | None = None
    transforms: list[str] | None = None
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    user: Annotated[str, Field(max_length=256)] | None = None


class Override(_Asked):
    """What one model of a comparison is asked with instead."""

    model: str
    temperature: Temperature | None = None
    max_tokens: Count | None = None
    system_prompt: str | None = None


class ComparisonRequest(Prompted):
    """The body of `POST /v1/chat/compare`."""

    models: Annotated[list[str], Field(min_length=1, max_length=10)]
    model_overrides: list[Override] | None = None
    comparison_model: str | None = None
    comparison_instructions: str | None = None
    skip_comparison: bool = False


PromptedT = TypeVar("PromptedT", bound=Prompted)


def read(model: type[PromptedT], body: bytes) -> PromptedT:
    """Read a body.

    Raises:
        Refusal: 422, with one detail per field that does not fit.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    details = [
        {"loc": ["body", *_way(body, each["loc"])], "msg": each["msg"], "type": each["type"]}
        for each in problems
    ]
    raise Refusal(422, "validation_error", INVALID, details=details)


def _way(body: bytes, loc: tuple[str | int, ...]) -> Iterator[str | int]:
    """The steps through the body; pydantic also names the types that it tried on the way."""
    node: object = _json_or_none(body)
    for place, step in enumerate(loc):
        fields, items = fields_of(node), items_of(node)
        if isinstance(step, int) and step < len(items):
            node = items[step]
            yield step
        elif step in fields or (is_mapping(node) and place == len(loc) - 1):
            node = fields.get(str(step))
            yield step


def _json_or_none(body: bytes) -> object:
    try:
        return from_json(body)
    except ValueError:
        return None
