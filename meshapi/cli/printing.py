"""What may be written where: colours to a terminal only, and nothing that would steer one."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TextIO

# What a model or a server says must not move the cursor, set a title or fill a clipboard.
_SHOWN_AS = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"},
    ord("\r"): None,
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
}


def harmless(text: str) -> str:
    """The text with its control characters made visible, so that a terminal obeys none of them."""
    return text.translate(_SHOWN_AS)


def shown(text: str, stream: TextIO) -> str:
    """The text as this stream may have it: harmless in a terminal, as it is in a pipe."""
    return harmless(text) if stream.isatty() else text


def has_colours(stream: TextIO) -> bool:
    """Whether this is a terminal that can show colours, and whose user wants them."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return stream.isatty() and not is_plain


def tell(line: str, *, dim: bool = False) -> None:
    """Write a line to stderr."""
    line = shown(" ".join(line.splitlines()), sys.stderr)
    if dim and has_colours(sys.stderr):
        line = f"\x1b[2m{line}\x1b[0m"
    with suppress(OSError):  # What cannot be told is no reason to stop.
        print(line, file=sys.stderr, flush=True)


def has_rich() -> bool:
    """Whether rich is to be used on stdout: it can show colours, and rich is installed."""
    return has_colours(sys.stdout) and find_spec("rich") is not None
