"""httpx with `json.loads`, as an app would call the gateway without any client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import httpx

from benchmarks.wordings import MODEL, Messages

_HEADERS = {"authorization": "Bearer rsk_benchmark"}
_PATH = "/v1/chat/completions"


def _text(line: str) -> str | None:
    """The text of a chunk; None for a line that holds none."""
    if not line.startswith("data: ") or line == "data: [DONE]":
        return None
    return str(json.loads(line[6:])["choices"][0]["delta"]["content"])


class Sync:
    """For threads."""

    def __init__(self, url: str) -> None:
        self._url = url + _PATH
        self._client = httpx.Client(headers=_HEADERS, timeout=60)

    def ask(self, messages: Messages) -> str:
        response = self._client.post(self._url, json={"model": MODEL, "messages": messages})
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"])

    def stream(self, messages: Messages) -> Iterator[str]:
        body = {"model": MODEL, "messages": messages, "stream": True}
        with self._client.stream("POST", self._url, json=body) as response:
            response.raise_for_status()
            for line in response.iter_lines():
                if (text := _text(line)) is not None:
                    yield text


class Async:
    """For asyncio."""

    def __init__(self, url: str) -> None:
        self._url = url + _PATH
        limits = httpx.Limits(max_connections=1000)
        self._client = httpx.AsyncClient(headers=_HEADERS, timeout=60, limits=limits)

    async def ask(self, messages: Messages) -> str:
        response = await self._client.post(self._url, json={"model": MODEL, "messages": messages})
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"])

    async def stream(self, messages: Messages) -> AsyncIterator[str]:
        body = {"model": MODEL, "messages": messages, "stream": True}
        async with self._client.stream("POST", self._url, json=body) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if (text := _text(line)) is not None:
                    yield text
