"""The rows of the table: what is done, how often, and what is to be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import measures
from benchmarks.adapters import Adapter
from benchmarks.measures import Run


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A row of the table."""

    title: str
    unit: str
    measure: Callable[[Run], float]
    scenario: str = "chat"
    times: int = 1
    lanes: int = 1
    warm: bool = True
    reach: float | None = None
    """What this project wants to reach: at most so many times what httpx alone takes."""

    beside: str = "httpx"
    """Whose figure that is a multiple of."""

    at_most: float | None = None
    """What it wants to reach as a figure of its own."""

    rounds: int | None = None
    """How often it is run at most; the slow ones are steadier."""

    only: tuple[str, ...] = ()
    """Who is measured; all where nobody is named."""

    def measures(self, client: str) -> bool:
        """Whether this client has a place in the row."""
        if client == "floor":
            return self.beside == "floor"
        return not self.only or client in self.only

    def run(self, adapter: Adapter, url: str, imported: float) -> float:
        """Measure one client."""
        return self.measure(
            Run(
                adapter,
                url,
                self.scenario,
                self.times,
                lanes=self.lanes,
                warm=self.warm,
                imported=imported,
            )
        )


WORKLOADS = {
    "chat-sync": Workload(
        title="a call, sync", unit="µs", measure=measures.calls, times=400, reach=0.55
    ),
    "chat-async": Workload(
        title="a call, async, one at a time",
        unit="µs",
        measure=measures.async_calls,
        times=300,
        reach=0.40,
    ),
    "chat-50": Workload(
        title="a call, async, 50 lanes",
        unit="µs",
        measure=measures.async_calls,
        times=10,
        lanes=50,
        reach=0.08,
    ),
    "chat-500": Workload(
        title="a call, async, 500 in flight, a server that takes 1 s",
        unit="µs",
        measure=measures.async_calls,
        scenario="slow",
        lanes=500,
        reach=0.03,
        rounds=2,
    ),
    "each-sync": Workload(
        title="a chunk, sync, one HTTP chunk each",
        unit="µs",
        measure=measures.chunks,
        scenario="each",
        times=5,
        reach=1.00,
    ),
    "each-async": Workload(
        title="a chunk, async, one HTTP chunk each",
        unit="µs",
        measure=measures.async_chunks,
        scenario="each",
        times=5,
        reach=0.95,
    ),
    "packed-sync": Workload(
        title="a chunk, sync, 16 KiB reads",
        unit="µs",
        measure=measures.chunks,
        scenario="packed",
        times=5,
        reach=1.30,
    ),
    "packed-async": Workload(
        title="a chunk, async, 16 KiB reads",
        unit="µs",
        measure=measures.async_chunks,
        scenario="packed",
        times=5,
        reach=1.20,
    ),
    "paced-sync": Workload(
        title="a chunk, sync, one wake-up each",
        unit="µs",
        measure=measures.chunks,
        scenario="paced",
        times=3,
        reach=0.95,
    ),
    "paced-async": Workload(
        title="a chunk, async, one wake-up each",
        unit="µs",
        measure=measures.async_chunks,
        scenario="paced",
        times=3,
        reach=0.70,
    ),
    "short-sync": Workload(
        title="a stream of 13 events, sync",
        unit="µs",
        measure=measures.streams,
        scenario="short",
        times=200,
        reach=0.65,
    ),
    "short-async": Workload(
        title="a stream of 13 events, async",
        unit="µs",
        measure=measures.async_streams,
        scenario="short",
        times=200,
        reach=0.50,
    ),
    "streams-500": Workload(
        title="a chunk, 500 streams of 100 chunks at once",
        unit="µs",
        measure=measures.async_chunks,
        scenario="patient",
        lanes=500,
        warm=False,
        reach=0.25,
        rounds=2,
    ),
    "megabyte": Workload(
        title="a call of 1 MB (200 messages), sync",
        unit="ms",
        measure=measures.long_calls,
        times=30,
        reach=0.60,
    ),
    "import": Workload(
        title="import", unit="ms", measure=measures.imports, reach=1.15, beside="floor"
    ),
    "first-answer": Workload(
        title="import and first answer",
        unit="ms",
        measure=measures.first_answer,
        reach=1.15,
        beside="floor",
    ),
    "connections-50": Workload(
        title="new connections, 1,000 calls at 50 lanes, warm",
        unit="",
        measure=measures.new_connections,
        times=20,
        lanes=50,
        at_most=0,
        rounds=1,
    ),
    "connections-sync": Workload(
        title="connections for 150 sync streams in a row",
        unit="",
        measure=measures.stream_connections,
        scenario="short",
        times=150,
        at_most=1,
        rounds=1,
    ),
    "connections-async": Workload(
        title="connections for 150 async streams in a row",
        unit="",
        measure=measures.async_stream_connections,
        scenario="short",
        times=150,
        at_most=1,
        rounds=1,
    ),
    "stream-memory": Workload(
        title="memory for each of 500 open streams",
        unit="KiB",
        measure=measures.stream_memory,
        scenario="patient",
        times=5,
        lanes=500,
        reach=1.30,
        rounds=2,
        only=("meshapi", "httpx", "openai"),
    ),
    "growth-sync": Workload(
        title="memory that 20,000 sync calls leave",
        unit="KiB",
        measure=measures.growth,
        times=20_000,
        at_most=1024,
        rounds=1,
        only=("meshapi", "httpx"),
    ),
    "growth-async": Workload(
        title="memory that 20,000 async calls leave, 5 lanes",
        unit="KiB",
        measure=measures.async_growth,
        times=20_000,
        lanes=5,
        at_most=1024,
        rounds=1,
        only=("meshapi", "httpx"),
    ),
}
