"""Where the clients keep what an app wants to know: the first of these places that holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

_ON_ERRORS: Mapping[str, Sequence[str]] = {
    "code": ("code", "error_code", "data.error.code"),
    "request id": (
        "request_id",
        "response.headers.x-request-id",
        "headers.x-request-id",
        "body.request_id",
    ),
    "wait": (
        "retry_after",
        "retry_after_seconds",
        "response.headers.retry-after",
        "headers.retry-after",
    ),
    "field": ("details.0.loc", "body.details.0.loc", "data.error.details.0.loc"),
    "so far": ("partial.text",),
}
_ON_ANSWERS: Mapping[str, Sequence[str]] = {
    "request id": ("meta.request_id", "_request_id", "request_id"),
    "new field": (
        "choices.0.message.brand_new",
        "choices.0.message.model_extra.brand_new",
    ),
}


def read_error(error: BaseException) -> dict[str, str]:
    """The facts that an error holds, each as its place and its value."""
    return _read(error, _ON_ERRORS)


def read_answer(answer: object) -> dict[str, str]:
    """The facts that an answer holds, each as its place and its value."""
    return _read(answer, _ON_ANSWERS)


def _read(holder: object, places: Mapping[str, Sequence[str]]) -> dict[str, str]:
    found = {fact: _first(holder, paths) for fact, paths in places.items()}
    return {fact: each for fact, each in found.items() if each}


def _first(holder: object, paths: Sequence[str]) -> str:
    for path in paths:
        value = _at(holder, path)
        if value not in (None, "", [], {}):
            return f"{path} = {value}"
    return ""


def _at(holder: object, path: str) -> object:
    """What stands at the end of a path; None where it breaks off."""
    for step in path.split("."):
        holder = _step(holder, step)
    return holder


def _step(holder: object, step: str) -> object:
    if step.isdigit():
        items = cast("Sequence[object]", holder or ())
        return items[int(step)] if int(step) < len(items) else None
    if not hasattr(holder, step) and hasattr(holder, "get"):
        return cast("Mapping[str, object]", holder).get(step)
    return getattr(holder, step, None)
