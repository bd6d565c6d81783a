"""Whose connections an async call uses: its event loop's, or those that were lent."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator
from typing import TypeAlias

import httpx

from meshapi._core.connections.kept import AsyncKeptTransport
from meshapi._core.connections.routes import NetworkOptions, Routes
from meshapi._core.connections.shelf import CLOSED
from meshapi._core.fork import keep_for_ever, renew_in_child
from meshapi._core.outgoing import Outgoing
from meshapi.errors import ConfigurationError


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
        self.is_closed: bool = False
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

    async def send(self, outgoing: Outgoing) -> httpx.Response:
        """Send a request and wait for the head of its answer.

        Raises:
            ConfigurationError: the client is closed.
            httpx.HTTPError: it failed.
        """
        if self.is_closed or (self._lent and self._lent.is_closed):
            raise ConfigurationError(CLOSED)
        if self._lent is None:
            transport = await self._of_this_loop()
            return await transport.handle_async_request(outgoing.request())
        request = outgoing.request_of(self._lent)
        return await self._lent.send(request, stream=True, auth=None, follow_redirects=False)

    async def _of_this_loop(self) -> AsyncKeptTransport:
        loop = asyncio.get_running_loop()
        transport, _ = self._by_loop.get(loop, (None, None))
        if transport is None:
            _forget_closed_loops(self._by_loop)
            transport = AsyncKeptTransport(self._routes)
            guard = _closed_with_loop(transport)
            self._by_loop[loop] = transport, guard
            await anext(guard)
        return transport

    async def close(self) -> None:
        """Close the connections, unless they are lent, and refuse to open others."""
        self.is_closed = True
        _, guard = self._by_loop.pop(asyncio.get_running_loop(), (None, None))
        if guard is not None:
            await guard.aclose()

    def renew(self) -> None:
        """Leave its connections to the parent process, and begin without any."""
        # They are not even closed: an event loop's selector is the same one in both processes.
        keep_for_ever(self._by_loop)
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


_OfLoop: TypeAlias = tuple[AsyncKeptTransport, AsyncGenerator[None]]
