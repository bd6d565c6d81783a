"""The site is built, whole, linked right, and loads nothing from elsewhere."""

from __future__ import annotations

import ast
import inspect
import json
import re
import runpy
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import BaseModel
from typing_extensions import TypeIs

import meshapi
from meshapi.local import LocalGateway, RecordedRequest
from tests.drawings import FOLDER, drawings
from tests.site import ROOT, build
from tests.terminal import aim

DOCS = ROOT / "docs"
PAGES = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
CONFIGURED = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DRAWINGS = sorted(DOCS.rglob("*.svg"))
_LOADED_RELS = {"icon", "modulepreload", "preconnect", "preload", "stylesheet"}


class Page(HTMLParser):
    """What a page of the site has to point at, what it points at, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        target = given.get("href") or given.get("src")
        if not target:
            return
        self.links.append(target)
        if "src" in given or _LOADED_RELS & set(given.get("rel", "").split()):
            self.loads.append(target)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, strictly: a page without a place, or a lost link, fails it."""
    return build(tmp_path_factory.mktemp("site"))


@cache
def read(path: Path) -> Page:
    return Page(path.read_text())


def html(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def listed(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The pages of a navigation, or of a part of it."""
    for entry in entries:
        (below,) = entry.values()
        yield from [below] if isinstance(below, str) else listed(below)


def plain(text: str) -> str:
    """The words, however they are wrapped, quoted, linked or escaped."""
    unlinked = re.sub(r"\[([^][]*)\]\(<?[^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[`\\*_<>]", "", unlinked).split())


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(listed(CONFIGURED["nav"])) == sorted(PAGES)


def leads_somewhere(link: str, page: Path, site: Path) -> bool:
    """Whether a link of a page leads to a file of the site, and to a place that it has."""
    scheme, _, path, _, fragment = urlsplit(link)
    if scheme:
        return True  # to elsewhere, or no link
    base = site if path.startswith("/") else page.parent
    target = base / unquote(path).lstrip("/") if path else page
    target = target / "index.html" if target.is_dir() else target
    if not fragment or target.suffix != ".html":
        return target.exists()
    return target.exists() and unquote(fragment) in read(target.resolve()).names


def test_every_link_leads_somewhere(site: Path) -> None:
    links = [(link, page) for page in html(site) for link in read(page).links]

    assert len(links) > 1000
    assert not [
        f"{page.relative_to(site)}: {link}"
        for link, page in links
        if not leads_somewhere(link, page, site)
    ]


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = {load for page in html(site) for load in read(page).loads}
    sheets = "".join(sheet.read_text() for sheet in site.rglob("*.css"))

    assert len(loads) > 5
    assert not [load for load in loads if urlsplit(load).scheme or load.startswith("//")]
    assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//\S{,60}", sheets)


def test_llms_txt_says_of_every_page_what_it_is_about(site: Path) -> None:
    text = (site / "llms.txt").read_text()
    said = dict(re.findall(r"^- \[.+\]\(<(.+)>\): (.+)$", text, re.MULTILINE))

    assert text.startswith("# meshapi\n\n> ")
    assert set(said) == PAGES
    assert all((site / page).exists() for page in said)
    assert list(CONFIGURED["plugins"]["llmstxt"]["sections"]) == re.findall(
        r"^## (.+)$", text, re.MULTILINE
    )


def test_the_code_of_llms_txt_runs(
    site: Path, gateway: LocalGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = re.findall(
        r"^```python\n(.*?)^```", (site / "llms.txt").read_text(), re.MULTILINE | re.DOTALL
    )
    aim(monkeypatch, gateway.base_url, gateway.token)
    script = tmp_path / "sample.py"
    script.write_text(code)

    runpy.run_path(str(script))

    assert {"stream", "response_format", "tools"} <= asked_in(gateway.requests[-4:])


def asked_in(requests: Iterable[RecordedRequest]) -> set[str]:
    """The fields that these requests have."""
    return {name for each in requests for name in json.loads(each.body)}


def test_llms_txt_is_in_the_order_of_the_navigation() -> None:
    sections = CONFIGURED["plugins"]["llmstxt"]["sections"].values()

    assert [page for section in sections for entry in section for page in entry] == list(
        listed(CONFIGURED["nav"])
    )


def test_llms_full_txt_holds_what_every_public_name_says_of_itself(site: Path) -> None:
    text = plain((site / "llms-full.txt").read_text())
    things = {name: getattr(meshapi, name) for name in meshapi.__all__}
    said = {
        name: plain((inspect.getdoc(thing) or "").split("\n\n")[0])
        for name, thing in things.items()
        if inspect.isclass(thing) or inspect.isfunction(thing)
    }

    assert len(said) > 50
    assert not [name for name, words in said.items() if not words or words not in text]


def test_every_public_name_has_its_place_in_the_reference(site: Path) -> None:
    names = {name for page in html(site / "reference") for name in read(page).names}

    assert not [name for name in meshapi.__all__ if f"meshapi.{name}" not in names]


def test_every_field_has_its_place_in_the_reference(site: Path) -> None:
    anchors = {name for page in html(site / "reference") for name in read(page).names}
    exported = (getattr(meshapi, name) for name in meshapi.__all__)
    fields = [(each, name) for each in exported if is_model(each) for name in each.model_fields]

    def is_shown(model: type[BaseModel], name: str) -> bool:
        return any(f"meshapi.{each.__name__}.{name}" in anchors for each in model.__mro__)

    assert len(fields) > 200
    assert [f"{model}.{name}" for model, name in fields if not is_shown(model, name)] == []


def is_model(value: object) -> TypeIs[type[BaseModel]]:
    return isinstance(value, type) and issubclass(value, BaseModel)


def test_what_is_taken_from_files_is_there(site: Path) -> None:
    text = (site / "llms-full.txt").read_text()

    assert "--8<--" not in text
    assert not [page.name for page in html(site) if "--8&lt;--" in page.read_text()]
    assert all(each.read_text().split("\n\n", 1)[1].strip() in text for each in EXAMPLES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_on_its_page_with_what_it_says(path: Path) -> None:
    page = (DOCS / "examples.md").read_text()
    sentence = ast.get_docstring(ast.parse(path.read_text()))
    name = f"examples/{path.name}"

    assert f'{sentence}\n\n```python title="{name}"\n--8<-- "{name}:3:"\n```\n' in page


@pytest.mark.parametrize("name", drawings())
def test_a_drawing_is_as_the_code_is(name: str) -> None:
    assert (FOLDER / name).read_text() == drawings()[name], "python -m tests.drawings writes it"


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_has_a_title_words_and_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text()

    assert re.search(r"<title[^>]*>.+</title>", text)
    assert "<text" in text
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
