"""What a client leaves behind: nothing, and no warning."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.wire_server import WireServer, echo

PREAMBLE = """
import asyncio, gc, logging, sys, threading
from meshapi import AsyncMeshAPI, ChatCompletionParams, MeshAPI, MeshAPIError
from tests.pools import in_use
logging.getLogger("asyncio").setLevel(logging.ERROR)  # It also notes slow starts.
url = sys.argv[1]
question = ChatCompletionParams(messages=[{"role": "user", "content": "Hi, you there!"}])
streamed = ChatCompletionParams(messages=question.messages, stream=True)
slowly = ChatCompletionParams(messages=[{"role": "user", "content": "Hi slowly slowly slowly you"}])
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
    "async, 1,200 calls cancelled in flight": """
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local") as client:
        streams = [client.chat.completions.stream(slowly).final() for _ in range(1200)]
        calls = [asyncio.create_task(each) for each in streams]
        while in_use(client) < 1000:
            await asyncio.sleep(0.01)
        for call in calls:
            call.cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(each, asyncio.CancelledError) for each in done) > 1000
        assert in_use(client) == 0, in_use(client)
        assert (await client.chat.completions.create(question)).text
asyncio.run(main())
""",
    "async, 1,200 calls cancelled where they wait for a connection": """
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local", max_connections=5) as client:
        calls = [asyncio.create_task(client.chat.completions.create(question)) for _ in range(1200)]
        await asyncio.sleep(0.05)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert in_use(client) == 0, in_use(client)
        assert (await client.chat.completions.create(question)).text
asyncio.run(main())
""",
    "async, cancelled twice at every step": """
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local") as client:
        for step in range(60):
            call = asyncio.create_task(client.chat.completions.create(question))
            for _ in range(step):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        assert in_use(client) == 0, in_use(client)
asyncio.run(main())
""",
    "sync, 1,000 streams left in every way": """
client = MeshAPI(base_url=url, token="rsk_local", max_connections=4)
for number in range(1000):
    stream = client.chat.completions.stream(question)
    if number % 3:
        next(stream)
    if number % 5 == 0:
        stream.close()
    if number % 100 == 0:
        stream = [stream]
        stream.append(stream)
        del stream
        gc.collect()
del stream
assert in_use(client) == 0, in_use(client)
""",
    "async, 1,000 streams left in every way": """
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local", max_connections=4) as client:
        for number in range(1000):
            stream = client.chat.completions.stream(question)
            if number % 3:
                await anext(stream)
            if number % 5 == 0:
                await stream.close()
            if number % 100 == 0:
                stream = [stream]
                stream.append(stream)
                del stream
                gc.collect()
        stream = None
        await asyncio.sleep(0.01)
        assert in_use(client) == 0, in_use(client)
asyncio.run(main())
""",
    "sync, in forked children": """
import os
client = MeshAPI(base_url=url, token="rsk_local")
stream = client.chat.completions.stream(question)
first = next(stream).text
def ask(times):
    for number in range(times):
        text = f"{os.getpid()}-{number}"
        asked = ChatCompletionParams(messages=[{"role": "user", "content": text}])
        assert client.chat.completions.create(asked).text == text, "another's answer"
from meshapi._core.fork import Process
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        assert Process.generation == 1  # Who shares a pool is not always caught at it.
        ask(20)
        try:
            list(stream)
        except MeshAPIError:
            pass
        os._exit(0)
    children.append(child)
ask(20)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
assert first + "".join(chunk.text for chunk in stream) == "Hi, you there!"
""",
    "sync, forked while threads call": """
import os
client = MeshAPI(base_url=url, token="rsk_local")
client.chat.completions.create(question)
stop = threading.Event()
def ask():
    while not stop.is_set():
        client.chat.completions.create(question)
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads: thread.start()
children = []
for _ in range(10):
    child = os.fork()
    if not child:
        client.chat.completions.create(question)
        os._exit(0)
    children.append(child)
statuses = [os.waitpid(child, 0)[1] for child in children]
stop.set()
for thread in threads: thread.join()
assert statuses == [0] * 10, statuses
""",
    "async, in forked children": """
import os
client = AsyncMeshAPI(base_url=url, token="rsk_local")
async def ask():
    for number in range(10):
        text = f"{os.getpid()}-{number}"
        asked = ChatCompletionParams(messages=[{"role": "user", "content": text}])
        assert (await client.chat.completions.create(asked)).text == text, "another's answer"
runner = asyncio.Runner()
runner.run(ask())
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        asyncio.run(ask())
        os._exit(0)
    children.append(child)
runner.run(ask())
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
runner.close()
""",
    "sync, a stream of the parent in a child": """
import os
slowly = ChatCompletionParams(messages=[{"role": "user", "content": "Hi slowly you"}])
client = MeshAPI(base_url=url, token="rsk_local")
stream = client.chat.completions.stream(slowly)
text = next(stream).text + next(stream).text
rest = []
reading = threading.Thread(target=lambda: rest.extend(chunk.text for chunk in stream))
reading.start()
child = os.fork()
if not child:
    try:
        next(stream)
    except MeshAPIError:
        stream.close()
        os._exit(0)
    os._exit(1)
reading.join()
assert text + "".join(rest) == "Hi slowly you", rest
assert os.waitpid(child, 0)[1] == 0
""",
    "async, a stream of the parent in a child": """
import os
slowly = ChatCompletionParams(messages=[{"role": "user", "content": "Hi slowly you"}])
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local") as client:
        stream = client.chat.completions.stream(slowly)
        text = (await anext(stream)).text
        child = os.fork()
        if not child:
            try:
                asyncio.run(stream.__anext__())
            except MeshAPIError:
                asyncio.run(stream.close())
                os._exit(0)
            os._exit(1)
        async for chunk in stream:
            text += chunk.text
        assert text == "Hi slowly you", text
        assert os.waitpid(child, 0)[1] == 0
asyncio.run(main())
""",
    "sync, interrupted in a stream": """
import signal
client = MeshAPI(base_url=url, token="rsk_local")
for _ in range(5):
    try:
        for chunk in client.chat.completions.stream(question):
            signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass
assert in_use(client) == 0, in_use(client)
assert client.chat.completions.create(question).text
""",
    "async, interrupted in a stream": """
import signal
async def main():
    async with AsyncMeshAPI(base_url=url, token="rsk_local") as client:
        async for chunk in client.chat.completions.stream(question):
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(1)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
else:
    assert False, "It was not interrupted"
""",
    "async, two event loops at once": """
client = AsyncMeshAPI(base_url=url, token="rsk_local")
texts = []
async def main():
    for _ in range(10):
        texts.append((await client.chat.completions.stream(question).final()).text)
threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(texts) == 40 and all(texts)
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
def test_nothing_is_left_behind_and_nothing_warns(script: str) -> None:
    source = PREAMBLE + script + "\ngc.collect()\n"

    with WireServer(echo) as server:
        run = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", source, server.url],
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert run.stderr == ""
    assert run.returncode == 0
