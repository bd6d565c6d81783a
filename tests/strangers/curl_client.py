"""What `curl` is sent by the gateway, byte by byte."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: str


def _curl(
    target: Target,
    body: Mapping[str, Any],
    token: str | None = None,
    headers: Sequence[str] = (),
) -> _Answer:
    given = [f"authorization: Bearer {token or target.token}", "content-type: application/json"]
    named = [part for header in [*given, *headers] for part in ("-H", header)]
    command = ["curl", "-sS", "-N", "-i", "--noproxy", "*", *named, "-d", json.dumps(body)]
    run = subprocess.run(
        [*command, f"{target.url}/v1/chat/completions"], check=True, capture_output=True, timeout=60
    )
    head, _, rest = run.stdout.decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return _Answer(int(status.split()[1]), {name.lower(): value for name, _, value in pairs}, rest)


def _whole(answer: _Answer) -> Any:
    same(answer.status, 200, "the status")
    same(answer.headers["content-type"], "application/json", "the content type")
    return json.loads(answer.body)


def _events(answer: _Answer) -> list[str]:
    """The data of a stream's events, each of which is one line."""
    same(answer.status, 200, "the status")
    kind = answer.headers["content-type"].partition(";")[0]
    same(kind, "text/event-stream", "the content type")
    *events, rest = answer.body.split("\n\n")
    same(rest, "", "what comes after the last event")
    same({event[:6] for event in events}, {"data: "}, "what each event begins with")
    return [event[6:] for event in events]


def _chunks(answer: _Answer) -> list[Any]:
    *chunks, last = _events(answer)
    same(last, "[DONE]", "the last event")
    return [json.loads(chunk) for chunk in chunks]


def _chat(target: Target) -> str:
    answer = _whole(_curl(target, CHAT))
    same(bool(answer["choices"][0]["message"]["content"]), True, "whether there is text")
    same(answer["choices"][0]["finish_reason"] in {"stop", "length"}, True, "whether it finished")
    return f"text, {_used(answer['usage'])}"


def _used(usage: Mapping[str, int]) -> str:
    return right_usage(usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])


def _stream(target: Target) -> str:
    choice = _whole(_curl(target, CHAT))["choices"][0]
    chunks = _chunks(_curl(target, {**CHAT, "stream": True}))
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    same(text, choice["message"]["content"], "the streamed text")
    same(choices[-1]["finish_reason"], choice["finish_reason"], "the finish_reason")
    return f"same text as whole, {_used(chunks[-1]['usage'])}, `[DONE]`"


def _tool(target: Target) -> str:
    choice = _whole(_curl(target, FORCED))["choices"][0]
    same(choice["finish_reason"], "tool_calls", "the finish_reason")
    (call,) = choice["message"]["tool_calls"]
    return right_call(call["function"]["name"], call["function"]["arguments"])


def _streamed_tool(target: Target) -> str:
    chunks = _chunks(_curl(target, {**FORCED, "stream": True}))
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    pieces = [piece for choice in choices for piece in choice["delta"].get("tool_calls", [])]
    same({piece["index"] for piece in pieces}, {0}, "the index of the call")
    same(choices[-1]["finish_reason"], "tool_calls", "the finish_reason")
    arguments = "".join(piece["function"]["arguments"] for piece in pieces)
    return f"{right_call(pieces[0]['function']['name'], arguments)}, `[DONE]`"


def _refused(ask: Callable[[Target], _Answer], status: int, target: Target) -> str:
    """Insist on the envelope, with the status it goes with and the id of the header."""
    answer = ask(target)
    same(answer.status, status, "the status")
    same(answer.headers["content-type"], "application/json", "the content type")
    envelope = json.loads(answer.body)
    same(envelope["request_id"], answer.headers["x-request-id"], "the request id")
    same(envelope["error"]["code"], CODES[status], "the code")
    return f"{answer.status}, {CODES[status]}{_more(answer, envelope['error'])}"


def _more(answer: _Answer, error: Mapping[str, Any]) -> str:
    if answer.status == 429:
        same(answer.headers["retry-after"], str(error["retry_after_seconds"]), "the wait")
        return ", Retry-After"
    if answer.status == 422:
        same(error["details"][0]["loc"], ["body", "temperature"], "the place of the mistake")
        return ", names the field"
    return ""


def _broken_off(target: Target) -> str:
    fault = f"{FAULT}: error_mid_stream; after=3"
    *chunks, last = _chunks(_curl(target, {**CHAT, "stream": True}, headers=[fault]))
    same((len(chunks), "error" in last), (3, True), "chunks, then whether an error")
    return f"an event with the error, {last['error']['code']}, `[DONE]`"


CHECKS: dict[str, Callable[[Target], str]] = {
    "chat": _chat,
    "stream": _stream,
    "tool call": _tool,
    "tool call, streamed": _streamed_tool,
    "401, a wrong key": partial(_refused, lambda at: _curl(at, CHAT, "rsk_wrong"), 401),
    "402, a spent budget": partial(_refused, lambda at: _curl(at, CHAT, at.spent), 402),
    "404, an unknown model": partial(_refused, lambda at: _curl(at, UNROUTED), 404),
    "422, a wrong body": partial(_refused, lambda at: _curl(at, WRONG), 422),
    "429, too many requests": partial(_refused, lambda at: _curl(at, CHAT, at.limited), 429),
    "503, asked for by header": partial(
        _refused, lambda at: _curl(at, CHAT, headers=[f"{FAULT}: 503"]), 503
    ),
    "an error amid a stream": _broken_off,
}
