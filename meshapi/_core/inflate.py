"""Gzipped bodies, inflated in pieces of a bounded size: a small body may stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

ACCEPTED = "gzip"
_PIECE = 64 * 1024
_MOST_WITHOUT_OUTPUT = 1024 * 1024
_DETECT_HEADER = 32 + zlib.MAX_WBITS  # gzip, or the zlib format that HTTP calls deflate.


class InflateError(ValueError):
    """A body is not what its content-encoding says, or is encoded in a way nobody asked for."""


def encoding_of(header: str | None) -> str | None:
    """The encoding that the header `content-encoding` names; None where it names none."""
    if not header:
        return None
    named = [each.strip().lower() for each in header.split(",")]
    return ", ".join(each for each in named if each not in {"", "identity"}) or None


class Inflater:
    """Push encoded bytes as they come; get the body, never much of it at once."""

    def __init__(self, encoding: str) -> None:
        """Take the encoding.

        Raises:
            InflateError: it is not gzip or deflate, or it is more than one.
        """
        if encoding not in {"gzip", "x-gzip", "deflate"}:
            raise InflateError(f"it is encoded as {encoding!r}, and only {ACCEPTED} was asked for")
        self._inflater = zlib.decompressobj(_DETECT_HEADER)
        self._without_output = 0

    def push(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; what they stand for comes in pieces of at most 64 KiB.

        Raises:
            InflateError: they are not what the encoding says.
        """
        for start in range(0, len(data), _PIECE):
            yield from self._push(data[start : start + _PIECE])

    def _push(self, data: bytes) -> Iterator[bytes]:
        has_more = True
        while has_more:
            piece, rest = self._inflate(data)
            self._without_output = 0 if piece else self._without_output + len(data) - len(rest)
            if self._without_output > _MOST_WITHOUT_OUTPUT:
                raise InflateError("a megabyte of it stands for nothing")
            if piece:
                yield piece
            data = rest
            has_more = bool(rest) or len(piece) == _PIECE

    def _inflate(self, data: bytes) -> tuple[bytes, bytes]:
        """The next piece of the body, and what is not inflated yet."""
        inflater = self._inflater
        try:
            piece = inflater.decompress(data, _PIECE)
        except zlib.error as error:
            raise InflateError(str(error)) from None
        if not inflater.eof:
            return piece, inflater.unconsumed_tail
        if inflater.unused_data:  # What follows the end is another such stream, of the same body.
            self._inflater = zlib.decompressobj(_DETECT_HEADER)
        return piece, inflater.unused_data
