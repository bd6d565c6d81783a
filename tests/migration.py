"""The two sides of the `diff` blocks in docs/migrating-*.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"openai": "migrating-from-openai.md", "official": "migrating-from-meshapi-0.1.md"}
"""The client that is left, and the page on leaving it."""


@dataclass(frozen=True)
class Change:
    """A program before and after."""

    name: str
    block: str

    @property
    def before(self) -> str:
        """What the lines without `+` say."""
        return self._without("+")

    @property
    def after(self) -> str:
        """What the lines without `-` say."""
        return self._without("-")

    def _without(self, sign: str) -> str:
        kept = (line for line in self.block.splitlines() if not line.startswith(sign))
        return "".join(f"{line[1:]}\n" for line in kept)


def changes(client: str) -> Iterator[Change]:
    """All blocks of the page on leaving a client."""
    page = PAGES[client]
    blocks = re.findall(r"```diff\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    for number, block in enumerate(blocks):
        yield Change(f"{page}-{number}", block)
