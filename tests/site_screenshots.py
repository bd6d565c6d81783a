"""`python -m tests.site_screenshots DIR`: every page of the site, wide and narrow, light and dark.

It fails where a page asks for anything that is not its own, is wider than its window or complains
on the console, and where the search finds nothing. It needs Chromium and its driver. Pages are
opened from the disk, and a page longer than a picture is more pictures.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from tests.browser import Browser, browsing
from tests.site import build

_WIDTHS = (1400, 400)
_TALLEST = 2000
_SEARCH = "[...document.body.children].find((each) => each.shadowRoot)?.shadowRoot"


def main() -> int:
    """Look at every page, or at those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.site_screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("pages", nargs="*", help="such as errors or reference/errors; else all")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--chromedriver", default=shutil.which("chromedriver"))
    asked = parser.parse_args()
    if not (asked.chromium and asked.chromedriver):
        parser.error("Chromium and chromedriver are needed, and not found")
    asked.folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        browsing(asked.chromium, asked.chromedriver) as browser,
    ):
        site = build(Path(folder))
        names = asked.pages or _names(site)
        if missing := [name for name in names if not (site / f"{name}.html").is_file()]:
            parser.error(f"no such page: {', '.join(missing)}")
        wrong = [
            *(each for name in names for each in _photograph(browser, site, name, asked.folder)),
            *_search(browser, site),
        ]
    print(*wrong, f"{len(names)} pages, {len(wrong)} complaints", sep="\n")  # noqa: T201  # A report.
    return 1 if wrong else 0


def _names(site: Path) -> list[str]:
    pages = (page.relative_to(site).with_suffix("") for page in sorted(site.rglob("*.html")))
    return [str(page) for page in pages if page.name != "404"]


def _photograph(browser: Browser, site: Path, name: str, folder: Path) -> Iterator[str]:
    """Pictures of a page in each look; what is wrong with it."""
    for width, dark in product(_WIDTHS, (False, True)):
        look = f"{name} at {width}, {'dark' if dark else 'light'}"
        browser.look(width=width, dark=dark)
        browser.open((site / f"{name}.html").as_uri())
        height, least = browser.run(
            "const root = document.documentElement; return [root.scrollHeight, root.scrollWidth]"
        )
        browser.look(width=width, height=height, dark=dark)
        stem = f"{name.replace('/', '-')}-{width}-{'dark' if dark else 'light'}"
        for number, top in enumerate(range(0, height, _TALLEST), 1):
            piece = {"x": 0, "y": top, "width": width, "height": min(_TALLEST, height - top)}
            shot = browser.command("Page.captureScreenshot", clip={**piece, "scale": 1})
            (folder / f"{stem}-{number}.png").write_bytes(base64.b64decode(shot["data"]))
        if least > width:
            yield f"{look}: {least} pixels wide"
        yield from (f"{look}: {each}" for each in _unwanted(browser))


def _unwanted(browser: Browser) -> list[str]:
    foreign = (url for url in browser.requested() if url.startswith("http"))
    return [*browser.complaints(), *foreign]


def _search(browser: Browser, site: Path) -> list[str]:
    """A page that is opened from the disk can be searched."""
    browser.look(width=1400)
    browser.open((site / "index.html").as_uri())
    _until(browser, "return document.querySelector('.md-search__button') !== null")
    browser.run("document.querySelector('.md-search__button').click()")
    _until(browser, f"return {_SEARCH}?.activeElement?.tagName === 'INPUT'")
    browser.command("Input.insertText", text="deadline")
    found = _until(browser, f"return /[1-9]\\d* results/.test({_SEARCH}.textContent)")
    return [*_unwanted(browser), *["the search finds nothing"] * (not found)]


def _until(browser: Browser, script: str) -> bool:
    """Whether it becomes true within a while."""
    deadline = time.monotonic() + 10
    while not (true := browser.run(script)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(true)


if __name__ == "__main__":
    sys.exit(main())
