"""Ask several questions at once."""

import asyncio

from meshapi import AsyncMeshAPI, ChatCompletionParams


def question(topic: str) -> ChatCompletionParams:
    return ChatCompletionParams(messages=[{"role": "user", "content": f"What are {topic}?"}])


async def main() -> None:
    async with AsyncMeshAPI() as client:
        asked = map(question, ["lists", "tuples", "strings"])
        for answer in await asyncio.gather(*map(client.chat.completions.create, asked)):
            print(answer.text)


asyncio.run(main())
