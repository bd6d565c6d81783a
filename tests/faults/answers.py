"""Answers with a good status that are none."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from meshapi import (
    BadRequest,
    InvalidResponse,
    RateLimitExceeded,
    ServerError,
    StreamInterrupted,
    UpstreamError,
)
from tests.faults.fault import TOKEN, Fault
from tests.wire_server import Forever, Step, response

GOOD = '{"choices": [{"message": {"content": "Hello"}}]}'


INVALID = Fault(raises=InvalidResponse, safety="final", ways=["create"])


def invalid(script: bytes | Sequence[Step], **facts: Any) -> Fault:
    """An answer that is none is not asked for again: it has been billed."""
    return replace(INVALID, script=script, **facts)


def body(text: str | bytes, **headers: str) -> bytes:
    return response(text, headers={name.replace("_", "-"): each for name, each in headers.items()})


def small(script: bytes | list[Step]) -> Fault:
    """An answer that is larger than the client allows."""
    return invalid(script, options={"max_response_bytes": 100_000}, says="larger than 100000")


BODIES: dict[str, str | bytes] = {
    "empty": "",
    "blank": " \r\n ",
    "null": "null",
    "true": "true",
    "a number": "7",
    "a string": '"Hello"',
    "an array": f"[{GOOD}]",
    "an empty object": "{}",
    "an object of something else": '{"id": "x", "object": "model"}',
    "cut JSON": GOOD[:-3],
    "JSON twice": GOOD + GOOD,
    "single quotes": GOOD.replace('"', "'"),
    "NaN": '{"choices": [], "created": NaN}',
    "Infinity": '{"choices": [], "usage": {"cost": Infinity}}',
    "HTML": "<!doctype html><title>Please wait</title>",
    "text": "OK",
    "no UTF-8": b'{"choices": [{"message": {"content": "\xff\xfe"}}]}',
    "UTF-16": GOOD.encode("utf-16"),
    "10,000 arrays deep": "[" * 10_000 + "]" * 10_000,
    "10,000 objects deep": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "10,000 deep in a field nobody knows": GOOD[:-1]
    + ', "new": '
    + "[" * 10_000
    + "]" * 10_000
    + "}",
    "choices that are text": '{"choices": "Hello"}',
    "choices that are an object": '{"choices": {"message": {}}}',
    "a choice that is text": '{"choices": ["Hello"]}',
    "a message that is text": '{"choices": [{"message": "Hello"}]}',
    "tool calls that are text": '{"choices": [{"message": {"tool_calls": "f()"}}]}',
    "an index that is text": '{"choices": [{"index": "first", "message": {}}]}',
    "usage that is an array": '{"choices": [], "usage": [1]}',
    "tokens that are text": '{"choices": [], "usage": {"total_tokens": "many"}}',
    "an integer of 10,000 digits": '{"choices": [], "created": ' + "9" * 10_000 + "}",
    "the token": f'{{"key": "{TOKEN}"}}',
    "the token in a choice": f'{{"choices": ["{TOKEN}"]}}',
    "events": 'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\ndata: [DONE]\n\n',
}

FAULTS = {
    **{f"the body is {name}": invalid(body(text)) for name, text in BODIES.items()},
    "an empty 202": invalid(response("", status=202), ways=["create", "stream"]),
    "an empty 204": invalid(b"HTTP/1.1 204 No Content\r\n\r\n", ways=["create", "stream"]),
    "an encoding nobody asked for": invalid(body(GOOD, content_encoding="br"), says="'br'"),
    "gzip in gzip": invalid(
        body(gzip.compress(gzip.compress(GOOD.encode())), content_encoding="gzip, gzip")
    ),
    "gzip that is none": invalid(body(GOOD, content_encoding="gzip"), says="inflated"),
    "gzip that is cut": invalid(
        body(gzip.compress(GOOD.encode() * 100)[:40], content_encoding="gzip")
    ),
    "deflate that is none": invalid(body(GOOD, content_encoding="deflate"), says="inflated"),
    "more than allowed": small(body(" " * 100_001)),
    "more than allowed, of the token": small(body(TOKEN * 10_000)),
    "more than allowed, endless": small(
        [b"HTTP/1.1 200 OK\r\n\r\n", Forever(b'{"choices": []}' * 1000)]
    ),
    "more than allowed, gzipped": small(
        body(gzip.compress(b" " * 10_000_000), content_encoding="gzip")
    ),
    "more than allowed, deflated": small(
        body(zlib.compress(b" " * 10_000_000), content_encoding="deflate")
    ),
    "an error in a 200": Fault(
        script=body(json.dumps({"error": {"message": "no", "code": 400}})),
        raises=BadRequest,
        safety="final",
        facts={"status_code": 400, "meta.status_code": 200},
    ),
    "an error beside an answer": Fault(
        script=body(GOOD[:-1] + ', "error": {"message": "no", "code": 400}}'),
        raises=BadRequest,
        safety="final",
        facts={"status_code": 400, "meta.status_code": 200},
    ),
    "a busy provider in a 200": Fault(
        script=body('{"error": {"code": "upstream_error", "message": "no"}}'),
        raises=UpstreamError,
        safety="refused",
        posts=3,
    ),
    "a failure in a 200": Fault(
        script=body('{"error": {"code": 500, "message": "no"}}'),
        raises=ServerError,
        safety="ambiguous",
        facts={"status_code": 500, "meta.status_code": 200},
    ),
    "a limit in a 200, with a long wait": Fault(
        script=body('{"error": {"code": "rate_limit_exceeded", "retry_after_seconds": 999}}'),
        raises=RateLimitExceeded,
        safety="refused",
        facts={"retry_after": 999.0},
    ),
    "a wait that a bad answer names": invalid(
        body("nothing", retry_after="7"), facts={"retry_after": 7.0}
    ),
    **{
        f"where events were asked, {name}": Fault(
            script=body(text),
            raises=StreamInterrupted,
            safety="final",
            ways=["stream"],
            facts={"events": 0},
        )
        for name, text in {
            "a whole answer": GOOD,
            "HTML": "<!doctype html><title>Please wait</title>",
            "text": "OK",
            "an array": "[]",
            "null": "null",
            "nothing": "",
        }.items()
    },
}
