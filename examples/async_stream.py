"""Stream an answer with asyncio, chunk by chunk."""

import asyncio

from meshapi import AsyncMeshAPI, ChatCompletionParams

question = ChatCompletionParams(messages=[{"role": "user", "content": "Tell me a story."}])


async def main() -> None:
    async with AsyncMeshAPI() as client, client.chat.completions.stream(question) as stream:
        async for chunk in stream:
            print(chunk.text, end="", flush=True)
    print("\n", stream.usage)


asyncio.run(main())
