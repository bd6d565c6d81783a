"""OpenTelemetry: a span for each call that asks models, and metrics. It needs the extra `otel`.

`MeshAPIInstrumentor().instrument()` turns it on for the whole process; so does the command
`opentelemetry-instrument`, by itself.
"""

from __future__ import annotations

try:
    from meshapi.otel.instrumentor import MeshAPIInstrumentor
except ModuleNotFoundError as _missing:
    # The instrumentation command passes over what is not installed, if it is told so by this class.
    _words = "Telemetry needs the extra: pip install 'meshapi[otel]'"
    raise ModuleNotFoundError(_words, name=_missing.name) from None

__all__ = ["MeshAPIInstrumentor"]
