"""All that telemetry tells, kept in memory."""

from __future__ import annotations

from typing import Any, Self

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from meshapi.otel import MeshAPIInstrumentor, unbroken

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class Told:
    """All that telemetry told, of the calls in its `with`."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # It has no types.
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        self.tracer = self.tracers.get_tracer("test")

    def listen(self) -> None:
        """Begin, or begin again, which is when the variables are read."""
        if MeshAPIInstrumentor().is_instrumented_by_opentelemetry:
            MeshAPIInstrumentor().uninstrument()
        MeshAPIInstrumentor().instrument(
            tracer_provider=self.tracers,
            meter_provider=self.meters,
            logger_provider=self.loggers,
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    @property
    def attributes(self) -> dict[str, Any]:
        return dict(self.span.attributes or {})

    def points(self, metric: str) -> list[Any]:
        metrics = self.reader.get_metrics_data() or MetricsData([])
        return [
            point
            for resource in metrics.resource_metrics
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        ]

    @property
    def everything(self) -> str:
        metrics = self.reader.get_metrics_data()
        logs = [each.to_json() for each in self.logs.get_finished_logs()]
        spans = [each.to_json() for each in self.spans]
        return f"{spans}{metrics.to_json() if metrics else ''}{logs}"

    def __enter__(self) -> Self:
        unbroken._told.clear()
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        MeshAPIInstrumentor().uninstrument()
        self.tracers.shutdown()
        self.loggers.shutdown()
