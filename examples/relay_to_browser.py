"""Send a stream on to a browser: with Starlette or FastAPI, the frames are a response's body."""

import asyncio

from meshapi import AsyncMeshAPI, ChatCompletionParams

question = ChatCompletionParams(messages=[{"role": "user", "content": "Write a haiku."}])


async def main() -> None:
    async with AsyncMeshAPI() as client:
        stream = client.chat.completions.stream(question)
        # In an app: return StreamingResponse(stream.to_sse(), media_type="text/event-stream")
        async for frame in stream.to_sse():
            print(frame.decode(), end="")


asyncio.run(main())
