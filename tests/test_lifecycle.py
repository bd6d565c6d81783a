"""What a client leaves behind: nothing, and no warning."""

from __future__ import annotations

import subprocess
import sys

import pytest

from meshapi.local import LocalGateway

PREAMBLE = """
import asyncio, gc, logging, sys, threading
from meshapi import AsyncMeshAPI, ChatCompletionParams, MeshAPI
logging.getLogger("asyncio").setLevel(logging.ERROR)  # It also notes slow starts.
url = sys.argv[1]
question = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
streamed = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}], stream=True)
"""
SCRIPTS = {
    "sync, left by break": """
client = MeshAPI(base_url=url, token="rsk_local")
for chunk in client.chat.completions.create(streamed):
    break
for text in client.chat.completions.stream(question).text_stream:
    break
""",
    "sync, never iterated, never closed": """
client = MeshAPI(base_url=url, token="rsk_local")
client.chat.completions.create(streamed)
stream = client.chat.completions.stream(question)
MeshAPI(base_url=url, token="rsk_local").chat.completions.create(question)
""",
    "sync, never closed and in a cycle of garbage": """
for _ in range(20):
    client = MeshAPI(base_url=url, token="rsk_local")
    client.chat.completions.create(question)
    cycle = [client]
    cycle.append(cycle)
    del client, cycle
    gc.collect()
""",
    "async, left by break": """
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local") as client:
        async for chunk in await client.chat.completions.create(streamed):
            break
        async for chunk in client.chat.completions.stream(question):
            break
        async for text in client.chat.completions.stream(question).text_stream:
            break
asyncio.run(main())
""",
    "async, never iterated": """
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local") as client:
        client.chat.completions.stream(question)
        await client.chat.completions.create(streamed)
        await client.chat.completions.create(question)
asyncio.run(main())
""",
    "async, cancelled": """
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local") as client:
        calls = [asyncio.create_task(client.chat.completions.create(question)) for _ in range(50)]
        await asyncio.sleep(0.01)
        for call in calls:
            call.cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert any(isinstance(each, asyncio.CancelledError) for each in done)
        assert (await client.chat.completions.create(question)).text
asyncio.run(main())
""",
    "async, in one loop after another, never closed": """
client = AsyncMeshAPI(base_url=url, token="rsk_local")
async def main():
    assert (await client.chat.completions.create(question)).text
    assert (await client.chat.completions.stream(question).final()).text
for _ in range(3):
    asyncio.run(main())
""",
    "shared by threads": """
client = MeshAPI(base_url=url, token="rsk_local")
texts = []
def ask():
    texts.append(client.chat.completions.stream(question).final().text)
threads = [threading.Thread(target=ask) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(texts) == 20 and all(texts)
""",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_nothing_is_left_behind_and_nothing_warns(script: str, gateway: LocalGateway) -> None:
    source = PREAMBLE + script + "\ngc.collect()\n"

    run = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", source, gateway.base_url],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.stderr == ""
    assert run.returncode == 0
