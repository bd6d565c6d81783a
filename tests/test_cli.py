"""`meshapi local` serves until it is told to stop."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from meshapi import ChatCompletionParams, MeshAPI, RateLimitExceeded, __version__
from meshapi.cli import main
from meshapi.local import LocalGateway

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])


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


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])

    assert stopped.value.code == 2
    assert "usage: meshapi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999"], "65535"),
        (["--port", "x"], "65535"),
        (["--rpm", "-3"], "0 or more"),
        (["--spend-cap", "abc"], "US dollars"),
        (["--spend-cap", "-1"], "US dollars"),
        (["--token", ""], "printable"),
    ],
    ids=str,
)
def test_an_argument_that_cannot_work_is_a_usage_error(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["local", *arguments])

    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_taken_port_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalGateway() as gateway:
        port = gateway.base_url.rpartition(":")[2]
        assert main(["local", "--port", port]) == 2

    assert capsys.readouterr().err.count("\n") == 1


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])

    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"meshapi {__version__}\n"
