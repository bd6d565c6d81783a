"""What the server does: byte for byte, the same for every client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from benchmarks.adapters import TOKEN
from benchmarks.wordings import ANSWER, MODEL
from tests.wire_server import CHUNKED, LAST_CHUNK, End, Step, http_chunk, response

REQUEST_ID = "req_01JSEEN"
SECRET = "s3cr3tpart"
_HEADERS = {"x-request-id": REQUEST_ID}

Asks: TypeAlias = Literal["ask", "stream", "answer"]


@dataclass(frozen=True)
class Situation:
    """What a question is answered with, and how it is asked."""

    steps: Sequence[Step]
    asks: Asks = "ask"
    timeout: float | None = None
    """What the client is told, in seconds; None leaves it its own default."""

    token: str = TOKEN
    limit: float = 9.0
    """After so many seconds, nobody waits any longer."""

    for_openrouter: Sequence[Step] = ()
    """The same in OpenRouter's words, which its own client is made for."""


def _json(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    return response(json.dumps(document), status=status, headers=_HEADERS | dict(headers or {}))


def _refusal(
    status: int,
    code: str,
    message: str = "This was asked for",
    *,
    told: int = 0,
    asks: Asks = "ask",
    headers: Mapping[str, str] | None = None,
    token: str = TOKEN,
    **more: object,
) -> Situation:
    """An error as the Mesh API writes it, and for OpenRouter's client as OpenRouter does."""
    error = {"error": {"code": code, "message": message, **more}, "request_id": REQUEST_ID}
    theirs = {"error": {"code": told or status, "message": message}, "user_id": "user_1"}
    return Situation(
        [_json(error, status, headers)],
        asks,
        token=token,
        for_openrouter=[_json(theirs, status, headers)],
    )


def _choice(content: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}


def _chunk(content: str, finish_reason: str | None = None, **more: object) -> dict[str, Any]:
    choices = [_choice(content, finish_reason)]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1790000000}
    return {**head, "model": MODEL, "choices": choices, **more}


def _event(document: object) -> bytes:
    return http_chunk(f"data: {json.dumps(document)}\n\n")


_BEGUN = [CHUNKED, _event(_chunk("One")), _event(_chunk(" two"))]
_ENDED = [_event(_chunk(" three", "stop")), http_chunk("data: [DONE]\n\n"), LAST_CHUNK]
_FRAME = {"error": {"code": "upstream_error", "message": "It broke"}, "request_id": REQUEST_ID}
_FRAME_OF_OPENROUTER = _chunk("", "error", error={"code": 502, "message": "It broke"})
_PAGE = response("<html><body>Log in</body></html>", content_type="text/html", headers=_HEADERS)
_WRONG_FIELD = {"loc": ["body", "temperature"], "msg": "too hot", "type": "value_error"}
_HALF = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n\r\n"


def _dripping(piece: bytes, seconds: int) -> list[Step]:
    """So many seconds of a piece five times a second."""
    return [piece, 0.2] * (5 * seconds)


def _changed(message: Mapping[str, object] | None = None, **changes: object) -> bytes:
    """The usual answer with something changed in it."""
    choice = {"index": 0, "finish_reason": "stop", **changes}
    said = {"role": "assistant", "content": "One two three", **(message or {})}
    return _json({**ANSWER, "choices": [{**choice, "message": said}]})


_SLOW_BODY = json.dumps(ANSWER).encode()
_SLOW_HEAD = (
    f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    f"content-length: {len(_SLOW_BODY) + 30}\r\n\r\n"
).encode()

SITUATIONS: Mapping[str, Situation] = {
    # Streams that do not end well.
    "stream-short": Situation([*_BEGUN, LAST_CHUNK], "stream"),
    "stream-reset": Situation([*_BEGUN, 0.1, End.RESET], "stream"),
    "stream-error": Situation(
        [*_BEGUN, _event(_FRAME), *_ENDED[1:]],
        "stream",
        for_openrouter=[*_BEGUN, _event(_FRAME_OF_OPENROUTER), *_ENDED[1:]],
    ),
    "stream-corrupt": Situation(
        [*_BEGUN, http_chunk('data: {"id": "chatc\n\n'), *_ENDED], "stream"
    ),
    "stream-page": Situation([_PAGE], "stream"),
    # Answers that are none.
    "page": Situation([_PAGE]),
    "empty": Situation([_json({})]),
    "error-in-200": _refusal(200, "upstream_error", told=502),
    "half": Situation([_HALF + _SLOW_BODY, End.FIN]),
    # What is sent again.
    "lost": Situation([0.1, End.RESET]),
    "500": _refusal(500, "internal_error"),
    "503": _refusal(503, "provider_not_available"),
    "503-stream": _refusal(503, "provider_not_available", asks="stream"),
    "429-2s": _refusal(429, "rate_limit_exceeded", headers={"retry-after": "2"}),
    "429-body-2s": _refusal(429, "rate_limit_exceeded", retry_after_seconds=2),
    "429-120s": _refusal(429, "rate_limit_exceeded", headers={"retry-after": "120"}),
    # Time.
    "silent": Situation([20.0], timeout=1.0),
    "drip": Situation([_SLOW_HEAD, *_dripping(b" ", 6), _SLOW_BODY], timeout=1.0),
    "drip-stream": Situation(
        [*_BEGUN, *_dripping(http_chunk(": ping\n\n"), 6), *_ENDED], "stream", timeout=1.0
    ),
    # Errors.
    "401": _refusal(401, "unauthorized"),
    "402": _refusal(402, "spend_limit_exceeded"),
    "404": _refusal(404, "model_not_found", param="model"),
    "422": _refusal(422, "validation_error", details=[_WRONG_FIELD]),
    # Keys.
    "key-newline": Situation([_json(ANSWER)], token=f"rsk_{SECRET}\n"),
    "key-accent": Situation([_json(ANSWER)], token=f"rsk_{SECRET}é"),
    "key-echoed": _refusal(
        401, "unauthorized", f"The key rsk_{SECRET} is unknown", token=f"rsk_{SECRET}"
    ),
    "key-locals": _refusal(400, "bad_request", token=f"rsk_{SECRET}"),
    # Other answers than today's.
    "good": Situation([_json(ANSWER)], "answer", token=f"rsk_{SECRET}"),
    "new-reason": Situation([_changed(finish_reason="brand_new")]),
    "new-field": Situation([_changed({"brand_new": "kept"})], "answer"),
    "sparse": Situation([_json({"choices": ANSWER["choices"]})]),
}
