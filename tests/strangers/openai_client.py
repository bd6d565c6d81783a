"""What the `openai` client makes of the gateway, with nothing but its base_url switched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from tests.strangers.wordings import (
    CHAT,
    CODES,
    FAULT,
    FORCED,
    UNROUTED,
    WRONG,
    Target,
    right_call,
    right_usage,
    same,
)

openai: Any = import_module("openai")  # Not by `import`: it has an environment of its own.


def _completions(target: Target, token: str | None = None) -> Any:
    key = token or target.token
    client = openai.OpenAI(base_url=f"{target.url}/v1", api_key=key, max_retries=0)
    return client.chat.completions


def _used(usage: Any) -> str:
    return right_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def _chat(target: Target) -> str:
    answer = _completions(target).create(**CHAT)
    same(bool(answer.choices[0].message.content), True, "whether there is text")
    same(answer.choices[0].finish_reason in {"stop", "length"}, True, "whether it finished")
    return f"text, {_used(answer.usage)}"


def _stream(target: Target) -> str:
    completions = _completions(target)
    whole = completions.create(**CHAT)
    chunks = list(completions.create(**CHAT, stream=True))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    same(text, whole.choices[0].message.content, "the streamed text")
    same(choices[-1].finish_reason, whole.choices[0].finish_reason, "the finish_reason")
    return f"same text as whole, {_used(chunks[-1].usage)}"


def _tool(target: Target) -> str:
    choice = _completions(target).create(**FORCED).choices[0]
    same(choice.finish_reason, "tool_calls", "the finish_reason")
    (call,) = choice.message.tool_calls
    return right_call(call.function.name, call.function.arguments)


def _streamed_tool(target: Target) -> str:
    with _completions(target).stream(**FORCED) as stream:
        kinds = {event.type for event in stream}
        choice = stream.get_final_completion().choices[0]
    same("tool_calls.function.arguments.done" in kinds, True, "whether its helper saw the end")
    same(choice.finish_reason, "tool_calls", "the finish_reason")
    (call,) = choice.message.tool_calls
    said = right_call(call.function.name, call.function.arguments)
    return f"folded by its `stream()` helper, {said}"


def _refused(ask: Callable[[Target], Any], status: int, kind: str, target: Target) -> str:
    """Insist on an error of the client's own class, with the gateway's status, code and id."""
    try:
        ask(target)
    except openai.APIStatusError as error:
        same(type(error).__name__, kind, "the class")
        same((error.status_code, error.code), (status, CODES[status]), "status and code")
        same(error.request_id.startswith("req_"), True, "whether there is a request id")
        return f"`{kind}`, {error.code}{_more(error)}"
    raise AssertionError("there was no error")


def _more(error: Any) -> str:
    if error.status_code == 429:
        same(int(error.response.headers["retry-after"]) > 0, True, "whether to wait")
        return ", Retry-After"
    if error.status_code == 422:
        same(error.body["details"][0]["loc"], ["body", "temperature"], "the place of the mistake")
        return ", names the field"
    return ""


def _broken_off(target: Target) -> str:
    fault = {FAULT: "error_mid_stream; after=3"}
    chunks = _completions(target).create(**CHAT, stream=True, extra_headers=fault)
    came = 0
    try:
        for _ in chunks:
            came += 1
    except openai.APIError as error:
        same((came, error.code), (3, "upstream_error"), "chunks before it, and code")
        return f"`{type(error).__name__}`, {error.code}"
    raise AssertionError("there was no error")


def _faulty(target: Target) -> Any:
    return _completions(target).create(**CHAT, extra_headers={FAULT: "503"})


CHECKS: dict[str, Callable[[Target], str]] = {
    "chat": _chat,
    "stream": _stream,
    "tool call": _tool,
    "tool call, streamed": _streamed_tool,
    "401, a wrong key": partial(
        _refused,
        lambda at: _completions(at, "rsk_wrong").create(**CHAT),
        401,
        "AuthenticationError",
    ),
    "402, a spent budget": partial(
        _refused, lambda at: _completions(at, at.spent).create(**CHAT), 402, "APIStatusError"
    ),
    "404, an unknown model": partial(
        _refused, lambda at: _completions(at).create(**UNROUTED), 404, "NotFoundError"
    ),
    "422, a wrong body": partial(
        _refused, lambda at: _completions(at).create(**WRONG), 422, "UnprocessableEntityError"
    ),
    "429, too many requests": partial(
        _refused, lambda at: _completions(at, at.limited).create(**CHAT), 429, "RateLimitError"
    ),
    "503, asked for by header": partial(_refused, _faulty, 503, "InternalServerError"),
    "an error amid a stream": _broken_off,
}
