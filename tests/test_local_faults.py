"""What goes wrong at the local gateway on purpose, by script and by request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from meshapi import (
    APIStatusError,
    ChatCompletionParams,
    ConnectionFailed,
    DeadlineExceeded,
    GatewayTimeout,
    InvalidResponse,
    MeshAPIError,
    PayloadTooLarge,
    RateLimitExceeded,
    ServerError,
    StreamInterrupted,
    Timeout,
    UpstreamError,
    ValidationFailed,
)
from meshapi.local import LocalGateway
from tests.colours import Client, Sync

WORDS = "Hello there, you."
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": WORDS}])
HEADER = "x-meshapi-fault"


@pytest.fixture(scope="module")
def served() -> Iterator[LocalGateway]:
    with LocalGateway(answers="echo") as gateway:
        yield gateway


@pytest.fixture(params=["socket", "process"])
def client(request: pytest.FixtureRequest, colour: Sync, served: LocalGateway) -> Iterator[Client]:
    """A client over a socket, or without one, in either colour."""
    served.reset()
    if request.param == "socket":
        client = colour.client(base_url=served.base_url, token=served.token, max_retries=0)
    else:
        client = colour.in_process(served, max_retries=0)
    yield client
    colour.settle(client.close())


@pytest.mark.parametrize(
    ("fault", "whole", "streamed"),
    [
        ("503", ServerError, ServerError),
        ("504; code=gateway_timeout", GatewayTimeout, GatewayTimeout),
        ("413", PayloadTooLarge, PayloadTooLarge),
        ("418", APIStatusError, APIStatusError),
        ("html", ServerError, ServerError),
        ("error_in_200", UpstreamError, UpstreamError),
        ("error_in_200; code=rate_limit_exceeded", RateLimitExceeded, RateLimitExceeded),
        ("error_first", ValidationFailed, UpstreamError),
        ("error_mid_stream; after=2", ValidationFailed, UpstreamError),
        ("disconnect", ConnectionFailed, ConnectionFailed),
        ("disconnect; after=2", ConnectionFailed, StreamInterrupted),
        ("truncate", ConnectionFailed, StreamInterrupted),
        ("corrupt", InvalidResponse, StreamInterrupted),
        ("stall; seconds=0.01", None, None),
        ("slow; seconds=0.01", None, None),
        ("one_byte_writes", None, None),
        ("crlf", ValidationFailed, None),
        ("bom", None, None),
        ("comments", ValidationFailed, None),
        ("huge_event; size=100000", None, None),
    ],
)
def test_a_request_can_ask_for_a_fault(
    fault: str,
    whole: type[MeshAPIError] | None,
    streamed: type[MeshAPIError] | None,
    colour: Sync,
    client: Client,
) -> None:
    headers = {HEADER: fault}

    if whole is None:
        said = colour.settle(client.chat.completions.create(QUESTION, headers=headers))
        assert said.text == WORDS
    else:
        with pytest.raises(whole):
            colour.settle(client.chat.completions.create(QUESTION, headers=headers))
    if streamed is None:
        text = "".join(colour.text_of(client.chat.completions.stream(QUESTION, headers=headers)))
        assert text.replace("x" * 100_000, "") == WORDS
    else:
        with pytest.raises(streamed):
            colour.collect(client.chat.completions.stream(QUESTION, headers=headers))


def test_the_list_of_models_fails_by_header_and_leaves_the_script_alone(
    served: LocalGateway,
) -> None:
    served.reset()
    served.reply("Hello")
    client = served.client(max_retries=0)

    with pytest.raises(RateLimitExceeded) as limited:
        client.models.list(headers={HEADER: "429; retry_after=7;"})

    assert limited.value.retry_after == 7
    assert client.models.list().data
    assert served.unused == 1


def test_a_header_that_asks_for_no_fault_there_is_counts_for_nothing(
    served: LocalGateway,
) -> None:
    served.reset()
    served.limit(rpm=1)
    client = served.client(max_retries=0)

    with pytest.raises(ValidationFailed):
        client.chat.completions.create(QUESTION, headers={HEADER: "explode"})
    assert client.chat.completions.create(QUESTION).text == WORDS


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "corrupt", "error_mid_stream"])
def test_a_fault_comes_after_as_many_events_as_it_was_told(
    kind: Any, colour: Sync, client: Client, served: LocalGateway
) -> None:
    served.fail(kind, after=3, reply="One two three four")

    with pytest.raises(MeshAPIError) as broken:
        colour.collect(client.chat.completions.stream(QUESTION))

    assert broken.value.partial is not None
    assert broken.value.partial.text == "One two"


@pytest.mark.parametrize("kind", ["stall", "slow"])
def test_a_silence_lasts_longer_than_a_client_waits(
    kind: Any, colour: Sync, client: Client, served: LocalGateway
) -> None:
    hasty = client.with_options(timeout=Timeout(total=0.2, first_event=0.2, idle=0.2))
    served.fail(kind, seconds=30, times=2)
    begun = time.monotonic()

    with pytest.raises(DeadlineExceeded):
        colour.settle(hasty.chat.completions.create(QUESTION))
    with pytest.raises(DeadlineExceeded):
        colour.collect(hasty.chat.completions.stream(QUESTION))

    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("waits", "header", "body"),
    [
        ({"retry_after": 7}, "7", 7),
        ({"retry_after_header": "7"}, "7", None),
        ({"retry_after_body": 7}, None, 7),
        ({"retry_after": 7, "retry_after_header": "9"}, "9", 7),
        ({"retry_after_body": 7, "retry_after_header": "3"}, "3", 7),
    ],
    ids=str,
)
def test_a_wait_is_told_in_body_header_both_or_disagreeing(
    waits: dict[str, Any], header: str | None, body: int | None, served: LocalGateway
) -> None:
    served.reset()
    served.fail(429, **waits)

    with httpx.Client(transport=served.transport, base_url="http://x") as http:
        answer = http.post(
            "/v1/chat/completions",
            headers={"authorization": f"Bearer {served.token}"},
            json={"messages": []},
        )

    assert answer.headers.get("retry-after") == header
    assert answer.json()["error"].get("retry_after_seconds") == body


def test_a_script_s_faults_come_once_each_in_their_order(
    colour: Sync, client: Client, served: LocalGateway
) -> None:
    served.fail(503, times=2)
    served.fail("disconnect")

    found: list[str] = []
    for _ in range(4):
        try:
            colour.settle(client.chat.completions.create(QUESTION))
            found.append("answer")
        except MeshAPIError as error:
            found.append(type(error).__name__)

    assert found == [
        "ProviderNotAvailable",
        "ProviderNotAvailable",
        "ConnectionFailed",
        "answer",
    ]


def test_what_fails_before_an_answer_costs_nothing(served: LocalGateway) -> None:
    served.reset()
    client = served.client(max_retries=0)

    for kind in ("html", "error_in_200"):
        served.fail(kind)
        with pytest.raises(MeshAPIError):
            client.chat.completions.create(QUESTION)
    assert served.usage == {}

    served.fail("disconnect")
    with pytest.raises(ConnectionFailed):
        client.chat.completions.create(QUESTION)
    assert served.usage[None].requests == 1


def test_a_comparison_fails_as_well(served: LocalGateway) -> None:
    served.reset()
    served.fail(503)
    headers = {"authorization": f"Bearer {served.token}"}
    body = {"models": ["local/babble"], "messages": [], "stream": True}

    with httpx.Client(transport=served.transport, base_url="http://x") as http:
        refused = http.post("/v1/chat/compare", headers=headers, json=body)
        headers[HEADER] = "truncate; after=0"
        cut = http.post("/v1/chat/compare", headers=headers, json=body)

    assert refused.status_code == 503
    assert cut.text == ""


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("explode", "kind"),
        ("200", "kind"),
        ("304", "304"),
        ("4_2_9", "kind"),
        ("429; wait=3", "wait"),
        ("truncate; after=x", "after"),
        ("stall; seconds=-1", "seconds"),
        ("", "kind"),
    ],
)
def test_a_header_that_asks_for_no_fault_there_is_gets_422(
    asked: str, words: str, served: LocalGateway
) -> None:
    with pytest.raises(ValidationFailed, match=words) as wrong:
        served.client().chat.completions.create(QUESTION, headers={HEADER: asked})

    assert wrong.value.details[0].loc == ["header", HEADER]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (200, {}, "no status from 300 to 599"),
        (304, {}, "304 has no body"),
        ("stall", {"secs": 1}, "has no secs: it has code, "),
        (429, {"retry_after_header": "1\r\nx: y"}, "retry_after_header"),
        (429, {"retry_after_body": float("nan")}, "retry_after_body"),
        ("explode", {}, "kind"),
        (429, {"retry_after": -1}, "retry_after"),
        ("stall", {"seconds": float("inf")}, "seconds"),
        ("truncate", {"times": 0}, "times"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_when_it_is_scripted(
    kind: Any, options: dict[str, Any], words: str, served: LocalGateway
) -> None:
    with pytest.raises(ValueError, match=words):
        served.fail(kind, **options)
