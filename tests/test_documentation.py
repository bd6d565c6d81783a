"""What the documentation says is run: the Python of the README and the pages, and the examples."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshapi.local import LocalGateway
from tests.pages import BLOCKS, DOCS, PAGES, ROOT, Block, Page, write_files
from tests.scripts import SECONDS, run
from tests.terminal import aim

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
APP = ROOT / "examples" / "testing_an_app"
WEB_CHAT = ROOT / "examples" / "web_chat" / "app.py"  # tests/test_web_chat.py runs it.
README = next(page for page in PAGES if page.path == ROOT / "README.md")
TESTING = [page for page in PAGES if page.path.match("docs/testing*.md")]


def names_of_tests(block: Block) -> list[str]:
    """The names of the tests that a block defines."""
    return re.findall(r"^ *(?:async )?def (test_\w+)", block.text, re.MULTILINE)


PYTHON = [block for block in BLOCKS if block.language == "python" and not block.snippets]
SCRIPTS = [block for block in PYTHON if not names_of_tests(block)]
TESTS = [block for block in PYTHON if names_of_tests(block)]
# What a page says that a block prints: the text that follows it with no word in between.
SHOWN = {
    block: after.text
    for block, after in pairwise(BLOCKS)
    if block in SCRIPTS and after.language == "text" and after.page == block.page
    if after.line == block.line + block.text.count("\n") + 3
}
PAGES_OF_TESTS = [page for page in PAGES if any(block.page == page.path for block in TESTS)]


@pytest.fixture(autouse=True)
def _served(gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    aim(monkeypatch, gateway.base_url, gateway.token)


@pytest.mark.parametrize("block", SCRIPTS, ids=str)
def test_a_block_of_the_documentation_runs_and_prints_what_is_shown(
    block: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_files(block.page, tmp_path)
    script = tmp_path / (block.file or "block.py")
    script.write_text(block.text)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)

    run(script)

    printed = capsys.readouterr().out
    assert plain(printed) == plain(SHOWN.get(block, printed))


def plain(printed: str) -> str:
    """The same whichever pydantic is installed."""
    return re.sub(r"(?<=errors\.pydantic\.dev/)[\d.]+", "", printed).rstrip()


def test_some_blocks_show_what_they_print() -> None:
    assert len(SHOWN) > 10


def pytest_in(folder: Path) -> str:
    """What pytest says of the tests in a folder, where all of them pass."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def passed_of(said: str) -> int:
    found = re.search(r"(\d+) passed", said)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("page", PAGES_OF_TESTS, ids=str)
def test_the_tests_of_a_page_pass(page: Page, tmp_path: Path) -> None:
    blocks = [block for block in TESTS if block.page == page.path]
    write_files(page.path, tmp_path)
    for block in blocks:
        if not block.file:
            (tmp_path / f"test_line_{block.line}.py").write_text(block.text)

    said = pytest_in(tmp_path)

    assert passed_of(said) >= sum(len(names_of_tests(block)) for block in blocks)


@pytest.mark.parametrize("page", [page for page in PAGES if page.snippets], ids=str)
def test_a_file_that_the_site_puts_in_is_there_and_is_run(page: Page) -> None:
    named = [ROOT / each for block in page.of("python") for each in block.snippets]

    assert [each for each in page.snippets if not (ROOT / each).exists()] == []
    assert set(named) <= {*EXAMPLES, WEB_CHAT}


def check_json(text: str) -> None:
    """A document, or one on each line."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        for line in text.splitlines():
            json.loads(line)


def nothing(text: str) -> None:
    """There is nothing to check."""


LANGUAGES: Mapping[str, Callable[[str], object]] = {
    "python": nothing,  # It is run, above.
    "sh": nothing,  # tests/test_commands_in_the_pages.py runs it.
    "ipython": nothing,  # tests/test_notebooks.py runs the cells of its page.
    "json": check_json,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "diff": nothing,
    "text": nothing,
}
WHICH = "take `python` or `sh` if it can be run, `json`, `toml`, `yaml`, `diff`, else `text`"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_fence_is_in_a_language_that_is_checked(block: Block) -> None:
    assert block.language in LANGUAGES, f"```{block.language}: {WHICH}"

    LANGUAGES[block.language](block.text)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_fence_is_hidden_in_what_only_some_markdown_knows(page: Page) -> None:
    fences = re.findall(r"^ *(?:```|~~~)\w", page.text, re.MULTILINE)

    assert len(fences) == sum(bool(block.language) for block in page.blocks)


def test_cells_of_a_notebook_stand_on_the_page_whose_cells_are_run() -> None:
    assert {block.page.name for block in BLOCKS if block.language == "ipython"} == {"notebooks.md"}


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
    blocks = [block.text for block in README.of("python")]
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


def test_the_app_of_the_pages_on_testing_is_quoted_whole_with_its_tests() -> None:
    app = {each.read_text() for each in APP.glob("*.py")}
    quoted = {block.text for page in TESTING for block in page.of("python")}

    assert quoted >= app
    assert len(app) > 4


SCRIPTS_OF_THE_GATEWAY = [
    block
    for block in BLOCKS
    if block.language == "json" and re.match(r'\{"(?:reply|fail)"', block.text)
]


@pytest.mark.parametrize("block", SCRIPTS_OF_THE_GATEWAY, ids=str)
def test_a_script_for_the_local_gateway_is_one(block: Block) -> None:
    gateway = LocalGateway()

    gateway.load_script(block.text)

    assert gateway.unused >= len(block.text.splitlines())


def test_no_page_is_a_promise_of_one() -> None:
    assert [str(page) for page in PAGES if "Soon." in page.text.splitlines()] == []


def test_there_are_enough_examples() -> None:
    assert len(EXAMPLES) >= 8


def test_the_quick_start_is_two_commands() -> None:
    quick_start = README.text.split("\n## Quick start\n")[1].split("\n## ")[0]

    commands = re.findall(r"```sh\n(.*?)```", quick_start, re.DOTALL)

    assert [command.count("\n") for command in commands] == [1, 1]
    assert "meshapi chat --local" in commands[0]
    assert "pytest" in commands[1]


def test_every_promise_names_tests_that_exist() -> None:
    page = (DOCS / "reliability.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    tests = "".join(each.read_text() for each in (ROOT / "tests").glob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", tests))

    assert len(named) > 30
    assert named <= defined
