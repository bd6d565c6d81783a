"""The log: one line for each attempt, when it is over, that says what came of it and no more."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from meshapi import (
    AsyncMeshAPI,
    ChatCompletionParams,
    ComparisonParams,
    ConfigurationError,
    Hooks,
    MeshAPI,
    MeshAPIError,
    RateLimit,
)
from meshapi.local import LocalGateway
from tests.colours import Sync
from tests.test_retries import impatient
from tests.wire_server import Silence, WireServer, echo, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
ANSWER = response('{"choices": [{"message": {"content": "Hello"}}]}')
CHUNK = 'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n'
DONE = "data: [DONE]\n\n"
CHAT = "POST /v1/chat/completions"


def refusal(status: int, code: object, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"error": {"code": code, "message": "No."}})
    return response(body, status=status, headers=named)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was written at INFO and above; the milliseconds, which nobody can foresee, are `N`."""
    caplog.set_level(logging.INFO, "meshapi")

    def lines() -> list[str]:
        gc.collect()
        return [
            re.sub(r"\b\d+ ms", "N ms", record.getMessage())
            for record in caplog.records
            if record.name == "meshapi"
        ]

    return lines


def ask(colour: Sync, url: str, **options: object) -> None:
    """Ask once, with no wait slept; what is raised is not the point."""
    client = colour.client(base_url=url, token="rsk_test", **options)
    impatient(client)
    try:
        colour.settle(client.chat.completions.create(QUESTION))
    except MeshAPIError:
        pass
    finally:
        colour.settle(client.close())


def test_a_good_answer_is_one_line(colour: Sync, log: Callable[[], list[str]]) -> None:
    with WireServer(response('{"choices": []}', headers={"x-request-id": "req_1"})) as server:
        ask(colour, server.url)

    assert log() == [f"{CHAT} 200 req_1 N ms, attempt 1"]


def test_a_repeated_attempt_says_the_wait_and_who_asked_for_it(
    colour: Sync, log: Callable[[], list[str]]
) -> None:
    busy = refusal(429, "rate_limit_exceeded", retry_after="7", x_request_id="req_1")
    with WireServer(busy, refusal(503, None), ANSWER) as server:
        ask(colour, server.url)

    first, second, third = log()
    assert re.fullmatch(
        rf"{CHAT} 429 req_1 N ms, attempt 1: RateLimitExceeded \(rate_limit_exceeded\),"
        r" again in 7\.\d\d s, as the server asked",
        first,
    )
    assert re.fullmatch(
        rf"{CHAT} 503 - N ms, attempt 2: ProviderNotAvailable, again in [01]\.\d\d s", second
    )
    assert third == f"{CHAT} 200 - N ms, attempt 3"


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (refusal(402, "spend_limit_exceeded"), "402 - N ms, attempt 1: SpendLimitExceeded"),
        (b"", "- - N ms, attempt 1: ConnectionFailed"),
        (
            response('{"error": {"code": "model_not_found"}}'),
            "200 - N ms, attempt 1: ModelNotFound (model_not_found)",
        ),
        (response("<html>"), "200 - N ms, attempt 1: InvalidResponse"),
    ],
    ids=["refused", "no answer", "an error in a 200", "a page"],
)
def test_a_failed_attempt_names_its_error(
    script: bytes, line: str, colour: Sync, log: Callable[[], list[str]]
) -> None:
    with WireServer(script) as server:
        ask(colour, server.url)

    (written,) = log()
    assert written.startswith(f"{CHAT} {line}")


def test_a_refused_connection_is_an_attempt_like_any_other(
    colour: Sync, log: Callable[[], list[str]]
) -> None:
    ask(colour, "http://127.0.0.1:9", max_retries=1)

    first, second = log()
    assert first.startswith(f"{CHAT} - - N ms, attempt 1: ConnectionFailed, again in")
    assert second == f"{CHAT} - - N ms, attempt 2: ConnectionFailed"


STREAMS = {
    "complete": (events(CHUNK + CHUNK + DONE), "200 - N ms, attempt 1, 2 events"),
    "empty": (events(DONE), "200 - N ms, attempt 1, 0 events"),
    "cut": (events(CHUNK), "200 - N ms, attempt 1, 1 event: StreamInterrupted"),
    "failed": (
        events(CHUNK + 'data: {"error": {"code": "upstream_error"}}\n\n'),
        "200 - N ms, attempt 1, 1 event: UpstreamError (upstream_error)",
    ),
    "not begun": (events(""), "200 - N ms, attempt 1: StreamInterrupted"),
    "refused": (refusal(402, None), "402 - N ms, attempt 1: SpendLimitExceeded"),
}


@pytest.mark.parametrize(("script", "line"), STREAMS.values(), ids=STREAMS)
def test_a_stream_is_one_line_when_it_is_over(
    script: bytes, line: str, colour: Sync, log: Callable[[], list[str]]
) -> None:
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        with suppress(MeshAPIError):
            colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert log() == [f"{CHAT} {line}"]


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_a_stream_that_was_left_says_so(
    how: str, colour: Sync, log: Callable[[], list[str]]
) -> None:
    with WireServer([events(CHUNK + CHUNK), Silence(5)]) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        colour.take(stream, 1)
        before = log()
        if how == "closed":
            colour.settle(stream.close())
        del stream
        gc.collect()
        colour.settle(None)  # An event loop closes what was dropped when it runs again.
        colour.settle(client.close())

    assert before == []
    assert log() == [f"{CHAT} 200 - N ms, attempt 1, 2 events: left half-way"] or log() == [
        f"{CHAT} 200 - N ms, attempt 1, 1 event: left half-way"
    ]


def test_a_stream_that_another_thread_closes_was_left_and_did_not_fail(
    log: Callable[[], list[str]],
) -> None:
    with (
        WireServer([events(CHUNK), Silence(5)]) as server,
        MeshAPI(base_url=server.url, token="rsk_test") as client,
    ):
        stream = client.chat.completions.stream(QUESTION)
        next(stream)
        threading.Timer(0.05, stream.close).start()

        assert list(stream) == []

    assert log() == [f"{CHAT} 200 - N ms, attempt 1, 1 event: left half-way"]
    assert client.totals.errors == {}


def test_a_stream_that_another_task_closes_was_left_and_did_not_fail(
    log: Callable[[], list[str]],
) -> None:
    async def main(url: str) -> object:
        async with AsyncMeshAPI(base_url=url, token="rsk_test") as client:
            stream = client.chat.completions.stream(QUESTION)
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream, None))
            await asyncio.sleep(0.02)
            await stream.close()
            assert await waiting is None
            return client.totals.errors

    with WireServer([events(CHUNK), Silence(5)]) as server:
        assert asyncio.run(main(server.url)) == {}

    assert log() == [f"{CHAT} 200 - N ms, attempt 1, 1 event: left half-way"]


def test_a_call_that_is_cancelled_is_one_line(log: Callable[[], list[str]]) -> None:
    async def main(url: str) -> None:
        def cancel_soon(_: object) -> None:
            asyncio.get_running_loop().call_later(0.02, call.cancel)

        hooks = Hooks(on_request=cancel_soon)
        async with AsyncMeshAPI(base_url=url, token="rsk_test", hooks=hooks) as client:
            call = asyncio.create_task(client.chat.completions.create(QUESTION))
            with pytest.raises(asyncio.CancelledError):
                await call

    with WireServer([Silence(5)]) as server:
        asyncio.run(main(server.url))

    assert log() == [f"{CHAT} - - N ms, attempt 1: CancelledError"]


def test_a_call_that_is_cancelled_between_attempts_adds_no_line(
    log: Callable[[], list[str]],
) -> None:
    async def main(url: str) -> None:
        def cancel(_: object) -> None:
            call.cancel()

        hooks = Hooks(on_retry=cancel)
        async with AsyncMeshAPI(base_url=url, token="rsk_test", hooks=hooks) as client:
            call = asyncio.create_task(client.chat.completions.create(QUESTION))
            with pytest.raises(asyncio.CancelledError):
                await call

    with WireServer(refusal(429, None, retry_after="30")) as server:
        asyncio.run(main(server.url))

    (line,) = log()
    assert "attempt 1: RateLimitExceeded, again in" in line


def test_what_was_not_sent_has_no_line(colour: Sync, log: Callable[[], list[str]]) -> None:
    tokens = iter(["rsk_test"])
    limit = RateLimit(rpm=1)
    with WireServer(refusal(503, None), ANSWER) as server:
        client = colour.client(base_url=server.url, token=lambda: next(tokens))
        impatient(client)
        with pytest.raises(ConfigurationError, match="token function failed"):
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())
        written = log()
        ask(colour, server.url, rate_limit=limit)
        ask(colour, server.url, rate_limit=limit, timeout=5)

    assert [line.partition(",")[0] for line in written] == [f"{CHAT} 503 - N ms"]
    assert log()[1:] == [f"{CHAT} 200 - N ms, attempt 1"]


def test_every_kind_of_call_is_in_the_log(
    colour: Sync, gateway: LocalGateway, log: Callable[[], list[str]]
) -> None:
    compared = ComparisonParams(models=["openai/gpt-4o"], messages=QUESTION.messages)
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    colour.settle(client.models.list())
    colour.settle(client.chat.compare.create(compared))
    colour.settle(client.chat.completions.parse(QUESTION, str))
    colour.settle(client.chat.completions.run(QUESTION, tools=[len]))
    colour.settle(client.close())

    assert [re.sub(r" req_\w+", "", line) for line in log()] == [
        "GET /v1/models 200 N ms, attempt 1",
        "POST /v1/chat/compare 200 N ms, attempt 1",
        f"{CHAT} 200 N ms, attempt 1",
        f"{CHAT} 200 N ms, attempt 1",
    ]


def test_a_lent_client_is_in_the_log(colour: Sync, log: Callable[[], list[str]]) -> None:
    gateway = LocalGateway()
    client = colour.in_process(gateway)
    colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    (line,) = log()
    assert line.startswith(f"{CHAT} 200 req_")


@pytest.mark.parametrize(
    "hostile",
    ["req\x1b[2Jgone", "req_1 and INFO meshapi: all is well", "a" * 101],
    ids=["a cursor", "a sentence", "a long one"],
)
def test_what_a_server_sends_is_a_word_or_not_in_the_log(
    hostile: str, colour: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "meshapi")
    with WireServer(refusal(402, hostile, x_request_id=hostile)) as server:
        ask(colour, server.url)

    (record,) = [each for each in caplog.records if each.name == "meshapi"]
    assert f"{CHAT} 402 ? " in record.getMessage()
    assert record.getMessage().endswith(": SpendLimitExceeded (?)")
    assert vars(record)["request_id"] == vars(record)["code"] == "?"


def test_a_code_with_line_breaks_begins_no_line(colour: Sync, log: Callable[[], list[str]]) -> None:
    with WireServer(refusal(402, "x\r\nINFO meshapi: all is well\u2028")) as server:
        ask(colour, server.url)

    (line,) = log()
    assert line.endswith("SpendLimitExceeded (?)")


def test_the_record_carries_the_facts(colour: Sync, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "meshapi")
    busy = refusal(429, "rate_limit_exceeded", retry_after="7", x_request_id="req_1")
    with WireServer(busy, events(CHUNK + DONE)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        impatient(client)
        colour.collect(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    names = ["method", "path", "status_code", "request_id", "attempt", "error", "code", "events"]
    first, second = [vars(each) for each in caplog.records if each.name == "meshapi"]
    path = "/v1/chat/completions"
    assert [first[name] for name in names] == [
        "POST", path, 429, "req_1", 1, "RateLimitExceeded", "rate_limit_exceeded", None,
    ]  # fmt: skip
    assert [second[name] for name in names] == ["POST", path, 200, None, 2, None, None, 1]
    assert 7 <= first["wait"] <= 7.7
    assert second["wait"] is None
    assert first["elapsed"] > 0 < second["elapsed"]


def test_debug_adds_the_beginning_of_a_stream_and_the_waits_for_a_turn(
    colour: Sync, gateway: LocalGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "meshapi")
    client = colour.in_process(gateway, rate_limit=RateLimit(rpm=1), timeout=300)
    with gateway.skip_waits():
        colour.settle(client.chat.completions.create(QUESTION))
        colour.collect(client.chat.completions.stream(QUESTION))
    colour.settle(client.close())

    first, *others = [
        (each.levelname, re.sub(r"\d+\.\d+ s|\d+ ms", "N", each.getMessage()))
        for each in caplog.records
        if each.name == "meshapi"
    ]
    assert first[0] == "INFO"
    assert others[:2] == [
        ("DEBUG", f"{CHAT}: the rate_limit has room in N"),
        ("DEBUG", f"{CHAT}: the first event came after N"),
    ]
    assert [level for level, _ in others[2:]] == ["INFO"]


class Raising(logging.Handler):
    """A handler with a mistake in it."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ValueError("no room left")


@pytest.fixture
def _raising() -> Iterator[None]:
    handler = Raising()
    logging.getLogger("meshapi").addHandler(handler)
    yield
    logging.getLogger("meshapi").removeHandler(handler)


@pytest.mark.usefixtures("_raising")
def test_a_handler_that_raises_breaks_no_call(
    colour: Sync, log: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(_: object) -> None:
        raise KeyError

    with WireServer(refusal(503, None, retry_after="0"), echo) as server:
        client = colour.client(
            base_url=server.url, token="rsk_test", hooks=Hooks(on_request=failing)
        )
        whole = colour.settle(client.chat.completions.create(QUESTION))
        streamed = colour.text_of(client.chat.completions.stream(QUESTION))
        colour.settle(client.close())

    assert whole.text == "".join(streamed) == "Hi"
    assert "ValueError: no room left" in capsys.readouterr().err


SCRIPT = """
import logging, os, sys, io
from meshapi import ChatCompletionParams, MeshAPI
question = ChatCompletionParams(messages=[{"role": "user", "content": "Hi, you there"}])
client = MeshAPI(base_url=sys.argv[1], token="rsk_test")
"""


def run(script: str, level: str | None, url: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MESHAPI_LOG": level} if level is not None else None
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT + script, url],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )


ONE_CALL = "client.chat.completions.create(question)"
LINE = r"[\d-]+ [\d:,]+ INFO meshapi: POST /v1/chat/completions 200 - \d+ ms, attempt 1"


@pytest.mark.parametrize(
    ("level", "script", "said"),
    [
        (None, ONE_CALL, ""),
        (" ", ONE_CALL, ""),
        ("info", ONE_CALL, f"{LINE}\n"),
        (" Debug\n", f"MeshAPI(token='rsk_test'); {ONE_CALL}", f"{LINE}\n"),
        ("INFO", "client.chat.completions.stream(question)", f"{LINE}, 1 event: left half-way\n"),
        ("info", f"sys.stderr = io.StringIO(); {ONE_CALL}; print(sys.stderr.getvalue())", ""),
        ("info", f"sys.stderr = None; {ONE_CALL}", ""),
        (
            "info",
            "stream = client.chat.completions.stream(question)",
            f"{LINE}, 1 event: left half-way\n",
        ),
    ],
    ids=[
        "unset", "empty", "info", "debug, and two clients", "a stream that is dropped",
        "another stderr", "no stderr", "a stream that is left at the end of the program",
    ],
)  # fmt: skip
def test_the_environment_asks_for_lines_on_stderr(
    level: str | None, script: str, said: str
) -> None:
    with WireServer(echo) as server:
        done = run(script, level, server.url)

    assert done.returncode == 0
    assert re.fullmatch(said, done.stderr), done.stderr
    assert ("attempt 1" in done.stdout) == ("getvalue" in script)


def test_the_environment_cannot_ask_for_something_else(
    colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHAPI_LOG", "verbose")

    with pytest.raises(ConfigurationError, match="MESHAPI_LOG must be debug or info, not 'verbose"):
        colour.client(token="rsk_test")


FORKING = """
stream = client.chat.completions.stream(question)
sys.stderr.flush()
if os.fork() == 0:
    del stream
    sys.exit()
os.wait()
list(stream)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork")
def test_a_stream_of_the_parent_process_has_no_line_in_its_child() -> None:
    with WireServer(echo) as server:
        done = run(FORKING, "info", server.url)

    assert done.returncode == 0
    assert re.fullmatch(f"{LINE}, 3 events\n", done.stderr), done.stderr
