"""One span for each call: begun before its first attempt, ended once, whatever becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import attach
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.util.genai.handler import TelemetryHandler

from meshapi._core.call import Call
from meshapi._core.checks import fields_of
from meshapi._core.meta import Meta
from meshapi._core.models import Answer, Payload
from meshapi._core.reader import StreamReader
from meshapi._core.settings import Settings
from meshapi._core.token import hide_tokens
from meshapi._core.usage import Used
from meshapi._core.watch import session_of
from meshapi.errors import MeshAPIError
from meshapi.otel.answer import (
    describe_answer,
    describe_exchange,
    describe_failure,
    describe_used,
)
from meshapi.otel.collecting import tell_late, when_free
from meshapi.otel.content import asked_messages, defined_tools, given_messages
from meshapi.otel.request import describe_request
from meshapi.otel.unbroken import unbroken
from meshapi.otel.values import text

_PROVIDER = "meshapi"
_PORTS = {"http": 80, "https": 443}

# A comparison asks several models; OpenTelemetry has no name for it.
_OPERATIONS = {"/v1/chat/completions": "chat", "/v1/chat/compare": "compare"}


class Spans:
    """Makes a span of each call that asks models."""

    def __init__(self, handler: TelemetryHandler) -> None:
        """Hand all that is told to OpenTelemetry's own handler."""
        self._handler = handler

    def begin(self, call: Call[Any], settings: Settings) -> CallSpan | None:
        """A call begins; None where nobody wants to know."""
        operation = _OPERATIONS.get(call.path)
        if operation is None or not is_instrumentation_enabled():
            return None
        with unbroken:
            tell_late()
            return CallSpan(self._handler, operation, call, settings)
        return None


class CallSpan:
    """The span of one call: the current one while the call runs, and no longer."""

    def __init__(
        self, handler: TelemetryHandler, operation: str, call: Call[Any], settings: Settings
    ) -> None:
        """Begin it."""
        body = fields_of(json.loads(call.body))
        url = urlsplit(settings.base_url)
        self._call = handler.inference(
            _PROVIDER,
            request_model=text(body.get("model")),
            server_address=url.hostname,
            server_port=url.port or _PORTS.get(url.scheme),
            operation_name=operation,
            conversation_id=text(session_of(call, settings)),
        )
        self._call.suspend()  # It is this object that makes it the current one, and ends that.
        with unbroken:
            describe_request(self._call, body, streams=call.streams)
        self._content = call.body if self._call.should_capture_content else None
        self._before = attach(self._call.context)

    def chunk(self) -> None:
        """An event of its stream came."""
        with unbroken:
            self._call.record_stream_chunk()

    def handed_over(self) -> None:
        """Its stream goes to the caller, whose context is again what it was before."""
        # In another context, as when a task is dropped, there is nothing to put back.
        with suppress(ValueError, RuntimeError):
            self._before.var.reset(self._before)

    def answered(self, answer: Answer, used: Used) -> None:
        """The whole answer came."""
        self.handed_over()
        self._end(answer.meta, used, lambda: answer, None)

    def failed(self, meta: Meta, error: BaseException) -> None:
        """The call failed, or was given up."""
        self.handed_over()
        when_free(lambda: self._end(meta, Used(), lambda: None, error))

    def ended(self, reader: StreamReader[Any], failure: MeshAPIError | None) -> None:
        """Its stream is over: complete, failed or left."""
        if not failure and not reader.is_complete:
            self._call.attributes["meshapi.stream.left"] = True
        when_free(lambda: self._end(reader.meta, reader.used, lambda: reader.partial, failure))

    def _end(
        self,
        meta: Meta,
        used: Used,
        answered: Callable[[], Payload | None],
        error: BaseException | None,
    ) -> None:
        try:
            with unbroken:
                self._describe(meta, used, answered())
        finally:
            with unbroken:
                self._stop(error)

    def _stop(self, error: BaseException | None) -> None:
        if error is None:
            self._call.stop()
        else:
            self._call.fail(describe_failure(self._call, error))

    def _describe(self, meta: Meta, used: Used, answer: Payload | None) -> None:
        describe_exchange(self._call, meta)
        describe_used(self._call, used)
        if answer:
            describe_answer(self._call, answer)
        if self._content:
            self._tell_content(self._content, answer)

    def _tell_content(self, asked: bytes, answer: Payload | None) -> None:
        # Late, so that nothing of it delays the call, and the token of each attempt is known.
        body = fields_of(json.loads(hide_tokens(asked.decode())))
        self._call.input_messages = asked_messages(body)
        self._call.tool_definitions = defined_tools(body)
        self._call.prompt_variables = fields_of(body.get("variables"))
        if answer:
            said = fields_of(json.loads(hide_tokens(answer.model_dump_json())))
            self._call.output_messages = given_messages(said)
