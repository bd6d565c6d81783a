"""The pages on moving here: what they say to write runs, and is Python that is well written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from meshapi.local import LocalGateway
from tests.migration import PAGES, Change, changes
from tests.pages import ROOT
from tests.scripts import run
from tests.terminal import aim

CHANGES = [change for client in PAGES for change in changes(client)]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_new_side_of_a_change_runs(
    change: Change,
    gateway: LocalGateway,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    aim(monkeypatch, gateway.base_url, gateway.token)
    script = tmp_path / "after.py"
    script.write_text(change.after)

    run(script)

    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_both_sides_of_a_change_are_python_and_differ(change: Change) -> None:
    before, after = (compile(each, str(change), "exec") for each in (change.before, change.after))

    assert before != after


def test_no_line_of_a_change_is_written_badly(tmp_path: Path) -> None:
    for number, change in enumerate(CHANGES):
        (tmp_path / f"after_{number}.py").write_text(change.after)

    # From the root, where it sees that meshapi is a package of this project.
    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F,I"]
    ruff = subprocess.run([*check, tmp_path], cwd=ROOT, capture_output=True, text=True)

    assert not ruff.returncode, ruff.stdout
