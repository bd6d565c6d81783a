"""Statuses that say no, and what else they say: bodies, waits, redirects."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import meshapi
from meshapi import MeshAPIError, RetrySafety
from tests.faults.fault import TOKEN, Fault
from tests.wire_server import End, Forever, response

# Each status: its class, whether it is sent again.
STATUSES: dict[int, tuple[str, RetrySafety]] = {
    400: ("BadRequest", "final"),
    401: ("Unauthorized", "final"),
    402: ("SpendLimitExceeded", "final"),
    403: ("Forbidden", "final"),
    404: ("NotFound", "final"),
    405: ("APIStatusError", "final"),
    408: ("APIStatusError", "refused"),
    409: ("Conflict", "final"),
    410: ("APIStatusError", "final"),
    413: ("PayloadTooLarge", "final"),
    418: ("APIStatusError", "final"),
    422: ("UnprocessableEntity", "final"),
    425: ("APIStatusError", "final"),
    429: ("RateLimitExceeded", "refused"),
    451: ("APIStatusError", "final"),
    499: ("APIStatusError", "final"),
    500: ("ServerError", "ambiguous"),
    501: ("ServerError", "final"),
    502: ("ServerError", "refused"),
    503: ("ProviderNotAvailable", "refused"),
    504: ("GatewayTimeout", "ambiguous"),
    505: ("ServerError", "ambiguous"),
    520: ("ServerError", "ambiguous"),
    524: ("ServerError", "ambiguous"),
    529: ("ServerError", "refused"),
    599: ("ServerError", "ambiguous"),
}

PAGES: dict[str, str | bytes] = {
    "an envelope": '{"error": {"message": "No."}, "request_id": "req_1"}',
    "nothing": "",
    "HTML": "<html><h1>Bad gateway</h1></html>",
    "an array": "[1, 2]",
    "null": "null",
    "deep": "[" * 10_000 + "]" * 10_000,
    "no UTF-8": b"\xff\xfe\xfa",
    "its token": json.dumps({"error": {"message": f"Bad key {TOKEN}", TOKEN: [TOKEN]}}),
}

FINAL_CODES = {
    "provider_job_failed": "ServerError",
    "batch_limit_exceeded": "RateLimitExceeded",
    "byok_fallback_disabled": "ServerError",
    "pii_redaction_unavailable": "ProviderNotAvailable",
    "all_models_failed": "ServerError",
}


def class_of(name: str) -> type[MeshAPIError]:
    return getattr(meshapi, name)  # type: ignore[no-any-return]  # By its name.


def refusal(status: int, page: str | bytes = "", **facts: Any) -> Fault:
    name, safety = STATUSES[status]
    seen = {"meta.status_code": status, **facts.pop("facts", {})}
    row = Fault(
        script=response(page, status=status),
        raises=class_of(name),
        safety=safety,
        posts=3 if safety == "refused" else 1,
        facts=seen,
    )
    return replace(row, **facts)


REFUSALS = {
    **{f"{status}": refusal(status, PAGES["an envelope"]) for status in STATUSES},
    **{f"400 with {name}": refusal(400, page) for name, page in PAGES.items()},
    **{f"503 with {name}": refusal(503, page) for name, page in PAGES.items()},
    **{
        f"{status} that names a wait": refusal(
            status,
            script=response("", status=status, headers={"retry-after": "0"}),
            safety=safety,
            posts=3 if safety == "refused" else 1,
            facts={"retry_after": 0.0},
        )
        for status, safety in {400: "final", 501: "final", 500: "refused", 504: "refused"}.items()
    },
    **{
        f"503 {code}": refusal(
            503,
            json.dumps({"error": {"code": code}}),
            raises=class_of(name),
            safety="final",
            posts=1,
            facts={"code": code},
        )
        for code, name in FINAL_CODES.items()
    },
    "a page that is cut": refusal(
        401, script=response("no", status=401, headers={"content-length": "99"})
    ),
    "a page that is reset": refusal(
        401,
        script=[
            response("no", status=401, headers={"content-length": "99"}),
            0.02,
            End.RESET,
        ],
    ),
    "a page without an end": refusal(
        500, script=[b"HTTP/1.1 500 Oops\r\n\r\n", Forever(b"<p>Oops</p>" * 5000)]
    ),
    "a page that is a bomb": refusal(
        500,
        script=response(
            gzip.compress(bytes(20_000_000)), status=500, headers={"content-encoding": "gzip"}
        ),
    ),
    "a page that cannot be inflated": refusal(
        401, script=response("no", status=401, headers={"content-encoding": "gzip"})
    ),
    "a page in an encoding nobody asked for": refusal(
        401, script=response("no", status=401, headers={"content-encoding": "zstd"})
    ),
    "the token in the status line": refusal(
        401, script=response("", status=401).replace(b"Whatever", f"Bad key {TOKEN}".encode())
    ),
    "the token in a header": refusal(
        401,
        script=response(
            "",
            status=401,
            headers={"x-echo": f"Bearer {TOKEN}", "x-request-id": TOKEN, f"x-{TOKEN}": "1"},
        ),
    ),
}

# What a header says -> the seconds it names, if it names any.
HINTS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"retry-after": "61"}, 61.0),
    "a fraction": ({"retry-after": "61.25"}, 61.25),
    "milliseconds": ({"retry-after-ms": "61500"}, 61.5),
    "spaces around": ({"retry-after": "  61  "}, 61.0),
    "twice": ({"retry-after": "61\r\nretry-after: 62"}, 62.0),
    "milliseconds twice": ({"retry-after-ms": "1\r\nretry-after-ms: 61500"}, 61.5),
    "two headers, the larger": ({"retry-after": "61", "retry-after-ms": "70000"}, 70.0),
    "twelve digits": ({"retry-after": "999999999999"}, 999999999999.0),
    "thirteen digits": ({"retry-after": "9999999999999"}, None),
    "four hundred digits": ({"retry-after": "9" * 400}, None),
    "a sign": ({"retry-after": "+61"}, None),
    "negative": ({"retry-after": "-61"}, None),
    "nan": ({"retry-after": "nan"}, None),
    "inf": ({"retry-after": "inf"}, None),
    "an exponent": ({"retry-after": "1e3"}, None),
    "a point without digits": ({"retry-after": "61."}, None),
    "a hexadecimal": ({"retry-after": "0x3d"}, None),
    "an underscore": ({"retry-after": "6_1"}, None),
    "a word": ({"retry-after": "later"}, None),
    "a superscript": ({"retry-after": "\xb2"}, None),
    "nothing": ({"retry-after": ""}, None),
    "the year 0": ({"retry-after": "Sat, 01 Jan 0000 00:00:00 GMT"}, None),
    "the day 32": ({"retry-after": "Sat, 32 Jan 2098 00:00:00 GMT"}, None),
    "a date that is past": ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
}

HINTED = {
    f"a wait of {name}": refusal(
        429,
        script="".join(
            [
                "HTTP/1.1 429 Slow down\r\ncontent-length: 0\r\nconnection: close\r\n",
                *(f"{key}: {value}\r\n" for key, value in headers.items()),
                "\r\n",
            ]
        ).encode("latin-1"),
        posts=1 if wait else 3,
        facts={"retry_after": wait},
        options={"timeout": 1000},
    )
    for name, (headers, wait) in HINTS.items()
}

IN_BODY: dict[str, tuple[str, float | None]] = {
    "an integer": ("61", 61.0),
    "a float": ("61.5", 61.5),
    "a string": ('"61.5"', 61.5),
    "a negative number": ("-1", None),
    "a number of 400 digits": ("1" + "0" * 400, None),
    "a large exponent": ("1e400", None),
    "true": ("true", None),
    "null": ("null", None),
    "an array": ("[61]", None),
    "an object": ("{}", None),
}

HINTED_IN_BODY = {
    f"a body whose wait is {name}": refusal(
        429,
        f'{{"error": {{"code": "rate_limit_exceeded", "retry_after_seconds": {text}}}}}',
        posts=1 if wait else 3,
        facts={"retry_after": wait},
    )
    for name, (text, wait) in IN_BODY.items()
}

REDIRECTS = {
    f"a redirect by {status}": Fault(
        script=response("", status=status, headers={"location": "http://127.0.0.1:1/elsewhere"}),
        raises=meshapi.InvalidResponse,
        safety="final",
        says="redirected",
        facts={"meta.status_code": status},
    )
    for status in (300, 301, 302, 303, 307, 308)
}

FAULTS = REFUSALS | HINTED | HINTED_IN_BODY | REDIRECTS
