"""`openai` with its base_url switched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

from benchmarks.adapters import TOKEN, unless_default
from benchmarks.wordings import MODEL, Messages

openai: Any = import_module("openai")  # Not by `import`: it has an environment of its own.


class Sync:
    """For threads."""

    def __init__(self, url: str, /, token: str = TOKEN, timeout: float | None = None) -> None:
        options = unless_default(timeout=timeout)
        self.client: Any = openai.OpenAI(base_url=f"{url}/v1", api_key=token, **options)
        self._chat: Any = self.client.chat.completions

    def answer(self, messages: Messages) -> Any:
        return self._chat.create(model=MODEL, messages=messages)

    def ask(self, messages: Messages) -> str:
        return str(self.answer(messages).choices[0].message.content)

    def stream(self, messages: Messages) -> Iterator[str]:
        for chunk in self._chat.create(model=MODEL, messages=messages, stream=True):
            yield str(chunk.choices[0].delta.content)


class Async:
    """For asyncio."""

    def __init__(self, url: str, /, token: str = TOKEN, timeout: float | None = None) -> None:
        options = unless_default(timeout=timeout)
        self.client: Any = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=token, **options)
        self._chat: Any = self.client.chat.completions

    async def answer(self, messages: Messages) -> Any:
        return await self._chat.create(model=MODEL, messages=messages)

    async def ask(self, messages: Messages) -> str:
        return str((await self.answer(messages)).choices[0].message.content)

    async def stream(self, messages: Messages) -> AsyncIterator[str]:
        async for chunk in await self._chat.create(model=MODEL, messages=messages, stream=True):
            yield str(chunk.choices[0].delta.content)
