"""The log: one line per attempt under `meshapi`, without content and without secrets."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from meshapi._core.checks import is_word
from meshapi.errors import ConfigurationError

if TYPE_CHECKING:
    from meshapi._core.hooks import ResponseInfo, RetryInfo

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
    asked = os.environ.get(VARIABLE, "").strip()
    if not asked:
        return
    level = _LEVELS.get(asked.lower())
    if level is None:
        raise ConfigurationError(f"{VARIABLE} must be debug or info, not {asked[:20]!r}")
    logger.setLevel(level)
    logger.addHandler(_to_stderr)


def is_on() -> bool:
    """Whether anybody wants the lines."""
    return logger.isEnabledFor(logging.INFO)


def attempt(
    response: ResponseInfo,
    error: type[BaseException] | None = None,
    *,
    retry: RetryInfo | None = None,
    events: int | None = None,
    is_left: bool = False,
) -> None:
    """Write the line of an attempt that is over; its record carries the facts, too.

    Args:
        response: what came of it, as far as is known.
        error: what ended it; None of a good answer.
        retry: the wait for the next one, if there is one.
        events: how many came, of a stream.
        is_left: whether the caller left its stream half-way.
    """
    request, code = response.request, _word(response.code)
    facts = {
        "method": request.method,
        "path": request.path,
        "status_code": response.status_code,
        "request_id": _word(response.request_id),
        "elapsed": response.elapsed,
        "attempt": request.attempt,
        "error": error.__name__ if error else None,
        "code": code,
        "wait": retry.wait if retry else None,
        "events": events,
    }
    line = (
        f"{request.method} {request.path} {response.status_code or '-'}"
        f" {facts['request_id'] or '-'} {response.elapsed * 1000:.0f} ms, attempt {request.attempt}"
    )
    count = "" if events is None else f", {events} event{'' if events == 1 else 's'}"
    ends = [_reason(error, code), _wait(retry), "left half-way" if is_left else ""]
    outcome = ", ".join(filter(None, ends))
    _write(logging.INFO, f"{line}{count}{outcome and f': {outcome}'}", facts)


def opening(response: ResponseInfo) -> None:
    """Write at DEBUG that the first event of a stream came."""
    request, seconds = response.request, response.elapsed
    line = f"{request.method} {request.path}: the first event came after {seconds * 1000:.0f} ms"
    _write(logging.DEBUG, line)


def queue(method: str, path: str, wait: float) -> None:
    """Write at DEBUG that an attempt waits for its turn."""
    _write(logging.DEBUG, f"{method} {path}: the rate_limit has room in {wait:.2f} s")


def hook_failure(name: str, error: BaseException) -> None:
    """Write that a hook failed, and where."""
    _write(logging.ERROR, f"The hook {name} failed; the call goes on", error=error)


def _reason(error: type[BaseException] | None, code: str | None) -> str:
    name = error.__name__ if error else ""
    return name if code is None else f"{name} ({code})"


def _wait(retry: RetryInfo | None) -> str:
    if retry is None:
        return ""
    asked = ", as the server asked" if retry.server_named_wait else ""
    return f"again in {retry.wait:.2f} s{asked}"


def _word(sent: str | int | None) -> str | None:
    # What a server sent may begin another line, move a terminal's cursor, or be somebody's text.
    if sent is None:
        return None
    return str(sent) if is_word(str(sent)) else "?"


def _write(
    level: int,
    line: str,
    facts: Mapping[str, object] | None = None,
    error: BaseException | None = None,
) -> None:
    try:
        logger.log(level, "%s", line, extra=facts, exc_info=error)
    except Exception:  # noqa: BLE001  # A handler may fail; what came of the call stands.
        if logging.raiseExceptions and sys.stderr:  # As logging's own handlers do.
            traceback.print_exc(chain=False)
