"""`openrouter` with its server switched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

from benchmarks.adapters import TOKEN, unless_default
from benchmarks.wordings import MODEL, Messages

openrouter: Any = import_module("openrouter")  # Not by `import`: it has its own environment.


def _client(url: str, token: str, timeout: float | None) -> Any:
    options = unless_default(timeout_ms=timeout and int(timeout * 1000))
    return openrouter.OpenRouter(server_url=f"{url}/v1", api_key=token, **options)


class Sync:
    """For threads."""

    def __init__(self, url: str, /, token: str = TOKEN, timeout: float | None = None) -> None:
        self.client: Any = _client(url, token, timeout)
        self._chat: Any = self.client.chat

    def answer(self, messages: Messages) -> Any:
        return self._chat.send(model=MODEL, messages=messages)

    def ask(self, messages: Messages) -> str:
        return str(self.answer(messages).choices[0].message.content)

    def stream(self, messages: Messages) -> Iterator[str]:
        with self._chat.send(model=MODEL, messages=messages, stream=True) as chunks:
            for chunk in chunks:
                yield str(chunk.choices[0].delta.content)


class Async:
    """For asyncio."""

    def __init__(self, url: str, /, token: str = TOKEN, timeout: float | None = None) -> None:
        self.client: Any = _client(url, token, timeout)
        self._chat: Any = self.client.chat

    async def answer(self, messages: Messages) -> Any:
        return await self._chat.send_async(model=MODEL, messages=messages)

    async def ask(self, messages: Messages) -> str:
        return str((await self.answer(messages)).choices[0].message.content)

    async def stream(self, messages: Messages) -> AsyncIterator[str]:
        chunks = await self._chat.send_async(model=MODEL, messages=messages, stream=True)
        async with chunks:
            async for chunk in chunks:
                yield str(chunk.choices[0].delta.content)
