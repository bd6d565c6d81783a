"""An answer as a value of a type: the form that is asked for, and how the text is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import ValidationError

from meshapi._core.call import says_nan, summary
from meshapi._core.resource import check_class
from meshapi.errors import OutputParseError, OutputRefused, OutputTruncated
from meshapi.resources.chat.formats import ResponseFormatJSONSchema, ResponseFormatSchema
from meshapi.resources.chat.params import ChatCompletionParams
from meshapi.resources.chat.parsed import ParsedCompletion, parsed_as
from meshapi.resources.chat.partial_json import WRAPPER, PartialJSON
from meshapi.resources.chat.schemas import (
    adapter_of,
    held_in,
    json_schema_of,
    strict_schema,
    unfolded,
)

if TYPE_CHECKING:
    from meshapi.resources.chat.replies import ChatCompletionResponse
    from meshapi.resources.chat.schemas import TypeLike

T = TypeVar("T")

_IN_WRAPPER = re.compile(rf'\s*\{{\s*"{WRAPPER}"\s*:(.*)\}}\s*', re.DOTALL)


class OutputType(Generic[T]):
    """A type that answers are read as.

    Models answer with objects: of a type that is none, such as a list, the answer is an object with
    one field, `value`.
    """

    def __init__(self, output: TypeLike[T]) -> None:
        """Look at the type, and make its JSON Schema."""
        self._adapter = adapter_of(output)
        schema = unfolded(json_schema_of(self._adapter))
        self._is_wrapped = schema.get("type") != "object"
        self._schema = held_in(WRAPPER, schema) if self._is_wrapped else schema
        self.name = str(getattr(output, "__name__", None) or schema.get("title") or "answer")

    @property
    def format(self) -> ResponseFormatJSONSchema:
        """What to ask for; strict where the type has a strict form."""
        strict = strict_schema(self._schema)
        schema = ResponseFormatSchema(
            name=re.sub(r"[^a-zA-Z0-9_-]", "_", self.name)[:64],
            schema=strict or self._schema,
            strict=strict is not None,
        )
        return ResponseFormatJSONSchema(json_schema=schema)

    def growing(self) -> PartialJSON:
        """What reads an answer while it comes."""
        return PartialJSON(is_wrapped=self._is_wrapped)

    def read(self, completion: ChatCompletionResponse) -> ParsedCompletion[T]:
        """Read the first answer.

        Raises:
            OutputRefused: the model refused.
            OutputTruncated: the answer was cut.
            OutputParseError: it is not of the type.
        """
        text = completion.text
        refusal = _refusal_in(completion)
        if refusal:
            message = f"The model refused: {refusal}"
            raise OutputRefused(message, completion=completion, raw_text=text or refusal)
        try:
            value = self._adapter.validate_json(self._bare(text))
        except ValidationError as problem:
            raise _cut(completion, problem) or _misfit(completion, problem, self.name) from None
        except Exception as error:  # A validator of the type's own may raise any.
            message = f"A validator of {self.name} raised {type(error).__name__}"
            raise OutputParseError(message, completion=completion, raw_text=text) from error
        if failure := _cut(completion) or _nan(completion):
            raise failure
        return parsed_as(completion, value)

    def _bare(self, text: str) -> str:
        match = _IN_WRAPPER.fullmatch(text) if self._is_wrapped else None
        return match[1] if match else text


def asking(
    params: ChatCompletionParams[bool], output: TypeLike[T]
) -> tuple[ChatCompletionParams[bool], OutputType[T]]:
    """Params that ask for a type, and what reads the answer.

    A `response_format` of the params' own stays.

    Raises:
        InvalidRequest: the type has no JSON Schema, or the params are of another class.
    """
    check_class(params, ChatCompletionParams)
    reader = OutputType(output)
    if params.response_format is not None:
        return params, reader
    asked = params.model_copy()
    asked.response_format = reader.format
    return asked, reader


def _refusal_in(completion: ChatCompletionResponse) -> str:
    for choice in completion.choices[:1]:
        if choice.message.refusal:
            return choice.message.refusal
        if choice.finish_reason == "content_filter":
            return "the provider's content filter stopped the answer"
    return ""


def _cut(
    completion: ChatCompletionResponse, problem: ValidationError | None = None
) -> OutputTruncated | None:
    if not completion.choices or completion.choices[0].finish_reason != "length":
        return None
    used = completion.usage.completion_tokens if completion.usage else 0
    after = f" after {used} tokens" if used else ""
    return OutputTruncated(
        f"The answer was cut{after}: ask with a larger max_tokens",
        completion=completion,
        raw_text=completion.text,
        validation_error=problem,
    )


def _nan(completion: ChatCompletionResponse) -> OutputParseError | None:
    text = completion.text
    if not says_nan(text):
        return None
    message = "The answer is no JSON: NaN is no number there"
    return OutputParseError(message, completion=completion, raw_text=text)


def _misfit(
    completion: ChatCompletionResponse, problem: ValidationError, name: str
) -> OutputParseError:
    return OutputParseError(
        _reason(completion, problem, name),
        completion=completion,
        raw_text=completion.text,
        validation_error=problem,
    )


_OF_ITS_STRUCTURE = {"missing", "extra_forbidden", "json_invalid", "literal_error", "enum"}


def _reason(completion: ChatCompletionResponse, problem: ValidationError, name: str) -> str:
    if not completion.text.strip():
        return _why_empty(completion)
    kinds = {each["type"] for each in problem.errors(include_url=False, include_input=False)}
    is_json = "json_invalid" not in kinds
    what = f"does not fit {name}: {summary(problem)}" if is_json else "is no JSON"
    if not any(kind in _OF_ITS_STRUCTURE or kind.endswith("_type") for kind in kinds):
        return f"The answer {what}"
    model = completion.model or "the model"
    return (
        f"The answer {what}. Probably {model} has no structured output: "
        "`client.models.list()` says which have (`supports_structured_output`)"
    )


def _why_empty(completion: ChatCompletionResponse) -> str:
    if any(choice.message.tool_calls for choice in completion.choices[:1]):
        return "The model called tools in the place of an answer: let `run` answer them first"
    return "The answer is empty" if completion.choices else "The answer has no choices"
