"""What a client has used so far, in all and for each session."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from meshapi._core.fork import renew_in_child
from meshapi._core.usage import Used, together

if TYPE_CHECKING:
    from meshapi.errors import MeshAPIError

MOST_SESSIONS = 10_000
"""How many sessions are kept: of more, those that were longest without a call are dropped."""


class Counts:
    """The numbers behind `Totals`, where they grow."""

    __slots__ = ("attempts", "calls", "errors", "retries", "used")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.calls = self.attempts = self.retries = 0
        self.used = Used()
        self.errors: dict[type[MeshAPIError], int] = {}


class Totals:
    """What was used: it counts on, so that reading it again tells more.

    A stream's tokens are counted when it ends or is left. Not counted is what is refused before the
    call begins, such as params that cannot be sent.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Counts) -> None:
        """Show these numbers."""
        self._counts = counts

    @property
    def calls(self) -> int:
        """Calls that were begun; a question of a run is one."""
        return self._counts.calls

    @property
    def attempts(self) -> int:
        """Requests that were sent, or that were to be sent when the connection failed."""
        return self._counts.attempts

    @property
    def retries(self) -> int:
        """Those of them that repeated one before."""
        return self._counts.retries

    @property
    def errors(self) -> Mapping[type[MeshAPIError], int]:
        """How many calls and streams ended with an error, by its class."""
        return dict(self._counts.errors)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the requests, where the answers say it."""
        return self._counts.used.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answers, where they say it."""
        return self._counts.used.completion_tokens

    @property
    def total_tokens(self) -> int:
        """Both together, as the server added them up."""
        return self._counts.used.total_tokens

    @property
    def cost(self) -> Decimal:
        """US dollars, where the answers say it; 0 where none does (Mesh bills by request id)."""
        return self._counts.used.cost or Decimal(0)

    def __repr__(self) -> str:
        names = ("calls", "attempts", "retries", "total_tokens", "cost")
        shown = [f"{name}={getattr(self, name)}" for name in names]
        errors = ", ".join(f"{kind.__name__}: {times}" for kind, times in self.errors.items())
        return f"{type(self).__name__}({', '.join(shown)}, errors={{{errors}}})"


class ClientTotals(Totals):
    """What a client has used, and all clients made of it by `with_options` with it."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        """Show what stands in the ledger."""
        super().__init__(ledger.whole)
        self._ledger = ledger

    @property
    def sessions(self) -> Mapping[str, Totals]:
        """The same for each `session_id`, the newest 10,000 of them."""
        return {name: Totals(counts) for name, counts in self._ledger.sessions()}


class Ledger:
    """Adds up what the calls of a client used; threads may write in it together."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.whole = Counts()
        self._sessions: dict[str, Counts] = {}
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin with a free lock: a thread of the parent process may have held it."""
        self._lock = threading.Lock()

    def sessions(self) -> list[tuple[str, Counts]]:
        """The sessions that are kept, the one that is longest without a call first."""
        with self._lock:
            return list(self._sessions.items())

    def begun(self, session: str | None) -> None:
        """A call begins."""
        with self._lock:
            if session is not None:
                self._come_back(session)
            for counts in self._of(session):
                counts.calls += 1

    def sent(self, session: str | None, attempt: int) -> None:
        """An attempt of it begins, the first being 1."""
        with self._lock:
            for counts in self._of(session):
                counts.attempts += 1
                counts.retries += attempt > 1

    def used(self, session: str | None, used: Used) -> None:
        """An answer came, or part of one."""
        with self._lock:
            for counts in self._of(session):
                counts.used = together((counts.used, used))

    def failed(self, session: str | None, kind: type[MeshAPIError]) -> None:
        """A call or its stream ended with an error."""
        with self._lock:
            for counts in self._of(session):
                counts.errors[kind] = counts.errors.get(kind, 0) + 1

    def _come_back(self, session: str) -> None:
        self._sessions[session] = self._sessions.pop(session, Counts())
        if len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def _of(self, session: str | None) -> tuple[Counts, ...]:
        counts = self._sessions.get(session) if session is not None else None
        return (self.whole,) if counts is None else (self.whole, counts)
