"""The clients that are measured, each as its users would call it, behind the same two methods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from benchmarks.wordings import Messages


class SyncAdapter(Protocol):
    """A client for threads."""

    def __init__(self, url: str, /) -> None:
        """Make the client, once; `/v1/chat/completions` is below the URL."""
        ...

    def ask(self, messages: Messages, /) -> str:
        """The text of a whole answer."""
        ...

    def stream(self, messages: Messages, /) -> Iterator[str]:
        """The text of each chunk, read to the end."""
        ...


class AsyncAdapter(Protocol):
    """A client for asyncio."""

    def __init__(self, url: str, /) -> None:
        """Make the client, once; `/v1/chat/completions` is below the URL."""
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
