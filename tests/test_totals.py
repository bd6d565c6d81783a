"""What a client counts: calls, attempts, retries, errors, tokens and US dollars."""

from __future__ import annotations

import copy
import json
import os
import pickle
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from types import FrameType
from typing import Any, cast

import pytest

from meshapi import (
    APIStatusError,
    AsyncStream,
    ChatCompletionParams,
    ChatCompletionStream,
    ComparisonEvent,
    ComparisonParams,
    ConfigurationError,
    ConnectionFailed,
    InvalidRequest,
    MeshAPIError,
    OutputParseError,
    RateLimit,
    RateLimitExceeded,
    SpendLimitExceeded,
    Stream,
    StreamInterrupted,
    Totals,
)
from meshapi._core import totals as totals_module
from meshapi._core.totals import Ledger
from meshapi._core.usage import Used
from meshapi.local import LocalGateway
from tests.colours import Client, Sync
from tests.wire_server import Script, WireServer, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
BUSY = response(
    '{"error": {"code": "rate_limit_exceeded"}}', status=429, headers={"retry-after": "0"}
)


def asked(session: str | None = None) -> ChatCompletionParams:
    return QUESTION if session is None else QUESTION.model_copy(update={"session_id": session})


def whole(**facts: object) -> bytes:
    choice = {"message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}
    return response(json.dumps({"choices": [choice], **facts}))


def piece(text: str = "Yes", **facts: object) -> str:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}], **facts})}\n\n"


def summary(totals: Totals) -> tuple[float | Decimal, ...]:
    tokens = (totals.prompt_tokens, totals.completion_tokens, totals.total_tokens)
    return (totals.calls, *tokens, totals.cost)


def settled(
    colour: Sync, scripts: list[Script], use: Callable[[Client], object], **options: object
) -> Totals:
    """What is counted when a client is used, whatever is raised."""
    with WireServer(*scripts) as server:
        client = colour.client(base_url=server.url, token="rsk_test", **options)
        with suppress(MeshAPIError):
            use(client)
        totals = client.totals
        colour.settle(client.close())
    return totals


def test_the_totals_agree_with_what_the_gateway_booked(colour: Sync) -> None:
    with LocalGateway() as gateway:
        gateway.add_template("greeting", "You greet {{who}}.")
        client = colour.client(base_url=gateway.base_url, token=gateway.token)
        completions = client.chat.completions
        of_template = {"template": "greeting", "variables": {"who": "all"}, "session_id": "b"}

        colour.settle(completions.create(asked()))
        colour.settle(completions.create(asked("a")))
        colour.collect(completions.stream(asked("a")))
        colour.settle(completions.create(QUESTION.model_copy(update=of_template)))
        colour.settle(completions.create(asked("a"), extra_body={"session_id": "b"}))
        totals = client.totals
        booked = {
            name: (used.requests, used.prompt_tokens, used.completion_tokens, used.cost_usd)
            for name, used in gateway.usage.items()
        }
        colour.settle(client.close())

    def counted(totals: Totals) -> tuple[object, ...]:
        return totals.calls, totals.prompt_tokens, totals.completion_tokens, totals.cost

    assert {name: counted(each) for name, each in totals.sessions.items()} == {
        name: used for name, used in booked.items() if name is not None
    }
    assert counted(totals) == tuple(map(sum, zip(*booked.values(), strict=True)))
    assert (totals.calls, totals.attempts, totals.retries, totals.errors) == (5, 5, 0, {})
    assert totals.cost > 0


@pytest.mark.parametrize(
    ("facts", "counted"),
    [
        ({}, (1, 0, 0, 0, 0)),
        ({"usage": None}, (1, 0, 0, 0, 0)),
        ({"usage": USAGE}, (1, 3, 4, 7, 0)),
        ({"usage": {"prompt_tokens": 3, "completion_tokens": None}}, (1, 3, 0, 3, 0)),
        ({"usage": {**USAGE, "cost": 0.25}}, (1, 3, 4, 7, "0.25")),
        ({"usage": {**USAGE, "cost": "0.25"}, "cost": 9}, (1, 3, 4, 7, "0.25")),
        ({"usage": USAGE, "cost": "0.25"}, (1, 3, 4, 7, "0.25")),
        ({"cost": 1e-9}, (1, 0, 0, 0, "1e-9")),
        ({"cost": -1}, (1, 0, 0, 0, -1)),
        ({"cost": "1e999999"}, (1, 0, 0, 0, "1e999999")),
    ],
    ids=str,
)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_tokens_and_dollars_are_those_that_the_answer_says(
    facts: dict[str, Any], counted: tuple[Any, ...], streams: bool, colour: Sync
) -> None:
    script = (
        events(piece() + piece("", **facts) + "data: [DONE]\n\n") if streams else whole(**facts)
    )

    def use(client: Client) -> None:
        if streams:
            colour.collect(client.chat.completions.stream(QUESTION))
        else:
            colour.settle(client.chat.completions.create(QUESTION))

    calls, *tokens, cost = counted
    assert summary(settled(colour, [script], use)) == (calls, *tokens, Decimal(cost))


def test_no_cost_is_too_large_to_be_added(colour: Sync) -> None:
    def use(client: Client) -> None:
        for _ in range(11):
            colour.settle(client.chat.completions.create(QUESTION))

    totals = settled(colour, [whole(cost="9e999999")], use)

    assert totals.cost == Decimal("Infinity")
    assert (totals - totals).cost.is_nan()


STREAM = piece("One ") + piece("two", usage={**USAGE, "cost": 1}) + piece(" three")


def left_after(colour: Sync, count: int) -> Callable[[Client], object]:
    def use(client: Client) -> None:
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, count)
        colour.settle(stream.close())

    return use


def test_a_stream_that_is_left_counts_what_it_said_before(colour: Sync) -> None:
    script = events(STREAM + "data: [DONE]\n\n")

    assert summary(settled(colour, [script], left_after(colour, 1))) == (1, 0, 0, 0, 0)
    assert summary(settled(colour, [script], left_after(colour, 2))) == (1, 3, 4, 7, 1)


def test_a_stream_that_fails_counts_what_it_used_and_its_error_once(colour: Sync) -> None:
    def use(client: Client) -> None:
        colour.collect(client.chat.completions.stream(QUESTION))

    totals = settled(colour, [events(STREAM)], use)

    assert summary(totals) == (1, 3, 4, 7, 1)
    assert totals.errors == {StreamInterrupted: 1}


def test_an_open_stream_is_a_call_and_its_tokens_come_at_its_end(colour: Sync) -> None:
    seen: list[Totals] = []

    def use(client: Client) -> None:
        stream = client.chat.completions.stream(QUESTION)
        if isinstance(stream, ChatCompletionStream):
            stream.__enter__()
        else:
            colour.settle(cast("Awaitable[None] | None", stream.__aenter__()))
        seen.append(client.totals)
        colour.settle(stream.close())

    settled(colour, [events(piece(usage=USAGE) + "data: [DONE]\n\n")], use)

    assert summary(seen[0]) == (1, 0, 0, 0, 0)


def test_attempts_and_retries_are_those_of_the_call_also_where_it_opens_a_stream(
    colour: Sync,
) -> None:
    def use(client: Client) -> None:
        colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.chat.completions.create(QUESTION))

    answers = [events(piece(usage=USAGE) + "data: [DONE]\n\n"), whole(usage=USAGE)]
    totals = settled(colour, [BUSY, BUSY, *answers], use)

    assert (totals.calls, totals.attempts, totals.retries, totals.total_tokens) == (2, 4, 2, 14)
    assert totals.errors == {}


def test_errors_are_counted_by_class_and_a_class_that_never_came_is_zero(colour: Sync) -> None:
    spent = response('{"error": {"code": "spend_limit_exceeded"}, "usage": {}}', status=402)

    def use(client: Client) -> None:
        for _ in range(3):
            with pytest.raises(APIStatusError):
                colour.settle(client.chat.completions.create(QUESTION))

    totals = settled(colour, [spent, spent, BUSY], use, max_retries=0)

    assert totals.errors == {SpendLimitExceeded: 2, RateLimitExceeded: 1}
    assert totals.errors[SpendLimitExceeded] == 2
    assert totals.errors[StreamInterrupted] == 0
    assert (totals.calls, totals.attempts) == (3, 3)


def test_an_error_in_a_200_is_an_error_and_says_nothing_of_tokens(colour: Sync) -> None:
    def use(client: Client) -> None:
        colour.settle(client.chat.completions.create(QUESTION, max_retries=0))

    totals = settled(colour, [response(json.dumps({"error": {"code": "x"}, "usage": USAGE}))], use)

    assert (totals.calls, totals.total_tokens, sum(totals.errors.values())) == (1, 0, 1)


def test_an_answer_that_is_not_of_the_type_is_an_answer_all_the_same(colour: Sync) -> None:
    def use(client: Client) -> None:
        with pytest.raises(OutputParseError):
            colour.settle(client.chat.completions.parse(QUESTION, int))

    totals = settled(colour, [whole(usage=USAGE)], use)

    assert (totals.calls, totals.total_tokens, totals.errors) == (1, 7, {})


def test_what_is_refused_before_the_call_is_no_call_and_what_cannot_leave_is_one(
    colour: Sync,
) -> None:
    def use(client: Client) -> None:
        completions = client.with_options(rate_limit=RateLimit(rpm=1), timeout=5).chat.completions
        with pytest.raises(InvalidRequest):
            colour.settle(completions.create(QUESTION, idempotency_key="a b"))
        colour.settle(completions.create(QUESTION))
        with pytest.raises(RateLimitExceeded):
            colour.settle(completions.create(QUESTION))
        nowhere = client.with_options(base_url="http://127.0.0.1:9", max_retries=1)
        with pytest.raises(ConnectionFailed):
            colour.settle(nowhere.chat.completions.create(QUESTION))

    totals = settled(colour, [whole(usage=USAGE)], use)

    assert (totals.calls, totals.attempts, totals.retries) == (3, 3, 1)
    assert totals.errors == {RateLimitExceeded: 1, ConnectionFailed: 1}


def test_a_call_that_is_given_up_is_counted_and_is_no_error(colour: Sync) -> None:
    def give_up() -> str:
        raise KeyboardInterrupt

    client = colour.client(base_url="http://127.0.0.1:9", token=give_up)
    with pytest.raises(KeyboardInterrupt):
        colour.settle(client.chat.completions.create(QUESTION))

    assert (client.totals.calls, client.totals.attempts, client.totals.errors) == (1, 0, {})


def test_a_comparison_counts_all_that_answered_and_the_judge(colour: Sync) -> None:
    params = ComparisonParams(models=["a", "b"], messages=QUESTION.messages)
    cheap = {**USAGE, "cost": "0.1"}
    results = [{"model": "a", "usage": USAGE}, {"model": "b", "usage": cheap}, {"error": "no"}]
    answer = response(json.dumps({"results": results, "comparison_usage": cheap}))
    told = [
        ("model_stream_done", {"model": "a", "usage": USAGE}),
        ("model_stream_done", {"model": "b", "usage": cheap}),
        ("comparison_chunk", {"usage": cheap}),
        ("done", {"usage": {"total_tokens": 999}}),
    ]
    told_so = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told)

    async def read(stream: AsyncStream[ComparisonEvent]) -> None:
        assert len([each async for each in stream]) == 4

    def use(client: Client) -> None:
        colour.settle(client.chat.compare.create(params))
        stream = client.chat.compare.stream(params)
        if isinstance(stream, Stream):
            assert len(list(stream)) == 4
        else:
            colour.settle(cast("Awaitable[None] | None", read(stream)))

    totals = settled(colour, [answer, events(told_so)], use)

    assert summary(totals) == (2, 18, 24, 42, Decimal("0.4"))


def test_each_question_of_a_run_is_a_call(colour: Sync) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    with LocalGateway() as gateway:
        client = colour.client(base_url=gateway.base_url, token=gateway.token)
        params = asked("sum").model_copy(update={"tool_choice": "required"})
        run = colour.settle(client.chat.completions.run(params, tools=[add]))
        totals = client.totals
        colour.settle(client.close())

    used = [each.usage.total_tokens for each in run.completions if each.usage]
    assert len(used) > 1
    assert totals.sessions["sum"] == totals - Totals()
    assert (totals.calls, totals.total_tokens) == (len(used), sum(used))


@pytest.mark.parametrize(
    ("body", "extra", "session"),
    [
        (None, {}, "of-header"),
        ("of-params", {}, "of-params"),
        ("of-params", {"session_id": "of-extra"}, "of-extra"),
        ("of-params", {"session_id": None}, "of-header"),
        ("of-params", {"session_id": 5}, "of-header"),
        (None, {"session_id": ""}, "of-header"),
    ],
    ids=str,
)
def test_the_session_is_what_the_wire_says_the_body_before_the_header(
    body: str | None, extra: dict[str, Any], session: str, colour: Sync
) -> None:
    def use(client: Client) -> None:
        headers = {"X-Session-Id": "of-header"}
        completions = client.chat.completions
        colour.settle(completions.create(asked(body), extra_body=extra, headers=headers))
        colour.settle(client.chat.completions.create(QUESTION))

    totals = settled(colour, [whole(usage=USAGE)], use)

    assert isinstance(totals, totals_module.ClientTotals)
    assert {name: each.calls for name, each in totals.sessions.items()} == {session: 1}
    assert totals.sessions["another"] == Totals()


@pytest.mark.parametrize("reads", [False, True], ids=["at the end", "in between"])
def test_of_too_many_sessions_the_one_longest_without_a_call_is_dropped(
    reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals_module, "MOST_SESSIONS", 3)
    ledger = Ledger()
    for session in ("a", "b", "c", "a", "d"):
        ledger.write(session, 1, 1)
        if reads:
            ledger.totals()

    sessions = ledger.totals().sessions
    assert {name: each.calls for name, each in sessions.items()} == {"c": 1, "a": 2, "d": 1}
    assert sessions["b"].calls == 0
    assert ledger.totals().calls == 5


def test_threads_lose_nothing_and_a_reader_never_sees_half_a_call() -> None:
    ledger = Ledger()
    used = Used(1, 2, 3, Decimal("0.001"))
    halves: list[Totals] = []

    def write(number: int) -> None:
        for _ in range(500):
            ledger.write(f"s{number % 2}", 1, 2, used, ConnectionFailed)

    def read() -> None:
        while (seen := ledger.totals()).calls < 4000:
            halves.extend([seen] * (seen.total_tokens != 3 * seen.calls))

    with ThreadPoolExecutor(9) as threads:
        reading = threads.submit(read)
        list(threads.map(write, range(8)))
        reading.result(10)

    totals = ledger.totals()
    assert halves == []
    assert (totals.calls, totals.attempts, totals.retries) == (4000, 8000, 4000)
    assert summary(totals) == (4000, 4000, 8000, 12000, Decimal(4))
    assert totals.errors == {ConnectionFailed: 4000}
    assert [each.calls for each in totals.sessions.values()] == [2000, 2000]


class _Interrupting(int):
    """Tokens that are added while a signal comes, or a dropped stream is freed."""

    ledger: Ledger
    comes = True

    def __radd__(self, other: int) -> int:
        if self.comes:
            self.comes = False
            self.ledger.write("a", 1, 1, Used(10))
            assert self.ledger.totals().prompt_tokens == 11
        return other + int(self)


def test_who_writes_and_reads_in_the_midst_of_it_waits_for_nobody_and_loses_nothing() -> None:
    ledger = _Interrupting.ledger = Ledger()
    ledger.write("a", 1, 1, Used(_Interrupting(1)))
    reading = threading.Thread(target=ledger.totals, daemon=True)

    reading.start()
    reading.join(5)

    assert not reading.is_alive()
    totals = ledger.totals()
    assert (totals.calls, totals.prompt_tokens) == (2, 11)
    assert (totals.sessions["a"].calls, totals.sessions["a"].prompt_tokens) == (2, 11)


def test_who_writes_and_reads_between_any_two_steps_of_it_loses_nothing() -> None:
    ledger = Ledger()
    steps = came_at = 0

    def come(frame: FrameType, _event: str, _about: object) -> None:
        nonlocal steps
        if frame.f_code is Ledger.totals.__code__:
            steps += 1
            if steps == came_at:
                ledger.write("a", 1, 1)
                ledger.totals()

    while steps >= came_at:
        came_at, steps, before = came_at + 1, 0, ledger.totals()
        ledger.write("a", 1, 1)
        sys.setprofile(come)
        try:
            ledger.totals()
        finally:
            sys.setprofile(None)
        ledger.write("a", 1, 1)

        assert (ledger.totals() - before).calls == 2 + (steps >= came_at)

    assert came_at > 5


def test_many_calls_are_added_up_before_anybody_reads_them() -> None:
    ledger, used = Ledger(), Used(1, 2, 3, Decimal("0.1"))

    for _ in range(1000):
        ledger.write("a", 1, 2, used)

    assert sys.getrefcount(used) < 200
    totals = ledger.totals()
    assert (totals.calls, totals.retries, totals.cost) == (1000, 1000, Decimal(100))
    assert totals.sessions["a"].cost == Decimal(100)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_goes_on_from_what_it_inherited_and_counts_for_itself() -> None:
    ledger = Ledger()
    ledger.write("a", 1, 1)
    with ledger._lock:
        child = os.fork()
        if child == 0:
            ledger.write("a", 1, 1)
            in_thread = threading.Thread(target=ledger.totals, daemon=True)  # It takes the lock.
            in_thread.start()
            in_thread.join(5)
            os._exit(ledger.totals().sessions["a"].calls if not in_thread.is_alive() else 99)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert ledger.totals().calls == 1


def test_copies_made_by_with_options_share_their_totals_and_two_clients_do_not(
    colour: Sync, gateway: LocalGateway
) -> None:
    client, other = (
        colour.client(base_url=gateway.base_url, token=gateway.token) for _ in range(2)
    )
    colour.settle(client.with_options(timeout=5).chat.completions.create(QUESTION, timeout=9))

    assert (client.totals.calls, other.totals.calls) == (1, 0)
    colour.settle(client.close())
    colour.settle(other.close())


def test_totals_are_plain_values_that_stay_as_they_are() -> None:
    ledger = Ledger()
    ledger.write("a", 1, 3, Used(1, 2, 3, Decimal("0.10")), SpendLimitExceeded)
    before = ledger.totals()
    same = ledger.totals()
    ledger.write("a", 1, 1, Used(10, 20, 30, Decimal("0.20")), ConfigurationError)
    since = ledger.totals() - before

    assert before == same == copy.deepcopy(before) == pickle.loads(pickle.dumps(before))
    assert since == Totals(1, 1, 0, 10, 20, 30, Decimal("0.20"), {ConfigurationError: 1})
    assert before.sessions["a"] == before - Totals()
    assert json.loads(json.dumps(before.as_dict())) == {
        "calls": 1,
        "attempts": 3,
        "retries": 2,
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "cost": "0.10",
        "errors": {"SpendLimitExceeded": 1},
        "sessions": {"a": (before - Totals()).as_dict()},
    }
    assert "calls=1, attempts=3, retries=2" in repr(before)
    with pytest.raises(AttributeError):
        before.calls = 5  # type: ignore[misc]  # This is what is tested.


def test_a_cost_that_is_none_reads_as_0(colour: Sync, gateway: LocalGateway) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    colour.settle(client.chat.completions.create(QUESTION))
    before = client.totals

    since = client.totals - before
    colour.settle(client.close())

    assert before.cost > 0
    assert str(since.cost) == since.as_dict()["cost"] == "0"
