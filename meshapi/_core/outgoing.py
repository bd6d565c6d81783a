"""A request on its way out, and what httpx is told of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TypedDict

import httpx

from meshapi._core.call import Call
from meshapi._core.deadline import Deadline
from meshapi._core.models import PayloadT


class Departure:
    """What a request tells those who carry it, and what they tell about it."""

    __slots__ = ("_told", "deadline", "happened")

    def __init__(self, deadline: Deadline, told: Callable[[], None] | None = None) -> None:
        """Take the deadline of the call, and who is told when the request leaves."""
        self._told = told
        self.deadline: Deadline = deadline
        self.happened: bool = True
        """Whether any of it may have left: so it is, unless it is known that none has."""

    def leaves(self) -> None:
        """Some of it leaves now."""
        self.happened = True
        if self._told:
            self._told()


class Limits(TypedDict):
    """Seconds for each wait. Ours end with the deadline, so that only `connect` counts for them."""

    connect: float
    read: float
    write: float
    pool: float


class Outgoing:
    """One attempt of a call, ready to be sent; its repr shows no header."""

    def __init__(
        self,
        call: Call[PayloadT],
        url: str,
        headers: Mapping[str, str],
        limits: Limits,
        departure: Departure,
    ) -> None:
        """Take what is sent, and what is told to those who carry it."""
        self._method = call.method
        self._body = call.body
        self._url = url
        self._headers = headers
        self._limits = limits
        self.departure = departure

    def request(self) -> httpx.Request:
        """The request for connections of our own, where nothing is added to it.

        Raises:
            httpx.InvalidURL: the URL is none.
        """
        url = _parsed(self._url)
        headers = [
            (b"host", url.netloc),
            *(
                (name.encode("ascii"), value.encode("ascii"))
                for name, value in self._headers.items()
            ),
        ]
        if self._body:
            headers.append((b"content-length", b"%d" % len(self._body)))
        request = httpx.Request(
            self._method,
            url,
            headers=headers,
            stream=httpx.ByteStream(self._body),
            extensions={"timeout": self._limits, "departure": self.departure},
        )
        request.read()  # Mocks look at its content.
        return request

    def request_of(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request for a client that was lent, which may add its own headers and parameters.

        Raises:
            httpx.InvalidURL: the URL is none.
        """
        self.departure.leaves()  # Nobody tells when.
        return client.build_request(
            self._method,
            self._url,
            content=self._body,
            headers=self._headers,
            timeout=httpx.Timeout(**self._limits),
            extensions={"departure": self.departure},
        )


_parsed = functools.lru_cache(httpx.URL)  # It is the same for every call of an endpoint.
