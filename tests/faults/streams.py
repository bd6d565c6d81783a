"""Streams that are not complete, or not readable, or never end."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

from meshapi import (
    BadRequest,
    DeadlineExceeded,
    RateLimitExceeded,
    ServerError,
    SpendLimitExceeded,
    StreamInterrupted,
    Timeout,
    UpstreamError,
)
from tests.faults.fault import DEADLINE, TOKEN, Fault, slow
from tests.wire_server import CHUNKED, LAST_CHUNK, End, Forever, Step, events, http_chunk

HEL = 'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'
LO = 'data: {"choices": [{"delta": {"content": "lo"}}]}\n\n'
STOP = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
IDLE = {"timeout": Timeout(idle=DEADLINE)}


INTERRUPTED = Fault(
    raises=StreamInterrupted,
    safety="ambiguous",
    ways=["stream"],
    partial="Hel",
    facts={"events": 1},
)


def interrupted(body: str | bytes = "", **facts: Any) -> Fault:
    """A stream that ends too early has been billed: it is not asked for again."""
    return replace(INTERRUPTED, **{"script": events(body), **facts})


def nonsense(body: str | bytes = "", **facts: Any) -> Fault:
    """A bad answer from its first event on."""
    expected = {"partial": None, "facts": {"events": 0}, "safety": "final"}
    return interrupted(body, **{**expected, **facts})


def gzipped(body: bytes) -> bytes:
    return events(gzip.compress(body), headers={"content-encoding": "gzip"})


def frame(error: object) -> str:
    return f"data: {json.dumps({'error': error})}\n\n"


def stalled(*steps: Step) -> Fault:
    return interrupted(
        script=[events(HEL), *steps],
        raises=DeadlineExceeded,
        options=IDLE,
        facts={},
        says="Timeout.idle",
    )


def unopened(*steps: Step) -> Fault:
    """Nothing that counts comes before the deadline."""
    return interrupted(
        script=[events(""), *steps], raises=DeadlineExceeded, options=slow(), partial=None, facts={}
    )


BAD_EVENTS: dict[str, str | bytes] = {
    "cut JSON": 'data: {"choices": [\n\n',
    "HTML": "data: <p>Oops</p>\n\n",
    "text": "data: Oops\n\n",
    "an array": "data: []\n\n",
    "a number": "data: 7\n\n",
    "null": "data: null\n\n",
    "NaN": 'data: {"choices": [], "created": NaN}\n\n',
    "NaN in a field nobody knows": 'data: {"choices": [], "new": NaN}\n\n',
    "no UTF-8": b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n',
    "choices that are text": 'data: {"choices": "lo"}\n\n',
    "a delta that is text": 'data: {"choices": [{"delta": "lo"}]}\n\n',
    "10,000 deep": f"data: {'[' * 10_000}{']' * 10_000}\n\n",
}

FAULTS = {
    "a clean end without [DONE]": interrupted(HEL),
    "a clean end of chunks without [DONE]": interrupted(
        script=[CHUNKED, http_chunk(HEL), LAST_CHUNK]
    ),
    "chunks that are cut": interrupted(script=[CHUNKED, http_chunk(HEL), End.FIN]),
    "a chunk that is cut": interrupted(
        script=[CHUNKED, http_chunk(HEL) + http_chunk(LO)[:-30], End.FIN]
    ),
    "a bad chunk size": interrupted(script=[CHUNKED, http_chunk(HEL), b"zz\r\n"]),
    "a cut in an event": interrupted(HEL + LO[:20]),
    "a cut in the first event": interrupted(HEL[:20], partial=None, facts={"events": 0}),
    "one of two choices is finished": interrupted(
        'data: {"choices": [{"index": 0, "delta": {"content": "Hel"}}, {"index": 1, "delta": {}}]}'
        '\n\ndata: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n',
        facts={"events": 2},
    ),
    "a [DONE] that is not whole": interrupted(HEL + "data: [DO"),
    "a [DONE] in another field": interrupted(HEL + "event: [DONE]\n\n"),
    **{
        f"an event that is {name}": interrupted(
            HEL.encode() + (bad if isinstance(bad, bytes) else bad.encode()) + LO.encode()
        )
        for name, bad in BAD_EVENTS.items()
    },
    "a cut after the token": interrupted(HEL + f"data: {TOKEN}"),
    "the token in the place of an event": interrupted(HEL + f"data: {TOKEN}\n\n" + LO),
    "comments with the token": interrupted(
        script=[events(HEL), Forever(f": {TOKEN}\n\n".encode())],
        raises=DeadlineExceeded,
        options=IDLE,
        facts={},
    ),
    "only comments": interrupted(
        ": ping\n\n" * 50, partial=None, facts={"events": 0}, safety="final"
    ),
    "silence": stalled(30.0),
    "comments for ever": stalled(Forever(b": ping\n\n")),
    "blank lines for ever": stalled(Forever(b"\n\n\n\n")),
    "blocks without data for ever": stalled(Forever(b"event: ping\nid: 7\n\n")),
    "single bytes": stalled(*(b"d", 0.02) * 100),
    "comments a byte at a time": stalled(*(b":", 0.02) * 100),
    "no event": unopened(30.0),
    "comments and no event": unopened(*(b": ping\n\n", 0.02) * 100),
    "a first event that drips": unopened(*(s for b in HEL.encode() for s in (bytes([b]), 0.02))),
    "an event that is too large": interrupted(
        HEL + 'data: "' + "x" * 200_000,
        options={"max_event_bytes": 100_000},
        says="larger than 100000",
    ),
    "an event without an end": interrupted(
        script=[events(HEL + "data: "), Forever(b"x" * 10_000)],
        options={"max_event_bytes": 100_000},
        says="larger than 100000",
    ),
    "an event of many lines": interrupted(
        script=[events(HEL), Forever(b"data: x\n" * 1000)],
        options={"max_event_bytes": 100_000},
        says="larger than 100000",
    ),
    "a gzipped event without an end": interrupted(
        script=gzipped(HEL.encode() + b"data: " + b"x" * 50_000_000),
        options={"max_event_bytes": 100_000},
        says="larger than 100000",
    ),
    "gzipped comments without an end": interrupted(
        script=gzipped(HEL.encode() + b": ping\n" * 2_000_000),
        options={"max_event_bytes": 100_000},
        says="larger than 100000",
    ),
    "a gzip stream that is cut": interrupted(script=gzipped(HEL.encode())[:-8], facts={}),
    "a gzip stream that is none": nonsense(
        script=events(HEL, headers={"content-encoding": "gzip"})
    ),
    "a second gzip member that is an error": interrupted(
        script=gzipped(HEL.encode()) + gzip.compress(frame({"code": 500}).encode()),
        raises=ServerError,
        facts={"status_code": 500},
    ),
    "bytes after the end of a gzip stream": interrupted(
        script=gzipped(HEL.encode()) + b"and then nothing of the kind",
    ),
    "gzip that stands for nothing": nonsense(
        script=[
            gzipped(b"")[:-20] + b"\x1f\x8b\x08\x08\0\0\0\0\0\0",
            Forever(b"a name without an end" * 1000),
        ]
    ),
    "an encoding nobody asked for": nonsense(
        script=events(HEL, headers={"content-encoding": "br"}), says="'br'"
    ),
    **{
        f"a first event that is {name}": nonsense(bad if isinstance(bad, bytes) else bad.encode())
        for name, bad in BAD_EVENTS.items()
    },
    "a first event that is too large": nonsense(
        "data: " + "x" * 200_000, options={"max_event_bytes": 100_000}
    ),
    "an error comes first": Fault(
        script=events(frame({"code": 400, "message": "no"}) + HEL),
        raises=BadRequest,
        safety="final",
        ways=["stream"],
        facts={"status_code": 400, "meta.status_code": 200},
    ),
    "a busy provider comes first": Fault(
        script=events(frame({"code": "upstream_error", "message": "no"})),
        raises=UpstreamError,
        safety="refused",
        posts=3,
        ways=["stream"],
    ),
    "a long wait comes first": Fault(
        script=events(frame({"code": "rate_limit_exceeded", "retry_after_seconds": 900})),
        raises=RateLimitExceeded,
        safety="refused",
        ways=["stream"],
        facts={"retry_after": 900.0},
    ),
    "a failure comes first": Fault(
        script=events(frame({"code": 500, "message": "no"})),
        raises=ServerError,
        safety="ambiguous",
        ways=["stream"],
    ),
    **{
        f"an error after an event: {code}": interrupted(
            HEL + frame({"code": code, "message": f"no, {TOKEN}"}) + LO,
            raises=kind,
            safety=safety,
            facts={"code": code},
        )
        for code, kind, safety in (
            ("upstream_error", UpstreamError, "ambiguous"),
            ("rate_limit_exceeded", RateLimitExceeded, "ambiguous"),
            ("spend_limit_exceeded", SpendLimitExceeded, "ambiguous"),
            ("provider_job_failed", ServerError, "final"),
            (502, ServerError, "ambiguous"),
        )
    },
}
