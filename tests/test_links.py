"""Links of the pages, without a network: each leads somewhere, on a code host and on the site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.pages import DOCS, PAGES, ROOT, Page

# Whom the pages send a reader to; a new one is a decision.
HOSTS = {
    "github.com",
    "keepachangelog.com",
    "meshapi.ai",
    "opentelemetry.io",
    "semver.org",
}
# These are read where they stand.
BESIDE = [Page(ROOT / "CHANGELOG.md"), Page(ROOT / "examples" / "web_chat" / "README.md")]
BY_PATH = {page.path: page for page in [*PAGES, *BESIDE]}


def on_a_code_host(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def on_the_site(heading: str) -> str:
    """The anchor that Python-Markdown makes of it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def anchors(headings: Iterable[str], slug: Callable[[str], str], again: str) -> set[str]:
    """The anchors of a page; the second of two that are the same is numbered."""
    seen: Counter[str] = Counter()
    found: set[str] = set()
    for name in map(slug, headings):
        found.add(f"{name}{again}{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def anchors_of(page: Page) -> set[str]:
    """Those that are the same in both places."""
    host = anchors(page.headings, on_a_code_host, "-")
    return host & anchors(page.headings, on_the_site, "_")


def fault(page: Page, target: str) -> str | None:
    """What is wrong with a link, or None."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return _fault_outside(target)
    path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    if not path.exists():
        return "nothing is there"
    if page.path.is_relative_to(DOCS) and not path.is_relative_to(DOCS):
        return "the site has no such page; name the file in code style, or link to a page of docs/"
    return _fault_of_anchor(path, parts.fragment)


def _fault_outside(target: str) -> str | None:
    parts = urlsplit(target)
    if parts.scheme != "https":
        return "only https:// is linked to"
    return None if parts.hostname in HOSTS else f"{parts.hostname} is not among HOSTS"


def _fault_of_anchor(path: Path, anchor: str) -> str | None:
    if not anchor or path.is_relative_to(DOCS / "reference"):
        return None  # The reference's anchors are made by the site: see tests/test_site.py.
    if path not in BY_PATH:
        return "an anchor in what is no page"
    known = anchors_of(BY_PATH[path])
    return None if anchor in known else f"no heading has it on both; they are {sorted(known)}"


@pytest.mark.parametrize("page", BY_PATH.values(), ids=str)
def test_a_link_leads_somewhere(page: Page) -> None:
    faults = [f"{target}: {what}" for target in page.links if (what := fault(page, target))]

    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", [e for e in BY_PATH.values() if not e.is_reference], ids=str)
def test_what_is_written_like_a_link_or_an_address_is_a_link(page: Page) -> None:
    text = "".join(each.content for each in page.words if each.type == "text")

    assert re.findall(r"\]\[[^\]]*\]|\]\([^)]*\.md|https?://\S+", text) == []


@pytest.mark.parametrize("page", [each for each in BY_PATH.values() if each.images], ids=str)
def test_an_image_is_there_and_says_what_it_shows(page: Page) -> None:
    for source, words in page.images:
        assert (page.path.parent / urlsplit(source).path).is_file(), source
        assert words.strip(), f"{source} has no words for who does not see it"


def test_every_host_is_linked_to() -> None:
    linked = {urlsplit(link).hostname for page in BY_PATH.values() for link in page.links}

    assert linked >= HOSTS
