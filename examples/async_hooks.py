"""On the async client, a hook may be async: here it puts what came of each attempt in a queue."""

import asyncio

from meshapi import AsyncMeshAPI, ChatCompletionParams, Hooks, ResponseInfo

question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])


async def main() -> None:
    told: asyncio.Queue[ResponseInfo] = asyncio.Queue()
    async with AsyncMeshAPI(hooks=Hooks(on_response=told.put)) as client:
        await asyncio.gather(*(client.chat.completions.create(question) for _ in range(3)))
    while not told.empty():
        response = told.get_nowait()
        print(response.status_code, response.request_id, response.request.idempotency_key)


asyncio.run(main())
