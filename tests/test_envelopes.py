"""Every shape of error that servers send, wherever it comes: as a status, in a 200, in a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshapi import APIStatusError, ChatCompletionParams, MeshAPIError
from tests.colours import Client, Sync
from tests.wire_server import WireServer, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
CHUNK = 'data: {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}\n\n'
PLACES = ["status", "in a 200", "first frame", "mid-stream"]

# The body, the status it comes with where it comes as one, its class and its facts.
ENVELOPES: dict[str, tuple[object, int, str, dict[str, Any]]] = {
    "mesh": (
        {"error": {"code": "upstream_error", "message": "Boom."}, "request_id": "req_body"},
        502,
        "UpstreamError",
        {"message": "Boom.", "code": "upstream_error", "request_id": "req_body"},
    ),
    "mesh, nested request id": (
        {"error": {"code": "forbidden", "message": "No.", "request_id": "req_inner"}},
        403,
        "Forbidden",
        {"message": "No.", "code": "forbidden", "request_id": "req_inner"},
    ),
    "openai": (
        {"error": {"message": "Bad", "type": "invalid_request_error", "param": "x", "code": None}},
        400,
        "BadRequest",
        {"message": "Bad", "code": None, "param": "x", "request_id": "req_header"},
    ),
    "openrouter": (
        {
            "error": {
                "code": 402,
                "message": "Provider returned error",
                "metadata": {"provider_name": "OpenAI", "raw": "no credit"},
            },
            "user_id": "u1",
        },
        402,
        "SpendLimitExceeded",
        {"message": "Provider returned error", "code": 402, "status_code": 402},
    ),
    "anthropic": (
        {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}},
        429,
        "RateLimitExceeded",
        {"message": "Slow down", "code": None, "status_code": 429},
    ),
    "fastapi string": (
        {"detail": "Not authenticated"},
        500,
        "ServerError",
        {"message": "Not authenticated", "code": None},
    ),
    "fastapi list": (
        {"detail": [{"loc": ["body", "x"], "msg": "Bad", "type": "t"}]},
        500,
        "ServerError",
        {"message": "The request did not fit", "code": None},
    ),
    "openai, a code as its type": (
        {"error": {"message": "Slow down", "type": "rate_limit_exceeded", "code": None}},
        429,
        "RateLimitExceeded",
        {"message": "Slow down", "status_code": 429},
    ),
    "a number with a point": (
        {"error": {"message": "Slow down", "code": 429.0}},
        429,
        "RateLimitExceeded",
        {"message": "Slow down", "code": 429},
    ),
    "a bare string": (
        {"error": "out of cheese"},
        500,
        "ServerError",
        {"message": "out of cheese", "code": None, "request_id": "req_header"},
    ),
}


def script_of(body: object, status: int, place: str) -> bytes:
    text = json.dumps(body)
    headers = {"x-request-id": "req_header"}
    if place == "status":
        return response(text, status=status, headers=headers)
    if place == "in a 200":
        return response(text, headers=headers)
    before = CHUNK if place == "mid-stream" else ""
    return events(f"{before}data: {text}\n\n", headers=headers)


def raised(colour: Sync, script: bytes, *, streamed: bool) -> MeshAPIError:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_retries=0)
        with pytest.raises(MeshAPIError) as caught:
            ask(colour, client, streamed=streamed)
        colour.settle(client.close())
    return caught.value


def ask(colour: Sync, client: Client, *, streamed: bool) -> None:
    if streamed:
        colour.collect(client.chat.completions.stream(QUESTION))
    else:
        colour.settle(client.chat.completions.create(QUESTION))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_raises_its_class_wherever_it_comes(
    name: str, place: str, colour: Sync
) -> None:
    body, status, kind, facts = ENVELOPES[name]
    streamed = place in {"first frame", "mid-stream"}

    error = raised(colour, script_of(body, status, place), streamed=streamed)

    assert isinstance(error, APIStatusError)
    assert type(error).__name__ == kind
    assert {fact: getattr(error, fact) for fact in facts} == facts
    assert (error.partial is not None) == (place == "mid-stream")
    assert error.meta.request_id == "req_header"


def test_what_openrouter_tells_of_a_provider_is_the_provider_error(colour: Sync) -> None:
    body = ENVELOPES["openrouter"][0]

    error = raised(colour, script_of(body, 402, "status"), streamed=False)

    assert isinstance(error, APIStatusError)
    assert error.provider_error is not None
    assert (error.provider_error.provider, error.provider_error.message) == ("OpenAI", "no credit")
    assert error.body["metadata"] == {"provider_name": "OpenAI", "raw": "no credit"}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("body", "kind", "status", "name", "words"),
    [
        ('{"detail": "Not Found"}', "application/json", 404, "NotFound", "Not Found"),
        (
            '{"detail": [{"loc": ["body", "x"], "msg": "Bad", "type": "t"}]}',
            "application/json",
            422,
            "UnprocessableEntity",
            "body.x: Bad",
        ),
        ("<html>too large</html>", "text/html", 413, "PayloadTooLarge", "no reason"),
        ("", "text/plain", 503, "ProviderNotAvailable", "no reason"),
        ('"just a string"', "application/json", 400, "BadRequest", "just a string"),
    ],
    ids=["fastapi string", "fastapi list", "html", "nothing", "string"],
)
def test_other_bodies_raise_the_class_of_their_status(
    body: str, kind: str, status: int, name: str, words: str, streamed: bool, colour: Sync
) -> None:
    script = response(body, status=status, content_type=kind)

    error = raised(colour, script, streamed=streamed)

    assert type(error).__name__ == name
    assert words in str(error)
