"""A limit of the client's own: 90 calls at 60 a minute, and the gateway refuses none."""

import asyncio

from meshapi import AsyncMeshAPI, ChatCompletionParams, RateLimit
from meshapi.local import LocalGateway

question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])


async def main() -> None:
    with LocalGateway() as gateway, gateway.skip_waits():  # A minute, without waiting for it.
        token = gateway.add_key(rpm=60)
        limit = RateLimit(rpm=60)
        async with AsyncMeshAPI(base_url=gateway.base_url, token=token, rate_limit=limit) as client:
            await asyncio.gather(*(client.chat.completions.create(question) for _ in range(90)))
            print(client.totals.calls, "answers,", client.totals.retries, "retries")


asyncio.run(main())
