"""What is retried, after what wait, and what never is."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshapi import (
    APIStatusError,
    ChatCompletionParams,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    MeshAPI,
    MeshAPIError,
    RetryPolicy,
    RetrySafety,
)
from meshapi._core.retry import Attempts, RetryBudget, longest_wait, safety_of_status
from meshapi._core.transport import Transport
from tests.colours import Client, Sync
from tests.wire_server import WireServer, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
ANSWER = response('{"choices": [{"message": {"content": "Hello"}}]}')


def busy(status: int = 503, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return response("", status=status, headers=named)


def impatient(client: Client) -> list[float]:
    """Let the client note its waits instead of sleeping them."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    transport = client.chat.completions._transport
    if isinstance(transport, Transport):
        transport.sleep = waits.append
    else:
        transport.sleep = note
    return waits


@pytest.mark.parametrize(
    ("status", "code", "names_wait", "safety"),
    [
        (400, None, False, "final"),
        (402, "spend_limit_exceeded", True, "final"),
        (404, None, True, "final"),
        (408, None, False, "refused"),
        (429, None, False, "refused"),
        (429, "batch_limit_exceeded", True, "final"),
        (500, None, False, "ambiguous"),
        (500, None, True, "refused"),
        (500, "provider_job_failed", True, "final"),
        (501, None, True, "final"),
        (502, None, False, "refused"),
        (502, "byok_fallback_disabled", False, "final"),
        (502, "all_models_failed", False, "final"),
        (503, None, False, "refused"),
        (503, "pii_redaction_unavailable", False, "final"),
        (504, None, False, "ambiguous"),
        (504, None, True, "refused"),
        (529, None, False, "refused"),
        (599, None, False, "ambiguous"),
    ],
)
def test_an_error_answer_says_whether_it_may_be_sent_again(
    status: int, code: str | None, names_wait: bool, safety: RetrySafety
) -> None:
    assert safety_of_status(status, code, names_wait=names_wait) == safety


PAST = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "in_body", "least", "most"),
    [
        ({}, 5, 5, 5),
        ({}, 4.5, 4.5, 4.5),
        ({}, "3", 3, 3),
        ({"retry-after": "2"}, None, 2, 2),
        ({"retry-after": "2.5"}, 1, 2.5, 2.5),
        ({"retry-after-ms": "1500"}, None, 1.5, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "1"}, 1, 1.5, 1.5),
        ({"retry-after": "1"}, 30, 30, 30),
        ({"retry-after": "5, 70"}, None, 70, 70),
        ({"retry-after": PAST}, None, 0, 0),
        ({"retry-after": "Sunday, 06-Nov-94 08:49:37 GMT"}, None, 0, 0),
        ({"retry-after": "0"}, None, 0, 0),
    ],
)
def test_the_longest_wait_that_was_named_counts(
    headers: dict[str, str], in_body: object, least: float, most: float
) -> None:
    wait = longest_wait(headers, in_body)

    assert wait is not None
    assert least <= wait <= most


def test_a_date_names_the_seconds_until_then() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)

    wait = longest_wait({"retry-after": date})

    assert wait is not None
    assert 60 <= wait <= 90


@pytest.mark.parametrize(
    "hint",
    [
        "",
        "-1",
        "nan",
        "inf",
        "1e3",
        "²",
        "٣",
        "1" * 13,
        "1.1234567",
        "soon",
        "0x10",
        "1_000",
        "Mon, 01 Jan 0000 00:00:00 GMT",
        "9" * 5000,
        True,
        None,
        [],
        {},
        -1,
        10**400,
        1e300,
        float("nan"),
        float("inf"),
    ],
    ids=lambda hint: repr(hint)[:20],
)
def test_a_hint_that_means_nothing_counts_as_absent(hint: object) -> None:
    assert longest_wait({}, hint) is None
    if isinstance(hint, str):
        assert longest_wait({"retry-after": hint, "retry-after-ms": hint}) is None


def attempts(*, left: float, budget: RetryBudget | None = None, **policy: Any) -> Attempts:
    plan = Attempts(RetryPolicy(**policy), budget or RetryBudget(), left, clock=lambda: 0.0)
    plan.count = 1
    return plan


HINTS = st.one_of(
    st.integers(0, 1200).map(str),
    st.decimals(0, 1200, places=3).map(str),
    st.decimals(0, 10**12, places=6).map(str),
    st.sampled_from(["-1", "nan", "inf", "1e3", "", "soon", "9" * 400, "\xb2", PAST]),
    st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=12),
)
CASES = st.tuples(HINTS, HINTS, HINTS, st.floats(0, 1000), st.floats(0, 1000), st.floats(0, 1))


@settings(max_examples=100)
@given(cases=st.lists(CASES, min_size=100, max_size=100))
def test_a_wait_is_never_shorter_than_named_nor_longer_than_the_deadline(
    cases: list[tuple[str, str, str, float, float, float]],
) -> None:
    for seconds, milliseconds, in_body, left, longest, jitter in cases:
        plan = attempts(left=left, max_retry_after=longest)
        plan.jitter = lambda jitter=jitter: jitter  # type: ignore[misc]  # As of this turn.
        hint = longest_wait({"retry-after": seconds, "retry-after-ms": milliseconds}, in_body)
        error = MeshAPIError("busy", retry_after=hint, retry_safety="refused")
        wait = plan.wait(error)

        if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", seconds):
            assert hint is not None
            assert hint >= float(seconds)
        if not plan.give_up(error, wait):
            assert wait < left
            assert (hint or 0) <= wait <= (8 if hint is None else hint * 1.1)
            assert (hint or 0) <= longest
        elif hint is not None:
            assert hint >= left or hint > longest


ANSWERS = st.tuples(
    st.sampled_from([200, 400, 402, 408, 429, 500, 501, 502, 503, 504, 529]), HINTS, st.booleans()
)


@settings(max_examples=300)
@given(
    answers=st.lists(ANSWERS, min_size=1, max_size=6),
    deadline=st.floats(0.5, 400),
    retries=st.integers(0, 4),
    ambiguous=st.booleans(),
)
def test_a_call_is_billed_once_and_waits_as_told_whatever_the_gateway_says(
    answers: list[tuple[int, str, bool]], deadline: float, retries: int, ambiguous: bool
) -> None:
    """The clock and the sleep are ours: a run takes no time, and what it waited is known."""
    sent: list[httpx.Request] = []
    waits: list[float] = []
    named: list[float | None] = []
    statuses: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        status, hint, in_body = answers[min(len(sent), len(answers) - 1)]
        sent.append(request)
        statuses.append(status)
        headers = [] if in_body else [(b"retry-after", hint.encode("latin-1"))]
        error = {"message": "no", **({"retry_after_seconds": hint} if in_body else {})}
        body: dict[str, object] = {"choices": []} if status == 200 else {"error": error}
        named.append(longest_wait({}, hint) if in_body else longest_wait({"retry-after": hint}))
        return httpx.Response(status, headers=headers, json=body)

    with httpx.Client(transport=httpx.MockTransport(answer)) as lent:
        policy = RetryPolicy(max_retries=retries, retry_ambiguous=ambiguous)
        client = MeshAPI(token="rsk_test", http_client=lent, timeout=deadline, retry=policy)
        transport = client.chat.completions._transport
        transport.clock = lambda: sum(waits)
        transport.sleep = waits.append
        with suppress(APIStatusError):
            client.chat.completions.create(QUESTION)

    repeatable = {408, 429, 502, 503, 529}
    for status, wait, slept in zip(statuses, named, waits, strict=False):
        refused = status in repeatable or (status in {500, 504} and wait is not None)
        assert refused or (ambiguous and status in {500, 504})
        assert slept >= (wait or 0)
        assert slept <= (8 if wait is None else wait * 1.1)
    assert len(sent) == len(waits) + 1 <= retries + 1
    assert sum(waits) < deadline
    assert len({each.headers["idempotency-key"] for each in sent}) == 1
    assert [each.headers["x-meshapi-attempt"] for each in sent] == [
        str(number) for number in range(1, len(sent) + 1)
    ]


def test_jitter_is_given_up_before_the_deadline_is() -> None:
    plan = attempts(left=5.2)
    plan.jitter = lambda: 1.0
    error = MeshAPIError("busy", retry_after=5, retry_safety="refused")

    assert plan.wait(error) == 5
    assert not plan.give_up(error, 5)


@given(count=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_a_wait_of_our_own_doubles_up_to_its_limit(count: int, jitter: float) -> None:
    wait = RetryPolicy().wait(MeshAPIError("gone"), count, jitter=jitter)

    full = min(8.0, 0.5 * 2 ** min(count - 1, 20))
    assert full / 2 <= wait <= full


def test_the_budget_is_ten_repeats_and_a_success_gives_a_tenth_back() -> None:
    budget = RetryBudget()
    budget.refund()

    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2
    for _ in range(9):
        budget.refund()
    assert not budget.spend()
    budget.refund()
    assert budget.spend()


def test_a_dead_gateway_sees_at_most_ten_repeats_from_a_client(colour: Sync) -> None:
    with WireServer(busy()) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_retries=2)
        impatient(client)
        for _ in range(20):
            with pytest.raises(APIStatusError):
                colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert len(server.requests) == 20 + 10


def test_a_wait_that_the_server_names_costs_no_budget(colour: Sync) -> None:
    with WireServer(busy(429, retry_after="1")) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_retries=2)
        waits = impatient(client)
        for _ in range(7):
            with pytest.raises(APIStatusError):
                colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert len(server.requests) == 21
    assert len(waits) == 14
    assert all(1 <= wait <= 1.1 for wait in waits)


@pytest.mark.parametrize(
    ("script", "policy", "posts"),
    [
        pytest.param(busy(503), RetryPolicy(), 3, id="refused"),
        pytest.param(busy(429, retry_after="1"), RetryPolicy(max_retries=1), 2, id="named wait"),
        pytest.param(busy(500), RetryPolicy(), 1, id="ambiguous"),
        pytest.param(busy(504), RetryPolicy(retry_ambiguous=True), 3, id="ambiguous, asked for"),
        pytest.param(busy(400), RetryPolicy(retry_ambiguous=True), 1, id="final"),
        pytest.param(busy(503), RetryPolicy(max_retries=0), 1, id="no retries"),
        pytest.param(busy(429, retry_after="61"), RetryPolicy(), 1, id="longer than we wait"),
        pytest.param(b"", RetryPolicy(), 1, id="cut before the answer"),
        pytest.param(ANSWER[:-5], RetryPolicy(), 1, id="cut in the answer"),
        pytest.param(response("<html>"), RetryPolicy(retry_ambiguous=True), 1, id="bad 200"),
    ],
)
def test_a_request_is_sent_as_often_as_its_failure_allows(
    script: bytes, policy: RetryPolicy, posts: int, colour: Sync
) -> None:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test", retry=policy)
        impatient(client)
        with pytest.raises(MeshAPIError) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert len(server.requests) == posts
    assert caught.value.meta.attempts == posts


def test_attempts_share_an_idempotency_key_and_are_numbered(colour: Sync) -> None:
    with WireServer(busy(), busy(), ANSWER) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        impatient(client)
        completion = colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.chat.completions.create(QUESTION, idempotency_key="mine"))
        colour.settle(client.close())

    keys = [each.headers["idempotency-key"] for each in server.requests]
    assert completion.text == "Hello"
    assert completion.meta.attempts == 3
    assert len(set(keys[:3])) == 1
    assert keys[3] == "mine"
    assert [each.headers["x-meshapi-attempt"] for each in server.requests] == ["1", "2", "3", "1"]


def test_a_refused_connection_is_repeated_as_not_sent(colour: Sync) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = colour.client(base_url=f"http://127.0.0.1:{port}", token="rsk_test")
    waits = impatient(client)

    with pytest.raises(ConnectionFailed) as caught:
        colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    assert not isinstance(caught.value, DeadlineExceeded)
    assert caught.value.retry_safety == "not_sent"
    assert caught.value.meta.attempts == 3
    assert len(waits) == 2


def test_a_token_function_is_asked_before_every_attempt(colour: Sync) -> None:
    tokens = iter(["rsk_one", "rsk_two"])
    with WireServer(busy(), ANSWER) as server:
        client = colour.client(base_url=server.url, token=lambda: next(tokens))
        impatient(client)
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert [each.headers["authorization"] for each in server.requests] == [
        "Bearer rsk_one",
        "Bearer rsk_two",
    ]


def test_a_policy_and_a_count_together_are_refused(colour: Sync) -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        colour.client(token="rsk_test", max_retries=1, retry=RetryPolicy())


@pytest.mark.parametrize("bad", [-1, 1.5, True, "2", None])
def test_a_policy_refuses_a_count_that_is_none(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_retries"):
        RetryPolicy(max_retries=bad)


def test_tenacity_is_imported_on_the_first_failure_only() -> None:
    script = """
import sys, json, httpx
import meshapi
answers = iter([200, 401, 503, 200])
def answer(request):
    status = next(answers)
    return httpx.Response(status, json={"choices": []} if status == 200 else {})
client = meshapi.MeshAPI(token="t", http_client=httpx.Client(transport=httpx.MockTransport(answer)))
params = meshapi.ChatCompletionParams(messages=[])
seen = []
client.chat.completions.create(params); seen.append("tenacity" in sys.modules)
try: client.chat.completions.create(params)
except meshapi.Unauthorized: seen.append("tenacity" in sys.modules)
client.chat.completions.create(params); seen.append("tenacity" in sys.modules)
print(json.dumps(seen))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert json.loads(run.stdout) == [False, False, True]
