"""What a hostile or a long answer costs in memory, measured in a child process."""

from __future__ import annotations

import gc
import gzip
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import FrameType

import pytest

from meshapi import ChatCompletionParams, Hooks, MeshAPIError
from tests.colours import Client, Sync
from tests.wire_server import (
    CHUNKED,
    LAST_CHUNK,
    Forever,
    Step,
    WireServer,
    events,
    http_chunk,
    response,
)

HEL = b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'
MIB = 2**20
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])

CHILD = """
import asyncio, json, sys
from meshapi import AsyncMeshAPI, ChatCompletionParams, MeshAPI, MeshAPIError
colour, way, url = sys.argv[1:]
question = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
options = {"base_url": url, "token": "rsk_test", "max_retries": 0, "timeout": 60}
def sync(way):
    with MeshAPI(**options) as client:
        if way == "create":
            return client.chat.completions.create(question)
        return client.chat.completions.stream(question).final()
async def later(way):
    async with AsyncMeshAPI(**options) as client:
        if way == "create":
            return await client.chat.completions.create(question)
        return await client.chat.completions.stream(question).final()
def ask():
    try:
        return "answer", (sync(way) if colour == "sync" else asyncio.run(later(way))).text
    except MeshAPIError as error:
        return type(error).__name__, str(error)
def peak():
    # Not ru_maxrss, which begins at the parent's.
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024
before = peak()
kind, text = ask()
print(json.dumps([kind, len(text), peak() - before]))
"""


def asked(colour: str, way: str, script: bytes | Sequence[Step]) -> tuple[str, int, int]:
    """What a child got, the length of its text, and the MiB that it grew by."""
    with WireServer(script) as server:
        run = subprocess.run(
            [sys.executable, "-c", CHILD, colour, way, server.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    kind, length, grown = json.loads(run.stdout)
    return kind, length, grown


def bomb(status: int) -> bytes:
    """A gibibyte in a megabyte."""
    body = gzip.compress(b" " * 64 * MIB) * 16
    return response(body, status=status, headers={"content-encoding": "gzip"})


HOSTILE: dict[str, tuple[str, bytes | Sequence[Step], str, int]] = {
    "an endless answer": (
        "create",
        [b"HTTP/1.1 200 OK\r\n\r\n", Forever(b" " * 65536)],
        "InvalidResponse",
        200,
    ),
    "an inflated answer": ("create", bomb(200), "InvalidResponse", 200),
    "an inflated error": ("create", bomb(500), "ServerError", 20),
    "an endless event": (
        "stream",
        [events(HEL + b"data: "), Forever(b"x" * 65536)],
        "StreamInterrupted",
        150,
    ),
    "an inflated event": (
        "stream",
        events(
            gzip.compress(HEL + b"data: " + b"x" * 512 * MIB, 1),
            headers={"content-encoding": "gzip"},
        ),
        "StreamInterrupted",
        150,
    ),
    "a body in the place of events": (
        "stream",
        response(b"<p>" * 20 * MIB, content_type="text/html"),
        "StreamInterrupted",
        200,
    ),
}


@pytest.mark.parametrize(("way", "script", "kind", "most"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_hostile_answer_is_bounded(
    colour: str, way: str, script: bytes | Sequence[Step], kind: str, most: int
) -> None:
    got, _, grown = asked(colour, way, script)

    assert got == kind
    assert grown < most


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_ten_megabytes_in_one_event_are_read_in_modest_memory(colour: str) -> None:
    chunk = {"choices": [{"delta": {"content": "x" * 10 * MIB}, "finish_reason": "stop"}]}
    event = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    pieces = [http_chunk(event[start : start + 16384]) for start in range(0, len(event), 16384)]
    kind, length, grown = asked(colour, "stream", [CHUNKED, *pieces, LAST_CHUNK])

    assert (kind, length) == ("answer", 10 * MIB)
    assert grown < 150


@pytest.mark.parametrize("hooks", [None, Hooks(on_response=lambda _: None)], ids=["", "hooks"])
@pytest.mark.parametrize("status", [400, 200], ids=["refused", "nonsense"])
def test_an_answer_that_is_an_error_leaves_nothing_to_the_garbage_collector(
    status: int, hooks: Hooks | None, colour: Sync
) -> None:
    async def failed(answer: Awaitable[object]) -> bool:
        with suppress(MeshAPIError):
            await answer
            return False
        return True

    def fail(client: Client) -> None:
        with suppress(MeshAPIError):
            answer = client.chat.completions.create(QUESTION)
            assert isinstance(answer, Awaitable)
            settle: Callable[[Awaitable[bool]], bool] = colour.settle
            assert settle(failed(answer))

    def kept() -> list[str]:
        wanted = (FrameType, MeshAPIError)
        return [type(each).__name__ for each in gc.get_objects() if isinstance(each, wanted)]

    with WireServer(response("nonsense", status=status)) as server:
        client = colour.client(base_url=server.url, token="t", hooks=hooks)
        fail(client)
        gc.collect()
        gc.disable()
        try:
            before = kept()
            fail(client)
            after = kept()
        finally:
            gc.enable()
        colour.settle(client.close())

    assert after == before
