"""The fixture `mesh_gateway`, as the tests of an app use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshapi import ChatCompletionParams, ConnectionFailed, MeshAPI, RateLimitExceeded
from meshapi.local import LocalGateway
from tests.colours import Sync

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])


def test_a_client_without_arguments_calls_the_gateway(
    colour: Sync, mesh_gateway: LocalGateway
) -> None:
    client = colour.client()
    mesh_gateway.reply("Hello")

    assert colour.settle(client.chat.completions.create(QUESTION)).text == "Hello"
    assert mesh_gateway.requests[-1].json()["messages"] == [{"role": "user", "content": "Hi"}]
    colour.settle(client.close())


def test_a_minute_s_wait_passes_at_once_for_both_sides(
    colour: Sync, mesh_gateway: LocalGateway
) -> None:
    client = colour.client()
    mesh_gateway.limit(rpm=1)
    begun = mesh_gateway.clock.time()

    answers = [colour.settle(client.chat.completions.create(QUESTION)) for _ in range(3)]
    colour.settle(client.close())

    assert [each.meta.attempts for each in answers] == [1, 2, 2]
    assert mesh_gateway.clock.time() - begun >= 120


@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_may_stop_the_gateway(turn: int, mesh_gateway: LocalGateway) -> None:
    MeshAPI().chat.completions.create(QUESTION)

    mesh_gateway.stop()
    with pytest.raises(ConnectionFailed):
        MeshAPI(max_retries=0).chat.completions.create(QUESTION)


def test_its_clock_stands_so_that_no_window_ends_by_itself(mesh_gateway: LocalGateway) -> None:
    assert mesh_gateway.clock.time() == mesh_gateway.clock.time() == 1767225600


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_begins_with_a_fresh_gateway(turn: int, mesh_gateway: LocalGateway) -> None:
    client = mesh_gateway.client(max_retries=0)
    assert (len(mesh_gateway.requests), mesh_gateway.unused) == (0, 0)

    mesh_gateway.limit(rpm=turn - 1)
    mesh_gateway.fail(500, times=3)
    if turn == 1:
        with pytest.raises(RateLimitExceeded):
            client.chat.completions.create(QUESTION)


def test_a_proxy_of_the_environment_does_not_come_between(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, colour: Sync
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.com")
    request.getfixturevalue("mesh_gateway")
    client = colour.client()

    assert colour.settle(client.chat.completions.create(QUESTION)).text
    assert os.environ["NO_PROXY"] == "example.com,127.0.0.1"
    colour.settle(client.close())


def test_it_costs_nothing_when_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_other():\n"
        "    found = {name for name in sys.modules if name.split('.')[0] in\n"
        "        {'meshapi', 'httpx', 'pydantic', 'starlette', 'uvicorn', 'jsonschema'}}\n"
        "    assert found == {'meshapi', 'meshapi._version', 'meshapi.pytest_plugin'}, found\n"
    )
    plugins = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "meshapi.pytest_plugin", str(tmp_path)]

    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=plugins)

    assert run.returncode == 0, run.stdout


def test_pytest_finds_it_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--fixtures", "-q", str(tmp_path)]

    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert "mesh_gateway -- " in run.stdout
