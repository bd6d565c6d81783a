"""JSON that is still coming, read as far as it has come."""

from __future__ import annotations

from pydantic_core import from_json

from meshapi._core.checks import fields_of

WRAPPER = "value"
"""The one field of an object that stands for a value that is no object."""

# Each reading goes through the whole text. That a long one is read only when it has grown by a part
# of itself keeps the sum in proportion to its length.
_SHORT = 16_384
_PART = 64


class PartialJSON:
    """A JSON document that comes in pieces."""

    def __init__(self, *, is_wrapped: bool) -> None:
        """Begin with nothing; of a wrapped value, the wrapper is not shown."""
        self._is_wrapped = is_wrapped
        self._pieces: list[str] = []
        self._length = 0
        self._due = 0
        self._shown: list[object] = []

    def add(self, piece: str) -> list[object]:
        """Take the next piece; give what can be read by now, in a list, if that is something new.

        A text or number that has not ended is shown as far as it has come. What is no JSON shows
        nothing.
        """
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length < self._due:
            return []
        self._due = self._length + max(0, self._length - _SHORT) // _PART
        shown = self._readable("".join(self._pieces))
        if shown == self._shown:
            return []
        self._shown = shown
        return shown

    def _readable(self, text: str) -> list[object]:
        try:
            document: object = from_json(text, allow_partial="trailing-strings")
        except ValueError:
            return []
        if not self._is_wrapped:
            return [document]
        fields = fields_of(document)
        return [fields[WRAPPER]] if WRAPPER in fields else []
