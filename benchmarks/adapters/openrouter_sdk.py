"""`openrouter` with its server switched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

from benchmarks.wordings import MODEL, Messages

openrouter: Any = import_module("openrouter")  # Not by `import`: it has its own environment.


class Sync:
    """For threads."""

    def __init__(self, url: str) -> None:
        client: Any = openrouter.OpenRouter(server_url=f"{url}/v1", api_key="rsk_benchmark")
        self._chat: Any = client.chat

    def ask(self, messages: Messages) -> str:
        answer = self._chat.send(model=MODEL, messages=messages)
        return str(answer.choices[0].message.content)

    def stream(self, messages: Messages) -> Iterator[str]:
        with self._chat.send(model=MODEL, messages=messages, stream=True) as chunks:
            for chunk in chunks:
                yield str(chunk.choices[0].delta.content)


class Async:
    """For asyncio."""

    def __init__(self, url: str) -> None:
        client: Any = openrouter.OpenRouter(server_url=f"{url}/v1", api_key="rsk_benchmark")
        self._chat: Any = client.chat

    async def ask(self, messages: Messages) -> str:
        answer = await self._chat.send_async(model=MODEL, messages=messages)
        return str(answer.choices[0].message.content)

    async def stream(self, messages: Messages) -> AsyncIterator[str]:
        chunks = await self._chat.send_async(model=MODEL, messages=messages, stream=True)
        async with chunks:
            async for chunk in chunks:
                yield str(chunk.choices[0].delta.content)
