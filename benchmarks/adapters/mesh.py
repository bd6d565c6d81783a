"""`meshapi`: this project's, or the official 0.1.11, which is called in the same words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from benchmarks.adapters import TOKEN, unless_default
from benchmarks.wordings import MODEL, Messages
from meshapi import AsyncMeshAPI, ChatCompletionParams, MeshAPI


class Sync:
    """For threads."""

    def __init__(self, url: str, /, token: str = TOKEN, timeout: float | None = None) -> None:
        self.client = MeshAPI(base_url=url, token=token, **unless_default(timeout=timeout))
        self._chat = self.client.chat.completions

    def answer(self, messages: Messages) -> Any:
        return self._chat.create(ChatCompletionParams(model=MODEL, messages=messages))

    def ask(self, messages: Messages) -> str:
        return str(self.answer(messages).choices[0].message.content)

    def stream(self, messages: Messages) -> Iterator[str]:
        params = ChatCompletionParams(model=MODEL, messages=messages)
        for chunk in self._chat.stream(params):
            yield str(chunk.choices[0].delta.content)


class Async:
    """For asyncio."""

    def __init__(self, url: str, /, token: str = TOKEN, timeout: float | None = None) -> None:
        self.client = AsyncMeshAPI(base_url=url, token=token, **unless_default(timeout=timeout))
        self._chat = self.client.chat.completions

    async def answer(self, messages: Messages) -> Any:
        return await self._chat.create(ChatCompletionParams(model=MODEL, messages=messages))

    async def ask(self, messages: Messages) -> str:
        return str((await self.answer(messages)).choices[0].message.content)

    async def stream(self, messages: Messages) -> AsyncIterator[str]:
        params = ChatCompletionParams(model=MODEL, messages=messages)
        async for chunk in self._chat.stream(params):
            yield str(chunk.choices[0].delta.content)
