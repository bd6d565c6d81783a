"""The log: one line per attempt under `meshapi`, without content and without secrets."""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import TYPE_CHECKING, TextIO

from meshapi.errors import ConfigurationError

if TYPE_CHECKING:
    from meshapi._core.hooks import ResponseInfo

VARIABLE = "MESHAPI_LOG"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO}

logger = logging.getLogger("meshapi")
logger.addHandler(logging.NullHandler())


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at the moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # Elsewhere it is set once.
        return sys.stderr


_to_stderr = _ToStderr()


def listen_to_environment() -> None:
    """Show the log on stderr where `MESHAPI_LOG` asks for it.

    Raises:
        ConfigurationError: it asks for something else.
    """
    asked = os.environ.get(VARIABLE)
    if not asked:
        return
    level = _LEVELS.get(asked.strip().lower())
    if level is None:
        raise ConfigurationError(f"{VARIABLE} must be debug or info")
    logger.setLevel(level)
    logger.addHandler(_to_stderr)


def is_on() -> bool:
    """Whether anybody wants the lines."""
    return logger.isEnabledFor(logging.INFO)


def write(response: ResponseInfo, outcome: str, events: int | None) -> None:
    """Write the line of an attempt that is over."""
    request = response.request
    line = (
        f"{request.method} {request.path} {response.status_code or '-'}"
        f" {_plain(response.request_id or '-')} {response.elapsed * 1000:.0f} ms"
        f", attempt {request.attempt}"
    )
    count = "" if events is None else f", {events} events"
    logger.info("%s", f"{line}{count}{outcome and f': {outcome}'}")


def reason(response: ResponseInfo) -> str:
    """Why an attempt failed: the class of the error, and the wire's code; "" if it did not."""
    name = response.error.__name__ if response.error else ""
    return name if response.code is None else f"{name} ({_plain(str(response.code))})"


def _plain(text: str) -> str:
    # What a server sent may begin another line, or move a terminal's cursor.
    return re.sub(r"[^!-~]", "?", text[:100])
