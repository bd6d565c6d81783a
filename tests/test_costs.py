"""What a call and a start cost, as counts: connections, packets, parses, modules. No clock."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections import Counter
from typing import Any

import pytest

from meshapi import AsyncMeshAPI, ChatCompletionChunk, ChatCompletionParams
from meshapi._core import reader
from tests.colours import Sync
from tests.wire_server import WireServer, echo, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
CHUNKS = [json.dumps({"choices": [{"delta": {"content": word}}]}) for word in ["a", "b", "c", "d"]]
STREAM = "".join(f"data: {each}\n\n" for each in [*CHUNKS, "[DONE]"])


def test_a_request_is_sent_in_one_piece(colour: Sync) -> None:
    pieces: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                pieces.append(connection.recv(65536))
                connection.sendall(response('{"choices": []}'))

        server = threading.Thread(target=answer)
        server.start()
        client = colour.client(base_url=f"http://127.0.0.1:{port}", token="rsk_test")
        colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())
        server.join()

    head, _, body = pieces[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert body == b'{"messages":[{"role":"user","content":"Hi"}]}'


def test_a_warm_pool_opens_no_connection() -> None:
    async def counted(url: str) -> tuple[int, int]:
        client = AsyncMeshAPI(base_url=url, token="rsk_test")

        async def lane(calls: int) -> None:
            for _ in range(calls):
                await client.chat.completions.create(QUESTION)

        await asyncio.gather(*(lane(1) for _ in range(50)))
        warm = server.connections
        await asyncio.gather(*(lane(6) for _ in range(50)))
        await client.close()
        return warm, server.connections

    with WireServer(echo) as server:
        warm, after = asyncio.run(counted(server.url))

    assert warm <= 50
    assert after == warm


def test_streams_one_after_another_share_a_connection(colour: Sync) -> None:
    with WireServer(echo) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        for _ in range(50):
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert server.connections == 1


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_an_event_is_parsed_once_however_it_is_cut(
    colour: Sync, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    parsed: Counter[str] = Counter()
    real: Any = vars(reader)["validator_of"]

    def counting(model: type[ChatCompletionChunk]) -> Any:
        validate = real(model)

        def counted(text: str) -> ChatCompletionChunk:
            parsed[text] += 1
            return validate(text)  # type: ignore[no-any-return]  # Of whatever model it is.

        return counted

    monkeypatch.setattr(reader, "validator_of", counting)
    body = events(STREAM)
    with WireServer([body[start : start + size] for start in range(0, len(body), size)]) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        colour.collect(stream)
        text = colour.settle(stream.final()).text
        colour.settle(client.close())

    assert text == "abcd"
    assert parsed == dict.fromkeys(CHUNKS, 1)


MODULES = {
    "import meshapi": {"meshapi", "meshapi._version"},
    "import meshapi.errors": {
        "meshapi",
        "meshapi._core",
        "meshapi._core.meta",
        "meshapi._version",
        "meshapi.errors",
    },
    "from meshapi import MeshAPI; MeshAPI(token='rsk_test')": {
        "meshapi",
        "meshapi._client",
        "meshapi._core",
        "meshapi._core.call",
        "meshapi._core.checks",
        "meshapi._core.connections",
        "meshapi._core.connections.connection",
        "meshapi._core.connections.guard",
        "meshapi._core.connections.kept",
        "meshapi._core.connections.limit",
        "meshapi._core.connections.line",
        "meshapi._core.connections.pool",
        "meshapi._core.connections.proxies",
        "meshapi._core.connections.routes",
        "meshapi._core.connections.shelf",
        "meshapi._core.connections.sync_line",
        "meshapi._core.deadline",
        "meshapi._core.exchange",
        "meshapi._core.fork",
        "meshapi._core.incoming",
        "meshapi._core.inflate",
        "meshapi._core.log",
        "meshapi._core.meta",
        "meshapi._core.models",
        "meshapi._core.outgoing",
        "meshapi._core.resource",
        "meshapi._core.retry",
        "meshapi._core.settings",
        "meshapi._core.telling",
        "meshapi._core.token",
        "meshapi._core.totals",
        "meshapi._core.transport",
        "meshapi._core.usage",
        "meshapi._core.waiting",
        "meshapi._core.watch",
        "meshapi._version",
        "meshapi.errors",
        "meshapi.resources",
        "meshapi.resources.chat",
        "meshapi.resources.chat.chat",
        "meshapi.resources.chat.completions",
        "meshapi.resources.chat.formats",
        "meshapi.resources.chat.inline",
        "meshapi.resources.chat.messages",
        "meshapi.resources.chat.params",
        "meshapi.resources.chat.parts",
        "meshapi.resources.chat.routing",
        "meshapi.resources.chat.tools",
    },
}
LATER = {"asyncio", "tenacity", "httpx_sse", "starlette", "uvicorn", "rich", "opentelemetry"}


@pytest.mark.parametrize("start", MODULES)
def test_a_start_loads_these_modules_and_no_others(start: str) -> None:
    # Where click and rich are installed, httpx would load both for a command line of its own.
    without = "sys.modules['httpx._main'] = None"
    script = f"import sys, json; {without}; {start}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded: set[str] = set(json.loads(run.stdout))

    assert {name for name in loaded if name.split(".")[0] == "meshapi"} == MODULES[start]
    assert not loaded & (LATER | {"argparse"})
    if "MeshAPI" not in start:
        assert not loaded & {"httpx", "pydantic", "httpcore"}
