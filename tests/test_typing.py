"""Types are promises: both checkers keep them, for us and for who imports us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROMISES = Path(__file__).parent / "typing" / "promises.py"
MISTAKE = """
from meshapi import ChatCompletionParams, ChatCompletionStream, MeshAPI
answer: ChatCompletionStream = MeshAPI().chat.completions.create(ChatCompletionParams(messages=[]))
"""
CHECKERS = {
    "mypy": ["mypy", "--strict", "--no-error-summary"],
    "pyright": ["pyright", "--pythonpath", sys.executable],
}


def check(checker: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *CHECKERS[checker], str(path)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_promises_about_types_are_kept(checker: str) -> None:
    run = check(checker, PROMISES)

    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_sees_a_wrong_return_type(checker: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(MISTAKE)

    assert "ChatCompletionResponse" in check(checker, wrong).stdout


def test_a_checker_knows_the_type_of_everything_public(tmp_path: Path) -> None:
    # It asks the first Python of the path where packages are, and passes over editable ones.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        [sys.executable, "-m", "pyright", "--verifytypes", "meshapi", "--ignoreexternal"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )

    assert "Type completeness score: 100%" in run.stdout, run.stdout
