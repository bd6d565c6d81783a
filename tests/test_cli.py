"""The command line, in pipes and in a terminal: what it writes where, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from meshapi import ChatCompletionParams, MeshAPI, MeshAPIError, RateLimitExceeded, __version__
from meshapi.cli import arguments, main
from meshapi.cli.pages import end_of, start_of_last_block
from meshapi.cli.statuses import STATUSES
from meshapi.local import LocalGateway
from tests.terminal import Terminal, aim, buffered, environment
from tests.wire_server import End, WireServer, events, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
WITHOUT_RICH = "sys.modules['rich'] = None"


@pytest.fixture(autouse=True)
def _nothing_is_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.delenv("NO_COLOR", raising=False)


def streamed(*pieces: str) -> bytes:
    """A whole stream that says these pieces."""
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return events("".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n")


def begun(*pieces: str) -> list[Any]:
    """A stream that says these pieces and then nothing for a long time."""
    return [streamed(*pieces).partition(b'data: {"choices": [{"index": 0, "delta": {}')[0], 20.0]


def sent(gateway: LocalGateway) -> dict[str, Any]:
    return json.loads(gateway.requests[-1].body)  # type: ignore[no-any-return]  # It is an object.


# --- chat, one question


def test_a_question_is_answered_on_stdout_and_the_rest_is_on_stderr(
    echo: LocalGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["chat", "Say", "this back"])

    out, err = capsys.readouterr()
    assert (status, out) == (0, "Say this back\n")
    assert re.fullmatch(r"\d+ tokens in, \d+ out · \$[\d.]+ · \S+ · [\d.]+ s · req_\S+\n", err)


def test_a_question_may_come_through_a_pipe(
    echo: LocalGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("piped\n"))

    assert main(["chat"]) == 0
    assert capsys.readouterr().out == "piped\n"


def test_what_is_piped_in_follows_the_question(
    echo: LocalGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("some text"))
    main(["chat", "Translate:"])

    assert sent(echo)["messages"] == [{"role": "user", "content": "Translate:\n\nsome text"}]


@pytest.mark.parametrize("piped", ["", " \n"])
def test_no_question_at_all_is_a_usage_error(
    piped: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(piped))

    assert main(["chat"]) == 2
    assert capsys.readouterr().err == "meshapi: There is no question: write one, or pipe one in\n"


def test_the_options_are_sent_and_nothing_else_is(echo: LocalGateway) -> None:
    echo.add_template("greeting", "Greet {{name}} in {{language}}.")
    options = [
        "--model",
        "openai/gpt-4o-mini",
        "--temperature",
        "0.5",
        "--max-tokens",
        "9",
        "--seed",
        "7",
    ]
    template = ["--template", "greeting", "--var", "name=Ada", "--var", "language=a=b"]

    assert main(["chat", *options, *template, "--system", "Be brief.", "Hi"]) == 0
    assert sent(echo) == {
        "model": "openai/gpt-4o-mini",
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 7,
        "template": "greeting",
        "variables": {"name": "Ada", "language": "a=b"},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "stream": True,
    }


def test_json_is_one_object_on_one_line_and_is_not_streamed(
    echo: LocalGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "--json", "two\nlines"]) == 0

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out)["choices"][0]["message"]["content"] == "two\nlines"
    assert "stream" not in sent(echo)


def test_a_refusal_is_shown_in_place_of_an_answer(
    echo: LocalGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    echo.reply(refusal="Not that.")

    assert main(["chat", "Hi"]) == 0
    assert capsys.readouterr().out == "Not that.\n"


def test_local_needs_no_key_and_says_that_it_is_nonsense(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["chat", "--local", "--max-tokens", "2", "Hi"]) == 0

    out, err = capsys.readouterr()
    assert out.strip()
    assert err.count("nonsense") == 1
    assert err.count("local/babble") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--temperature", "9"], "temperature: Input should be less than or equal to 2"),
        (["--max-tokens", "0"], "max_tokens: Input should be greater than or equal to 1"),
    ],
    ids=str,
)
def test_a_value_out_of_its_bounds_is_one_sentence(
    arguments: list[str],
    words: str,
    echo: LocalGateway,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["chat", *arguments, "Hi"]) == 11
    assert capsys.readouterr().err == f"meshapi: The request does not fit: {words}\n"
    assert not echo.requests


def test_ctrl_c_ends_one_question_without_a_traceback() -> None:
    with (
        WireServer(begun("One ", "two")) as server,
        Terminal("chat", "Count", environment=environment(server.url)) as terminal,
    ):
        terminal.wait_for("two")
        terminal.interrupt()
        status = terminal.status()

    assert status == 130
    assert "Traceback" not in terminal.text
    assert terminal.text.endswith("\n")


def test_a_pipe_gets_an_answer_as_it_comes() -> None:
    with (
        WireServer(begun("One ")) as server,
        subprocess.Popen(
            [sys.executable, "-m", "meshapi", "chat", "Count"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=buffered() | environment(server.url),
        ) as run,
    ):
        assert run.stdout is not None
        ready, _, _ = select.select([run.stdout], [], [], 10)
        run.kill()

    assert ready


def test_a_reader_that_goes_away_is_no_error() -> None:
    beginning, rest = begun("One ")[0], streamed("two " * 10_000).partition(b"\r\n\r\n")[2]
    with (
        WireServer([beginning, 0.5, rest]) as server,
        subprocess.Popen(
            [sys.executable, "-m", "meshapi", "chat", "Count"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=buffered() | environment(server.url),
        ) as run,
    ):
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.read(1) == b"O"
        run.stdout.close()
        errors = run.stderr.read()
        status = run.wait(timeout=20)

    assert (status, errors) == (141, b"")


def test_a_reader_that_was_never_there_is_no_error_either() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-m", "meshapi", "models", "--local"],
        env=buffered(),
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=20,
        check=False,
    )
    os.close(writing)

    assert (run.returncode, run.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a full disk to try")
def test_a_full_disk_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "meshapi", "models", "--local"],
            env=buffered(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )

    assert (run.returncode, run.stderr) == (1, b"meshapi: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a full disk to try")
def test_an_answer_comes_also_where_the_rest_cannot_be_told() -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "meshapi", "chat", "--local", "--max-tokens", "3", "Hi"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=20,
            check=False,
        )

    assert run.returncode == 0
    assert run.stdout.strip()


def test_ctrl_c_before_anything_has_begun_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(arguments, "parser", interrupted)

    assert main(["chat", "Hi"]) == 130


def test_words_that_are_no_text_are_sent_as_far_as_they_are(echo: LocalGateway) -> None:
    assert main(["chat", "Hi \udcff"]) == 0
    assert sent(echo)["messages"][0]["content"] == "Hi \ufffd"


# --- chat, a conversation


def test_a_conversation_sends_what_was_said_before(echo: LocalGateway) -> None:
    with Terminal("chat", environment=environment(echo.base_url)) as terminal:
        terminal.wait_for("> $")
        terminal.press("first\r")
        terminal.wait_for("req_.*\n(.*\n)*.*> $")
        terminal.press("second\r")
        terminal.wait_for("req_.*\n(.*\n)*.*> $")
        terminal.press("\x04")
        status = terminal.status()

    assert status == 0
    messages = [(each["role"], each["content"]) for each in sent(echo)["messages"]]
    assert messages == [("user", "first"), ("assistant", "first"), ("user", "second")]


def test_ctrl_c_ends_an_answer_and_keeps_what_was_said() -> None:
    with (
        WireServer(begun("One ", "two"), streamed("Three")) as server,
        Terminal("chat", environment=environment(server.url, NO_COLOR="1")) as terminal,
    ):
        terminal.wait_for("> $")
        terminal.press("Count\r")
        terminal.wait_for("two")
        terminal.interrupt()
        terminal.wait_for("> $")
        terminal.press("Go on\r")
        terminal.wait_for("Three(.*\n)*.*> $")
        terminal.press("never sent")
        terminal.interrupt()
        terminal.wait_for("never sent.*\n> $")
        terminal.press("\x04")
        status = terminal.status()
        messages: Any = server.requests[1].json()["messages"]

    assert status == 0
    assert len(server.requests) == 2
    assert "Traceback" not in terminal.text
    assert [each["content"] for each in messages] == ["Count", "One two", "Go on"]


def test_a_question_that_fails_is_forgotten_and_the_conversation_goes_on(
    echo: LocalGateway,
) -> None:
    echo.fail(400, message="Not this")
    with Terminal("chat", environment=environment(echo.base_url)) as terminal:
        terminal.wait_for("> $")
        terminal.press("bad\r")
        terminal.wait_for("meshapi: .*Not this(.*\n)*.*> $")
        terminal.press("good\r")
        terminal.wait_for("req_.*\n(.*\n)*.*> $")
        terminal.press("\x04")
        status = terminal.status()

    assert status == 0
    assert sent(echo)["messages"] == [{"role": "user", "content": "good"}]


def test_a_piped_conversation_has_its_prompt_on_stderr(echo: LocalGateway) -> None:
    reading, writing = os.pipe()
    with Terminal("chat", environment=environment(echo.base_url), stdout=writing) as terminal:
        os.close(writing)
        terminal.wait_for("> $")
        terminal.press("Hi there\r")
        terminal.wait_for("req_.*\n(.*\n)*.*> $")
        terminal.press("\x04")
        status = terminal.status()
    with os.fdopen(reading) as answers:
        out = answers.read()

    assert (status, out) == (0, "Hi there\n")


# --- colours, Markdown, and what may not reach a terminal

MARKDOWN = ("# Title\n\nIt is **bo", "ld**.\n", "\n```python\nx = 1\n\ny = 2\n```\n")


def shown(answer: bytes, arguments: str = "chat Hi", **options: Any) -> Terminal:
    """The terminal after one command, served this answer."""
    more: Mapping[str, str] = options.pop("more", {})
    with WireServer(answer) as server:
        where = environment(server.url, **more)
        with Terminal(*arguments.split(), environment=where, **options) as terminal:
            terminal.status()
    return terminal


def test_a_terminal_with_rich_shows_markdown() -> None:
    terminal = shown(streamed(*MARKDOWN))

    assert "\x1b[1mbold\x1b[0m" in terminal.text
    assert "```" not in "\n".join(terminal.screen)


def test_a_terminal_without_rich_shows_the_text_as_it_is() -> None:
    terminal = shown(streamed(*MARKDOWN), first=WITHOUT_RICH)

    assert "It is **bold**." in terminal.text.splitlines()
    assert "\x1b[2m" in terminal.text


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_who_wants_no_colours_gets_no_codes_at_all(more: Mapping[str, str]) -> None:
    terminal = shown(streamed(*MARKDOWN), more=more)

    assert "It is **bold**." in terminal.text.splitlines()
    assert "\x1b" not in terminal.text


def test_a_pipe_gets_the_text_as_the_model_wrote_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with WireServer(streamed(*MARKDOWN, "\x1b[31mred")) as server:
        aim(monkeypatch, server.url)
        assert main(["chat", "Hi"]) == 0

    out, err = capsys.readouterr()
    assert out == "".join(MARKDOWN) + "\x1b[31mred\n"
    assert "\x1b" not in err


def test_a_long_answer_is_shown_once_however_small_the_terminal() -> None:
    paragraphs = [f"Paragraph {number} ends.\n\n" for number in range(30)]
    code = "```\n" + "".join(f"line {number};\n" for number in range(40)) + "```\n"
    words = re.findall(r"\S+\s*", "".join([*paragraphs, code]))

    terminal = shown(streamed(*words), rows=10)

    screen = "\n".join(terminal.screen)
    assert [screen.count(f"Paragraph {number} ends.") for number in range(30)] == [1] * 30
    assert [screen.count(f"line {number};") for number in range(40)] == [1] * 40


HOSTILE = "\x1b]0;owned\x07 \x1b[31mred \x9b2J \x08\x08 \x7f done"


@pytest.mark.parametrize("first", ["", WITHOUT_RICH], ids=["rich", "plain"])
def test_a_model_cannot_steer_the_terminal(first: str) -> None:
    terminal = shown(streamed(*HOSTILE), first=first)

    assert "owned" in terminal.text
    assert "done" in terminal.text
    assert not {"\x1b]", "\x07", "\x9b", "\x08", "\x7f", "\x1b[31m"} & set(
        re.findall(r"\x1b\]|\x1b\[31m|[\x07\x08\x7f\x80-\x9f]", terminal.text)
    )


def test_a_server_cannot_steer_the_terminal_with_an_error_or_a_name() -> None:
    error = json.dumps({"error": {"code": "bad_request", "message": f"No\n{HOSTILE}"}})
    models = json.dumps([{"id": HOSTILE}])
    for answer, command in [
        (response(error, status=400), "chat Hi"),
        (response(models), "models"),
        (response(models), "models --json"),
    ]:
        terminal = shown(answer, command)

        assert "owned" in terminal.text
        assert not re.search(r"\x1b\]|\x1b\[31m|[\x07\x08\x7f\x80-\x9f]", terminal.text)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("One line", "One line"),
        ("One.\n\n", "One.\n\n"),
        ("One.\n\nTwo", "Two"),
        ("One.\n\n  indented", "One.\n\n  indented"),
        ("One.\n\n```\na\n\nb", "```\na\n\nb"),
        ("```\na\n\nb\n```\n\nTwo", "Two"),
        ("````\na\n```\n\nb", "````\na\n```\n\nb"),
        ("~~~\n\na\n~~~\n\n\nTwo", "Two"),
        ("a `` b\n\nTwo", "Two"),
        ("", ""),
    ],
)
def test_a_block_ends_at_a_blank_line_outside_of_code(text: str, last: str) -> None:
    assert text[start_of_last_block(text) :] == last


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("a\nb", "a\nb"),
        ("a\nb\nc\nd", "c\nd"),
        ("```py\na\nb\nc", "```\nb\nc"),
        ("Here:\n```py\na\nb\nc", "```\nb\nc"),
        ("```\na\n```\nb\nc", "b\nc"),
        ("| a |\n|---|\n| 1 |\n| 2 |\n| 3 |", "| a |\n|---|\n| 2 |\n| 3 |"),
        ("```py\na", "```py\na"),
        ("", ""),
    ],
)
def test_of_a_long_block_the_last_lines_are_read(text: str, end: str) -> None:
    assert end_of(text, 2) == end


# --- exit statuses


def kinds_below(kind: type[MeshAPIError]) -> set[type[MeshAPIError]]:
    return {kind}.union(*(kinds_below(each) for each in kind.__subclasses__()))


def test_every_class_of_the_error_tree_has_a_status_of_its_own() -> None:
    ours = {each for each in kinds_below(MeshAPIError) if each.__module__ == "meshapi.errors"}

    assert set(STATUSES) == ours
    assert len(set(STATUSES.values())) == len(STATUSES)
    assert not set(STATUSES.values()) & {0, 2, 130, 141}


def test_the_page_lists_the_statuses_as_they_are() -> None:
    page = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)`", page, re.MULTILINE)

    assert {name: int(status) for status, name in rows} == {
        kind.__name__: status for kind, status in STATUSES.items()
    }


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (418, "teapot", 20),
        (400, "bad_request", 21),
        (400, "context_window_exceeded", 22),
        (400, "content_policy_violation", 23),
        (401, "unauthorized", 24),
        (402, "spend_limit_exceeded", 25),
        (403, "forbidden", 26),
        (404, "not_found", 27),
        (404, "model_not_found", 28),
        (409, "conflict", 29),
        (413, "payload_too_large", 30),
        (422, "unprocessable_entity", 31),
        (422, "validation_error", 32),
        (429, "rate_limit_exceeded", 33),
        (500, "internal_error", 34),
        (500, "upstream_error", 35),
        (500, "provider_not_available", 36),
        (504, "gateway_timeout", 37),
    ],
)
def test_an_error_of_the_gateway_is_a_line_and_a_status(
    status: int,
    code: str,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = json.dumps({"error": {"code": code, "message": "Not\ntoday"}})
    with WireServer(response(body, status=status, headers={"retry-after": "99"})) as server:
        aim(monkeypatch, server.url)

        assert main(["chat", "Hi"]) == expected

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("meshapi: Not today")
    assert err.count("\n") <= 2


def test_a_wait_that_is_too_long_to_sit_out_is_told(
    echo: LocalGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    echo.fail(429, retry_after=99)

    assert main(["chat", "Hi"]) == 33
    assert re.search("Ask again in 99 s", capsys.readouterr().err)


def test_what_goes_wrong_before_an_answer_has_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "Hi"]) == 10
    assert "MESHAPI_TOKEN" in capsys.readouterr().err
    aim(monkeypatch, "http://127.0.0.1:1")
    monkeypatch.setattr("meshapi._core.retry.random.random", lambda: 0.0)
    assert main(["chat", "--timeout", "0.3", "Hi"]) == 12
    assert "meshapi doctor" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param([5.0], 13, id="nothing comes"),
        pytest.param(response("<html>"), 15, id="no stream"),
        pytest.param([streamed("One ", "two")[:-40], End.FIN], 15, id="cut"),
    ],
)
def test_what_goes_wrong_with_an_answer_has_its_status(
    script: Any, expected: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with WireServer(script) as server:
        aim(monkeypatch, server.url)

        assert main(["chat", "--timeout", "0.5", "Hi"]) == expected

    assert "Traceback" not in capsys.readouterr().err


def test_an_answer_that_is_no_json_has_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    with WireServer(response("<html>")) as server:
        aim(monkeypatch, server.url)

        assert main(["chat", "--json", "Hi"]) == 14


# --- models

LISTED = response(
    json.dumps(
        [
            {
                "id": "openai/gpt-4o-mini",
                "context_length": 128000,
                "pricing": {"prompt_usd_per_1m": "0.150", "completion_usd_per_1m": "0.60"},
            },
            {
                "id": "acme/by-the-thousand",
                "context_window": 4096,
                "pricing": {"prompt_usd_per_1k": "0.001", "completion_usd_per_1k": 0.002},
            },
            {"id": "open/router", "pricing": {"prompt": "0.0000025", "completion": "-1"}},
            {"id": "acme/unknown"},
        ]
    )
)


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    with WireServer(LISTED) as server:
        aim(monkeypatch, server.url)
        yield server


def test_models_are_aligned_lines_in_a_pipe(
    listing: WireServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "openai/gpt-4o-mini    128000  0.15  0.6",
        "acme/by-the-thousand    4096     1    2",
        "open/router                -   2.5    -",
        "acme/unknown               -     -    -",
    ]


def test_models_are_a_table_in_a_terminal() -> None:
    terminal = shown(LISTED, "models")
    plain = shown(LISTED, "models", first=WITHOUT_RICH)

    assert "\x1b[1m" in terminal.text
    assert terminal.screen[1] == "openai/gpt-4o-mini     128000    0.15      0.6"
    assert plain.text.splitlines()[0] == "model                 context  $/M in  $/M out"


def test_models_are_filtered_by_text_and_by_the_gateway(
    listing: WireServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "ACME", "--free", "--type", "text", "--provider", "me"]) == 0

    assert len(capsys.readouterr().out.splitlines()) == 2
    assert listing.requests[0].path == "/v1/models?free=true&type=text&provider=me"


def test_models_are_one_json_array(listing: WireServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json", "gpt"]) == 0

    models = json.loads(capsys.readouterr().out)
    assert models == [
        {
            "id": "openai/gpt-4o-mini",
            "context_length": 128000,
            "pricing": {"prompt_usd_per_1m": "0.150", "completion_usd_per_1m": "0.60"},
        }
    ]


def test_no_model_that_fits_is_said(
    listing: WireServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "nothing-like-this"]) == 0
    assert capsys.readouterr() == ("", "No model fits.\n")


def test_the_models_of_this_process_need_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--local"]) == 0
    assert "local/babble" in capsys.readouterr().out


# --- local


def test_meshapi_local_prints_what_a_client_needs_and_serves_it() -> None:
    command = [sys.executable, "-m", "meshapi", "local", "--port", "0", "--rpm", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        found = re.fullmatch(r"export MESHAPI_BASE_URL=(\S+) MESHAPI_TOKEN=(\S+)\n", line)
        assert found
        client = MeshAPI(base_url=found[1], token=found[2], max_retries=0)
        text = client.chat.completions.create(QUESTION.model_copy(update={"max_tokens": 3})).text
        with pytest.raises(RateLimitExceeded):
            client.chat.completions.create(QUESTION)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=20)

    assert text
    assert run.returncode == 0
    assert "Traceback" not in errors
    assert len(re.findall(r"/v1/chat/completions", errors)) == 2


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "MESHAPI_TOKEN='a;b'\n"),
        (
            {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "example.com"},
            "MESHAPI_TOKEN='a;b' NO_PROXY=example.com,127.0.0.1 no_proxy=example.com,127.0.0.1\n",
        ),
    ],
    ids=str,
)
def test_the_variables_can_be_pasted_and_lead_past_a_proxy(more: dict[str, str], line: str) -> None:
    command = [sys.executable, "-m", "meshapi", "local", "--port", "0", "--token", "a;b"]
    pipe = subprocess.PIPE
    variables = {**os.environ, **more}
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=variables) as run:
        assert run.stdout is not None
        printed = run.stdout.readline()
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=20)

    assert printed.partition(" ")[2].partition(" ")[2] == line


def test_meshapi_local_serves_a_script_models_and_templates(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text('{"reply": "as written"}\n', encoding="utf-8-sig")
    more = ["--model", "acme/new", "--template", "greeting=Greet {{name}}.", "--rpd", "9"]
    command = [sys.executable, "-m", "meshapi", "local", "--port", "0", "--script", str(script)]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        url, token = re.findall(r"=(\S+)", run.stdout.readline())
        client = MeshAPI(base_url=url, token=token, max_retries=0)
        fields = {"model": "acme/new", "template": "greeting", "variables": {"name": "Ada"}}
        text = client.chat.completions.create(QUESTION.model_copy(update=fields)).text
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=20)

    assert text == "as written"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--answers", "script"], "--script FILE"),
        (["--upstream", "garbage"], "--upstream: "),
        (["--script", "/does/not/exist"], "/does/not/exist cannot be read"),
    ],
    ids=str,
)
def test_a_script_that_cannot_be_played_is_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["local", *arguments]) == 2

    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_line_that_is_no_script_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "script").write_text('{"reply": "x"}\nnonsense\n')

    assert main(["local", "--script", str(tmp_path / "script")]) == 2
    assert "Line 2" in capsys.readouterr().err


def test_a_taken_port_is_one_sentence(
    echo: LocalGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    port = echo.base_url.rpartition(":")[2]

    assert main(["local", "--port", port]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# --- usage


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])

    assert stopped.value.code == 2
    assert "usage: meshapi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("local --port 99999", "65535"),
        ("local --port x", "65535"),
        ("local --rpm -3", "0 or more"),
        ("local --spend-cap abc", "US dollars"),
        ("local --spend-cap -1", "US dollars"),
        ("local --token=", "printable"),
        ("local --tokens-per-second 0", "above 0"),
        ("local --template greeting", "NAME=VALUE"),
        ("chat --var name", "NAME=VALUE"),
        ("chat --var =value", "NAME=VALUE"),
        ("chat --temperature warm", "number"),
        ("chat --temperature nan", "number"),
        ("chat --seed 1.5", "whole number"),
    ],
)
def test_an_argument_that_cannot_work_is_a_usage_error(
    arguments: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())

    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])

    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"meshapi {__version__}\n"


def loaded(arguments: str) -> set[str]:
    """The modules that a command loads; httpx's own command line, which rich is for, left out."""
    script = (
        "import json, sys; sys.modules['httpx._main'] = None; from meshapi.cli import main\n"
        f"try: main({arguments.split()!r})\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    modules: list[str] = json.loads(run.stderr.splitlines()[-1])
    return set(modules)


def test_help_loads_the_parser_alone() -> None:
    ours = {each for each in loaded("--help") if each.split(".")[0] == "meshapi"}

    assert ours == {
        "meshapi",
        "meshapi._core",
        "meshapi._core.checks",
        "meshapi._version",
        "meshapi.cli",
        "meshapi.cli.arguments",
    }


def test_an_answer_of_this_process_loads_no_server_and_no_event_loop() -> None:
    modules = loaded("chat --local --max-tokens 1 Hi")

    assert "meshapi.local" in modules
    assert not modules & {"rich", "uvicorn", "starlette", "tenacity", "meshapi.cli.doctor"}
