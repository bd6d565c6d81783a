"""A stream as server-sent events: the bytes that a browser, or a client like ours, reads."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from pydantic_core import to_json

from meshapi._core.models import JSONObject, Payload
from meshapi.errors import (
    APIStatusError,
    ConnectionFailed,
    DeadlineExceeded,
    MeshAPIError,
    StreamInterrupted,
)
from meshapi.resources.chat.runs import ToolResult

OnError: TypeAlias = Callable[[MeshAPIError], str | None]
"""Told of the error that ended a stream; the text that it returns is sent instead of its own."""

DONE = b"data: [DONE]\n\n"
"""Ends every stream, complete or not."""

HEARTBEAT = b": \n\n"
"""A comment: it says nothing, but whoever writes it notices that nobody reads any more."""


def frames(
    steps: Iterable[Payload | ToolResult], on_error: OnError | None = None
) -> Iterator[bytes]:
    """One frame per chunk or result, one for the error that ended them, and `[DONE]`."""
    try:
        for step in steps:
            yield _frame(step)
    except MeshAPIError as error:
        yield error_frame(error, on_error)
    yield DONE


async def async_frames(
    steps: AsyncIterable[Payload | ToolResult], on_error: OnError | None = None
) -> AsyncIterator[bytes]:
    """One frame per chunk or result, one for the error that ended them, and `[DONE]`."""
    try:
        async for step in steps:
            yield _frame(step)
    except MeshAPIError as error:
        yield error_frame(error, on_error)
    yield DONE


def _frame(step: Payload | ToolResult) -> bytes:
    return result_frame(step) if isinstance(step, ToolResult) else chunk_frame(step)


def chunk_frame(chunk: Payload) -> bytes:
    """What the server said in this chunk, fields that this version does not know included."""
    return b"data: %b\n\n" % chunk.model_dump_json(exclude_unset=True).encode()


def result_frame(result: ToolResult) -> bytes:
    """That a call was answered, and which; what the function gave is between it and the model."""
    answered = {"tool_call_id": result.call.id, "name": result.call.function.name}
    return b"event: tool_result\ndata: %b\n\n" % to_json(answered)


def error_frame(error: MeshAPIError, on_error: OnError | None = None) -> bytes:
    """An error as the gateway itself sends one mid-stream: its code, words, wait and request id.

    Neither the answer so far, the provider's own words nor an address are in it.
    """
    words = on_error(error) if on_error else None
    body: JSONObject = {
        "code": _code_of(error),
        "message": _words_of(error) if words is None else words,
    }
    if error.retry_after is not None:
        body["retry_after_seconds"] = math.ceil(error.retry_after)
    named = {"request_id": error.request_id} if error.request_id else {}
    return b"data: %b\n\n" % to_json({"error": body, **named})


# The own words of these name the address; the first that an error is counts.
_PLAIN: Mapping[type[MeshAPIError], str] = {
    DeadlineExceeded: "No answer came in time",
    ConnectionFailed: "The connection to the gateway failed",
    StreamInterrupted: "The answer broke off",
}


def _words_of(error: MeshAPIError) -> str:
    return next((words for kind, words in _PLAIN.items() if isinstance(error, kind)), error.message)


def _code_of(error: MeshAPIError) -> str | int:
    if isinstance(error, APIStatusError):
        return error.status_code if error.code is None else error.code
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
