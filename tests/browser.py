"""`python -m tests.browser`: the web chat in a real browser, without a window.

It needs Chromium and its driver, and says so where they are missing.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from meshapi import AsyncMeshAPI
from meshapi.local import LocalGateway
from tests.served import serving, web_chat
from tests.wire_server import Silence, Step, WireServer, events

_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--proxy-server=direct://",
]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # The name that WebDriver gives a reference.
PAGE = Path(__file__).parent.parent / "examples" / "web_chat" / "index.html"
_ENTER = "\ue007"


class Browser:
    """A page, driven by WebDriver's plain HTTP."""

    def __init__(self, driver: httpx.Client, chromium: str, profile: str) -> None:
        self._driver = driver
        options = {"binary": chromium, "args": [*_OPTIONS, f"--user-data-dir={profile}"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}
        session = self._call("POST", "/session", {"capabilities": wanted})
        self._session = f"/session/{session['sessionId']}"

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._driver.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()["value"]

    def open(self, url: str) -> None:
        self._call("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def type(self, text: str) -> None:
        found = self._call(
            "POST", f"{self._session}/element", {"using": "css selector", "value": "textarea"}
        )
        self._call(
            "POST", f"{self._session}/element/{found[_ELEMENT]}/value", {"text": text + _ENTER}
        )

    def command(self, name: str, **params: object) -> Any:
        """A command of the DevTools protocol."""
        path = f"{self._session}/goog/cdp/execute"
        return self._call("POST", path, {"cmd": name, "params": params})

    def complaints(self) -> list[str]:
        """What the console has been told since the last time."""
        lines = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [line["message"] for line in lines]

    def requested(self) -> list[str]:
        """The URLs that were asked for since the last time."""
        lines = self._call("POST", f"{self._session}/se/log", {"type": "performance"})
        events = [json.loads(line["message"])["message"] for line in lines]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def look(
        self, *, width: int, height: int = 760, dark: bool = False, touch: bool = False
    ) -> None:
        """Be so wide, light or dark, and touched or pointed at."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        self.command("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))

    def wait_for(self, selector: str, words: str) -> None:
        """Until the last such element says so."""
        deadline = time.monotonic() + 10
        script = f"return [...document.querySelectorAll('{selector}')].at(-1)?.textContent ?? ''"
        while words not in self.run(script):
            assert time.monotonic() < deadline, self.run("return document.body.innerText")
            time.sleep(0.02)

    def quit(self) -> None:
        self._call("DELETE", self._session)


@contextmanager
def browsing(chromium: str, chromedriver: str) -> Generator[Browser]:
    """A browser with an empty profile."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen([chromedriver, "--port=0"], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            told = next(line for line in process.stdout if "successfully on port" in line)
            port = told.split()[-1].rstrip(".")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as driver:
                browser = Browser(driver, chromium, profile)
                try:
                    yield browser
                finally:
                    browser.quit()
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


@contextmanager
def _chat_with(base_url: str, token: str) -> Generator[str]:
    with serving(web_chat(AsyncMeshAPI(base_url=base_url, token=token, max_retries=0))) as url:
        yield url


def an_answer_is_shown_as_it_is_written(browser: Browser, screenshots: Path | None) -> None:
    """The question, the thoughts and the answer, and no markup of the model's."""
    with LocalGateway() as gateway, _chat_with(gateway.base_url, gateway.token) as url:
        gateway.reply(
            "A generator is a function that hands out one value, and then waits until somebody "
            "asks for the next.\n```python\ndef count():\n    n = 0\n    while True:\n"
            "        yield n\n        n += 1\n```\n<b>Nothing</b> runs ahead of need.",
            reasoning="They want a generator explained. A short definition, then a small example.",
        )
        gateway.reply("You are welcome.")
        browser.open(url)
        _photograph(browser, screenshots, "welcome")
        browser.type("What is a generator?")
        browser.wait_for(".assistant .text", "<b>Nothing</b> runs ahead of need.")
        browser.wait_for(".reasoning", "a small example.")
        browser.wait_for("pre", "        n += 1")
        browser.wait_for("#send", "Send")
        assert browser.run("return document.querySelector('details').open") is False
        copied = browser.run(
            "let copied = null; navigator.clipboard.writeText = async (text) => { copied = text; };"
            "document.querySelector('.code button').click(); return copied"
        )
        assert copied == "def count():\n    n = 0\n    while True:\n        yield n\n        n += 1"
        browser.type("Thank you!")
        browser.wait_for(".assistant .text", "You are welcome.")
        _photograph(browser, screenshots, "answered")

        said = [each["content"] for each in gateway.requests[-1].messages]
        assert len(said) == 3, said


def stop_ends_the_call(browser: Browser, screenshots: Path | None) -> None:
    """Stop, in the middle of an answer and before it begins."""
    begun = events('data: {"choices": [{"delta": {"content": "Let me think"}}]}\n\n')
    scripts: list[list[Step]] = [[begun, Silence(60)], [Silence(60)]]
    for script in scripts:
        with WireServer(script) as upstream, _chat_with(upstream.url, "rsk_test") as url:
            browser.open(url)
            browser.type("Take your time.")
            if begun in script:
                browser.wait_for(".assistant .text", "Let me think")
                _photograph(browser, screenshots, "writing")
            while not upstream.requests:
                time.sleep(0.01)
            stopped = time.monotonic()
            browser.run("document.getElementById('send').click()")

            took = upstream.ended.get(timeout=5) - stopped
            browser.wait_for(".note", "Stopped")
            assert took < 0.1, took
            print(f"  stopped after {took * 1000:.0f} ms")  # noqa: T201  # A report.


def errors_are_told_politely(browser: Browser, screenshots: Path | None) -> None:
    """A spend limit before the answer, and a failure in the middle of one."""
    with LocalGateway() as gateway, _chat_with(gateway.base_url, gateway.token) as url:
        browser.open(url)
        gateway.fail("error_mid_stream", reply="It all began when", after=3, retry_after=12)
        browser.type("Tell me a story.")
        browser.wait_for(".error", "The answer broke off.")
        browser.wait_for(".error", "Try again in")
        gateway.limit(spend_cap_usd=0)
        browser.type("And now?")
        browser.wait_for(".error", "That did not work.")
        browser.wait_for(".error .note", "Request req_")
        _photograph(browser, screenshots, "errors")


RICH = """\
# A heading

A **bold** word, `code`, **`both`** and 2 ** 3 *as written*, <b>no</b> markup.
A second line, with `an open mark.

1. First
   - within **it**
   - and again
2. Second, with code:

   ```python
   def f():

       return "`x`"
   ```
3. Third

A last paragraph.
- a
- b
Not in a list.
````
```
````
"""
SHOWN = (
    "<h2>A heading</h2><p>A <strong>bold</strong> word, <code>code</code>, "
    "<strong><code>both</code></strong> and 2 ** 3 *as written*, &lt;b&gt;no&lt;/b&gt; markup.\n"
    'A second line, with `an open mark.</p><ol><li value="1">First<ul><li>within '
    '<strong>it</strong></li><li>and again</li></ul></li><li value="2">Second, with code:'
    '<div><div><span>python</span><button>Copy</button></div><pre>def f():\n\n    return "`x`"'
    '</pre></div></li><li value="3">Third</li></ol><p>A last paragraph.</p><ul><li>a</li>'
    "<li>b</li></ul><p>Not in a list.</p><div><div><span>Code</span><button>Copy</button></div>"
    "<pre>```</pre></div>"
)


@contextmanager
def _page_that_gets(*answers: Response) -> Generator[str]:
    """The page, and a server that answers what it is told to."""
    left = list(answers)

    async def page(request: Request) -> Response:
        return FileResponse(PAGE)

    async def answer(request: Request) -> Response:
        posted.append(await request.json())
        return left.pop(0)

    posted.clear()
    with serving(
        Starlette(routes=[Route("/", page), Route("/answer", answer, methods=["POST"])])
    ) as url:
        yield url


posted: list[Any] = []


def _frames(*choices: object, done: bool = True) -> Response:
    frames = [f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in choices]
    whole = [*frames, *["data: [DONE]\n\n"] * done]
    return StreamingResponse(_one_by_one(whole), media_type="text/event-stream")


async def _one_by_one(frames: list[str]) -> AsyncIterator[str]:
    for frame in frames:
        yield frame


def _says(text: object, **more: str) -> dict[str, object]:
    return {"delta": {"content": text}, **more}


def markup_is_shown_however_it_is_cut(browser: Browser, screenshots: Path | None) -> None:
    """Code, lists, headings and bold words: the same, whole and letter by letter."""
    with _page_that_gets() as url:
        browser.open(url)
        for size in (1, 2, 3, 7, 10_000):
            pieces = [RICH[start : start + size] for start in range(0, len(RICH), size)]
            shown = browser.run(
                "const root = document.createElement('div'); const writer = new Writer(root);"
                f"for (const piece of {json.dumps(pieces)}) writer.write(piece); writer.end();"
                "for (const each of root.querySelectorAll('*'))"
                "  for (const name of ['dir', 'class', 'type']) each.removeAttribute(name);"
                "return root.innerHTML"
            )
            assert shown == SHOWN, shown


def a_long_answer_is_cheap(browser: Browser, screenshots: Path | None) -> None:
    """Thousands of chunks, as fast as they come: in a paragraph, a list, code and paragraphs."""
    of_each = {"word ": 8000, "- item\n": 8000, "code\n\n": 8000, "a **b** `c`\n\n": 16_000}
    for piece, count in of_each.items():
        began = "```\n" if piece.startswith("code") else ""
        answer = _frames(_says(began), *[_says(piece)] * count)
        with _page_that_gets(answer) as url:
            browser.open(url)
            asked = time.monotonic()
            browser.type("At length, please.")
            browser.wait_for("#send", "Send")
            took = time.monotonic() - asked
            length = browser.run("return document.querySelector('.text').textContent.length")

            assert length > 30_000, length
            assert took < 5, took
            print(f"  {count:,} chunks of {piece!r} after {took:.1f} s")  # noqa: T201  # A report.


def how_an_answer_ended_is_told(browser: Browser, screenshots: Path | None) -> None:
    """Cut by its length or by a filter, empty, broken off, a proxy's page; content in parts."""
    endings = [
        (_frames(_says("So", finish_reason="length")), ".note", "is cut"),
        (_frames(_says("So", finish_reason="content_filter")), ".note", "filter"),
        (_frames(_says(None, finish_reason="stop")), ".note", "gave no answer"),
        (_frames(_says("So"), done=False), ".error", "The connection broke off."),
        (HTMLResponse("<h1>Bad gateway</h1>", 502), ".error", "answered with status 502"),
        (_frames(_says([{"type": "text", "text": "In parts"}])), ".text", "In parts"),
    ]
    with _page_that_gets(*(answer for answer, _, _ in endings)) as url:
        browser.open(url)
        for _, selector, words in endings:
            browser.type("And?")
            browser.wait_for(selector, words)
            browser.wait_for("#send", "Send")


def a_conversation_goes_on_for_long(browser: Browser, screenshots: Path | None) -> None:
    """An answer above any bound but the body's, a forgotten beginning, and a new chat."""
    with LocalGateway() as gateway, _chat_with(gateway.base_url, gateway.token) as url:
        gateway.reply("long " * 6000)
        gateway.reply("Thanks.")
        gateway.reply("Again.")
        gateway.reply("Anew.")
        browser.open(url)
        browser.type("First")
        browser.wait_for("#send", "Send")
        browser.type("Second")
        browser.wait_for(".text", "Thanks.")
        browser.wait_for("#send", "Send")
        browser.run("messages[1].content = 'é'.repeat(600_000)")
        browser.type("Third")
        browser.wait_for(".text", "Again.")
        browser.wait_for(".hint", "no longer sent")
        browser.wait_for("#send", "Send")
        browser.run("document.getElementById('new').click()")
        browser.wait_for("#welcome h2", "What would you like")
        browser.type("Fourth")
        browser.wait_for(".text", "Anew.")

        said = [[str(each["content"])[:6] for each in asked.messages] for asked in gateway.requests]
        assert said[1] == ["First", "long l", "Second"], said
        assert said[2:] == [["Second", "Thanks", "Third"], ["Fourth"]], said


def everybody_can_use_it(browser: Browser, screenshots: Path | None) -> None:
    """Edges and words that are seen, room for fingers, both directions of writing."""
    rich = {"reasoning": "قصير", "content": RICH}
    with _page_that_gets(_frames({"delta": rich}), _frames(_says("- مرحبا **بكم**"))) as url:
        browser.open(url)
        for dark in (False, True):
            browser.look(width=360, dark=dark)
            browser.run("document.activeElement.blur()")
            for selector, colour, least in (("#box", "borderTopColor", 3), ("#send", "color", 4.5)):
                seen = browser.run(_CONTRAST % (selector, colour))
                assert seen >= least, (selector, dark, seen)
        browser.type("ما هو المولّد؟")
        browser.wait_for("#send", "Send")
        browser.type("And hello?")
        browser.wait_for(".text", "مرحبا")
        browser.wait_for("#send", "Send")
        for selector in (".user", ".reasoning div", ".assistant:last-child ul"):
            script = f"return getComputedStyle(document.querySelector('{selector}')).direction"
            assert browser.run(script) == "rtl", selector
        browser.look(width=360, touch=True)
        small = browser.run(
            "return [...document.querySelectorAll('button, summary, textarea')].filter((each) =>"
            "  each.checkVisibility() && each.getBoundingClientRect().height < 44)"
            "  .map((each) => each.outerHTML)"
        )
        assert not small, small
        assert browser.run("return document.querySelector('h1').textContent") == "Chat"
        assert browser.run("return document.documentElement.scrollWidth") <= 360
        browser.look(width=1100)


_CONTRAST = """
const light = (colour) => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
  const [r, g, b] = parts.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const style = getComputedStyle(document.querySelector("%s"));
const [low, high] = [light(style.%s), light(style.backgroundColor)].sort((a, b) => a - b);
return (high + 0.05) / (low + 0.05);
"""


def _photograph(browser: Browser, folder: Path | None, name: str) -> None:
    if folder:
        for width in (1100, 360):
            for dark in (False, True):
                browser.look(width=width, dark=dark)
                scheme = "dark" if dark else "light"
                browser.screenshot(folder / f"{name}-{width}-{scheme}.png")


CHECKS: list[Callable[[Browser, Path | None], None]] = [
    an_answer_is_shown_as_it_is_written,
    stop_ends_the_call,
    errors_are_told_politely,
    markup_is_shown_however_it_is_cut,
    a_long_answer_is_cheap,
    how_an_answer_ended_is_told,
    a_conversation_goes_on_for_long,
    everybody_can_use_it,
]


def main() -> int:
    """Run every check."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--chromedriver", default=shutil.which("chromedriver"))
    parser.add_argument("--screenshots", type=Path, help="a folder to put pictures into")
    asked = parser.parse_args()
    if not (asked.chromium and asked.chromedriver):
        parser.error("Chromium and chromedriver are needed, and not found")
    with browsing(asked.chromium, asked.chromedriver) as browser:
        for check in CHECKS:
            check(browser, asked.screenshots)
            print(f"ok {check.__name__.replace('_', ' ')}", flush=True)  # noqa: T201  # A report.
    return 0


if __name__ == "__main__":
    sys.exit(main())
