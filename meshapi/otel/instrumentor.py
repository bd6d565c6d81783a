"""The switch: on and off for all clients of the process, as OpenTelemetry does it everywhere."""

from __future__ import annotations

import atexit
from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # Its module hides its types from mypy.
from opentelemetry.util.genai.completion_hook import load_completion_hook
from opentelemetry.util.genai.handler import TelemetryHandler

from meshapi._core.watch import Watch
from meshapi._version import __version__
from meshapi.otel.collecting import tell_late
from meshapi.otel.spans import Spans


class MeshAPIInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # see above
    """Turns telemetry on: `MeshAPIInstrumentor().instrument()`, and off: `.uninstrument()`.

    `instrument` takes `tracer_provider`, `meter_provider`, `logger_provider` and `completion_hook`;
    without them, those of the process are used. The variables of OpenTelemetry are read when it is
    called.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: what is watched is in this very package."""
        return ()

    def _instrument(self, **given: Any) -> None:
        Watch.telemetry = Spans(
            TelemetryHandler(
                given.get("tracer_provider"),
                given.get("meter_provider"),
                given.get("logger_provider"),
                given.get("completion_hook") or load_completion_hook(),
                instrumentation_scope_name="meshapi",
                instrumentation_scope_version=__version__,
            )
        )
        atexit.unregister(tell_late)
        atexit.register(tell_late)  # After the providers, and so called before they shut down.

    def _uninstrument(self, **_options: object) -> None:
        Watch.telemetry = None
        tell_late()
