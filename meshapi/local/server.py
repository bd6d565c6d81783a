"""The gateway's server: a socket on loopback, and a thread that serves it."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from meshapi.local.app import App
from meshapi.local.service import Service


class Server:
    """Serves from when it is made until it is stopped."""

    def __init__(self, service: Service, port: int) -> None:
        """Take the port, and begin."""
        self._socket = socket.create_server(("127.0.0.1", port))
        self._server = uvicorn.Server(
            uvicorn.Config(
                App(service, self._abort),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                timeout_keep_alive=75,  # On a busy machine, nobody comes back within seconds.
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="meshapi-local", daemon=True
        )
        self._thread.start()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    def stop(self) -> None:
        """Give what has come a second to be answered, and the port back."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _abort(self, scope: Scope) -> None:
        """Drop the connection that a request came over."""
        for connection in self._server.server_state.connections:
            if isinstance(connection, H11Protocol) and connection.client == scope["client"]:
                connection.transport.abort()
