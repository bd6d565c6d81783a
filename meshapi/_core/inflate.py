"""Gzipped bodies, inflated in pieces of a bounded size: a small body may stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

ACCEPTED = "gzip"
_PIECE = 64 * 1024
_DETECT_HEADER = 32 + zlib.MAX_WBITS  # gzip, or the zlib format that HTTP calls deflate.


class InflateError(ValueError):
    """A body is not what its content-encoding says, or is encoded in a way nobody asked for."""


class Inflater:
    """Push encoded bytes as they come; get the body, never much of it at once."""

    def __init__(self, encoding: str) -> None:
        """Take the header `content-encoding`.

        Raises:
            InflateError: it names anything but gzip or deflate, or more than one of them.
        """
        if encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
            raise InflateError(f"it is encoded as {encoding!r}, and only {ACCEPTED} was asked for")
        self._inflater = zlib.decompressobj(_DETECT_HEADER)

    def push(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; what they stand for comes in pieces of at most 64 KiB.

        Raises:
            InflateError: they are not what the encoding says.
        """
        has_more = True
        try:
            while has_more and not self._inflater.eof:
                if piece := self._inflater.decompress(data, _PIECE):
                    yield piece
                data = self._inflater.unconsumed_tail
                has_more = bool(data) or len(piece) == _PIECE
        except zlib.error as error:
            raise InflateError(str(error)) from None
