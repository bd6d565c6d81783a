"""The gateway as a running server: its own thread, a free port, ready when entered."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette

from meshapi.local.app import make_app
from meshapi.local.rules import Key, RecordedRequest, Rules


class LocalGateway:
    """A real HTTP server on loopback that speaks the Mesh API wire; nothing leaves this machine.

    ```python
    with LocalGateway() as gateway:
        client = MeshAPI(base_url=gateway.base_url, token=gateway.token)
    ```

    Args:
        token: the key that is there from the start.
        port: where to listen; 0 takes a free one.
        tokens_per_second: how fast streams are written; None is as fast as they can be.
    """

    def __init__(
        self, *, token: str = "rsk_local", port: int = 0, tokens_per_second: float | None = None
    ) -> None:
        """Prepare; the port is taken, and requests are answered, once the gateway is started."""
        self.token = token
        self.rules = Rules(keys={token: Key(token)})
        self._app = make_app(self.rules, tokens_per_second)
        self._port = port
        self._running: _Running | None = None

    @property
    def base_url(self) -> str:
        """Where the gateway listens: `http://127.0.0.1:PORT`.

        Raises:
            RuntimeError: it is not running.
        """
        if self._running is None:
            raise RuntimeError("The gateway is not running: use `with LocalGateway() as gateway:`")
        return self._running.base_url

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """Every chat request that came, refused ones included, oldest first."""
        return self.rules.requests

    def add_key(
        self,
        token: str | None = None,
        *,
        active: bool = True,
        default_model: str = "openai/gpt-4o",
        rpm: int | None = None,
        rpd: int | None = None,
        spend_cap_usd: Decimal | float | str | None = None,
    ) -> str:
        """Add a key, and return its token.

        Args:
            token: the token to use; a new random one unless given.
            active: an inactive key is answered with 403.
            default_model: who answers where a request names no model.
            rpm: requests allowed per minute; then 429.
            rpd: requests allowed per day; then 429.
            spend_cap_usd: US dollars that may be spent; the call that crosses it completes, the
                next is answered with 402.
        """
        token = token or f"rsk_{secrets.token_hex(13).upper()}"
        cap = None if spend_cap_usd is None else Decimal(str(spend_cap_usd))
        self.rules.keys[token] = Key(token, active, default_model, rpm, rpd, cap)
        return token

    def add_template(self, name: str, text: str) -> None:
        """Store a prompt template; `{{slots}}` in it are filled from a request's variables."""
        self.rules.templates[name] = text

    def start(self) -> Self:
        """Take the port, and serve from a thread of its own.

        Raises:
            OSError: the port is taken.
        """
        if self._running is None:
            self._running = _Running(self._app, self._port)
        return self

    def stop(self) -> None:
        """Stop serving, and give the port back."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _Running:
    """A server in a thread, from its first request to its last."""

    def __init__(self, app: Starlette, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="meshapi-local", daemon=True
        )
        self._thread.start()

    @property
    def base_url(self) -> str:
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
