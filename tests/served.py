"""A web app on a real uvicorn, and a browser that is no more than a socket."""

from __future__ import annotations

import json
import runpy
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from meshapi import AsyncMeshAPI

_WEB_CHAT = Path(__file__).parent.parent / "examples" / "web_chat" / "app.py"


def web_chat(client: AsyncMeshAPI) -> ASGIApp:
    """The example of a web app, around a client."""
    make_app = cast("Callable[..., ASGIApp]", runpy.run_path(str(_WEB_CHAT))["make_app"])
    return make_app(client)


@contextmanager
def serving(app: ASGIApp) -> Generator[str]:
    """The app behind a socket on loopback; its URL."""
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


Browser: TypeAlias = socket.socket


def visit(url: str, path: str = "/", body: object = None) -> Browser:
    """Post to an app, and read nothing of its answer yet."""
    address = urlsplit(url)
    browser = socket.create_connection((str(address.hostname), address.port or 80), timeout=10)
    content = json.dumps(body).encode()
    browser.sendall(
        b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (path.encode(), len(content), content)
    )
    return browser


def read_until(browser: Browser, words: bytes) -> bytes:
    """What the app sends, up to and with these words."""
    answer = b""
    while words not in answer:
        piece = browser.recv(65536)
        assert piece, f"It ended before {words!r}: {answer!r}"
        answer += piece
    return answer


def read_all(url: str, path: str = "/", body: object = None) -> bytes:
    """The whole of an answer that is a stream."""
    with closing(visit(url, path, body)) as browser:
        return read_until(browser, b"\r\n0\r\n\r\n")
