"""The table of the page on the local gateway that says which line causes which error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest

import meshapi
from meshapi import ChatCompletionParams, MeshAPI, MeshAPIError, Timeout
from meshapi.local import LocalGateway
from tests.pages import DOCS

SHORT = Timeout(first_event=0.3, idle=0.3)  # For the silences: they are real.
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])


def f() -> None:
    """The tool that the table calls."""


def streamed(client: MeshAPI) -> object:
    return client.chat.completions.stream(QUESTION).final()


ASKED: Mapping[str, Callable[[MeshAPI], object]] = {
    "whole answer": lambda client: client.chat.completions.create(QUESTION),
    "with `parse`": lambda client: client.chat.completions.parse(QUESTION, dict[str, int]),
    "with `run`": lambda client: client.chat.completions.run(QUESTION, tools=[f]),
}
PAGE = (DOCS / "local-gateway.md").read_text()
TABLE = PAGE.split("\n## Which error\n")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| `(\w+)` \| (.*) \|$", TABLE, re.MULTILINE)
LINES = [(name, row, line) for name, row in ROWS for line in re.findall(r"`(\w+\(.+?\))`", row)]


@pytest.mark.parametrize(("name", "row", "line"), LINES)
def test_a_line_of_the_table_causes_its_error(
    name: str, row: str, line: str, mesh_gateway: LocalGateway
) -> None:
    timeout = SHORT if name == "DeadlineExceeded" else None
    ask = next((ask for words, ask in ASKED.items() if words in row), streamed)
    eval(f"gateway.{line}", {"gateway": mesh_gateway})  # It is our own page.

    with MeshAPI(timeout=timeout) as client, pytest.raises(MeshAPIError) as caught:
        ask(client)

    assert type(caught.value) is getattr(meshapi, name)


def test_every_error_that_a_call_can_end_with_is_in_the_table() -> None:
    made_here = {"APIStatusError", "ConfigurationError", "InvalidRequest", "MeshAPIError"}
    kinds = {name for name in meshapi.__all__ if _is_error(getattr(meshapi, name))}

    assert kinds - made_here == {name for name, _ in ROWS}


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, MeshAPIError)
