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


def test_each_text_gets_its_own_title(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("On cats", when="They purr.")
    mesh_gateway.reply("On dogs", when="They bark.")

    assert asyncio.run(titles(["They bark.", "They purr."])) == ["On dogs", "On cats"]
