"""How one client is measured, in a process of its own: CPU time, connections, memory."""

from __future__ import annotations

import asyncio
import http.client
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.adapters import Adapter, AsyncAdapter
from benchmarks.wordings import ANSWER_TEXT, EVENTS_OF, LONG_TALK, QUESTION


@dataclass(frozen=True)
class Run:
    """What a measure is given."""

    adapter: Adapter
    url: str
    scenario: str
    times: int
    lanes: int = 1
    warm: bool = True
    """Whether a few are done first that do not count."""

    imported: float = 0.0
    """CPU seconds that importing the client took."""

    @property
    def base_url(self) -> str:
        """Where the client finds the scenario."""
        return f"{self.url}/{self.scenario}"


def imports(run: Run) -> float:
    """CPU milliseconds to import the client."""
    return run.imported * 1e3


def first_answer(run: Run) -> float:
    """CPU milliseconds from before the import to the first answer."""
    begun = time.process_time()
    _check(run.adapter.Sync(run.base_url).ask(QUESTION))
    return (run.imported + time.process_time() - begun) * 1e3


def calls(run: Run) -> float:
    """CPU microseconds per call, one after another."""
    client = run.adapter.Sync(run.base_url)
    return _per_unit(lambda: _check(client.ask(QUESTION)), run.times) * 1e6


def long_calls(run: Run) -> float:
    """CPU milliseconds per call with a request of a megabyte."""
    client = run.adapter.Sync(run.base_url)
    return _per_unit(lambda: _check(client.ask(LONG_TALK)), run.times) * 1e3


def streams(run: Run) -> float:
    """CPU microseconds per stream, one after another."""
    client = run.adapter.Sync(run.base_url)

    def read() -> None:
        _check_count(sum(1 for _ in client.stream(QUESTION)), run)

    return _per_unit(read, run.times) * 1e6


def async_calls(run: Run) -> float:
    """CPU microseconds per call, in so many lanes at once."""

    async def unit(client: AsyncAdapter) -> None:
        _check(await client.ask(QUESTION))

    return asyncio.run(_in_lanes(run, unit)) * 1e6


def async_streams(run: Run) -> float:
    """CPU microseconds per stream, in so many lanes at once."""

    async def unit(client: AsyncAdapter) -> None:
        _check_count(sum([1 async for _ in client.stream(QUESTION)]), run)

    return asyncio.run(_in_lanes(run, unit)) * 1e6


def chunks(run: Run) -> float:
    """CPU microseconds per chunk of sync streams."""
    return streams(run) / EVENTS_OF[run.scenario]


def async_chunks(run: Run) -> float:
    """CPU microseconds per chunk of async streams."""
    return async_streams(run) / EVENTS_OF[run.scenario]


def new_connections(run: Run) -> float:
    """Connections opened by async calls on a pool that has as many as there are lanes."""

    async def count() -> int:
        client = run.adapter.Async(run.base_url)
        await _lanes(run.lanes, 1, lambda: client.ask(QUESTION))
        counter = _Counter(run.url)
        await _lanes(run.lanes, run.times, lambda: client.ask(QUESTION))
        return counter.more()

    return asyncio.run(count())


def stream_connections(run: Run) -> float:
    """Connections opened by sync streams, one after another."""
    counter = _Counter(run.url)
    client = run.adapter.Sync(run.base_url)
    for _ in range(run.times):
        _check_count(sum(1 for _ in client.stream(QUESTION)), run)
    return counter.more()


def async_stream_connections(run: Run) -> float:
    """Connections opened by async streams, one after another."""

    async def count() -> int:
        counter = _Counter(run.url)
        client = run.adapter.Async(run.base_url)
        for _ in range(run.times):
            _check_count(sum([1 async for _ in client.stream(QUESTION)]), run)
        return counter.more()

    return asyncio.run(count())


def stream_memory(run: Run) -> float:
    """KiB of resident memory that each of many open streams takes."""

    async def grow() -> float:
        client = run.adapter.Async(run.base_url)
        await anext(client.stream(QUESTION))
        before = _resident()
        opened = [client.stream(QUESTION) for _ in range(run.lanes)]
        await asyncio.gather(*(_read(stream, run.times) for stream in opened))
        return (_resident() - before) / run.lanes

    return asyncio.run(grow())


def growth(run: Run) -> float:
    """KiB of resident memory that many calls leave behind, after as many as a tenth of them."""
    client = run.adapter.Sync(run.base_url)
    for _ in range(run.times // 10):
        client.ask(QUESTION)
    before = _resident()
    for _ in range(run.times):
        client.ask(QUESTION)
    return _resident() - before


def async_growth(run: Run) -> float:
    """The same for async calls in lanes."""

    async def grow() -> float:
        client = run.adapter.Async(run.base_url)
        await _lanes(run.lanes, run.times // 10 // run.lanes, lambda: client.ask(QUESTION))
        before = _resident()
        await _lanes(run.lanes, run.times // run.lanes, lambda: client.ask(QUESTION))
        return _resident() - before

    return asyncio.run(grow())


def _per_unit(unit: Callable[[], None], times: int) -> float:
    for _ in range(max(1, times // 10)):
        unit()
    begun = time.process_time()
    for _ in range(times):
        unit()
    return (time.process_time() - begun) / times


async def _in_lanes(run: Run, unit: Callable[[AsyncAdapter], Awaitable[None]]) -> float:
    client = run.adapter.Async(run.base_url)
    if run.warm:
        await _lanes(run.lanes, max(1, run.times // 10), lambda: unit(client))
    begun = time.process_time()
    await _lanes(run.lanes, run.times, lambda: unit(client))
    return (time.process_time() - begun) / (run.lanes * run.times)


async def _lanes(lanes: int, times: int, unit: Callable[[], Awaitable[object]]) -> None:
    async def lane() -> None:
        for _ in range(times):
            await unit()

    await asyncio.gather(*(lane() for _ in range(lanes)))


async def _read(stream: AsyncIterator[str], count: int) -> None:
    for _ in range(count):
        await anext(stream)


def _check(text: str) -> None:
    if text != ANSWER_TEXT:
        raise ValueError(f"The answer is not what was sent: {text[:100]!r}")


def _check_count(count: int, run: Run) -> None:
    if count != EVENTS_OF[run.scenario]:
        raise ValueError(f"{count} chunks of {EVENTS_OF[run.scenario]} came")


def _resident() -> float:
    """The most memory that the process has had, in KiB."""
    unit = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class _Counter:
    """Asks the server how many connections there have been, over one of its own."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)
        self._before = self._count()

    def _count(self) -> int:
        self._connection.request("GET", "/connections")
        return int(self._connection.getresponse().read())

    def more(self) -> int:
        return self._count() - self._before
