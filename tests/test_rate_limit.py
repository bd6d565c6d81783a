"""A limit of the client's own: no request too many, and none held back without need."""

from __future__ import annotations

import asyncio
import heapq
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any, Literal

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshapi import (
    AsyncMeshAPI,
    ChatCompletionParams,
    ComparisonParams,
    ConfigurationError,
    ConnectionFailed,
    MeshAPI,
    ProviderError,
    RateLimit,
    RateLimitExceeded,
)
from meshapi._core import rate_limit
from meshapi._core.exchange import _STEP, _STEPS
from meshapi._core.meta import Meta
from meshapi._core.rate_limit import Place
from meshapi.local import LocalGateway, clock
from tests.colours import Async, Client, Sync

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
STREAMED: ChatCompletionParams[Literal[True]] = ChatCompletionParams(
    messages=[{"role": "user", "content": "Hi"}], stream=True
)
DUEL = ComparisonParams(
    models=["openai/gpt-4o", "local/babble"], messages=[{"role": "user", "content": "Hi"}]
)

NOW = 1_000_000.0
MINUTE, DAY, SLACK = 60.0, 86_400.0, 1.5
PERIOD = MINUTE + SLACK


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon when the clock of a table shows `NOW`; sockets keep the real time."""
    monkeypatch.setattr(rate_limit.Day, "date", staticmethod(lambda: 40.5 * DAY))


def refusal(wait: float | None, **facts: Any) -> RateLimitExceeded:
    facts = {"status_code": 429, "meta": Meta(), **facts}
    return RateLimitExceeded("No", retry_after=wait, **facts)


def stand(limit: RateLimit) -> Place:
    """Stand in line."""
    limit.enter(place := Place())
    return place


def take(limit: RateLimit, now: float) -> float:
    """Stand in line, and send if the turn has come: else, the wait that is told."""
    place = stand(limit)
    if wait := limit.wait(place, now):
        limit.give_back(place)
        return wait
    limit.sent(place, now)
    return 0.0


# The rules, one by one.


def test_any_sixty_seconds_hold_at_most_the_limit() -> None:
    limit = RateLimit(rpm=2)

    assert [take(limit, NOW), take(limit, NOW + 10)] == [0, 0]
    assert take(limit, NOW + 20) == PERIOD - 20
    assert take(limit, NOW + PERIOD - 0.1) == pytest.approx(0.1)
    assert [take(limit, NOW + PERIOD), take(limit, NOW + PERIOD)] == [0, 10]


def test_those_that_wait_are_told_when_their_turn_is() -> None:
    limit = RateLimit(rpm=2)
    take(limit, NOW)
    take(limit, NOW + 10)

    places = [stand(limit) for _ in range(5)]

    waits = [limit.wait(place, NOW + 20) for place in places]
    assert waits == [PERIOD - 20, PERIOD - 10, 2 * PERIOD - 20, 2 * PERIOD - 10, 3 * PERIOD - 20]


def test_a_place_that_is_given_back_is_somebody_elses() -> None:
    limit = RateLimit(rpm=1)
    take(limit, NOW)
    first, second, third = (stand(limit) for _ in range(3))
    assert limit.wait(third, NOW) == 3 * PERIOD

    limit.give_back(first)
    assert limit.wait(third, NOW) == 2 * PERIOD

    assert limit.wait(second, NOW + PERIOD) == 0
    assert limit.wait(third, NOW + PERIOD) == PERIOD
    limit.give_back(second)
    assert limit.wait(third, NOW + PERIOD) == 0


def test_what_was_sent_is_not_given_back() -> None:
    limit = RateLimit(rpm=1)
    place = stand(limit)
    assert limit.wait(place, NOW) == 0
    limit.sent(place, NOW)

    limit.give_back(place)

    assert take(limit, NOW) == PERIOD


def test_a_request_counts_from_when_it_has_left_and_not_from_its_turn() -> None:
    limit = RateLimit(rpm=1)
    place = stand(limit)
    assert limit.wait(place, NOW) == 0

    assert take(limit, NOW + 100) == PERIOD, "it may leave at any moment"
    limit.sent(place, NOW + 100)
    limit.sent(place, NOW + 130)  # The end of a long upload.

    assert take(limit, NOW + 131) == PERIOD - 1


def test_a_retry_comes_back_to_its_place() -> None:
    limit = RateLimit(rpm=1)
    place = stand(limit)
    assert limit.wait(place, NOW) == 0
    limit.sent(place, NOW)
    later = stand(limit)

    limit.enter(place)

    assert limit.wait(place, NOW) == PERIOD
    assert limit.wait(later, NOW) == 2 * PERIOD
    assert limit.wait(place, NOW + PERIOD) == 0
    limit.sent(place, NOW + PERIOD)
    assert limit.wait(later, NOW + PERIOD) == PERIOD


def test_all_attempts_of_a_call_count() -> None:
    limit = RateLimit(rpm=2)
    place = Place()
    for moment in (NOW, NOW + 1):
        limit.enter(place)
        assert limit.wait(place, moment) == 0
        limit.sent(place, moment)

    assert take(limit, NOW + 2) == PERIOD - 2


@pytest.mark.parametrize("wait", [0.0, 0.5, 30.0, 60.0, 61.0, 3600.0, DAY])
def test_nothing_is_sent_until_the_wait_of_a_429_is_over(wait: float) -> None:
    limit = RateLimit(rpm=10)
    waiting = stand(limit)

    limit.learn(refusal(wait), NOW)
    limit.learn(refusal(wait / 2), NOW)  # Another one, that says less.

    assert limit.wait(waiting, NOW) == wait
    if wait:
        assert limit.wait(waiting, NOW + wait - 0.25) == 0.25
        assert limit.wait(waiting, NOW + wait) == 0


def test_a_429_frees_no_place() -> None:
    limit = RateLimit(rpm=1)
    take(limit, NOW)

    limit.learn(refusal(5), NOW)

    assert take(limit, NOW + 5) == PERIOD - 5, "the wait may be that of another limit"


@pytest.mark.parametrize(
    "error",
    [
        refusal(None),
        refusal(30, provider_error=ProviderError(provider="openai")),
        refusal(30, code="upstream_rate_limit_error"),
        refusal(30, code="batch_limit_exceeded"),
    ],
    ids=["no wait", "a provider's", "a provider's by its code", "batches"],
)
def test_a_429_that_tells_nothing_of_the_key_teaches_nothing(error: RateLimitExceeded) -> None:
    limit = RateLimit(rpm=10)

    limit.learn(error, NOW)

    assert take(limit, NOW) == 0


def test_no_wait_closes_for_longer_than_a_day() -> None:
    limit = RateLimit(rpm=10)

    limit.learn(refusal(1e12), NOW)

    assert take(limit, NOW) == DAY


def test_a_day_begins_at_midnight() -> None:
    limit = RateLimit(rpd=2)
    midnight = NOW + DAY / 2

    assert [take(limit, NOW), take(limit, NOW)] == [0, 0]
    assert take(limit, NOW) == DAY / 2 + SLACK
    assert [take(limit, midnight + SLACK) for _ in range(3)] == [0, 0, DAY]


def test_those_that_wait_for_days_are_told_so() -> None:
    limit = RateLimit(rpd=2)

    places = [stand(limit) for _ in range(6)]

    rest = DAY / 2 + SLACK
    waits = [limit.wait(place, NOW) for place in places]
    assert waits == [0, 0, rest, rest, rest + DAY, rest + DAY]


def test_what_is_sent_at_midnight_counts_on_both_days() -> None:
    limit = RateLimit(rpd=2)
    midnight = NOW + DAY / 2
    take(limit, NOW)

    assert take(limit, midnight - 1) == 0
    assert take(limit, midnight + 1) == pytest.approx(0.5)
    assert [take(limit, midnight + 2), take(limit, midnight + 2)] == [0, DAY - 0.5]


def test_a_429_with_a_long_wait_says_when_the_day_ends() -> None:
    limit = RateLimit(rpd=2)
    take(limit, NOW)

    limit.learn(refusal(3600), NOW)

    assert take(limit, NOW) == 3600
    after = NOW + 3600 + SLACK
    assert [take(limit, after) for _ in range(3)] == [0, 0, DAY]


@pytest.mark.parametrize("wait", [59, 60, 61])
def test_a_wait_of_a_minute_does_not_move_the_day(wait: float) -> None:
    limit = RateLimit(rpd=1)
    take(limit, NOW)

    limit.learn(refusal(wait), NOW)

    assert take(limit, NOW + 100) == DAY / 2 + SLACK - 100


def test_the_later_of_both_limits_counts() -> None:
    limit = RateLimit(rpm=1, rpd=2)
    assert take(limit, NOW) == 0
    assert take(limit, NOW) == PERIOD
    assert take(limit, NOW + PERIOD) == 0
    assert take(limit, NOW + 2 * PERIOD) == DAY / 2 + SLACK - 2 * PERIOD


def test_a_day_costs_no_memory() -> None:
    limit = RateLimit(rpd=1_000_000)

    for _ in range(1000):
        take(limit, NOW)

    assert not limit._minute._sent


def test_a_clock_that_a_test_had_moved_leaves_nothing_behind() -> None:
    limit = RateLimit(rpm=1, rpd=1)
    take(limit, NOW + 3 * DAY)
    limit.learn(refusal(3600), NOW + 3 * DAY)

    assert take(limit, NOW) == 0
    assert take(limit, NOW - 1) > 0, "threads may look at a clock out of order"


@pytest.mark.parametrize("limits", [{}, {"rpm": 0}, {"rpd": -1}, {"rpm": 1.5}, {"rpm": True}])
def test_a_limit_that_means_nothing_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"RateLimit|whole number"):
        RateLimit(**limits)


def test_a_limit_shows_itself() -> None:
    assert repr(RateLimit(rpm=600, rpd=9)) == "RateLimit(rpm=600, rpd=9)"
    assert repr(RateLimit(rpd=9)) == "RateLimit(rpd=9)"


# A world without sockets: a server that counts, and programs that call it.


@dataclass
class Server:
    """Counts in fixed windows, from an edge of its own or from the first request of each."""

    limit: int
    edge: float | None
    seconds: float = MINUTE
    counted: int = 0
    ends: float = -math.inf
    refused: list[float] = field(default_factory=list[float])

    def ask(self, now: float) -> float | None:
        """None, or the wait that is named, in whole seconds."""
        if now >= self.ends:
            begun = now if self.edge is None else self._begun(now, self.edge)
            self.counted, self.ends = 0, begun + self.seconds
        self.counted += 1
        if self.counted <= self.limit:
            return None
        self.refused.append(now)
        return max(1, math.ceil(self.ends - now))

    def _begun(self, now: float, edge: float) -> float:
        return edge + math.floor((now - edge) / self.seconds) * self.seconds


@dataclass
class World:
    """What happens, one after the other."""

    server: Server
    limit: RateLimit
    now: float = NOW
    served: list[float] = field(default_factory=list[float])
    told: dict[int, float] = field(default_factory=dict[int, float])
    turns: dict[int, float] = field(default_factory=dict[int, float])
    _order: Iterator[int] = field(default_factory=count)
    _next: list[tuple[float, int, Iterator[float]]] = field(
        default_factory=list[tuple[float, int, Iterator[float]]]
    )

    def add(self, at: float, happening: Iterator[float]) -> None:
        heapq.heappush(self._next, (at, next(self._order), happening))

    def run(self) -> None:
        while self._next:
            self.now, _, happening = heapq.heappop(self._next)
            if (wait := next(happening, None)) is not None:
                self.add(self.now + wait, happening)

    def call(self, departs: float, latency: float, patience: float = math.inf) -> Iterator[float]:
        """A call of this limit's user; one without patience is cancelled while it waits."""
        until = self.now + patience
        place = Place()
        while True:
            self.limit.enter(place)
            while wait := self.limit.wait(place, self.now):
                self.told.setdefault(place.number, self.now + wait)
                if self.now >= until:
                    return self.limit.give_back(place)
                yield min(wait, max(_STEP, wait / _STEPS))
            self.turns.setdefault(place.number, self.now)
            yield departs
            self.limit.sent(place, self.now)
            yield latency
            refused = self.server.ask(self.now)
            if refused is None:
                return self.served.append(self.now)
            yield latency
            self.limit.learn(refusal(refused), self.now)
            yield refused

    def stranger(self) -> Iterator[float]:
        """Somebody else's request with the same key."""
        self.server.ask(self.now)
        yield from ()


edges = st.one_of(st.none(), st.floats(0, 60).map(lambda offset: NOW + offset))
calls = st.lists(
    st.tuples(
        st.floats(0, 300),  # When it begins,
        st.floats(0, 20),  # how long it takes from its turn until it leaves,
        st.floats(0, 1),  # and until it arrives,
        st.one_of(st.just(math.inf), st.floats(0, 100)),  # and after what wait it is cancelled.
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(st.integers(1, 8), edges, calls)
def test_the_gateway_sees_no_request_too_many_wherever_its_windows_begin(
    rpm: int, edge: float | None, calls: list[tuple[float, float, float, float]]
) -> None:
    world = World(Server(rpm, edge), RateLimit(rpm=rpm))
    for begins, *how in calls:
        world.add(NOW + begins, world.call(*how))

    world.run()

    stayed = [patience for *_, patience in calls if patience == math.inf]
    assert not world.server.refused
    assert len(stayed) <= len(world.served) <= len(calls)
    assert not world.limit._line
    assert not world.limit._leaving


@settings(max_examples=20)
@given(st.integers(1, 25), edges, st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_who_is_busy_gets_what_the_limit_allows(
    rpm: int, edge: float | None, latencies: list[float]
) -> None:
    world = World(Server(rpm, edge), RateLimit(rpm=rpm))
    minutes = 20
    for number in range(minutes * rpm):
        world.add(NOW, world.call(0, latencies[number % len(latencies)]))

    world.run()

    assert not world.server.refused
    assert len(world.served) == minutes * rpm
    assert max(world.served) - NOW <= minutes * MINUTE / 0.95
    in_order = [world.turns[number] for number in sorted(world.turns)]
    assert in_order == sorted(in_order), "first come, first served"


@settings(max_examples=100)
@given(st.integers(1, 8), calls)
def test_nobody_waits_longer_than_was_told_at_first(
    rpm: int, calls: list[tuple[float, float, float, float]]
) -> None:
    world = World(Server(rpm, NOW), RateLimit(rpm=rpm))
    for begins, _, latency, patience in calls:
        world.add(NOW + begins, world.call(0, latency, patience))

    world.run()

    for number, turn in world.turns.items():
        assert turn <= world.told.get(number, math.inf) + 0.001


@settings(max_examples=100)
@given(
    st.integers(2, 8),
    edges,
    st.lists(st.floats(0, 120), min_size=1, max_size=30),
    st.floats(0, 1),
)
def test_after_the_429s_that_others_caused_there_is_none(
    rpm: int, edge: float | None, strangers: list[float], latency: float
) -> None:
    world = World(Server(rpm, edge), RateLimit(rpm=rpm))
    minutes = 10
    for _ in range(minutes * rpm):
        world.add(NOW, world.call(0, latency))
    for moment in strangers:
        world.add(NOW + moment, world.stranger())

    world.run()

    last = NOW + max(strangers)
    assert all(moment <= last + MINUTE for moment in world.server.refused)
    assert len(world.served) == minutes * rpm
    # What is left when the windows of the others are over is sent as if they had never been.
    rest = [moment for moment in world.served if moment > last + 2 * PERIOD]
    if rest:
        taken = max(rest) - (last + 2 * PERIOD)
        assert taken <= math.ceil(len(rest) / rpm) * PERIOD + SLACK


@settings(max_examples=50)
@given(st.integers(1, 30), st.lists(st.floats(0, 3 * DAY), max_size=100), st.floats(0, 1))
def test_the_gateway_sees_no_request_too_many_in_a_day(
    rpd: int, begins: list[float], latency: float
) -> None:
    midnight = NOW + DAY / 2
    world = World(Server(rpd, midnight, DAY), RateLimit(rpd=rpd))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_limit.Day, "date", staticmethod(lambda: 40.5 * DAY))
        world.limit._day.begin(NOW)
        for moment in begins:
            world.add(NOW + moment, world.call(0, latency))
        world.run()

    assert not world.server.refused
    assert len(world.served) == len(begins)


# Over sockets, against a gateway whose clock moves where a client would wait.


def chats(colour: Sync, client: Client, times: int, at_once: int = 30) -> None:
    """Ask so many questions: all tasks together, or in so many threads."""
    if isinstance(client, AsyncMeshAPI):

        async def ask() -> str | None:
            return (await client.chat.completions.create(QUESTION)).text

        assert all(colour.together(ask, times))
        return
    with ThreadPoolExecutor(at_once) as threads:
        asked = [threads.submit(client.chat.completions.create, QUESTION) for _ in range(times)]
        for each in asked:
            each.result()


def assert_untroubled(client: Client, calls: int) -> None:
    totals = client.totals
    assert (totals.calls, totals.attempts, totals.errors) == (calls, calls, {})


def test_a_thousand_calls_at_600_a_minute_see_no_429(gateway: LocalGateway, colour: Sync) -> None:
    token = gateway.add_key(rpm=600)
    limit = RateLimit(rpm=600)

    with gateway.skip_waits():
        client = colour.client(
            base_url=gateway.base_url, token=token, rate_limit=limit, max_connections=30
        )
        chats(colour, client, 1000)

    assert_untroubled(client, 1000)


def test_the_calls_of_two_minutes_see_no_429_where_a_test_sets_the_clock(
    mesh_gateway: LocalGateway, colour: Sync
) -> None:
    mesh_gateway.limit(rpm=90)
    client = colour.client(rate_limit=RateLimit(rpm=90), max_connections=30)

    chats(colour, client, 150)

    assert_untroubled(client, 150)


def test_clients_of_both_colours_share_a_limit(gateway: LocalGateway) -> None:
    token = gateway.add_key(rpm=50)
    limit = RateLimit(rpm=50)
    facts: dict[str, Any] = {"base_url": gateway.base_url, "token": token, "rate_limit": limit}
    clients: list[Client] = [
        MeshAPI(**facts),
        MeshAPI(**facts),
        AsyncMeshAPI(**facts),
        AsyncMeshAPI(**facts),
    ]

    def ask(client: Client) -> None:
        colour = Async() if isinstance(client, AsyncMeshAPI) else Sync()
        chats(colour, client, 30, at_once=5)
        colour.end()

    with gateway.skip_waits(), ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, clients))

    for each in clients:
        assert_untroubled(each, 30)


def test_a_day_of_a_clock_that_was_set_is_the_gateways(
    mesh_gateway: LocalGateway, colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit.Day, "date", staticmethod(clock._date))
    mesh_gateway.clock.set(7 * 3600.0)
    mesh_gateway.limit(rpd=2)
    client = colour.client(rate_limit=RateLimit(rpd=2), timeout=7 * DAY)

    for _ in range(3):
        colour.settle(client.chat.completions.create(QUESTION))

    assert_untroubled(client, 3)


def test_what_the_garbage_collector_ends_while_the_limit_is_asked_gives_its_turn_back() -> None:
    limit = RateLimit(rpm=2)
    held = stand(limit)
    assert limit.wait(held, NOW) == 0

    def give_back() -> None:
        with limit._lock:  # As in the middle of another call.
            limit.give_back(held)

    thread = threading.Thread(target=give_back, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive(), "it waits for itself"
    assert [take(limit, NOW), take(limit, NOW)] == [0, 0]


def test_the_clock_does_not_move_while_a_request_is_on_its_way(
    gateway: LocalGateway, colour: Sync
) -> None:
    transport: Any = type(colour.client(token="t").models._transport)
    moved: list[float] = []

    def attempt() -> object:
        waiter.start()
        waiter.join(0.1)
        moved.append(gateway.clock.ahead - begun)
        return None

    async def async_attempt() -> object:
        return attempt()

    begun = gateway.clock.ahead
    waiter = threading.Thread(target=lambda: clock._sleep(60))
    facts = SimpleNamespace(settings=SimpleNamespace(hooks=None))
    with gateway.skip_waits():
        colour.settle(
            transport.once(facts, None, attempt if colour.name == "sync" else async_attempt)
        )
        waiter.join()

    assert moved == [0]
    assert gateway.clock.ahead - begun == pytest.approx(60, abs=10)


def test_a_turn_after_the_deadline_raises_at_once_and_sends_nothing(
    gateway: LocalGateway, colour: Sync
) -> None:
    token = gateway.add_key()
    client = colour.client(
        base_url=gateway.base_url, token=token, rate_limit=RateLimit(rpm=1), timeout=30
    )
    colour.settle(client.chat.completions.create(QUESTION))
    sent = len(gateway.requests)

    begun = time.monotonic()
    with pytest.raises(RateLimitExceeded, match="own RateLimit") as caught:
        colour.settle(client.chat.completions.create(QUESTION))

    assert time.monotonic() - begun < 20, "not a wait of 30 seconds"
    assert len(gateway.requests) == sent
    assert (caught.value.status_code, caught.value.retry_safety) == (429, "not_sent")
    assert (caught.value.meta.status_code, caught.value.meta.attempts) == (None, 0)
    assert caught.value.retry_after == pytest.approx(PERIOD, abs=20)
    assert client.totals.retries == 0


def test_those_that_wait_notice_a_place_that_is_given_back(
    gateway: LocalGateway, colour: Sync
) -> None:
    limit = RateLimit(rpm=1)
    client = colour.client(base_url=gateway.base_url, token=gateway.token, rate_limit=limit)
    transport: Any = client.chat.completions._transport
    now = [NOW]
    waits: list[float] = []
    take(limit, NOW)
    ahead = stand(limit)

    def rest(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds
        limit.give_back(ahead)

    async def async_rest(seconds: float) -> None:
        rest(seconds)

    transport.clock = lambda: now[0]
    transport.sleep = rest if colour.name == "sync" else async_rest
    colour.settle(client.chat.completions.create(QUESTION))

    assert waits[0] == pytest.approx(2 * PERIOD / 10)
    assert sum(waits) == pytest.approx(PERIOD), "and not the time of two"
    assert min(waits[:-1]) == 0.5


def test_a_limit_is_switched_off_by_none(gateway: LocalGateway, colour: Sync) -> None:
    client = colour.client(
        base_url=gateway.base_url, token=gateway.token, rate_limit=RateLimit(rpm=1), timeout=30
    )
    free = client.with_options(rate_limit=None)

    for _ in range(3):
        colour.settle(free.chat.completions.create(QUESTION))

    colour.settle(client.chat.completions.create(QUESTION))
    with pytest.raises(RateLimitExceeded):
        colour.settle(client.chat.completions.create(QUESTION))


@pytest.mark.parametrize("what", ["stream", "compare", "models"])
def test_every_request_takes_a_turn(gateway: LocalGateway, colour: Sync, what: str) -> None:
    client = colour.client(
        base_url=gateway.base_url, token=gateway.token, rate_limit=RateLimit(rpm=1), timeout=30
    )
    ask: Callable[[], object] = {
        "stream": lambda: colour.collect(colour.create_stream(client, STREAMED)),
        "compare": lambda: colour.settle(
            client.chat.compare.create(DUEL),
        ),
        "models": lambda: colour.settle(client.models.list()),
    }[what]

    ask()

    with pytest.raises(RateLimitExceeded, match="own"):
        ask()


def test_a_request_of_a_lent_client_takes_a_turn(gateway: LocalGateway, colour: Sync) -> None:
    client = colour.in_process(gateway, rate_limit=RateLimit(rpm=1), timeout=30)
    colour.settle(client.chat.completions.create(QUESTION))

    with pytest.raises(RateLimitExceeded, match="own"):
        colour.settle(client.chat.completions.create(QUESTION))


def test_a_request_whose_answer_is_lost_counts(gateway: LocalGateway, colour: Sync) -> None:
    client = colour.client(
        base_url=gateway.base_url, token=gateway.token, rate_limit=RateLimit(rpm=1), timeout=30
    )
    gateway.fail("disconnect")

    with pytest.raises(ConnectionFailed):
        colour.settle(client.chat.completions.create(QUESTION))

    with pytest.raises(RateLimitExceeded, match="own"):
        colour.settle(client.chat.completions.create(QUESTION))


def test_a_request_of_a_lent_client_whose_answer_is_lost_counts(colour: Sync) -> None:
    def lose(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("Lost", request=request)

    lent: Any = colour.mocked(lose)
    client = colour.client(http_client=lent, token="t", rate_limit=RateLimit(rpm=1), timeout=30)

    with pytest.raises(ConnectionFailed):
        colour.settle(client.chat.completions.create(QUESTION))

    with pytest.raises(RateLimitExceeded, match="own"):
        colour.settle(client.chat.completions.create(QUESTION))


def test_a_request_that_is_answered_by_a_mock_takes_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(_transport: object, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"choices": [{"message": {"content": "Hello"}}]})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    client = MeshAPI(token="t", rate_limit=RateLimit(rpm=1), timeout=30)
    client.chat.completions.create(QUESTION)

    with pytest.raises(RateLimitExceeded, match="own"):
        client.chat.completions.create(QUESTION)


def test_a_429_that_others_caused_holds_all_back_until_the_window_ends(
    gateway: LocalGateway, colour: Sync
) -> None:
    token = gateway.add_key(rpm=20)
    facts: dict[str, Any] = {"base_url": gateway.base_url, "token": token}
    client = colour.client(**facts, rate_limit=RateLimit(rpm=20), max_retries=1)

    with gateway.skip_waits(), MeshAPI(**facts) as other:
        for _ in range(20):
            other.chat.completions.create(QUESTION)
        colour.settle(client.chat.completions.create(QUESTION))
        chats(colour, client, 40, at_once=10)

    totals = client.totals
    assert (totals.calls, totals.retries, totals.errors) == (41, 1, {})


def test_retries_take_turns(gateway: LocalGateway, colour: Sync) -> None:
    token = gateway.add_key()
    client = colour.client(
        base_url=gateway.base_url, token=token, rate_limit=RateLimit(rpm=1), timeout=30
    )
    gateway.fail(503, times=1)

    with pytest.raises(RateLimitExceeded, match="own") as caught:
        colour.settle(client.chat.completions.create(QUESTION))

    assert caught.value.meta.attempts == 1


def test_what_never_left_gives_its_turn_back(colour: Sync, gateway: LocalGateway) -> None:
    limit = RateLimit(rpm=1)
    nowhere = colour.client(base_url="http://127.0.0.1:9", token="t", rate_limit=limit)
    client = colour.client(
        base_url=gateway.base_url, token=gateway.token, rate_limit=limit, timeout=30
    )

    for _ in range(3):
        with pytest.raises(ConnectionFailed):
            colour.settle(nowhere.with_options(max_retries=0).chat.completions.create(QUESTION))

    colour.settle(client.chat.completions.create(QUESTION))


def test_a_task_that_is_cancelled_while_it_waits_leaves_the_line(gateway: LocalGateway) -> None:
    limit = RateLimit(rpm=1)

    async def main() -> None:
        async with AsyncMeshAPI(
            base_url=gateway.base_url, token=gateway.token, rate_limit=limit
        ) as client:
            await client.chat.completions.create(QUESTION)
            tasks = [
                asyncio.create_task(client.chat.completions.create(QUESTION)) for _ in range(5)
            ]
            await asyncio.sleep(0.01)
            assert len(limit._line) == 5
            for task in tasks[:4]:
                task.cancel()
            await asyncio.wait(tasks[:4])
            assert len(limit._line) == 1
            tasks[4].cancel()
            await asyncio.wait(tasks)

    asyncio.run(main())
    assert not limit._line


def test_a_task_that_is_cancelled_before_its_request_leaves_gives_its_turn_back() -> None:
    limit = RateLimit(rpm=1)

    async def token() -> str:
        await asyncio.sleep(60)
        return "never"

    async def main() -> None:
        async with AsyncMeshAPI(
            base_url="http://127.0.0.1:9", token=token, rate_limit=limit
        ) as client:
            task = asyncio.create_task(client.chat.completions.create(QUESTION))
            await asyncio.sleep(0.01)
            assert len(limit._leaving) == 1
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(main())
    assert take(limit, time.monotonic()) == 0


def test_a_request_that_waits_for_a_connection_does_not_count_yet(gateway: LocalGateway) -> None:
    limit = RateLimit(rpm=2)
    client = MeshAPI(
        base_url=gateway.base_url, token=gateway.token, rate_limit=limit, max_connections=1
    )
    with client, ThreadPoolExecutor(1) as threads:
        with client.chat.completions.stream(QUESTION):
            second = threads.submit(client.chat.completions.create, QUESTION, timeout=30)
            while not limit._leaving:
                time.sleep(0.001)
            assert len(limit._minute._sent) == 1
        second.result()
    assert (len(limit._minute._sent), len(limit._leaving)) == (2, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # There are threads, that is it.
def test_a_forked_process_has_no_line_and_a_free_lock() -> None:
    limit = RateLimit(rpm=1)
    take(limit, NOW)
    stand(limit)
    held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with limit._lock:
            held.set()
            may_end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    if not (child := os.fork()):
        os._exit(0 if take(limit, NOW) == PERIOD else 1)
    may_end.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_a_clock_that_stands_still_is_not_late_for_those_who_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a minute of theirs would be less than one of the gateway's."""
    now = [NOW]
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: now[0]))
    standing = clock.Clock()
    standing.set(0.0)
    now[0] += 5
    assert standing.time() == 0

    standing._move_to(60)
    standing._move_to(60)

    assert standing.time() == 65
