"""The switch: on and off for all clients of the process, as OpenTelemetry does it everywhere."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, TypedDict

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # Its module hides its types from mypy.
from opentelemetry.util.genai.completion_hook import CompletionHook, load_completion_hook
from opentelemetry.util.genai.handler import TelemetryHandler
from typing_extensions import Unpack

from meshapi._core.watch import Watch
from meshapi._version import __version__
from meshapi.otel.collecting import begin_to_watch, end_to_watch
from meshapi.otel.spans import Spans

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


class Providers(TypedDict, total=False):
    """Where to send what is told; what is left out is the process's own."""

    tracer_provider: TracerProvider | None
    """For spans."""

    meter_provider: MeterProvider | None
    """For metrics."""

    logger_provider: LoggerProvider | None
    """For events."""

    completion_hook: CompletionHook | None
    """Takes whole conversations, to keep them elsewhere."""


class MeshAPIInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # see above
    """Turns telemetry on: `MeshAPIInstrumentor().instrument()`, and off: `.uninstrument()`.

    `instrument` takes `tracer_provider`, `meter_provider` and `logger_provider`; without them, the
    global ones are used. The variables of OpenTelemetry are read when it is called.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: what is watched is in this very package."""
        return ()

    def _instrument(self, **providers: Unpack[Providers]) -> None:
        Watch.telemetry = Spans(
            TelemetryHandler(
                providers.get("tracer_provider"),
                providers.get("meter_provider"),
                providers.get("logger_provider"),
                providers.get("completion_hook") or load_completion_hook(),
                instrumentation_scope_name="meshapi",
                instrumentation_scope_version=__version__,
            )
        )
        begin_to_watch()

    def _uninstrument(self, **_options: object) -> None:
        Watch.telemetry = None
        end_to_watch()
