"""A stream is complete or it raises, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from meshapi import (
    AsyncChatCompletionStream,
    AsyncMeshAPI,
    ChatCompletionChunk,
    ChatCompletionParams,
    ChatCompletionResponse,
    DeadlineExceeded,
    MeshAPI,
    RateLimitExceeded,
    ServerError,
    StreamInterrupted,
    Timeout,
)
from meshapi.local import LocalGateway
from tests.colours import Sync
from tests.pools import in_use
from tests.wire_server import Forever, Step, WireServer, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
STREAMED = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}], stream=True)


def chunk(content: str | None = None, finish: str | None = None, index: int = 0) -> str:
    delta = {} if content is None else {"content": content}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'c1', 'choices': [choice]})}\n\n"


HELLO = chunk("Hel") + chunk("lo")
DONE = "data: [DONE]\n\n"


def test_create_with_stream_true_and_stream_give_the_same_chunks(
    colour: Sync, gateway: LocalGateway
) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    seeded = STREAMED.model_copy(update={"seed": 1})

    created = colour.collect(colour.create_stream(client, seeded))
    streamed = colour.collect(client.chat.completions.stream(seeded))
    colour.settle(client.close())

    assert [chunk.text for chunk in created] == [chunk.text for chunk in streamed]
    assert len(created) > 1


def test_text_stream_final_and_usage_agree(colour: Sync, gateway: LocalGateway) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    stream = client.chat.completions.stream(QUESTION)

    pieces = colour.text_of(stream)
    completion = colour.settle(stream.final())
    colour.settle(client.close())

    assert completion.text == "".join(pieces)
    assert len(pieces) > 1
    assert completion.usage == stream.usage
    assert stream.usage is not None
    assert stream.usage.completion_tokens == len(pieces)
    assert completion.object == "chat.completion"
    assert completion.meta.request_id == stream.meta.request_id
    assert stream.meta.status_code == 200


def test_final_reads_what_is_left(colour: Sync) -> None:
    with WireServer(events(HELLO + chunk(finish="stop") + DONE)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        first = colour.take(stream, 1)
        completion = colour.settle(stream.final())
        colour.settle(client.close())

    assert first[0].text == "Hel"
    assert completion.text == "Hello"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(HELLO + chunk(finish="stop") + DONE, id="done"),
        pytest.param(HELLO + chunk(finish="stop"), id="finish reason and no done"),
        pytest.param(HELLO + DONE, id="done and no finish reason"),
        pytest.param(HELLO + "data: [DONE]", id="done is the last byte"),
        pytest.param(HELLO + chunk(finish="stop").rstrip(), id="last event without blank line"),
        pytest.param(HELLO + chunk(finish="stop").rstrip() + "\n", id="last event, one LF"),
        pytest.param(HELLO + chunk(finish="stop").rstrip() + "\r", id="last event, one CR"),
        pytest.param(HELLO + chunk(finish="stop").rstrip() + "\r\n", id="last event, one CRLF"),
        pytest.param(HELLO + chunk(finish="stop") + 'data: {"usa', id="cut after it was complete"),
        pytest.param(HELLO + chunk(finish="stop") + "data: [DO", id="cut in done, but finished"),
        pytest.param(HELLO + DONE + chunk("NEVER"), id="data after done"),
        pytest.param((HELLO + DONE).replace("\n", "\r\n"), id="CRLF"),
        pytest.param((HELLO + DONE).replace("\n", "\r"), id="CR"),
        pytest.param("\ufeff" + HELLO + DONE, id="byte order mark"),
        pytest.param(HELLO.replace("data: ", "data:") + "data:[DONE]\n\n", id="no space"),
        pytest.param("data:\n\ndata:\ndata: \n\n" + HELLO + DONE, id="blank data"),
        pytest.param(": ping\n\n" + HELLO + "retry: 3\n\nid: 1\n\n" + DONE, id="no data"),
    ],
)
def test_a_complete_stream_ends(body: str, colour: Sync) -> None:
    with WireServer(events(body)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        text = "".join(each.text for each in colour.collect(stream))
        completion = colour.settle(stream.final())
        colour.settle(client.close())

    assert text == completion.text == "Hello"


def test_a_cut_after_the_answer_is_complete_is_no_failure(colour: Sync) -> None:
    body = HELLO + chunk(finish="stop")
    with WireServer(CHUNKED + f"{len(body):x}\r\n{body}\r\n".encode()) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        completion = colour.settle(client.chat.completions.stream(QUESTION).final())
        colour.settle(client.close())

    assert completion.text == "Hello"


CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
CUT_CHUNKS = CHUNKED + f"{len(HELLO):x}\r\n{HELLO}\r\n".encode()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(events(HELLO), id="clean end"),
        pytest.param(events(HELLO + chunk(finish="stop", index=1)), id="one choice of two ended"),
        pytest.param(events(HELLO + chunk(finish="stop")[:-20]), id="cut within an event"),
        pytest.param(events(HELLO + "data: {not json}\n\n" + DONE), id="undecodable event"),
        pytest.param(
            events(HELLO.encode() + b'data: {"x": "\xff"}\n\n' + DONE.encode()), id="no UTF-8"
        ),
        pytest.param(events(HELLO + 'data: {"x": NaN}\n\n' + DONE), id="NaN"),
        pytest.param(events(HELLO + "data: [1, 2]\n\n" + DONE), id="event of another shape"),
        pytest.param(CUT_CHUNKS, id="connection cut"),
        pytest.param(CUT_CHUNKS + b"zz\r\n", id="bad chunk size"),
    ],
)
def test_a_stream_that_is_cut_raises_with_what_had_come(script: bytes, colour: Sync) -> None:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        with pytest.raises(StreamInterrupted) as caught:
            colour.collect(stream)
        with pytest.raises(StreamInterrupted):
            colour.settle(stream.final())
        colour.settle(client.close())

    error = caught.value
    assert error.partial is not None
    assert error.partial.text == "Hello"
    assert error.events >= 2
    assert error.retry_safety == "ambiguous"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "safety"),
    [
        pytest.param(response('{"choices": []}'), "final", id="JSON"),
        pytest.param(response("<html>", content_type="text/html"), "final", id="HTML"),
        pytest.param(events(""), "final", id="nothing"),
        pytest.param(events(": ping\n\n"), "final", id="comments only"),
    ],
)
def test_what_is_no_stream_raises_when_it_is_opened(
    script: bytes, safety: str, colour: Sync
) -> None:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        with pytest.raises(StreamInterrupted) as caught:
            colour.create_stream(client, STREAMED)
        colour.settle(client.close())

    assert caught.value.events == 0
    assert caught.value.partial is None
    assert caught.value.retry_safety == safety
    assert len(server.requests) == 1


def test_an_error_frame_is_read_as_an_error_even_without_its_key(colour: Sync) -> None:
    frame = 'event: error\ndata: {"code": "upstream_error", "message": "boom"}\n\n'
    with WireServer(events(HELLO + frame)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        with pytest.raises(ServerError, match="boom") as caught:
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello"


def test_an_error_frame_that_comes_first_is_repeated_like_its_status(colour: Sync) -> None:
    busy = events('data: {"error": {"code": "upstream_error", "retry_after_seconds": 0}}\n\n')
    with WireServer(busy, events(HELLO + DONE)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        text = "".join(each.text for each in colour.collect(stream))
        colour.settle(client.close())

    assert text == "Hello"
    assert stream.meta.attempts == 2
    assert [each.headers["x-meshapi-attempt"] for each in server.requests] == ["1", "2"]


PINGS: list[Step] = [b": ping\n\n", 0.05] * 100
BYTES: list[Step] = [b"d", 0.05] * 100
STALLS: dict[str, Sequence[Step]] = {
    "silence": [events(HELLO), 5.0],
    "comments": [events(HELLO), *PINGS],
    "single bytes": [events(HELLO), *BYTES],
}


@pytest.mark.parametrize("steps", STALLS.values(), ids=STALLS)
def test_a_stream_that_stalls_raises_at_the_idle_limit_with_what_had_come(
    steps: Sequence[Step], colour: Sync
) -> None:
    with WireServer(steps) as server:
        client = colour.client(base_url=server.url, token="rsk_test", timeout=Timeout(idle=0.3))
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            colour.collect(client.chat.completions.stream(QUESTION))
        took = time.monotonic() - begun
        colour.settle(client.close())

    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello"
    assert caught.value.retry_safety == "ambiguous"
    assert 0.3 <= took < 3


def test_a_slow_reader_is_not_a_stalled_server(colour: Sync) -> None:
    steps: list[Step] = [events(chunk("Hel")), 0.3, (chunk("lo") + DONE).encode()]
    with WireServer(steps) as server:
        client = colour.client(base_url=server.url, token="rsk_test", timeout=Timeout(idle=0.4))
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        time.sleep(0.45)
        rest = colour.collect(stream)
        colour.settle(client.close())

    assert [each.text for each in rest] == ["lo"]


def test_a_first_event_that_does_not_come_raises_at_its_limit(colour: Sync) -> None:
    with WireServer([events(""), *PINGS]) as server:
        limits = Timeout(first_event=0.3, idle=60)
        client = colour.client(base_url=server.url, token="rsk_test", timeout=limits)
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            colour.create_stream(client, STREAMED)
        took = time.monotonic() - begun
        colour.settle(client.close())

    assert caught.value.partial is None
    assert 0.3 <= took < 3
    assert len(server.requests) == 1


def test_the_total_limit_bounds_the_opening_of_a_stream_as_well(colour: Sync) -> None:
    with WireServer([events(""), *PINGS]) as server:
        limits = Timeout(total=0.3, first_event=60, idle=60)
        client = colour.client(base_url=server.url, token="rsk_test", timeout=limits)
        with pytest.raises(DeadlineExceeded, match=r"Timeout\.total"):
            colour.create_stream(client, STREAMED)
        colour.settle(client.close())


def test_a_code_that_is_final_stays_final_in_mid_stream(colour: Sync) -> None:
    frame = 'data: {"error": {"code": "provider_job_failed", "message": "boom"}}\n\n'
    with WireServer(events(HELLO + frame)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        with pytest.raises(ServerError) as caught:
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert caught.value.retry_safety == "final"


def test_usage_stays_when_a_later_chunk_has_none(colour: Sync) -> None:
    usage = 'data: {"choices": [], "usage": {"total_tokens": 7}}\n\n'
    silent = 'data: {"choices": [], "usage": null, "id": null, "model": ""}\n\n'
    with WireServer(events(HELLO + usage + silent + DONE)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        completion = colour.settle(stream.final())
        colour.settle(client.close())

    assert stream.usage is not None
    assert stream.usage.total_tokens == 7
    assert completion.usage == stream.usage
    assert completion.id == "c1"


def test_a_stream_left_by_break_can_be_closed_and_its_client_used_again(
    colour: Sync, gateway: LocalGateway
) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token, max_connections=1)

    for _ in range(3):
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        colour.settle(stream.close())
        colour.settle(stream.close())
    completion = colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    assert completion.text


def test_a_stream_that_is_dropped_frees_its_connection(colour: Sync, gateway: LocalGateway) -> None:
    client = colour.client(
        base_url=gateway.base_url, token=gateway.token, max_connections=1, timeout=5
    )

    for _ in range(3):
        colour.take(client.chat.completions.stream(QUESTION), 1)
        gc.collect()
    completion = colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    assert completion.text


def test_a_stream_closed_half_way_is_no_answer(colour: Sync) -> None:
    with WireServer(events(HELLO + chunk(finish="stop") + DONE)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        colour.settle(stream.close())
        assert colour.collect(stream) == []
        with pytest.raises(StreamInterrupted, match="half-way") as caught:
            colour.settle(stream.final())
        colour.settle(client.close())

    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


def test_a_stream_that_failed_stays_failed(colour: Sync) -> None:
    with WireServer(events(HELLO)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        for _ in range(2):
            with pytest.raises(StreamInterrupted):
                colour.collect(stream)
        colour.settle(client.close())

    assert len(server.requests) == 1


def test_an_event_larger_than_allowed_raises(colour: Sync) -> None:
    with WireServer(events(HELLO + chunk("x" * 5000) + DONE)) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_event_bytes=2000)
        with pytest.raises(StreamInterrupted, match="2000"):
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())


def test_a_lent_client_is_held_to_the_idle_limit_as_bytes_come() -> None:
    with WireServer([events(HELLO), *PINGS]) as server, httpx.Client() as lent:
        limits = Timeout(idle=0.3)
        client = MeshAPI(base_url=server.url, token="rsk_test", http_client=lent, timeout=limits)
        with pytest.raises(DeadlineExceeded, match=r"Timeout\.idle") as caught:
            list(client.chat.completions.stream(QUESTION))

    assert caught.value.partial is not None


def test_a_stream_without_events_that_is_cut_is_ambiguous(colour: Sync) -> None:
    cut = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\n"
    with WireServer(cut) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        with pytest.raises(StreamInterrupted) as caught:
            colour.create_stream(client, STREAMED)
        colour.settle(client.close())

    assert caught.value.retry_safety == "ambiguous"


def test_an_error_that_ends_without_a_blank_line_is_read_as_an_error(colour: Sync) -> None:
    frame = 'data: {"error": {"code": "rate_limit_exceeded", "message": "Slow down"}}\n'
    with WireServer(events(frame)) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_retries=0)
        with pytest.raises(RateLimitExceeded):
            colour.create_stream(client, STREAMED)
        colour.settle(client.close())


def test_a_message_in_the_place_of_a_delta_is_read(colour: Sync) -> None:
    whole = 'data: {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}\n\n'
    with WireServer(events(whole + DONE)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        completion = colour.settle(client.chat.completions.stream(QUESTION).final())
        colour.settle(client.close())

    assert completion.text == "Hello"


def test_texts_that_nobody_knows_are_joined(colour: Sync) -> None:
    pieces = [
        {"delta": {"thinking": "a", "tags": ["x"]}, "logprobs": {"mean": -0.5, "content": [1]}},
        {"delta": {"thinking": "b", "tags": ["y"]}, "logprobs": {"mean": -0.7, "content": [2]}},
        {"delta": {"reasoning_details": [{"text": "p", "index": 1}, {"text": "q"}]}},
    ]
    body = "".join(f"data: {json.dumps({'choices': [piece]})}\n\n" for piece in pieces)
    with WireServer(events(body + DONE)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        choice = colour.settle(client.chat.completions.stream(QUESTION).final()).choices[0]
        colour.settle(client.close())

    assert choice.message.model_extra == {"thinking": "ab", "tags": ["x", "y"]}
    assert choice.logprobs is not None
    assert choice.logprobs.model_extra == {"mean": -0.7, "content": [1, 2]}
    assert choice.message.reasoning_details == [{"text": "p", "index": 1}, {"text": "q"}]


def test_the_time_of_a_stream_is_that_of_its_first_event(colour: Sync) -> None:
    with WireServer([events(""), 0.2, (HELLO + DONE).encode()]) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        colour.settle(stream.close())
        colour.settle(client.close())

    assert stream.meta.elapsed >= 0.2


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """Threads give way to each other often, so that what may meet does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


BUSY: list[Step] = [events(HELLO), Forever((HELLO * 20).encode())]


def test_closing_ends_the_loop_of_a_task_that_never_waits_long() -> None:
    with WireServer(BUSY) as server:

        async def read(stream: AsyncChatCompletionStream, begun: asyncio.Event) -> None:
            async for _ in stream:
                begun.set()
                await asyncio.sleep(0)

        async def main() -> None:
            async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
                for _ in range(5):
                    stream = client.chat.completions.stream(QUESTION)
                    begun = asyncio.Event()
                    reading = asyncio.create_task(read(stream, begun))
                    await begun.wait()
                    await stream.close()
                    await reading

        asyncio.run(main())

    assert len(server.requests) == 5


def test_closing_ends_the_loop_of_a_thread_that_never_waits_long(
    fast_switching: None,
) -> None:
    with WireServer(BUSY) as server, MeshAPI(base_url=server.url, token="rsk_test") as client:
        for _ in range(40):
            with ThreadPoolExecutor(1) as thread:
                stream = client.chat.completions.stream(QUESTION)
                reading = thread.submit(list[ChatCompletionChunk], stream)
                time.sleep(0.002)
                stream.close()
                reading.result(5)

    assert len(server.requests) == 40


def test_an_async_stream_is_opened_once_however_many_read_it() -> None:
    with WireServer(events(HELLO + chunk(finish="stop") + DONE)) as server:

        async def main() -> list[ChatCompletionResponse]:
            async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
                stream = client.chat.completions.stream(QUESTION)
                return list(await asyncio.gather(stream.final(), stream.final()))

        answers = asyncio.run(main())

    assert [answer.text for answer in answers] == ["Hello", "Hello"]
    assert len(server.requests) == 1


def test_an_async_stream_that_failed_to_open_or_was_closed_sends_nothing_more() -> None:
    with WireServer(response("", status=500)) as server:

        async def main() -> None:
            async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
                failed = client.chat.completions.stream(QUESTION)
                with pytest.raises(ServerError):
                    await failed.__aenter__()
                with pytest.raises(ServerError):
                    await anext(failed)
                closed = client.chat.completions.stream(QUESTION)
                await closed.close()
                assert [chunk async for chunk in closed] == []

        asyncio.run(main())

    assert len(server.requests) == 1


def test_a_stream_can_be_closed_while_another_task_waits_for_its_next_event() -> None:
    with WireServer([events(HELLO), 20.0]) as server:

        async def main() -> list[str]:
            async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
                stream = client.chat.completions.stream(QUESTION)
                texts: list[str] = []
                both_came = asyncio.Event()

                async def read() -> None:
                    async for each in stream:
                        texts.append(each.text)
                        if len(texts) == 2:
                            both_came.set()

                reading = asyncio.create_task(read())
                await both_came.wait()
                await asyncio.sleep(0.05)  # Let it wait for the third.
                await stream.close()
                await asyncio.wait_for(reading, 5)
                return texts

        assert asyncio.run(main()) == ["Hel", "lo"]


def test_a_stream_can_be_closed_while_another_thread_waits_for_its_next_event() -> None:
    with (
        WireServer([events(HELLO), 20.0]) as server,
        MeshAPI(base_url=server.url, token="rsk_test") as client,
    ):
        stream = client.chat.completions.stream(QUESTION)
        texts: list[str] = []
        reading = threading.Thread(target=lambda: texts.extend(each.text for each in stream))
        reading.start()
        time.sleep(0.2)
        stream.close()
        reading.join(5)

        assert not reading.is_alive()
    assert texts == ["Hel", "lo"]


def test_a_closed_stream_ends_with_the_event_that_nothing_could_wake_it_from() -> None:
    gateway = LocalGateway(tokens_per_second=20)
    gateway.reply("word " * 40)
    stream = gateway.client().chat.completions.stream(QUESTION)
    texts: list[str] = []
    began = threading.Event()

    def read() -> None:
        for each in stream:
            texts.append(each.text)
            began.set()

    reading = threading.Thread(target=read)
    reading.start()
    began.wait()
    stream.close()
    reading.join()

    assert len(texts) < 40


def test_an_async_stream_that_is_closed_while_it_opens_ends() -> None:
    with WireServer([0.3, events(HELLO + DONE)]) as server:

        async def main() -> list[str]:
            async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
                stream = client.chat.completions.stream(QUESTION)

                async def read() -> list[str]:
                    return [each.text async for each in stream]

                reading = asyncio.create_task(read())
                await asyncio.sleep(0.1)
                await stream.close()
                return await reading

        assert asyncio.run(main()) == []


def test_closing_an_async_stream_ends_the_wait_for_its_first_event() -> None:
    async def main() -> tuple[list[str], int]:
        async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
            stream = client.chat.completions.stream(QUESTION)

            async def read() -> list[str]:
                return [each.text async for each in stream]

            reading = asyncio.create_task(read())
            while not server.requests:  # noqa: ASYNC110  # It is in another thread.
                await asyncio.sleep(0.001)
            await asyncio.wait_for(stream.close(), 5)
            return await asyncio.wait_for(reading, 5), reading.cancelling()

    with WireServer([events(""), 30.0]) as server:
        assert asyncio.run(main()) == ([], 0)


def test_a_task_that_is_cancelled_while_its_stream_opens_stays_cancelled() -> None:
    async def main() -> None:
        async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
            stream = client.chat.completions.stream(QUESTION)
            reading = asyncio.ensure_future(anext(stream))
            while not server.requests:  # noqa: ASYNC110  # It is in another thread.
                await asyncio.sleep(0.001)
            reading.cancel()
            await stream.close()
            with pytest.raises(asyncio.CancelledError):
                await reading

    with WireServer([events(""), 30.0]) as server:
        asyncio.run(main())


def test_an_async_stream_that_was_closed_unopened_sends_nothing_and_has_no_answer() -> None:
    async def main() -> None:
        async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
            stream = client.chat.completions.stream(QUESTION)
            await stream.close()
            async with stream:
                pass
            with pytest.raises(StreamInterrupted):
                await stream.final()

    with WireServer(events(HELLO + DONE)) as server:
        asyncio.run(main())

    assert server.requests == []


def test_closing_twice_while_a_stream_opens_cancels_nobody_else() -> None:
    async def main() -> tuple[list[str], int]:
        async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
            stream = client.chat.completions.stream(QUESTION)

            async def read() -> list[str]:
                return [each.text async for each in stream]

            reading = asyncio.create_task(read())
            while not server.requests:  # noqa: ASYNC110  # It is in another thread.
                await asyncio.sleep(0.001)
            await asyncio.gather(stream.close(), stream.close())
            return await asyncio.wait_for(reading, 5), in_use(client)

    with WireServer([events(""), 30.0]) as server:
        assert asyncio.run(main()) == ([], 0)
