"""The bases of all models: strict in what is sent, generous in what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    PrivateAttr,
    Strict,
)
from pydantic_core import core_schema

from meshapi._core.checks import fields_of, items_of
from meshapi._core.meta import Meta

Text: TypeAlias = Annotated[str, Strict()]
"""A string, and nothing that could be made into one."""

Whole: TypeAlias = Annotated[int, Strict()]
"""An integer: neither a bool nor the text of a number."""

Flag: TypeAlias = Annotated[bool, Strict()]
"""True or False, and nothing that could be read as one."""

Number: TypeAlias = Annotated[float, Strict(), Field(allow_inf_nan=False)]
"""A finite number, neither a bool nor the text of one."""


class _Shown(BaseModel):
    """A model whose repr shows what is set, and of a long text its beginning and its length."""

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        fields_set = self.model_fields_set
        return ((k, clipped(v)) for k, v in super().__repr_args__() if k in fields_set)

    def __str__(self) -> str:
        return repr(self)


_SHOWN_LENGTH = 200


def clipped(value: object) -> object:
    """A value as a repr shows it: of a long text in it the beginning and the length."""
    if isinstance(value, str) and len(value) > _SHOWN_LENGTH:
        return f"{value[:_SHOWN_LENGTH]}... ({len(value)} characters)"
    if fields := fields_of(value):
        return {name: clipped(each) for name, each in fields.items()}
    return [clipped(each) for each in items_of(value)] or value


class Params(_Shown):
    """What a caller sends: an unknown field is an error, as the gateway would drop a typo silently.

    What is not set is not sent; what is set to None is sent as null.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        defer_build=True,
        ser_json_inf_nan="constants",
    )

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """Copy, with `update` validated as at construction (pydantic's own would not).

        Raises:
            pydantic.ValidationError: when a name or a value of `update` is wrong.
        """
        copy = super().model_copy(deep=deep)
        if not update:
            return copy
        fields = {name: getattr(copy, name) for name in copy.model_fields_set}
        return type(self).model_validate({**fields, **update}, by_name=True)


class OneClass:
    """A generic model that stays one class: parametrised at run time, it would not pickle."""

    if not TYPE_CHECKING:

        def __class_getitem__(cls, parameter):  # It is for checkers.
            """The class itself."""
            return cls


class Payload(_Shown):
    """What a server sends: unknown fields are kept, enums are open, null reads as missing."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow",
        defer_build=True,
        ser_json_inf_nan="constants",
    )


PayloadT = TypeVar("PayloadT", bound="Payload")
AnswerT = TypeVar("AnswerT", bound="Answer")


def validator_of(model: type[PayloadT]) -> Callable[[str | bytes], PayloadT]:
    """What reads JSON as a model: its own method, without the way there."""
    model.model_rebuild()
    return model.__pydantic_validator__.validate_json


class Answer(Payload):
    """A whole answer: a payload that knows the exchange it came from."""

    _meta: Meta = PrivateAttr(default_factory=Meta)

    @property
    def meta(self) -> Meta:
        """The exchange: HTTP status, request id, headers, attempts, seconds. Not part of a dump."""
        return self._meta


def with_meta(answer: AnswerT, meta: Meta) -> AnswerT:
    """Tell an answer which exchange it came from."""
    answer._meta = meta  # pyright: ignore[reportPrivateUsage]  # A setter would be public.
    return answer


class Event(Payload):
    """An event of a stream whose kinds are told apart by their name, beside their data."""

    _event: str = PrivateAttr(default="message")

    @property
    def event(self) -> str:
        """The event's name; `message` where the server gave none. Not part of a dump."""
        return self._event


def with_event(payload: PayloadT, event: str) -> PayloadT:
    """Tell an event its name; other payloads have none."""
    if isinstance(payload, Event):
        payload._event = event  # pyright: ignore[reportPrivateUsage]  # A setter would be public.
    return payload


class Tagged(BaseModel):
    """A model with a tag (`type` or `role`) that is sent even when it was left to its default."""

    tag: ClassVar[str] = "type"
    """The name of its tag."""

    def model_post_init(self, _context: object, /) -> None:
        """Count the tag as set, so that a body without unset fields still has it."""
        self.model_fields_set.add(self.tag)


def null_reads_as(default: Callable[[], object]) -> GetPydanticSchema:
    """Make a field take null for `default()`, inside the validator: no Python runs per value.

    Anything else of a wrong type is still refused.
    """

    def schema(source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        # Null passes the first link, is never a string for the second, and so becomes the default.
        null = core_schema.chain_schema(
            [
                core_schema.none_schema(),
                core_schema.with_default_schema(
                    core_schema.str_schema(), default_factory=default, on_error="default"
                ),
            ]
        )
        return core_schema.union_schema([handler(source), null], mode="left_to_right")

    return GetPydanticSchema(schema)


JSONObject: TypeAlias = dict[str, object]
"""An object of the wire whose fields are not ours to name."""

NullableText: TypeAlias = Annotated[str, Field(coerce_numbers_to_str=True), null_reads_as(str)]
"""A string of the server's: missing or null reads as "", a number as its digits."""


def _cut_to_seconds(source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    fraction = core_schema.no_info_after_validator_function(
        int, core_schema.float_schema(allow_inf_nan=False)
    )
    return core_schema.union_schema([handler(source), fraction], mode="left_to_right")


Timestamp: TypeAlias = Annotated[int, GetPydanticSchema(_cut_to_seconds)]
"""Seconds since 1970 in UTC; a fraction of a second is cut off."""
