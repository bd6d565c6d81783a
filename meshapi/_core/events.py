"""Bytes in, server-sent events out, by the rules of the WHATWG.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

In two things kinder, because answers are paid for: a block without data is no event, and the last
event counts without the blank line after it. In one stricter: an event's size is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator

from httpx_sse import ServerSentEvent

_BOM = b"\xef\xbb\xbf"


class EventError(ValueError):
    """An event outgrew its bound, or is no UTF-8."""


class EventDecoder:
    """Push bytes as they come, cut anywhere; get the events they complete."""

    def __init__(self, max_event_bytes: int) -> None:
        """Bound one event, comments before it included, to this many bytes."""
        self._max_event_bytes = max_event_bytes
        self._size = 0
        self._at_start = True
        self._after_cr = False
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    def plain(self, data: bytes) -> list[str] | None:
        """Take whole events that are each one line with a JSON object, or `[DONE]`: their data.

        That is nearly all that ever comes. None where it may be anything else: nothing is taken.
        """
        if data[-2:] != b"\n\n" or self._size or self._at_start or self._after_cr:
            return None
        if b"\r" in data or len(data) > self._max_event_bytes:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        found: list[str] = []
        for block in text[:-2].split("\n\n"):
            if "\n" in block or (block[:7] != "data: {" and block != "data: [DONE]"):
                return None
            found.append(block[6:])
        return found

    def parts(self, data: bytes) -> tuple[bytes, ...]:
        """Cut bytes at blank lines: to the end of the open event, whole events, what is left."""
        is_open = self._size or self._at_start
        end, blank, rest = data.partition(b"\n\n") if is_open else (b"", b"", data)
        whole, last_blank, begin = rest.rpartition(b"\n\n")
        return end + blank, whole + last_blank, begin

    def push(self, data: bytes) -> Iterator[ServerSentEvent]:
        """Take the next bytes; each event is given before the bytes after it are looked at.

        Raises:
            EventError: the event they belong to outgrew its bound, or is no UTF-8.
        """
        if not data:
            return
        after_cr, self._after_cr = self._after_cr, data.endswith(b"\r")
        if after_cr and data.startswith(b"\n"):
            yield from self.push(data[1:])
            return
        *lines, rest = data.splitlines() if data[-1] not in b"\r\n" else [*data.splitlines(), b""]
        for line in lines:
            self._grow(len(line))
            if event := self._end_line(line):
                yield event
        if rest:
            self._grow(len(rest))
            self._line.append(rest)

    def end(self) -> ServerSentEvent | None:
        """Take the end of the body; the event that was still open, if there was one.

        Raises:
            EventError: it is no UTF-8.
        """
        return self._end_line(b"") or self._dispatch()

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._max_event_bytes:
            raise EventError(f"an event is larger than {self._max_event_bytes} bytes")

    def _end_line(self, last_piece: bytes) -> ServerSentEvent | None:
        line = b"".join((*self._line, last_piece)) if self._line else last_piece
        self._line.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        self._field(name, value.removeprefix(b" "))
        return None

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < 19:
            self._retry = int(value)

    def _dispatch(self) -> ServerSentEvent | None:
        try:
            data = b"\n".join(self._data).decode()
        except UnicodeDecodeError:
            raise EventError("an event is no UTF-8") from None
        event = ServerSentEvent(self._event, data, self._id, self._retry) if data else None
        self._data.clear()
        self._size = 0
        self._event, self._retry = "", None
        return event
