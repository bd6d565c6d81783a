"""`python -m benchmarks.setups`: what hooks, the log, a limit and telemetry add to our own client.

All set-ups are measured in one process, in turn, round after round, so that what disturbs one
disturbs all. A figure is the median of CPU time. Telemetry is among them where its extra is there.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks import page
from benchmarks.server import serving
from benchmarks.wordings import EVENTS_OF, QUESTION
from meshapi import AsyncMeshAPI, ChatCompletionParams, Hooks, MeshAPI, RateLimit
from meshapi._core.settings import ClientOptions

_CALLS = 100
_PARAMS = ChatCompletionParams(messages=QUESTION)


@contextmanager
def _logging() -> Generator[None]:
    """The log at INFO, written to nowhere."""
    logger = logging.getLogger("meshapi")
    with Path(os.devnull).open("w") as nowhere:
        handler = logging.StreamHandler(nowhere)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.setLevel(logging.NOTSET)
            logger.removeHandler(handler)


@contextmanager
def _telemetry() -> Generator[None]:
    """Spans and metrics, kept in memory."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from meshapi.otel import MeshAPIInstrumentor

    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    MeshAPIInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
    try:
        yield
    finally:
        MeshAPIInstrumentor().uninstrument()


def _look(_: object) -> None:
    """A hook that does nothing."""


@dataclass(frozen=True)
class Setup:
    """What is on."""

    options: ClientOptions = field(default_factory=ClientOptions)
    around: Callable[[], AbstractContextManager[None]] = nullcontext


SETUPS: dict[str, Setup] = {
    "nothing on": Setup(),
    "three hooks": Setup({"hooks": Hooks(on_request=_look, on_response=_look, on_retry=_look)}),
    "the log at INFO": Setup(around=_logging),
    "a limit that never waits": Setup({"rate_limit": RateLimit(rpm=10**9)}),
}
if find_spec("opentelemetry"):
    SETUPS["telemetry"] = Setup(around=_telemetry)


class Measured:
    """The clients of a set-up, and what they take."""

    def __init__(self, url: str, setup: Setup, runner: asyncio.Runner) -> None:
        """Make the clients, once."""
        self._around = setup.around
        self._runner = runner
        chat, each = f"{url}/chat", f"{url}/each"
        options = setup.options
        self._plain = MeshAPI(base_url=chat, token="rsk_test").with_options(**options)
        self._twin = AsyncMeshAPI(base_url=chat, token="rsk_test").with_options(**options)
        self._streaming = self._plain.with_options(base_url=each)

    def call(self) -> float:
        """CPU microseconds of a call."""
        with self._around():
            begun = time.process_time()
            for _ in range(_CALLS):
                self._plain.chat.completions.create(_PARAMS)
            return (time.process_time() - begun) / _CALLS * 1e6

    def async_call(self) -> float:
        """CPU microseconds of an async call."""

        async def calls() -> float:
            begun = time.process_time()
            for _ in range(_CALLS):
                await self._twin.chat.completions.create(_PARAMS)
            return (time.process_time() - begun) / _CALLS * 1e6

        with self._around():
            return self._runner.run(calls())

    def chunk(self) -> float:
        """CPU microseconds of a chunk."""
        with self._around():
            begun = time.process_time()
            count = sum(1 for _ in self._streaming.chat.completions.stream(_PARAMS))
            seconds = time.process_time() - begun
        if count != EVENTS_OF["each"]:
            raise ValueError(f"{count} chunks came")
        return seconds / count * 1e6


MEASURES: Mapping[str, Callable[[Measured], float]] = {
    "a call, sync": Measured.call,
    "a call, async": Measured.async_call,
    "a chunk, sync": Measured.chunk,
}


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.setups", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="how often each is run, in turn")
    parser.add_argument("--write", action="store_true", help="put it into docs/performance.md")
    arguments = parser.parse_args()
    with serving() as url, asyncio.Runner() as runner:
        measured = {name: Measured(url, each, runner) for name, each in SETUPS.items()}
        lines = [_line(name, measured, arguments.rounds) for name in MEASURES]
    shown = page.markdown(["", *SETUPS], *lines)
    print(shown)
    if arguments.write:
        page.write("set-ups", shown)
    return 0


def _line(name: str, measured: Mapping[str, Measured], rounds: int) -> list[str]:
    found: dict[str, list[float]] = {each: [] for each in measured}
    for turn in range(rounds + 1):
        for each, clients in measured.items():
            figure = MEASURES[name](clients)
            if turn:  # The first one warms up.
                found[each].append(figure)
    first, *others = (statistics.median(each) for each in found.values())
    beside = (f"{each:.1f} ({each / first:.2f})" for each in others)
    return [f"{name} (µs)", f"{first:.1f}", *beside]


if __name__ == "__main__":
    sys.exit(main())
