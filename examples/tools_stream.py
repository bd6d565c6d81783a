"""Watch a model work with async functions: its words as they come, the results of its calls."""

import asyncio

from meshapi import AsyncMeshAPI, ChatCompletionParams, ToolResult


async def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"The sky over {city} is clear."


async def main() -> None:
    question = ChatCompletionParams(messages=[{"role": "user", "content": "The weather in Oslo?"}])
    async with AsyncMeshAPI() as client:
        async for event in client.chat.completions.run_stream(question, tools=[weather]):
            print(event.content if isinstance(event, ToolResult) else event.text, end="")


asyncio.run(main())
