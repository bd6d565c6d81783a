"""Whose connections a sync call uses: its process's, or those that were lent."""

from __future__ import annotations

import weakref

import httpx

from meshapi._core.connections.kept import KeptTransport
from meshapi._core.connections.routes import NetworkOptions, Routes
from meshapi._core.connections.shelf import CLOSED
from meshapi._core.connections.sync_line import shut_down
from meshapi._core.fork import keep_for_ever, renew_in_child
from meshapi._core.outgoing import Outgoing
from meshapi.errors import ConfigurationError


class Pool:
    """Connections for sync calls; a process has its own."""

    def __init__(self, lent: httpx.Client | None, options: NetworkOptions, base_url: str) -> None:
        """Use the one that is lent, or open one.

        Raises:
            ConfigurationError: an option, or the environment's proxy to the URL, cannot work.
        """
        self.is_closed: bool = False
        self._lent = lent
        if lent is None:
            self._routes = Routes(options)
            self._routes.check(base_url)
            self._open()
            renew_in_child(self)

    @property
    def is_own(self) -> bool:
        """Whether nobody lent them, so that below httpx stands what we know."""
        return self._lent is None

    def send(self, outgoing: Outgoing) -> httpx.Response:
        """Send a request and wait for the head of its answer.

        Raises:
            ConfigurationError: the client is closed.
            httpx.HTTPError: it failed.
        """
        if self.is_closed or (self._lent and self._lent.is_closed):
            raise ConfigurationError(CLOSED)
        if self._lent is None:
            return self._transport.handle_request(outgoing.request())
        request = outgoing.request_of(self._lent)
        return self._lent.send(request, stream=True, auth=None, follow_redirects=False)

    def cut_off(self, response: httpx.Response) -> None:
        """End another thread's wait for this response's next bytes."""
        if cut := response.extensions.get("cut"):
            cut()
        elif stream := response.extensions.get("network_stream"):  # Of a lent client.
            shut_down(stream)

    def close(self) -> None:
        """Close the connections, unless they are lent, and refuse to open others."""
        self.is_closed = True
        if not self._lent:
            self._transport.close()

    def renew(self) -> None:
        """Leave its connections to the parent process, and begin without any."""
        self._finalizer.detach()
        self._transport.connections.shelf.forget()
        keep_for_ever(self._transport)
        self._open()

    def _open(self) -> None:
        self._transport = KeptTransport(self._routes)
        # Not `__del__`: in a cycle of garbage, the sockets could warn before it is called.
        self._finalizer = weakref.finalize(self, self._transport.close)
