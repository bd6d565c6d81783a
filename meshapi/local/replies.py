"""What goes back: a status, headers, and the pieces of a body with the waits between them."""

from __future__ import annotations

import enum
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from meshapi._core.models import JSONObject
from meshapi.local.refusal import Refusal


class Cut(enum.Enum):
    """How a connection ends without being ended."""

    CUT = "the connection is dropped"


Piece: TypeAlias = bytes | float | Literal[Cut.CUT]
"""Bytes to write, seconds to wait, or the end of the connection."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way: the shells write its pieces, and decide nothing."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterable[Piece] = field(repr=False)
    delay: float = 0.0
    """Seconds before anything is sent."""

    never_comes: bool = False
    """Whether the connection is dropped before anything is sent."""

    leave: Callable[[], None] | None = None
    """What ends the making of further pieces, where somebody else makes them and may be slow."""

    @property
    def is_stream(self) -> bool:
        """Whether its pieces are events."""
        return self.headers["content-type"] == "text/event-stream"


def whole(status: int, document: object, headers: Mapping[str, str]) -> Reply:
    """A document as JSON."""
    return page(status, encoded(document), "application/json", headers)


def page(status: int, body: bytes, content_type: str, headers: Mapping[str, str]) -> Reply:
    """A body that is known as a whole."""
    fields = {"content-type": content_type, "content-length": str(len(body))}
    return Reply(status, {**headers, **fields}, [body])


def streamed(
    events: Iterable[bytes],
    headers: Mapping[str, str],
    pause: float = 0.0,
    leave: Callable[[], None] | None = None,
) -> Reply:
    """A stream of events, with a pause after each."""
    fields = {**headers, "content-type": "text/event-stream"}
    return Reply(200, fields, _paced(events, pause), leave=leave)


def _paced(events: Iterable[bytes], pause: float) -> Iterator[Piece]:
    for each in events:
        yield each
        if pause:
            yield pause


def refused(refusal: Refusal, headers: Mapping[str, str]) -> Reply:
    """An error in its envelope."""
    envelope = refusal.envelope(headers["x-request-id"])
    return whole(refusal.status, envelope, {**refusal.headers, **headers})


def event(document: object, name: str | None = None) -> bytes:
    """One server-sent event."""
    named = f"event: {name}\n".encode() if name else b""
    return b"%sdata: %s\n\n" % (named, encoded(document))


DONE = b"data: [DONE]\n\n"


def events(chunks: Iterable[JSONObject], request_id: str) -> Iterator[bytes]:
    """The events of a streamed completion; what is refused on the way is told in a last one."""
    try:
        yield from map(event, chunks)
    except Refusal as refusal:
        yield event(refusal.envelope(request_id))
    yield DONE


def encoded(document: object) -> bytes:
    """A document as JSON, in UTF-8."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def new_request_id() -> str:
    """An id of the gateway's form."""
    return f"req_{uuid.uuid4().hex[:26].upper()}"
