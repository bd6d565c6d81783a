"""`python -m tests.browser`: the web chat in a real browser, without a window.

It needs Chromium and its driver, and says so where they are missing.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

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
_ENTER = "\ue007"


class Browser:
    """A page, driven by WebDriver's plain HTTP."""

    def __init__(self, driver: httpx.Client, chromium: str, profile: str) -> None:
        self._driver = driver
        options = {"binary": chromium, "args": [*_OPTIONS, f"--user-data-dir={profile}"]}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
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

    def look(self, *, width: int, dark: bool) -> None:
        """Be so wide, and light or dark."""
        for command, params in {
            "Emulation.setDeviceMetricsOverride": {
                "width": width,
                "height": 760,
                "deviceScaleFactor": 1,
                "mobile": False,
            },
            "Emulation.setEmulatedMedia": {
                "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
            },
        }.items():
            path = f"{self._session}/goog/cdp/execute"
            self._call("POST", path, {"cmd": command, "params": params})

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
        assert process.stdout
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
