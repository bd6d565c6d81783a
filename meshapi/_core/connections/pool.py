"""Whose connections a call uses: its process's, its event loop's, or those that were lent."""

from __future__ import annotations

import asyncio
import weakref
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TypeAlias

import httpx

from meshapi._core.connections.kept import AsyncKeptTransport, KeptTransport
from meshapi._core.connections.routes import NetworkOptions, Routes
from meshapi._core.connections.shelf import CLOSED
from meshapi._core.fork import renew_in_child
from meshapi.errors import ConfigurationError


class Pool:
    """Connections for sync calls; a process has its own."""

    def __init__(self, lent: httpx.Client | None, options: NetworkOptions, base_url: str) -> None:
        """Use the one that is lent, or open one.

        Raises:
            ConfigurationError: an option, or the environment's proxy to the URL, cannot work.
        """
        self.is_closed = False
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

    def client(self) -> httpx.Client:
        """The connections to call through."""
        if self.is_closed or (self._lent and self._lent.is_closed):
            raise ConfigurationError(CLOSED)
        return self._lent or self._client

    def close(self) -> None:
        """Close the connections, unless they are lent, and refuse to open others."""
        self.is_closed = True
        if not self._lent:
            self._transport.close()

    def renew(self) -> None:
        """Leave its connections to the parent process, and begin without any."""
        self._finalizer.detach()
        self._transport.connections.shelf.forget()
        _of_parents.append(self._transport)
        self._open()

    def _open(self) -> None:
        self._transport = KeptTransport(self._routes)
        self._client = httpx.Client(transport=self._transport, cookies=_no_cookies())
        # Not `__del__`: in a cycle of garbage, the sockets could warn before it is called.
        self._finalizer = weakref.finalize(self, self._transport.close)


class AsyncPool:
    """Connections for async calls: each event loop has its own, as it could not use another's.

    `close` closes those of the running loop; the others are closed when their loop shuts down its
    async generators, as `asyncio.run` does.
    """

    def __init__(
        self, lent: httpx.AsyncClient | None, options: NetworkOptions, base_url: str
    ) -> None:
        """Use the one that is lent, in every loop, or open one per loop.

        Raises:
            ConfigurationError: an option, or the environment's proxy to the URL, cannot work.
        """
        self.is_closed = False
        self._lent = lent
        self._by_loop: dict[AbstractEventLoop, _OfLoop] = {}
        if lent is None:
            self._routes = Routes(options)
            self._routes.check(base_url)
            renew_in_child(self)

    @property
    def is_own(self) -> bool:
        """Whether nobody lent them, so that below httpx stands what we know."""
        return self._lent is None

    async def client(self) -> httpx.AsyncClient:
        """The connections to call through."""
        if self.is_closed or (self._lent and self._lent.is_closed):
            raise ConfigurationError(CLOSED)
        if self._lent:
            return self._lent
        loop = asyncio.get_running_loop()
        client, _ = self._by_loop.get(loop, (None, None))
        if client is None:
            _forget_closed_loops(self._by_loop)
            transport = AsyncKeptTransport(self._routes)
            client = httpx.AsyncClient(transport=transport, cookies=_no_cookies())
            guard = _closed_with_loop(transport)
            self._by_loop[loop] = client, guard
            await anext(guard)
        return client

    async def close(self) -> None:
        """Close the connections, unless they are lent, and refuse to open others."""
        self.is_closed = True
        _, guard = self._by_loop.pop(asyncio.get_running_loop(), (None, None))
        if guard is not None:
            await guard.aclose()

    def renew(self) -> None:
        """Leave its connections to the parent process, and begin without any."""
        # They are not even closed: an event loop's selector is the same one in both processes.
        _of_parents.append(self._by_loop)
        self._by_loop = {}


def _forget_closed_loops(by_loop: dict[AbstractEventLoop, _OfLoop]) -> None:
    for loop in list(by_loop):
        if loop.is_closed():
            by_loop.pop(loop, None)


async def _closed_with_loop(transport: AsyncKeptTransport) -> AsyncGenerator[None]:
    # A generator that waits here for ever is ended by the loop when that shuts down.
    try:
        yield
    finally:
        await transport.aclose()
        await asyncio.sleep(0)  # The sockets are closed by the loop's next turn.


_OfLoop: TypeAlias = tuple[httpx.AsyncClient, AsyncGenerator[None]]
_of_parents: list[object] = []
"""Kept for ever in a child process, where closing them would close them for the parent as well."""


def _no_cookies() -> CookieJar:
    # A cookie would go from one token's calls into another's.
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))
