"""The pages on moving here: what they say to write runs, and is Python that is well written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from meshapi.local import LocalGateway
from tests.migration import PAGES, Change, changes
from tests.test_documentation import run

CHANGES = [pytest.param(each, id=each.name) for client in PAGES for each in changes(client)]


@pytest.mark.parametrize("change", CHANGES)
def test_the_new_side_of_a_change_runs(
    change: Change,
    gateway: LocalGateway,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MESHAPI_BASE_URL", gateway.base_url)
    monkeypatch.setenv("MESHAPI_TOKEN", gateway.token)
    script = tmp_path / "after.py"
    script.write_text(change.after)

    run(script)

    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("change", CHANGES)
def test_both_sides_of_a_change_are_python_and_differ(change: Change) -> None:
    before, after = (compile(each, change.name, "exec") for each in (change.before, change.after))

    assert before != after


def test_no_line_of_a_change_is_written_badly(tmp_path: Path) -> None:
    for number, each in enumerate(CHANGES):
        (change,) = each.values
        assert isinstance(change, Change)
        (tmp_path / f"after_{number}.py").write_text(change.after)

    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,I", str(tmp_path)]
    ruff = subprocess.run(check, capture_output=True, text=True)

    assert not ruff.returncode, ruff.stdout
