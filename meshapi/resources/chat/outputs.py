"""An answer as a value of a type: how it is asked for, and how its text is read."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from meshapi._core.call import says_nan, summary
from meshapi._core.checks import fields_of
from meshapi._core.resource import check_class
from meshapi.errors import OutputParseError, OutputRefused, OutputTruncated
from meshapi.resources.chat.answer_form import WRAPPER, form_of
from meshapi.resources.chat.formats import ResponseFormatJSONSchema
from meshapi.resources.chat.params import ChatCompletionParams
from meshapi.resources.chat.parsed import ParsedCompletion, parsed_as
from meshapi.resources.chat.partial_json import PartialJSON
from meshapi.resources.chat.schemas import adapter_of, name_of

if TYPE_CHECKING:
    from meshapi.resources.chat.replies import ChatCompletionResponse
    from meshapi.resources.chat.schemas import TypeLike

T = TypeVar("T")


def asking(
    params: ChatCompletionParams[bool], output: TypeLike[T]
) -> tuple[ChatCompletionParams[bool], OutputType[T]]:
    """Params that ask for a type, and what reads the answer.

    A `response_format` of the params' own stays.

    Raises:
        InvalidRequest: the type has no JSON Schema, or the params are of another class.
    """
    check_class(params, ChatCompletionParams)
    asked = params.model_copy()
    adapter, own = adapter_of(output), asked.response_format
    if own is not None and not isinstance(own, ResponseFormatJSONSchema):
        return asked, OutputType(adapter, name_of(output), is_asked=False, is_wrapped=False)
    form = form_of(output)
    asked.response_format = own or form.response_format
    is_asked = asked.response_format.json_schema.schema_ == form.schema
    is_wrapped = is_asked and form.is_wrapped
    return asked, OutputType(adapter, name_of(output), is_asked=is_asked, is_wrapped=is_wrapped)


@dataclass(frozen=True, slots=True)
class OutputType(Generic[T]):
    """A type that answers are read as."""

    adapter: TypeAdapter[T]
    name: str
    _: KW_ONLY
    is_asked: bool
    is_wrapped: bool

    def growing(self, text: str) -> PartialJSON:
        """What shows an answer while it comes, from the text that has come on."""
        return PartialJSON(text, wrapper=WRAPPER if self.is_wrapped else None)

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
            value = self.adapter.validate_json(self._bare(text))
        except ValidationError as problem:
            raise _cut(completion, problem) or self._misfit(completion, problem) from None
        except Exception as error:  # A validator of the type's own may raise any.
            message = f"Reading {self.name} raised {type(error).__name__}"
            raise OutputParseError(message, completion=completion, raw_text=text) from error
        if failure := _cut(completion) or _nan(completion):
            raise failure
        return parsed_as(completion, value)

    def _bare(self, text: str) -> str | bytes:
        """The text of the value; where it is not in its object, all of it."""
        if not self.is_wrapped:
            return text
        try:
            fields = fields_of(from_json(text))
        except ValueError:
            return text
        return to_json(fields[WRAPPER]) if fields.keys() == {WRAPPER} else text

    def _misfit(
        self, completion: ChatCompletionResponse, problem: ValidationError
    ) -> OutputParseError:
        what = _obstacle(completion) or f"does not fit {self.name}: {summary(problem)}"
        why = _probable_cause(completion, problem) if self.is_asked else ""
        return OutputParseError(
            f"The answer {what}{why}",
            completion=completion,
            raw_text=completion.text,
            validation_error=problem,
        )


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


def _obstacle(completion: ChatCompletionResponse) -> str:
    """What stands in the way of an answer, whatever its type."""
    if not completion.choices:
        return "has no choices"
    choice = completion.choices[0]
    if choice.message.tool_calls:
        return "calls tools: let `run` answer them first"
    if choice.finish_reason == "error":
        return "ended with an error of the provider's"
    return "" if completion.text.strip() else "is empty"


_OF_STRUCTURE = {"missing", "extra_forbidden", "json_invalid", "literal_error", "enum"}


def _probable_cause(completion: ChatCompletionResponse, problem: ValidationError) -> str:
    """Whether the answer breaks what only a model that knows no schema would break."""
    kinds = {each["type"] for each in problem.errors(include_url=False, include_input=False)}
    is_broken = any(kind in _OF_STRUCTURE or kind.endswith("_type") for kind in kinds)
    if not is_broken or _obstacle(completion):
        return ""
    return (
        f". Probably {completion.model or 'the model'} has no structured output: "
        "`client.models.list()` says which have (`supports_structured_output`)"
    )
