"""What is told of an answer, or of a failure: facts and figures, and not a word that was said."""

from __future__ import annotations

from opentelemetry.util.genai.invocation import InferenceInvocation
from opentelemetry.util.genai.types import Error
from opentelemetry.util.types import AttributeValue

from meshapi._core.meta import Meta
from meshapi._core.models import Payload
from meshapi._core.usage import Used
from meshapi.errors import APIStatusError, MeshAPIError
from meshapi.otel.values import number, text, texts, whole, word
from meshapi.resources.chat.replies import ChatCompletionResponse, UsageInfo


def describe_exchange(invocation: InferenceInvocation, meta: Meta) -> None:
    """Tell how the call went: attempts, status, request id."""
    _tell(
        invocation,
        {
            "meshapi.attempts": meta.attempts,
            "meshapi.request_id": word(meta.request_id),
            "http.request.resend_count": max(meta.attempts - 1, 0) or None,
            "http.response.status_code": meta.status_code,
        },
    )


def describe_used(invocation: InferenceInvocation, used: Used) -> None:
    """Tell what it took, where the server says so: tokens, and US dollars."""
    invocation.input_tokens = whole(used.prompt_tokens) or None
    invocation.output_tokens = whole(used.completion_tokens) or None
    if used.cost:
        _tell(invocation, {"meshapi.cost": number(float(used.cost))})


def describe_answer(invocation: InferenceInvocation, answer: Payload) -> None:
    """Tell which answer it is, and why it ended."""
    if not isinstance(answer, ChatCompletionResponse):
        invocation.response_id = word(getattr(answer, "comparison_id", None))
        return
    invocation.response_id = word(answer.id)
    invocation.response_model_name = text(answer.model)
    invocation.finish_reasons = texts([word(choice.finish_reason) for choice in answer.choices])
    if answer.usage:
        _describe_details(invocation, answer.usage)


def _describe_details(invocation: InferenceInvocation, usage: UsageInfo) -> None:
    if prompt := usage.prompt_tokens_details:
        invocation.cache_read_input_tokens = whole(prompt.cached_tokens)
        invocation.cache_write_input_tokens = whole(prompt.cache_write_tokens)
        invocation.audio_input_tokens = whole(prompt.audio_tokens)
    if completion := usage.completion_tokens_details:
        invocation.thinking_tokens = whole(completion.reasoning_tokens)
        invocation.audio_output_tokens = whole(completion.audio_tokens)


def describe_failure(invocation: InferenceInvocation, error: BaseException) -> Error:
    """Tell what failed: class, status, code and request id, as the server's words may quote."""
    name = type(error).__name__
    if not isinstance(error, MeshAPIError):
        return Error(message=name, type=name)
    request_id = word(error.request_id)
    facts = [name]
    if isinstance(error, APIStatusError):
        code = word(error.code)
        facts += filter(None, [str(error.status_code), code])
        _tell(invocation, {"meshapi.error.code": code})
    _tell(invocation, {"meshapi.request_id": request_id})
    ending = f", request id {request_id}" if request_id else ""
    return Error(message=" ".join(facts) + ending, type=name)


def _tell(invocation: InferenceInvocation, facts: dict[str, AttributeValue | None]) -> None:
    invocation.attributes.update(
        {name: value for name, value in facts.items() if value is not None}
    )
