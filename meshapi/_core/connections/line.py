"""A line to a server: what is known of one connection, whatever colour it has."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import httpcore

from meshapi._core.deadline import Deadline
from meshapi._core.fork import Process
from meshapi._core.outgoing import Departure
from meshapi._core.token import mask_logs

# At DEBUG, httpcore writes down the headers of every answer; at INFO, httpx its status line where
# a client of its own was lent.
mask_logs("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")

CUT = "the connection was closed on this side"
LOOK_SECONDS = 0.005
"""How long to look for a refusal before looking again whether one may still come."""

_SECONDS_PER_ADDRESS = 1.0
"""The time that an address of a host has before the next one is tried."""

_CROSSING_SECONDS = 0.05
"""What a refusal may take to come back, besides the time of two ways there and back."""

_LONGEST_ROUND_TRIP = 0.3

_Found: TypeAlias = tuple[int, int, int, str, tuple[str | int | bytes, ...]]


def departure_of(request: httpcore.Request) -> Departure:
    """The one that came with a request."""
    departure = extension(request, "departure")
    return departure if isinstance(departure, Departure) else Departure(Deadline())


def extension(request: httpcore.Request, name: str) -> object:
    """What was sent along with a request for those who carry it; None where it was not."""
    extensions: Mapping[str, object] = vars(request)["extensions"]  # httpcore leaves its type open.
    return extensions.get(name)


class LineFacts:
    """What is known of one connection, whatever colour it has."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self._process = Process.generation
        self._departure = Departure(Deadline())
        self._used = False
        self._kept = False
        self._heard = False
        self._wrote_at = 0.0
        self._round_trip = 0.0
        self._connected_by = math.inf
        self.was_cut = False
        self.refused = False
        """Whether the server had closed a kept connection when the request reached it."""

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was made here; a child process has only copies of its parent's."""
        return self._process == Process.generation

    @property
    def has_written(self) -> bool:
        """Whether anything has left since the request began."""
        return self._wrote_at > 0

    @property
    def may_be_refused(self) -> bool:
        """Whether the end of this connection may have crossed the request on its way.

        So it is on a kept connection that nothing has come from, for as long as a refusal of the
        request takes to come back.
        """
        if not self._kept or self._heard or self.was_cut:
            return False
        return time.monotonic() < self._wrote_at + _CROSSING_SECONDS + 2 * self._round_trip

    def left(self, too_late: type[httpcore.TimeoutException]) -> float:
        """The seconds that the next wait may take.

        Raises:
            httpcore.TimeoutException: of the kind that is named; there are none left.
        """
        left = self._departure.deadline.left
        if not left:
            raise too_late("The deadline has passed")
        return left

    def begin(self, departure: Departure) -> None:
        """Begin a request."""
        self._kept, self._used = self._used, True
        self._heard, self._wrote_at = False, 0.0
        self._departure = departure
        departure.happened = not self._kept

    def connecting(self, seconds: float | None) -> None:
        """Note that a connection is made first, within so many seconds, TLS included."""
        self._kept = False
        self._departure.happened = False
        self._connected_by = time.monotonic() + (math.inf if seconds is None else seconds)

    def connected(self, seconds: float) -> None:
        """Note that it was made, and how long that took.

        Raises:
            httpcore.ConnectError: nobody wants it any more.
        """
        # Not for longer than a way round the world: the machine may have been busy meanwhile.
        self._round_trip = min(seconds, _LONGEST_ROUND_TRIP)
        self.check_wanted()

    def check_wanted(self) -> None:
        """Stop where the client was closed meanwhile.

        Raises:
            httpcore.ConnectError: it was.
        """
        if self.was_cut:
            raise httpcore.ConnectError(CUT)

    def time_to_connect(self) -> float:
        """The seconds that are left for making the connection.

        Raises:
            httpcore.ConnectTimeout: there are none.
        """
        left = max(0.001, self._connected_by - time.monotonic())
        return min(left, self.left(httpcore.ConnectTimeout))

    def writing(self, data: bytes) -> None:
        """Note what leaves: the request, or what a proxy is told before it."""
        self._wrote_at = time.monotonic()
        is_request = data[:1].isalpha() and not data.startswith(b"CONNECT ")
        if is_request or self._departure.happened:
            self._departure.leaves()

    def heard(self) -> None:
        """Note that the server said something."""
        self._heard = True

    def broke(self, error: BaseException | None) -> None:
        """Note with what error the connection ended: the system's own tells of a refusal."""
        if isinstance(error, (ConnectionResetError, BrokenPipeError)):
            self.refused = self.may_be_refused

    def check_process(self) -> None:
        """Refuse to read here what another process was answered."""
        if not self.is_of_this_process:
            raise httpcore.ReadError("This connection belongs to the process that made it")


def shares(found: Sequence[_Found], limit: float) -> Iterator[tuple[str, float]]:
    """Each address of a host, and its seconds: one, and for the last all that is left."""
    until = time.monotonic() + limit
    for place, (*_, address) in enumerate(found, start=1):
        left = max(0.001, until - time.monotonic())
        yield str(address[0]), left if place == len(found) else min(left, _SECONDS_PER_ADDRESS)


def is_head(data: bytes) -> bool:
    """Whether these bytes are the head of a request, which is sent together with its body."""
    return data.endswith(b"\r\n\r\n") and data[:1].isalpha()


def is_reset(descriptor: int, seconds: float) -> bool:
    """Whether a connection without TLS, whose end was read, is gone for both directions.

    So it is once the other side has refused what was sent after it had closed.
    """
    if not hasattr(select, "poll"):  # On Windows, where it is not known.
        time.sleep(seconds)
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # An error or a full hang-up, which are told unasked.
    return bool(poll.poll(seconds * 1000))
