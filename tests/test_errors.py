"""Errors read like sentences, carry their facts through copies, and hold no secret."""

from __future__ import annotations

import inspect
import json
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import meshapi
from meshapi import (
    APIStatusError,
    ChatCompletionParams,
    ChatCompletionResponse,
    ConfigurationError,
    MeshAPIError,
    Meta,
    OutputParseError,
    StreamInterrupted,
    errors,
)
from meshapi._core.envelope import read_error
from meshapi._core.meta import Headers
from meshapi._core.token import Token
from tests.colours import Sync
from tests.copies import COPIES
from tests.wire_server import WireServer, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
SECRET = "rsk_5ECRET"
TOKEN = Token(SECRET)
CLASSES = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, MeshAPIError)
]


def an_error(kind: type[MeshAPIError]) -> MeshAPIError:
    answer = ChatCompletionResponse(choices=[])
    meta = Meta(request_id="req_1", status_code=200, headers=Headers([("A", "b")]), attempts=2)
    if issubclass(kind, OutputParseError):
        return kind("No.", completion=answer, raw_text="x")
    if issubclass(kind, StreamInterrupted):
        return kind("Cut.", events=3, partial=answer, meta=meta)
    if issubclass(kind, APIStatusError):
        return kind("Bad.", status_code=418, code="teapot", body={"a": [1]}, meta=meta)
    return kind("Bad.", retry_after=3.0, retry_safety="not_sent", meta=meta)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("again", COPIES)
def test_an_error_survives_copies_and_pickles(
    kind: type[MeshAPIError], again: Callable[[MeshAPIError], MeshAPIError]
) -> None:
    error = an_error(kind)

    twin = again(error)

    assert type(twin) is kind
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


def test_the_tree_is_the_one_that_is_drawn() -> None:
    drawn: list[str] = [
        line.strip("│├└─ ").split()[0]
        for line in (errors.__doc__ or "").splitlines()
        if "─" in line or line.strip() == "MeshAPIError"
    ]

    def walk(kind: type[MeshAPIError]) -> list[str]:
        below = [name for each in kind.__subclasses__() for name in walk(each)]
        return [kind.__name__, *below]

    assert drawn == walk(MeshAPIError)


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        (
            {
                "error": {"code": "spend_limit_exceeded", "message": "Cap reached."},
                "request_id": "r1",
            },
            402,
            "Cap reached (402 spend_limit_exceeded), request id r1",
        ),
        (None, 503, "The server answered Service Unavailable and gave no reason (503)"),
        ({"detail": "Not Found"}, 404, "Not Found (404)"),
        ({"error": "out of cheese"}, 500, "out of cheese (500)"),
        (
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required", "type": "x"}]},
            422,
            "The request did not fit: body.messages.0: Field required (422)",
        ),
        (
            {"error": {"code": 402, "message": "More credits", "metadata": {}}},
            402,
            "More credits (402)",
        ),
    ],
)
def test_an_error_reads_like_a_sentence_that_ends_with_the_request_id(
    document: object, status: int, words: str
) -> None:
    assert str(read_error(document, Meta(status_code=status), TOKEN)) == words


@pytest.mark.parametrize(
    ("document", "header", "request_id"),
    [
        ({"error": {"request_id": "inner"}, "request_id": "outer"}, "head", "outer"),
        ({"error": {"request_id": "inner"}, "request_id": ""}, "head", "inner"),
        ({"error": {"message": "x"}}, "head", "head"),
        ({"error": {"message": "x"}}, None, None),
    ],
)
def test_the_request_id_comes_from_the_body_first(
    document: object, header: str | None, request_id: str | None
) -> None:
    assert read_error(document, Meta(request_id=header), TOKEN).request_id == request_id


@pytest.mark.parametrize(
    ("document", "wire", "name", "status"),
    [
        ({"error": {"code": 402}}, 200, "SpendLimitExceeded", 402),
        ({"error": {"code": "429"}}, 200, "RateLimitExceeded", 429),
        ({"error": {"code": 502}}, 200, "ServerError", 502),
        ({"error": {"code": 20015}}, 400, "BadRequest", 400),
        ({"error": {"code": "brand_new"}}, 403, "Forbidden", 403),
        ({"error": {"code": "upstream_error"}}, 500, "UpstreamError", 500),
        ({"error": {"code": "upstream_error"}}, 200, "UpstreamError", 502),
        ({"error": {"code": None, "type": "rate_limit_error"}}, 200, "RateLimitExceeded", 429),
        (
            {"error": {"code": "invalid_api_key", "type": "invalid_request_error"}},
            401,
            "Unauthorized",
            401,
        ),
        ({"type": "error", "error": {"type": "overloaded_error"}}, 200, "ServerError", 529),
        ({"error": {"message": "?"}}, 200, "ServerError", 500),
        ({"error": {"code": True}}, 400, "BadRequest", 400),
        ({"error": {"code": 10**5000}}, 400, "BadRequest", 400),
        ({"error": {"code": ["x"]}}, 400, "BadRequest", 400),
        ({"error": []}, 400, "BadRequest", 400),
        ([], 400, "BadRequest", 400),
        ("a string", 400, "BadRequest", 400),
    ],
    ids=lambda value: repr(value)[:60] if not isinstance(value, dict) else "",
)
def test_the_code_decides_the_class_and_then_the_status(
    document: object, wire: int, name: str, status: int
) -> None:
    error = read_error(document, Meta(status_code=wire), TOKEN)

    assert (type(error).__name__, error.status_code) == (name, status)
    assert error.meta.status_code == wire


def test_malformed_details_are_kept_as_words() -> None:
    details = [{"loc": None}, "plain", 7, {"loc": [10**30]}]
    body: dict[str, Any] = {"details": details, "provider_error": "odd"}

    error = read_error({"error": body}, Meta(status_code=422), TOKEN)

    assert [detail.msg for detail in error.details] == [
        "",
        "plain",
        "7",
        '{"loc":[1000000000000000000000000000000]}',
    ]
    assert str(error).endswith("(422)")
    assert error.provider_error is None
    assert error.body == body


def scan(error: BaseException) -> str:
    """Everything that a log, a debugger or a pickle could show of an error."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format()) + repr(error) + str(error) + repr(pickle.dumps(error))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(b"", id="no answer"),
        pytest.param(b"not http\r\n\r\n", id="no HTTP"),
        pytest.param(response("", status=500), id="500"),
        pytest.param(response("<html>"), id="HTML"),
        pytest.param(response("x", headers={"content-encoding": "gzip"}), id="bad gzip"),
        pytest.param(response(json.dumps({"error": {"message": "boom"}}), status=401), id="401"),
        pytest.param(events("data: x\n\n"), id="bad stream"),
    ],
)
def test_no_failure_shows_the_token(script: bytes, colour: Sync) -> None:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token=SECRET, max_retries=0)
        with pytest.raises(MeshAPIError) as whole:
            colour.settle(client.chat.completions.create(QUESTION))
        with pytest.raises(MeshAPIError) as streamed:
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    # What this test itself holds is no leak: only frames of the package are read.
    for error in (whole.value, streamed.value):
        error.__traceback__ = package_frames(error)
        assert SECRET not in scan(error)
    assert SECRET not in repr(client)


def package_frames(error: BaseException) -> Any:
    frames = error.__traceback__
    package = str(Path(meshapi.__file__).parent)
    while frames and not frames.tb_frame.f_code.co_filename.startswith(package):
        frames = frames.tb_next
    return frames


@pytest.mark.parametrize("token", ["rsk_5ECRET\n", "rsk 5ECRET", "rsk_5ECRET\x00", "rsk_5ECRETé"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: str, colour: Sync) -> None:
    with pytest.raises(ConfigurationError, match="token") as caught:
        colour.client(token=token)
    caught.value.__traceback__ = package_frames(caught.value)
    assert "5ECRET" not in scan(caught.value)

    client = colour.client(token="rsk_test")
    with pytest.raises(ConfigurationError, match="token") as caught:
        client.with_options(token=token)
    caught.value.__traceback__ = package_frames(caught.value)
    assert "5ECRET" not in scan(caught.value)
    colour.settle(client.close())


@pytest.mark.parametrize("token", ["rsk_5ECRET\n", "rsk_5ECRET\x00", "rsk_5ECRETé"])
@pytest.mark.parametrize("source", ["environment", "function", "option of a copy"])
def test_a_malformed_token_is_not_shown_wherever_it_comes_from(
    source: str, token: str, colour: Sync, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    if source == "environment":
        # As `os.environ` refuses a zero byte, the way there is stood in for.
        monkeypatch.setattr("os.environ", {"MESHAPI_TOKEN": token})

    def use(url: str) -> None:
        if source == "environment":
            colour.client(base_url=url)
        elif source == "function":
            client = colour.client(base_url=url, token=lambda: token)
            colour.settle(client.chat.completions.create(QUESTION))
        else:
            colour.client(base_url=url, token="rsk_test").with_options(token=token)

    with WireServer(b"") as server, pytest.raises(ConfigurationError, match=r"(?i)token") as caught:
        use(server.url)

    caught.value.__traceback__ = package_frames(caught.value)
    assert "5ECRET" not in scan(caught.value) + caplog.text
    assert server.connections == 0


@pytest.mark.parametrize("where", ["message", "body", "param"])
def test_a_token_that_a_server_echoes_is_masked(where: str, colour: Sync) -> None:
    body = {"error": {"code": "unauthorized", "message": "No.", where: f"Bad key {SECRET}!"}}
    with WireServer(response(json.dumps(body), status=401)) as server:
        client = colour.client(base_url=server.url, token=SECRET)
        with pytest.raises(MeshAPIError) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    caught.value.__traceback__ = package_frames(caught.value)
    assert SECRET not in scan(caught.value)
