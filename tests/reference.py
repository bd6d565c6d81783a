"""The names of the reference, and its index: `python -m tests.reference` writes it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import griffe

import meshapi
import meshapi.local
import meshapi.otel

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
INDEX = DOCS / "reference" / "index.md"

EXPORTS = [
    *(f"meshapi.{name}" for name in meshapi.__all__),
    *(f"meshapi.local.{name}" for name in meshapi.local.__all__),
    *(f"meshapi.otel.{name}" for name in meshapi.otel.__all__),
    "meshapi.pytest_plugin.mesh_gateway",
]

_BLOCK = re.compile(r"^::: (\S+)(?:\n {4}options:(?:\n {6}heading: (\S+))?)?", re.MULTILINE)


@cache
def package() -> griffe.Object:
    """The package as its sources say it is."""
    loaded = griffe.load(
        "meshapi", search_paths=[ROOT], resolve_aliases=True, resolve_external=False
    )
    assert isinstance(loaded, griffe.Module)
    return loaded


def found(path: str) -> griffe.Object:
    """What a dotted name stands for, where it is at home."""
    member = package()[path.removeprefix("meshapi.")]
    return member.final_target if isinstance(member, griffe.Alias) else member


def pages() -> dict[str, Path]:
    """The pages of the reference by their titles, in the order of the navigation."""
    site = tomllib.loads((ROOT / "zensical.toml").read_text())
    (reference,) = [each["Reference"] for each in site["project"]["nav"] if "Reference" in each]
    files = {title: DOCS / file for entry in reference for title, file in entry.items()}
    return {title: file for title, file in files.items() if file != INDEX}


def blocks(page: Path) -> list[tuple[str, str]]:
    """What a page documents: dotted names, and what their headings say."""
    said = _BLOCK.findall(page.read_text())
    return [(path, heading or path.rpartition(".")[2]) for path, heading in said]


def first_sentence(path: str) -> str:
    """What a docstring says first."""
    docstring = found(path).docstring
    assert docstring, path
    words = " ".join(docstring.value.split("\n\n")[0].split())
    words = re.sub(r"^`client[.\w]+`: ", "", words)  # It is in the cell before.
    words = re.sub(r"(?<=[\w)`])\.(?= [A-Z]).*", ".", words)
    return words[0].upper() + words[1:]


def index() -> str:
    """The page that names everything."""
    return "\n".join(_index())


def _index() -> Iterator[str]:
    yield "# All names\n"
    yield "What can be imported, page by page, and the calls of a client."
    for title, page in pages().items():
        yield f"\n## {title}\n"
        yield "| Name | What it is |"
        yield "|---|---|"
        for path, heading in blocks(page):
            if path in EXPORTS or heading.startswith("client."):
                sentence = first_sentence(path).replace("|", "\\|")
                yield f"| [`{heading}`]({page.name}#{path}) | {sentence} |"
    yield ""


if __name__ == "__main__":
    INDEX.write_text(index())
