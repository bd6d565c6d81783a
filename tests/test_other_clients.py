"""The page on other clients: what it says of this one is so, its rows are those of the run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest

from benchmarks.adapters import mesh
from benchmarks.behaviour import worker
from benchmarks.behaviour.rows import SECTIONS, Row, cell
from benchmarks.behaviour.run import Request, Seen
from benchmarks.behaviour.situations import SITUATIONS
from benchmarks.page import OTHER_CLIENTS
from tests.wire_server import Received, Step, WireServer

# What takes a wait has tests of its own: test_retries.py, test_deadlines.py.
AT_ONCE = ["streams", "answers", "errors", "keys", "unusual"]
SLOW = {"error-in-200", "429-2s", "429-body-2s"}
ROWS = [
    pytest.param(section, row, id=f"{section}-{row.title}")
    for section in AT_ONCE
    for row in SECTIONS[section]
    if row.situation not in SLOW
]
QUICK = {row.situation for each in AT_ONCE for row in SECTIONS[each]} - SLOW


def lines(section: str) -> Iterator[list[str]]:
    """The cells of a table on the page, line by line, without its head."""
    text = OTHER_CLIENTS.read_text().split(f"<!-- {section} -->")[1].split("<!-- end of")[0]
    table = [line for line in text.splitlines() if line.startswith("| ")]
    for line in table[2:]:
        yield [each.strip() for each in line.strip("|").split("|")]


@pytest.fixture(scope="module")
def seen() -> Sequence[Seen]:
    requests: dict[str, list[Request]] = defaultdict(list)

    def played(received: Received) -> Sequence[Step]:
        name = received.path.split("/")[1]
        requests[name].append(Request(0.0, dict(received.headers)))
        return SITUATIONS[name].steps

    with WireServer(played) as server:
        return [
            Seen("meshapi", colour, worker.met(mesh, colour, name, server.url), requests[name])
            for name in QUICK
            for colour in ("sync", "async")
        ]


@pytest.mark.parametrize(("section", "row"), ROWS)
def test_what_the_page_says_of_this_client_is_so(
    section: str, row: Row, seen: Sequence[Seen]
) -> None:
    said = {line[0]: line[1] for line in lines(section)}

    assert cell(row, seen) == said[row.title]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_rows_of_the_page_are_those_of_the_run(section: str) -> None:
    assert [line[0] for line in lines(section)] == [row.title for row in SECTIONS[section]]


def test_the_readme_says_of_openai_what_the_page_says() -> None:
    readme = (OTHER_CLIENTS.parent.parent / "README.md").read_text()
    rows = [line.strip("|").split(" | ") for line in readme.splitlines() if line.startswith("| ")]
    page = [line[1:3] for section in [*SECTIONS, "weight"] for line in lines(section)]

    told = [[each.strip().removesuffix(" µs") for each in row[1:]] for row in rows[1:]]

    assert len(told) >= 5
    for ours, theirs in told:
        assert any(row[0].startswith(ours) and row[1] == theirs for row in page), (ours, theirs)


def test_every_situation_is_told_of() -> None:
    assert {row.situation for rows in SECTIONS.values() for row in rows} == set(SITUATIONS)
