"""Telemetry breaks no call: what goes wrong in it is logged, once."""

from __future__ import annotations

from types import TracebackType

from meshapi._core.log import logger

_told = set[str]()


class _Unbroken:
    """`with unbroken:` ends at an error, and goes on behind it."""

    def __enter__(self) -> None:
        """Nothing to prepare: one object serves all threads."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        _tell(f"{type(error).__name__} in {_place(traceback)}")
        return True


unbroken: _Unbroken = _Unbroken()


def _tell(problem: str) -> None:
    # Neither the error's words nor its traceback: they may quote a conversation.
    if problem not in _told:
        _told.add(problem)
        logger.error("Telemetry failed (%s); calls go on without it", problem)


def _place(traceback: TracebackType | None) -> str:
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    if traceback is None:
        return "an unknown place"
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
