"""The pages that people read, taken apart: their fences, headings, links and words in code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_READ = MarkdownIt("commonmark").enable("table").parse
# A fence is a file where its title says so, or the words before it end so: "Save it as `app.py`:".
_TITLE = re.compile(r'title="([^"]+)"')
_FILE = re.compile(r"`([\w-]+\.(?:ini|json|jsonl|py|toml|txt|yaml))`[.:]$")
_SNIPPET = re.compile(r'^ *--8<-- "([^":]+)', re.MULTILINE)


class Block(NamedTuple):
    """A fence: where it stands, its language, the file that it is ("" where it is none)."""

    page: Path
    line: int
    language: str
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def snippets(self) -> list[str]:
        """The files that the site puts in its place."""
        return _SNIPPET.findall(self.text)


class Page:
    """One Markdown file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text()

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def is_reference(self) -> bool:
        """Whether the site makes it from docstrings, with links by the names of things."""
        return self.path.is_relative_to(DOCS / "reference")

    @cached_property
    def tokens(self) -> list[Token]:
        return _READ(self.text)

    @cached_property
    def words(self) -> list[Token]:
        """What stands in paragraphs, headings, lists and tables."""
        return [each for token in self.tokens for each in token.children or []]

    @cached_property
    def blocks(self) -> list[Block]:
        """Its fences; indented code is one without a language."""
        return list(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        before = ""
        for token in self.tokens:
            if token.type in ("fence", "code_block"):
                language, _, rest = token.info.partition(" ")
                line = token.map[0] + 1 if token.map else 0
                file = _file_of(rest, before)
                yield Block(self.path, line, language, file, token.content)
                before = ""
            elif token.type == "inline":
                before = token.content

    def of(self, *languages: str) -> list[Block]:
        return [block for block in self.blocks if block.language in languages]

    @property
    def snippets(self) -> list[str]:
        return _SNIPPET.findall(self.text)

    @property
    def code(self) -> list[str]:
        """What stands in code style between words."""
        return [each.content for each in self.words if each.type == "code_inline"]

    @property
    def links(self) -> list[str]:
        hrefs = [str(each.attrs["href"]) for each in self.words if each.type == "link_open"]
        return hrefs + self._html("href")

    @property
    def images(self) -> list[tuple[str, str]]:
        """Source and words of each image."""
        plain = [(str(e.attrs["src"]), e.content) for e in self.words if e.type == "image"]
        tags = re.findall(r"<img\b[^>]*>", "".join(self._tags()))
        return plain + [(_attribute(tag, "src"), _attribute(tag, "alt")) for tag in tags]

    @property
    def headings(self) -> list[str]:
        """The words of each heading."""
        after = zip(self.tokens, self.tokens[1:], strict=False)
        return [_plain(inline) for token, inline in after if token.type == "heading_open"]

    def _tags(self) -> Iterator[str]:
        for each in [*self.tokens, *self.words]:
            if each.type in ("html_block", "html_inline"):
                yield each.content

    def _html(self, attribute: str) -> list[str]:
        return re.findall(rf'\b{attribute}="([^"]*)"', "".join(self._tags()))


def _file_of(info: str, before: str) -> str:
    found = _TITLE.search(info) or _FILE.search(before)
    return found[1] if found else ""


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return found[1] if found else ""


def _plain(inline: Token) -> str:
    return "".join(e.content for e in inline.children or [] if e.type in ("text", "code_inline"))


def write_files(page: Path, folder: Path) -> None:
    """Write what a page says are files; of one that it says twice, the last."""
    for block in BLOCKS:
        if block.page == page and block.file and not block.snippets:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def _pages(paths: Iterable[Path]) -> list[Page]:
    return [Page(path) for path in paths if path.exists()]


_AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = _pages([*(ROOT / name for name in _AT_THE_ROOT), *sorted(DOCS.rglob("*.md"))])
BLOCKS = [block for page in PAGES for block in page.blocks]
