"""Ask several questions at once."""

import asyncio

from meshapi import AsyncMeshAPI, ChatCompletionParams

TOPICS = ["lists", "tuples", "strings", "functions"]


async def main() -> None:
    async with AsyncMeshAPI() as client:
        questions = [
            ChatCompletionParams(messages=[{"role": "user", "content": f"What are {topic}?"}])
            for topic in TOPICS
        ]
        answers = await asyncio.gather(*map(client.chat.completions.create, questions))
    for topic, answer in zip(TOPICS, answers, strict=True):
        print(f"{topic}: {answer.text}")


asyncio.run(main())
