"""The calls of one answer, run at the same time: by threads, by tasks."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING

from meshapi.resources.chat.running import Running
from meshapi.resources.chat.runs import ToolResult
from meshapi.resources.chat.signatures import is_async
from meshapi.resources.chat.toolbox import PreparedCall

if TYPE_CHECKING:
    import asyncio

_MOST_THREADS = 32


def results(running: Running, due: Sequence[PreparedCall | ToolResult]) -> Generator[ToolResult]:
    """Run the calls together, and give their results in order."""
    if len(due) == 1:
        yield _result(running, due[0])
        return
    threads = _threads_for(due)
    waits = True
    try:
        futures = [threads.submit(copy_context().run, _result, running, each) for each in due]
        for future in futures:
            yield future.result()
    except GeneratorExit:  # Who closes a stream, perhaps an event loop, is not to wait.
        waits = False
        raise
    finally:
        threads.shutdown(wait=waits, cancel_futures=True)


def _result(running: Running, due: PreparedCall | ToolResult) -> ToolResult:
    if isinstance(due, ToolResult):
        return due
    try:
        return running.keep(due.ended(_settled(due.run())))
    except BaseException as error:  # noqa: BLE001  # A cancelled one is told to the model, too.
        return due.failed(_failure(error))


def _settled(value: object) -> object:
    """What an async function gives, waited for in a thread whose loop is its own."""
    if not isawaitable(value):
        return value
    import asyncio  # Not all functions are async.

    async def settled() -> object:
        return await value

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, settled()).result()


def _threads_for(due: Sequence[PreparedCall | ToolResult]) -> ThreadPoolExecutor:
    """The threads of one answer's calls, which share none with anything else."""
    return ThreadPoolExecutor(min(len(due), _MOST_THREADS))


class Calls:
    """The calls of one answer, begun at the same time; closing it ends those that still run."""

    def __init__(self, running: Running, due: Sequence[PreparedCall | ToolResult]) -> None:
        """Begin them all."""
        import asyncio  # It is there: this runs in a loop.

        self._threads = _threads_for(due)
        self.begun: list[tuple[PreparedCall | ToolResult, asyncio.Task[ToolResult]]] = [
            (each, asyncio.create_task(_async_result(running, each, self._threads))) for each in due
        ]

    async def aclose(self) -> None:
        """Cancel them, and wait for those that are not in threads."""
        import asyncio  # It is there: this runs in a loop.

        self._threads.shutdown(wait=False, cancel_futures=True)
        tasks = [task for _, task in self.begun]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def result_of(due: PreparedCall | ToolResult, task: asyncio.Task[ToolResult]) -> ToolResult:
    """Wait for the result of a call."""
    import asyncio  # It is there: this runs in a loop.

    await asyncio.wait([task])  # It raises where the run is cancelled, not where the call is.
    if task.cancelled() and isinstance(due, PreparedCall):
        return due.failed(CancelledError())
    return task.result()


async def _async_result(
    running: Running, due: PreparedCall | ToolResult, threads: ThreadPoolExecutor
) -> ToolResult:
    if isinstance(due, ToolResult):
        return due
    try:
        value = due.run() if is_async(due.run) else await _in_thread(due, threads)
        if isinstance(value, _Raised):
            return due.failed(value.error)
        return running.keep(due.ended(await value if isawaitable(value) else value))
    except Exception as error:  # noqa: BLE001  # Whatever it is, the model is told.
        return due.failed(error)


async def _in_thread(due: PreparedCall, threads: ThreadPoolExecutor) -> object:
    import asyncio  # It is there: this runs in a loop.

    run = copy_context().run
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: run(_attempt, due))


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a function raised in a thread: a `StopIteration` would never get out of one."""

    error: Exception


def _attempt(due: PreparedCall) -> object:
    try:
        return due.run()
    except BaseException as error:  # noqa: BLE001  # A cancelled one is told to the model, too.
        return _Raised(_failure(error))


def _failure(error: BaseException) -> Exception:
    """The error that a function ended with; also where it says that it was cancelled.

    Raises:
        BaseException: it is no error, and ends the run.
    """
    if isinstance(error, Exception):
        return error
    import asyncio  # Hardly any function ends so.

    if isinstance(error, asyncio.CancelledError):
        return CancelledError(*error.args)
    raise error


def raised_by(due: PreparedCall | ToolResult, result: ToolResult) -> Exception | None:
    """What the function raised; None also where it was not run."""
    return result.error if isinstance(due, PreparedCall) else None
