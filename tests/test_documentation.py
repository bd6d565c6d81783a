"""What the documentation says is run: the README, the pages, the examples."""

from __future__ import annotations

import logging
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshapi.local import LocalGateway

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
APP = ROOT / "examples" / "testing_an_app"
# These are run where they stand, and so is what a page takes from a file (`--8<--`).
QUOTED = {each.read_text() for each in APP.glob("*.py")}
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
    if block not in QUOTED and not block.startswith("--8<--")
]


@pytest.fixture(autouse=True)
def _served(gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHAPI_BASE_URL", gateway.base_url)
    monkeypatch.setenv("MESHAPI_TOKEN", gateway.token)


def run(path: Path) -> None:
    """Run a script; what it sets up for its log is gone after it."""
    root, ours = logging.getLogger(), logging.getLogger("meshapi")
    handlers, root.handlers[:] = root.handlers[:], []
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        root.handlers[:] = handlers
        ours.setLevel(logging.NOTSET)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_documentation_runs(block: str, tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(block)

    run(script)


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"spend_cap_usd": 0}, "The budget of this key is spent"), ({"rpm": 0}, "Come back in")],
    ids=str,
)
def test_the_errors_of_the_readme_are_caught(
    limits: dict[str, Any],
    words: str,
    gateway: LocalGateway,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MESHAPI_TOKEN", gateway.add_key(**limits))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    block = next(each for each in blocks if "except SpendLimitExceeded" in each)
    script = tmp_path / "block.py"
    script.write_text(block.replace("max_retries=1", "max_retries=0"))

    run(script)

    assert words in capsys.readouterr().out


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(path)

    assert capsys.readouterr().out.strip()
    lines = path.read_text().splitlines()
    assert len(lines) <= 20
    assert lines[0].startswith('"""')


def test_the_app_of_the_page_on_testing_is_quoted_whole_and_its_tests_pass() -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    blocks = set(re.findall(r"```python\n(.*?)```", page, re.DOTALL))

    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=APP,
        capture_output=True,
        text=True,
    )

    assert len(QUOTED) == 5
    assert blocks >= QUOTED
    assert tests.returncode == 0, tests.stdout
    assert "12 passed" in tests.stdout


def test_the_script_of_the_page_on_the_gateway_is_one() -> None:
    page = (ROOT / "docs" / "local-gateway.md").read_text()
    (script,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    gateway = LocalGateway()

    gateway.load_script(script)

    assert gateway.unused == 5


def test_there_are_enough_examples() -> None:
    assert len(EXAMPLES) >= 8


def test_the_quick_start_is_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    quick_start = readme.split("\n## Quick start\n")[1].split("\n## ")[0]

    commands = re.findall(r"```sh\n(.*?)```", quick_start, re.DOTALL)

    assert [command.count("\n") for command in commands] == [1, 1]
    assert "meshapi chat --local" in commands[0]
    assert "pytest" in commands[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_promise_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    tests = "".join(each.read_text() for each in (ROOT / "tests").glob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", tests))

    assert len(named) > 30
    assert named <= defined
