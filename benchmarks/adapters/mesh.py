"""`meshapi`: this project's, or the official 0.1.11, which is called in the same words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from benchmarks.wordings import MODEL, Messages
from meshapi import AsyncMeshAPI, ChatCompletionParams, MeshAPI

_TOKEN = "rsk_benchmark"  # No secret.


class Sync:
    """For threads."""

    def __init__(self, url: str) -> None:
        self._chat = MeshAPI(base_url=url, token=_TOKEN).chat.completions

    def ask(self, messages: Messages) -> str:
        params = ChatCompletionParams(model=MODEL, messages=messages)
        return str(self._chat.create(params).choices[0].message.content)

    def stream(self, messages: Messages) -> Iterator[str]:
        params = ChatCompletionParams(model=MODEL, messages=messages)
        for chunk in self._chat.stream(params):
            yield str(chunk.choices[0].delta.content)


class Async:
    """For asyncio."""

    def __init__(self, url: str) -> None:
        self._chat = AsyncMeshAPI(base_url=url, token=_TOKEN).chat.completions

    async def ask(self, messages: Messages) -> str:
        params = ChatCompletionParams(model=MODEL, messages=messages)
        answer = await self._chat.create(params)
        return str(answer.choices[0].message.content)

    async def stream(self, messages: Messages) -> AsyncIterator[str]:
        params = ChatCompletionParams(model=MODEL, messages=messages)
        async for chunk in self._chat.stream(params):
            yield str(chunk.choices[0].delta.content)
