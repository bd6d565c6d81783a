"""The two sides of the `diff` blocks in docs/migrating-*.md."""

from __future__ import annotations

from dataclasses import dataclass

from tests.pages import DOCS, Block, Page

PAGES = {"openai": "migrating-from-openai.md", "official": "migrating-from-meshapi-0.1.md"}
"""The client that is left, and the page on leaving it."""


@dataclass(frozen=True)
class Change:
    """A program before and after."""

    block: Block

    def __str__(self) -> str:
        return str(self.block)

    @property
    def before(self) -> str:
        """What the lines without `+` say."""
        return self._without("+")

    @property
    def after(self) -> str:
        """What the lines without `-` say."""
        return self._without("-")

    def _without(self, sign: str) -> str:
        kept = (line for line in self.block.text.splitlines() if not line.startswith(sign))
        return "".join(f"{line[1:]}\n" for line in kept)


def changes(client: str) -> list[Change]:
    """All blocks of the page on leaving a client."""
    return [Change(block) for block in Page(DOCS / PAGES[client]).of("diff")]
