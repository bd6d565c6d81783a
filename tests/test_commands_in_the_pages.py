"""Every command of the pages runs, or a row says why not; the words of all of them are checked."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from itertools import dropwhile, groupby
from pathlib import Path

import pytest

from meshapi.cli.arguments import parser
from meshapi.local import LocalGateway
from tests.pages import BLOCKS, PAGES, ROOT, Block, Page, write_files

SECONDS = 60

# What serves until it is stopped, and what it says when it does.
SERVES: Mapping[str, str] = {
    r"meshapi local\b": "MESHAPI_TOKEN=",
}
# What is not run, though its words are checked, and why.
NOT_RUN: Mapping[str, str] = {
    r"pip install ": "it installs; .ci/run runs those of the quick start, in a clean clone",
    r"meshapi chat$": "a conversation needs a terminal; tests/test_cli.py holds some",
    r"python -m benchmarks": "it takes minutes",
    r"python -m pytest": "this is a part of it",
}
# What commands are about where their page shows no such file.
FILES: Mapping[str, str] = {
    "app.py": "from meshapi import MeshAPI\n\nprint(MeshAPI().models.list())\n",
    "answers.jsonl": '{"reply": "Hello"}\n',
    "script.jsonl": '{"reply": "Hello"}\n',
}
# Whose key it is, and which gateway, is the tests' own matter.
WHOSE = re.compile(r"(?:export )?\bMESHAPI_(?:TOKEN|API_KEY|BASE_URL)=\S+ *")
PORT = re.compile(r"http://(?:127\.0\.0\.1|localhost):8321\b")

SHELL = [block for block in BLOCKS if block.language == "sh"]


def lines_of(block: Block) -> list[str]:
    """Its commands, without comments; a line that ends in a backslash goes on."""
    lines = block.text.replace("\\\n", " ").splitlines()
    bare = [re.sub(r"(^|\s+)#.*", "", line).strip() for line in lines]
    return [line for line in bare if line]


def row_of(table: Mapping[str, str], line: str) -> str | None:
    """The row of a table that a command belongs to."""
    return next((pattern for pattern in table if re.search(pattern, line)), None)


def to_run(block: Block) -> str:
    """The script that is left of a block without what serves, and what is not run."""
    lines = [each for each in lines_of(block) if not row_of(SERVES, each)]
    kept = [WHOSE.sub("", each) for each in lines if not row_of(NOT_RUN, each)]
    return "\n".join(each for each in kept if each)


def commands_of(line: str) -> list[list[str]]:
    """The words of each command of a line, without the variables set for it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    parts = groupby(lexer, key=lambda word: bool(re.fullmatch(r"[|&;<>()]+", word)))
    commands = [list(words) for between, words in parts if not between]
    return [list(dropwhile(re.compile(r"[A-Z_]+=").match, words)) for words in commands]


LINES = [(block, line) for block in SHELL for line in lines_of(block)]
STARTED = [(block, line) for block, line in LINES if row_of(SERVES, line)]


@pytest.fixture
def environment(gateway: LocalGateway, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "MESHAPI_BASE_URL": gateway.base_url,
        "MESHAPI_TOKEN": gateway.token,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where somebody works: a repository with a file or two, and the examples."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize("block", [block for block in SHELL if to_run(block)], ids=str)
def test_a_block_of_commands_runs(
    block: Block, folder: Path, environment: dict[str, str], gateway: LocalGateway
) -> None:
    script = to_run(block)
    needed = {words[0] for line in script.splitlines() for words in commands_of(line) if words}
    if missing := [each for each in needed if not is_there(each, environment["PATH"])]:
        pytest.skip(f"not on this machine: {missing}")
    write_files(block.page, folder)

    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", PORT.sub(gateway.base_url, script)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert done.returncode == 0, done.stdout + done.stderr


# Everything else comes with Python, with the environment of the tests or with every system.
OTHERS = {"jq", "curl"}


def is_there(program: str, path: str) -> bool:
    return program not in OTHERS or shutil.which(program, path=path) is not None


@pytest.mark.parametrize(("block", "line"), STARTED, ids=str)
def test_what_serves_begins_to_and_ends_when_it_is_told_to(
    block: Block, line: str, folder: Path, environment: dict[str, str]
) -> None:
    row = row_of(SERVES, line)
    assert row is not None
    write_files(block.page, folder)

    server = subprocess.Popen(
        # The last port counts; that of the page may be taken.
        ["bash", "-c", f"{WHOSE.sub('', line)} --port 0"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    giving_up = threading.Timer(SECONDS, os.killpg, (server.pid, signal.SIGKILL))
    giving_up.start()
    try:
        assert server.stdout is not None
        said = next((each for each in server.stdout if SERVES[row] in each), "")
        rest = interrupted(server)
    finally:
        giving_up.cancel()

    assert said, rest
    assert "Traceback" not in rest
    assert server.returncode in {0, -signal.SIGINT}, said + rest


def interrupted(server: subprocess.Popen[str]) -> str:
    """What it says after Ctrl-C: Python may sleep through one that comes just before it sleeps."""
    while True:
        os.killpg(server.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return server.communicate(timeout=5)[0]


def is_a_command_of_ours(words: list[str]) -> None:
    """Its options are those that the command line has."""
    try:
        parser().parse_args(words)
    except SystemExit as ended:
        if ended.code:  # It asked for help, else.
            raise


def is_python(words: list[str]) -> None:
    """Its module, or its script, is there."""
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]), words
    elif words[0].startswith(("examples/", "tests/")):
        assert (ROOT / words[0]).exists(), words


def is_an_installation(words: list[str]) -> None:
    """Its extras are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"(?:meshapi|\.|clone)\[([\w,]+)\]", " ".join(words))
    extras = {extra for each in named for extra in each.split(",")}
    assert extras <= set(project["optional-dependencies"])


def is_of_the_site(words: list[str]) -> None:
    """It is one of the two commands of the generator that are used here."""
    assert words[0] in {"build", "serve"}


WORDS: Mapping[str, Callable[[list[str]], None]] = {
    "meshapi": is_a_command_of_ours,
    "pip": is_an_installation,
    "python": is_python,
    "python3": is_python,
    "zensical": is_of_the_site,
}


def check_words(line: str) -> None:
    """What the words of each command of a line have to be."""
    for program, *words in filter(None, commands_of(line)):
        if check := WORDS.get(Path(program).name):
            check(words)


@pytest.mark.parametrize(("block", "line"), LINES, ids=str)
def test_the_words_of_a_command_are_right(block: Block, line: str) -> None:
    check_words(line)


def options_of(command: str) -> set[str]:
    """The options that the help of a command of ours names."""
    told = io.StringIO()
    with pytest.raises(SystemExit, match="0"), redirect_stdout(told):
        parser().parse_args([command, "--help"])
    return set(re.findall(r"--[\w-]+", told.getvalue()))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_command_between_words_has_the_options_that_it_is_said_to_have(page: Page) -> None:
    for code in page.code:
        program, _, words = code.partition(" ")
        if named := re.match(r"meshapi ([a-z]+)", code):
            assert options_of(named[1]).issuperset(re.findall(r"--[\w-]+", code)), code
        elif words and Path(program).name in WORDS:
            check_words(code)


@pytest.mark.parametrize("pattern", [*SERVES, *NOT_RUN])
def test_every_row_is_of_a_command_that_is_there(pattern: str) -> None:
    assert any(re.search(pattern, line) for _, line in LINES)
