"""What users may rely on changes only on purpose."""

from __future__ import annotations

from difflib import unified_diff

from tests.surface import SURFACE, surface

ON_PURPOSE = """The public surface is no longer what tests/surface.txt says.
If that is meant: `python -m tests.surface` writes it anew, CHANGELOG.md says it to users, and
docs/versioning.md says whether it may be done in a minor version.
"""


def test_the_public_surface_is_as_recorded() -> None:
    recorded, found = SURFACE.read_text().splitlines(), surface().splitlines()
    difference = "\n".join(unified_diff(recorded, found, "recorded", "found", lineterm="", n=0))

    assert not difference, f"{ON_PURPOSE}\n{difference}"
