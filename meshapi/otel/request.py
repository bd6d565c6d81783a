"""What is told of a request: the fields of the body that is really sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.util.genai.invocation import InferenceInvocation

from meshapi._core.checks import fields_of
from meshapi.otel.values import number, text, texts, whole

Document = Mapping[str, object]

_OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text", "image": "image"}


def _output_type(form: object) -> str | None:
    kind = form if isinstance(form, str) else fields_of(form).get("type")
    return _OUTPUT_TYPES.get(kind) if isinstance(kind, str) else None


def _effort(reasoning: object) -> str | None:
    return text(fields_of(reasoning).get("effort"))


# Of two names for the same thing, the one below wins.
_FIELDS: tuple[tuple[str, str, Callable[[object], object]], ...] = (
    ("temperature", "temperature", number),
    ("top_p", "top_p", number),
    ("top_k", "top_k", whole),
    ("frequency_penalty", "frequency_penalty", number),
    ("presence_penalty", "presence_penalty", number),
    ("max_tokens", "max_tokens", whole),
    ("max_completion_tokens", "max_tokens", whole),
    ("stop", "stop_sequences", texts),
    ("seed", "seed", whole),
    ("n", "request_choice_count", whole),
    ("template", "prompt_name", text),
    ("reasoning", "reasoning_level", _effort),
    ("reasoning_effort", "reasoning_level", text),
    ("response_format", "output_type", _output_type),
    ("modality", "output_type", _output_type),
)


def describe_request(invocation: InferenceInvocation, body: Document, *, streams: bool) -> None:
    """Tell what the model is asked with; a value of a wrong type is passed over."""
    for name, field, read in _FIELDS:
        value = read(body[name]) if name in body else None
        if value is not None:
            setattr(invocation, field, value)
    if streams:
        invocation.request_stream = True
    if models := texts(body.get("models")):
        invocation.attributes["meshapi.request.models"] = models
