"""The clients that are measured, each as its users would call it, behind the same two methods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from benchmarks.wordings import Messages

TOKEN = "rsk_benchmark"
"""The key of every measurement; no secret."""


def unless_default(**options: object) -> dict[str, Any]:
    """Those options that are set: a client is measured with its own defaults."""
    return {name: value for name, value in options.items() if value is not None}


class SyncAdapter(Protocol):
    """A client for threads."""

    client: Any
    """The client itself."""

    def __init__(self, url: str, /, token: str = TOKEN, timeout: float | None = None) -> None:
        """Make the client, once; `/v1/chat/completions` is below the URL."""
        ...

    def answer(self, messages: Messages, /) -> Any:
        """A whole answer, as the client gives it."""
        ...

    def ask(self, messages: Messages, /) -> str:
        """The text of a whole answer."""
        ...

    def stream(self, messages: Messages, /) -> Iterator[str]:
        """The text of each chunk, read to the end."""
        ...


class AsyncAdapter(Protocol):
    """A client for asyncio."""

    client: Any
    """The client itself."""

    def __init__(self, url: str, /, token: str = TOKEN, timeout: float | None = None) -> None:
        """Make the client, once; `/v1/chat/completions` is below the URL."""
        ...

    async def answer(self, messages: Messages, /) -> Any:
        """A whole answer, as the client gives it."""
        ...

    async def ask(self, messages: Messages, /) -> str:
        """The text of a whole answer."""
        ...

    def stream(self, messages: Messages, /) -> AsyncIterator[str]:
        """The text of each chunk, read to the end."""
        ...


class Adapter(Protocol):
    """A module with both."""

    @property
    def Sync(self) -> type[SyncAdapter]:  # noqa: N802  # The name of a class.
        """The one for threads."""
        ...

    @property
    def Async(self) -> type[AsyncAdapter]:  # noqa: N802  # The name of a class.
        """The one for asyncio."""
        ...
