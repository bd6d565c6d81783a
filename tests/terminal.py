"""Where the command line is run: an environment, and a terminal with keys and a screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TypeAlias

import pytest

_SECONDS = 15.0
# Whoever leads a session owns the first terminal it opens: Ctrl-C, typed, is a signal to it.
_OWN_TERMINAL = "import os, sys; os.open(os.ttyname(0), os.O_RDWR)"
_MAIN = "from meshapi.cli import main; sys.exit(main())"
_WRITTEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([^\x1b])")


Environment: TypeAlias = dict[str, str]


def aim(monkeypatch: pytest.MonkeyPatch, url: str, token: str = "rsk_of_the_tests") -> None:
    monkeypatch.setenv("MESHAPI_BASE_URL", url)
    monkeypatch.setenv("MESHAPI_TOKEN", token)


def environment(url: str, **more: str) -> Environment:
    return {"MESHAPI_BASE_URL": url, "MESHAPI_TOKEN": "rsk_local", **more}


def buffered() -> Environment:
    """The environment of a Python that writes when it is told to."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


class Terminal:
    """The command line in a terminal of its own, after what is to run first; waits are bounded."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        rows: int = 24,
        stdout: int | None = None,
        first: str = "",
    ) -> None:
        self.raw = b""
        self._typed_at = 0
        self._rows = rows
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{_OWN_TERMINAL}\n{first}\n{_MAIN}", *arguments],
            stdin=self._slave,
            stdout=self._slave if stdout is None else stdout,
            stderr=self._slave,
            env={"PATH": os.environ["PATH"], "TERM": "xterm", **environment},
            start_new_session=True,
        )
        os.close(self._slave)

    @property
    def text(self) -> str:
        """Everything that was written so far."""
        return self.raw.decode(errors="replace")

    def wait_for(self, pattern: str) -> None:
        """Read until something was written since the last key."""
        end = time.monotonic() + _SECONDS
        while not re.search(pattern, self.text[self._typed_at :]):
            assert time.monotonic() < end, f"{pattern!r} is not in {self.text!r}"
            assert self._read(0.2) is not None, f"{pattern!r} is not in {self.text!r}"

    def press(self, keys: str) -> None:
        """Type."""
        self._typed_at = len(self.text)
        os.write(self._master, keys.encode())

    def interrupt(self) -> None:
        """Type Ctrl-C, once nothing happens: Python may sleep through a signal just before it."""
        time.sleep(0.2)
        self.press("\x03")

    def status(self) -> int:
        """Read to the end, and return the exit status."""
        end = time.monotonic() + _SECONDS
        while self._read(0.2) is not None:
            assert time.monotonic() < end, self.text
        return self._process.wait(_SECONDS)

    def _read(self, seconds: float) -> bool | None:
        """Whether something came; None where nothing can any more."""
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._master, 65_536)
        except OSError:  # Linux says so when the other side is gone.
            return None
        self.raw += piece
        return True if piece else None

    @property
    def screen(self) -> list[str]:
        """The lines as somebody sees them who scrolls back: no more than what rich needs."""
        lines, row, column = [""], 0, 0
        for code, final, character in _WRITTEN.findall(self.text):
            if character == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif character == "\r":
                column = 0
            elif character:
                lines[row] = f"{lines[row]:<{column}}"[:column] + character
                column += 1
            elif final == "A":
                row = max(row - int(code or 1), len(lines) - self._rows, 0)
            elif final == "K":
                lines[row] = ""
        return lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)
