"""How a hook is called: it may fail and take its time, and breaks no call."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from meshapi._core.log import logger
from meshapi._core.waiting import within

InfoT = TypeVar("InfoT")
Hook: TypeAlias = Callable[[InfoT], Awaitable[None] | None]


def tell(hook: Hook[InfoT] | None, info: InfoT) -> None:
    """Call a hook; what goes wrong in it is logged."""
    if hook is None:
        return
    try:
        answer = hook(info)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError("An async hook needs AsyncMeshAPI")  # noqa: TRY301  # It is logged.
    except Exception:  # noqa: BLE001  # Whatever a hook raises, the call goes on.
        _log_failure(info)


async def async_tell(hook: Hook[InfoT] | None, info: InfoT, seconds: float) -> None:
    """Call a hook, and await it for so long where it is async; what goes wrong in it is logged."""
    if hook is None:
        return
    try:
        answer = hook(info)
        if inspect.isawaitable(answer):
            async with within(seconds):
                await answer
    except Exception:  # noqa: BLE001  # Whatever a hook raises, the call goes on.
        _log_failure(info)


def _log_failure(info: object) -> None:
    name = type(info).__name__.removesuffix("Info").lower()
    logger.exception("The hook on_%s failed; the call goes on", name)
