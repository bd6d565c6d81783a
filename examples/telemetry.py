"""See each call as an OpenTelemetry span, here on the console (with the extra `otel`)."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from meshapi import ChatCompletionParams, MeshAPI
from meshapi.otel import MeshAPIInstrumentor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
MeshAPIInstrumentor().instrument(tracer_provider=provider)

question = ChatCompletionParams(messages=[{"role": "user", "content": "Write a haiku."}])

with MeshAPI() as client, provider.get_tracer("my app").start_as_current_span("my work"):
    print(client.chat.completions.create(question).text)

MeshAPIInstrumentor().uninstrument()
