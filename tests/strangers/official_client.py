"""What the official `meshapi` 0.1.11 makes of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

# Not by `import`, which would be this project's own: it has an environment of its own.
official: Any = import_module("meshapi")
httpx: Any = import_module("httpx")


def _completions(target: Target, token: str | None = None, fault: str | None = None) -> Any:
    key = token or target.token
    # It takes no headers; an httpx client of its user's does.
    headers = {FAULT: fault} if fault else {}
    http = httpx.Client(base_url=target.url, headers=headers, timeout=60)
    client = official.MeshAPI(base_url=target.url, token=key, max_retries=0, httpx_client=http)
    return client.chat.completions


def _params(fields: Mapping[str, Any]) -> Any:
    return official.ChatCompletionParams(**fields)


def _used(usage: Any) -> str:
    return right_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def _chat(target: Target) -> str:
    answer = _completions(target).create(_params(CHAT))
    same(bool(answer.choices[0].message.content), True, "whether there is text")
    same(answer.choices[0].finish_reason in {"stop", "length"}, True, "whether it finished")
    return f"text, {_used(answer.usage)}"


def _stream(target: Target) -> str:
    completions = _completions(target)
    whole = completions.create(_params(CHAT))
    chunks = list(completions.stream(_params(CHAT)))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    same(text, whole.choices[0].message.content, "the streamed text")
    same(choices[-1].finish_reason, whole.choices[0].finish_reason, "the finish_reason")
    same(float(chunks[-1].cost) > 0, True, "whether it has a cost")
    return f"same text as whole, {_used(chunks[-1].usage)}"


def _tool(target: Target) -> str:
    choice = _completions(target).create(_params(FORCED)).choices[0]
    same(choice.finish_reason, "tool_calls", "the finish_reason")
    (call,) = choice.message.tool_calls
    return right_call(call.function.name, call.function.arguments)


def _streamed_tool(target: Target) -> str:
    chunks = list(_completions(target).stream(_params(FORCED)))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    deltas: list[list[Any] | None] = [choice.delta.tool_calls for choice in choices]
    pieces = [piece for delta in deltas for piece in delta or []]
    same({piece.index for piece in pieces}, {0}, "the index of the call")
    same(choices[-1].finish_reason, "tool_calls", "the finish_reason")
    arguments = "".join(piece.function.arguments or "" for piece in pieces)
    return f"joined by hand, {right_call(pieces[0].function.name, arguments)}"


def _refused(ask: Callable[[Target], Any], status: int, target: Target) -> str:
    """Insist on the client's one error class, with the gateway's status, code and id."""
    try:
        ask(target)
    except official.MeshAPIError as error:
        same((error.status, error.error_code), (status, CODES[status]), "status and code")
        same(error.request_id.startswith("req_"), True, "whether there is a request id")
        return f"`MeshAPIError`, {error.error_code}{_more(error)}"
    raise AssertionError("there was no error")


def _more(error: Any) -> str:
    if error.status == 429:
        same(error.retry_after_seconds > 0, True, "whether to wait")
        return ", retry_after_seconds"
    if error.status == 422:
        same(error.details[0]["loc"], ["body", "temperature"], "the place of the mistake")
        return ", names the field"
    return ""


def _broken_off(target: Target) -> str:
    chunks = _completions(target, fault="error_mid_stream; after=3").stream(_params(CHAT))
    came = 0
    try:
        for _ in chunks:
            came += 1
    except official.MeshAPIError as error:
        same((came, error.error_code), (3, "upstream_error"), "chunks before it, and code")
        return f"`MeshAPIError`, {error.error_code}, which it gives the status {error.status}"
    raise AssertionError("there was no error")


CHECKS: dict[str, Callable[[Target], str]] = {
    "chat": _chat,
    "stream": _stream,
    "tool call": _tool,
    "tool call, streamed": _streamed_tool,
    "401, a wrong key": partial(
        _refused, lambda at: _completions(at, "rsk_wrong").create(_params(CHAT)), 401
    ),
    "402, a spent budget": partial(
        _refused, lambda at: _completions(at, at.spent).create(_params(CHAT)), 402
    ),
    "404, an unknown model": partial(
        _refused, lambda at: _completions(at).create(_params(UNROUTED)), 404
    ),
    "422, a wrong body": partial(_refused, lambda at: _completions(at).create(_params(WRONG)), 422),
    "429, too many requests": partial(
        _refused, lambda at: _completions(at, at.limited).create(_params(CHAT)), 429
    ),
    "503, asked for by header": partial(
        _refused, lambda at: _completions(at, fault="503").create(_params(CHAT)), 503
    ),
    "an error amid a stream": _broken_off,
}
