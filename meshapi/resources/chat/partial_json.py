"""JSON that is still coming, read as far as it has come."""

from __future__ import annotations

from pydantic_core import from_json

from meshapi._core.checks import fields_of

# Each look reads the text from its start. That a long one is looked at only when it has grown by a
# part of itself keeps the sum in proportion to its length.
_SHORT = 16_384
_PART = 64


class PartialJSON:
    """A JSON document that comes in pieces.

    What has not ended, a text above all, is shown as far as it can be read. What is no JSON shows
    nothing.
    """

    def __init__(self, text: str = "", *, wrapper: str | None = None) -> None:
        """Go on from a text; where a wrapper is named, only what is in its field is shown."""
        self._wrapper = wrapper
        self._pieces = [text]
        self._length = len(text)
        self._due = 0
        self._shown: list[object] = []

    def add(self, piece: str) -> list[object]:
        """Take the next piece; a long document is then looked at now and again."""
        self._pieces.append(piece)
        self._length += len(piece)
        return self.look() if self._length >= self._due else []

    def look(self) -> list[object]:
        """What can be read by now, in a list, if that is something new."""
        self._due = self._length + 1 + max(0, self._length - _SHORT) // _PART
        shown = self._readable("".join(self._pieces))
        if shown == self._shown:
            return []
        self._shown = shown
        return shown

    def _readable(self, text: str) -> list[object]:
        try:
            document: object = from_json(
                text, allow_inf_nan=False, allow_partial="trailing-strings"
            )
        except ValueError:
            return []
        if self._wrapper is None:
            return [document]
        fields = fields_of(document)
        return [fields[self._wrapper]] if self._wrapper in fields else []
