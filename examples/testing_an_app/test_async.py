"""Async code: `asyncio.run` is enough, a plugin of pytest does as well."""

import asyncio

from meshapi import AsyncMeshAPI, ChatCompletionParams
from meshapi.local import LocalGateway


async def titles(texts: list[str]) -> list[str]:
    async with AsyncMeshAPI() as client:

        async def title(text: str) -> str:
            question = {"role": "user", "content": f"A title for: {text}"}
            params = ChatCompletionParams(messages=[question])
            return (await client.chat.completions.create(params)).text

        return await asyncio.gather(*(title(each) for each in texts))


def test_texts_get_titles_together(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("Untitled", times=3)

    assert asyncio.run(titles(["one", "two", "three"])) == ["Untitled"] * 3
    assert len(mesh_gateway.requests) == 3
