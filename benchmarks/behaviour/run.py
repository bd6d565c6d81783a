"""All clients meet all situations, each in its own environment, sync and async."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from benchmarks.behaviour.outcome import Outcome
from benchmarks.behaviour.situations import SITUATIONS
from benchmarks.environments import CLIENTS
from tests.wire_server import Received, Step, WireServer

Colour: TypeAlias = Literal["sync", "async"]


@dataclass(frozen=True)
class Request:
    """A request that the server saw, and when."""

    at: float
    headers: dict[str, str]


@dataclass(frozen=True)
class Seen:
    """What came of a situation: at the client, and at the server."""

    client: str
    colour: Colour
    outcome: Outcome
    requests: Sequence[Request]

    @property
    def gaps(self) -> list[float]:
        """The seconds between one request and the next."""
        return [later.at - earlier.at for earlier, later in pairwise(self.requests)]


def meet_all(clients: Sequence[str]) -> Iterator[Seen]:
    """The clients at the same time, as most of it is waiting."""
    with ThreadPoolExecutor(len(clients)) as pool:
        for seen in pool.map(_meet, clients):
            yield from seen


def _meet(client: str) -> list[Seen]:
    return [*_in_colour(client, "sync"), *_in_colour(client, "async")]


def _in_colour(client: str, colour: Colour) -> Iterator[Seen]:
    requests: dict[str, list[Request]] = defaultdict(list)

    def played(received: Received) -> Sequence[Step]:
        name = received.path.split("/")[1]
        requests[name].append(Request(time.monotonic(), dict(received.headers)))
        situation = SITUATIONS[name]
        theirs = situation.for_openrouter if client == "openrouter" else ()
        return theirs or situation.steps

    with WireServer(played) as server:
        adapter = CLIENTS[client].adapter
        said = CLIENTS[client].run("benchmarks.behaviour.worker", adapter, colour, server.url)
    for line in said.splitlines():
        outcome = Outcome(**json.loads(line))
        yield Seen(client, colour, outcome, requests[outcome.situation])
