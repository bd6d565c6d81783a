"""The page on the wire says what the code does: its tables are the code's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshapi import ChatCompletionParams, MeshAPI
from meshapi._core.envelope import CODES, STATUSES
from meshapi._core.retry import FINAL_CODES
from meshapi.local import LocalGateway

PAGE = (Path(__file__).parent.parent / "docs" / "wire.md").read_text()
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])


def rows(section: str) -> list[list[str]]:
    """The cells of the tables of a section, without their backticks."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    return [line.replace("`", "").split(" | ") for line in lines]


def test_the_codes_are_of_the_classes_and_statuses_that_the_page_says() -> None:
    listed = [row for row in rows("Errors") if len(row) == 3 and row[1].isdigit()]

    assert {
        code: (kind, int(status)) for kind, status, codes in listed for code in codes.split(", ")
    } == {code: (kind.__name__, status) for code, (kind, status) in CODES.items()}


def test_the_statuses_are_of_the_classes_that_the_page_says() -> None:
    listed = [row for row in rows("Errors") if len(row) == 2 and row[0].isdigit()]

    assert {int(status): kind for status, kind in listed} == {
        status: kind.__name__ for status, kind in STATUSES.items()
    }


def test_the_page_names_the_codes_that_are_never_sent_again() -> None:
    (sentence,) = re.findall(r"^- Never retried.*", PAGE, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", sentence)) == FINAL_CODES


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_the_page_names_every_header_that_is_sent(streams: bool, gateway: LocalGateway) -> None:
    listed = {header.lower() for header, _ in rows("What is sent")} - {"header", "---"}
    client = MeshAPI(base_url=gateway.base_url, token=gateway.token, api_version="2026-09")
    with client:
        if streams:
            client.chat.completions.stream(QUESTION).final()
        else:
            client.chat.completions.create(QUESTION)

    assert {*gateway.requests[-1].headers} == listed | {"host", "content-length"}
