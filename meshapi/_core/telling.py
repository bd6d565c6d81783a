"""How a hook is called: it may fail and take its time, and breaks no call."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from meshapi._core import log
from meshapi._core.waiting import was_cancelled_alone, within
from meshapi.errors import ConfigurationError

if TYPE_CHECKING:
    from meshapi._core.hooks import Hooks

InfoT = TypeVar("InfoT")
Hook: TypeAlias = Callable[[InfoT], Awaitable[None] | None]

_NEEDS_ASYNC = "An async hook needs AsyncMeshAPI"


def check_plain(hooks: Hooks | None) -> None:
    """Refuse hooks that nobody would await.

    Raises:
        ConfigurationError: one is an `async def`.
    """
    if hooks is None:
        return
    for hook in (hooks.on_request, hooks.on_response, hooks.on_retry):
        called = getattr(hook, "__call__", None)  # noqa: B004  # Of an object, what it is called by.
        if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(called):
            raise ConfigurationError(_NEEDS_ASYNC)


def tell(hook: Hook[InfoT] | None, info: InfoT) -> None:
    """Call a hook; what goes wrong in it is logged."""
    if hook is None:
        return
    around = sys.exception()
    try:
        _refuse(hook(info))
    except Exception as error:  # noqa: BLE001  # Whatever a hook raises, the call goes on.
        _log(info, error, around)


async def async_tell(hook: Hook[InfoT] | None, info: InfoT, seconds: float) -> None:
    """Call a hook, and await it for so long where it is async; what goes wrong in it is logged."""
    if hook is None:
        return
    around = sys.exception()
    try:
        answer = hook(info)
        if inspect.isawaitable(answer):
            async with within(seconds):
                await answer
    except Exception as error:  # noqa: BLE001  # Whatever a hook raises, the call goes on.
        _log(info, error, around)
    except BaseException as error:
        if not was_cancelled_alone(error):
            raise
        _log(info, error, around)


def _refuse(answer: object) -> None:
    if inspect.iscoroutine(answer):
        answer.close()
    if inspect.isawaitable(answer):
        raise TypeError(_NEEDS_ASYNC)


def _log(info: object, error: BaseException, around: BaseException | None) -> None:
    """Log what a hook raised, without the failure of the call that it was told of."""
    last = error
    while last.__context__ and last.__context__ is not around:
        last = last.__context__
    last.__context__ = None
    log.hook_failure(f"on_{type(info).__name__.removesuffix('Info').lower()}", error)
