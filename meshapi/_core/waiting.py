"""What asyncio does for us, imported when it is first asked for: many programs never use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def within(seconds: float | None) -> asyncio.Timeout:
    """Bound what is awaited in the block, as `asyncio.timeout` does."""
    import asyncio

    return asyncio.timeout(seconds)


def one_at_a_time() -> asyncio.Lock:
    """A lock for tasks."""
    import asyncio

    return asyncio.Lock()


async def async_sleep(seconds: float) -> None:
    """Wait, and let other tasks go on."""
    import asyncio

    await asyncio.sleep(seconds)


def was_cancelled_alone(error: BaseException) -> bool:
    """Whether what was awaited was cancelled, and not the task that awaits it."""
    import asyncio

    if not isinstance(error, asyncio.CancelledError):
        return False  # Such as the end of a coroutine that is dropped, outside of any loop.
    task = asyncio.current_task()
    return not (task and task.cancelling())
