"""`POST /v1/chat/compare`: every model is asked, and one judges."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeAlias

from meshapi._core.checks import fields_of, items_of
from meshapi._core.models import JSONObject
from meshapi.local.answers import text_of
from meshapi.local.babble import tokens_of
from meshapi.local.refusal import Refusal
from meshapi.local.replies import event, new_request_id
from meshapi.local.requests import ChatRequest, ComparisonRequest, Message, Override
from meshapi.local.rules import AUTO_CHOICE

Ask: TypeAlias = Callable[[str, ChatRequest], JSONObject]
"""Asks one model for a whole completion; what it refuses is that model's failure."""


def compared(
    request: ComparisonRequest, messages: list[Message], ask: Ask, created: int
) -> JSONObject:
    """What all models said, and what the judge made of it.

    Raises:
        Refusal: 502, every model failed.
    """
    begun = time.monotonic()
    models = list(dict.fromkeys(request.models))
    results = [_result(model, _question(model, request, messages), ask) for model in models]
    said = [each for each in results if each["error"] is None]
    if not said:
        raise Refusal(502, "all_models_failed", "Every model failed", results=results)
    return {
        "comparison_id": f"cmp_{uuid.uuid4().hex}",
        "object": "chat.comparison",
        "created": created,
        "models": models,
        "results": results,
        **_judgement(request, messages, said, ask),
        "total_latency_ms": _milliseconds(begun),
        "partial": len(said) < len(results),
        "skip_comparison": request.skip_comparison,
    }


def comparison_events(comparison: JSONObject) -> Iterator[bytes]:
    """The same as a stream: the judge's words, or without a judge each model's."""
    if comparison["skip_comparison"]:
        for result in map(fields_of, items_of(comparison["results"])):
            yield from _model_events(result)
    for token in tokens_of(str(comparison["comparison"] or "")):
        yield event({"delta": token}, "comparison_chunk")
    told = ("comparison_id", "comparison_model", "comparison_fallback_used", "models", "partial")
    done = {name: comparison[name] for name in (*told, "total_latency_ms", "skip_comparison")}
    yield event(done, "done")


def _model_events(result: JSONObject) -> Iterator[bytes]:
    model = result["model"]
    for token in tokens_of(str(result["content"] or "")):
        yield event({"model": model, "delta": token}, "model_chunk")
    told = ("model", "error", "error_code", "usage", "latency_ms")
    yield event({name: result[name] for name in told}, "model_stream_done")


def _question(model: str, request: ComparisonRequest, messages: list[Message]) -> ChatRequest:
    overrides = [each for each in request.model_overrides or [] if each.model == model]
    override = overrides[-1] if overrides else Override(model=model)
    if override.system_prompt is not None:
        messages = [Message(role="system", content=override.system_prompt), *messages]
    return ChatRequest(
        model=model,
        messages=messages,
        temperature=request.temperature if override.temperature is None else override.temperature,
        max_tokens=override.max_tokens or request.max_tokens,
    )


def _result(model: str, question: ChatRequest, ask: Ask) -> JSONObject:
    begun = time.monotonic()
    names = ("response_body", "content", "usage", "error", "error_code")
    result: JSONObject = {"model": model, **dict.fromkeys(names)}
    try:
        answer = ask(model, question)
        told = {"response_body": answer, "content": text_of(answer), "usage": answer.get("usage")}
    except Refusal as refusal:
        told = {"error": str(refusal), "error_code": refusal.error["code"]}
    took = {"latency_ms": _milliseconds(begun), "request_id": new_request_id()}
    return result | told | took


def _judgement(
    request: ComparisonRequest, messages: list[Message], said: list[JSONObject], ask: Ask
) -> JSONObject:
    """What the judge says; another one steps in for a judge that fails."""
    names = ("comparison", "comparison_model", "comparison_usage")
    nobody: JSONObject = {**dict.fromkeys(names), "comparison_fallback_used": False}
    if request.skip_comparison:
        return nobody
    answers = "\n".join(f"{each['model']}: {each['content']}" for each in said)
    words = f"{request.comparison_instructions or 'Compare the answers.'}\n{answers}"
    question = ChatRequest(messages=[*messages, Message(role="user", content=words)])
    judges = (request.comparison_model or AUTO_CHOICE, AUTO_CHOICE)
    for fallback_used, judge in enumerate(judges):
        try:
            answer = ask(judge, question)
        except Refusal:
            continue
        told = zip(names, (text_of(answer), judge, answer.get("usage")), strict=True)
        return {**dict(told), "comparison_fallback_used": bool(fallback_used)}
    return nobody


def _milliseconds(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
