"""What a client has used so far, in all and for each session."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from meshapi._core.fork import renew_in_child
from meshapi._core.usage import NO_COST, NOTHING, Used, difference_of, sum_of

if TYPE_CHECKING:
    from meshapi.errors import MeshAPIError

MOST_SESSIONS = 10_000
"""How many sessions are kept: of more, those that were longest without a call are dropped."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What was used up to a moment; subtract an earlier one to know what lies between them.

    A call is counted when it is over, and a stream when it is open; what a stream used, and how it
    failed, when it ends or is left. Not counted is what is refused before the call begins, such as
    params that cannot be sent.
    """

    calls: int = 0
    """Calls, whatever came of them; each question of a run is one."""

    attempts: int = 0
    """Requests that were sent, or that were to be sent when the connection failed."""

    retries: int = 0
    """Those of them that repeated one before."""

    prompt_tokens: int = 0
    """Tokens of the requests, where the answers say it."""

    completion_tokens: int = 0
    """Tokens of the answers, where they say it."""

    total_tokens: int = 0
    """Both together, as the server added them up."""

    cost: Decimal = NO_COST
    """US dollars, where the answers say it; 0 where none does (Mesh bills by request id)."""

    errors: Mapping[type[MeshAPIError], int] = field(default_factory=lambda: Counter())
    """How many calls and streams failed, by the class of the error; of any other class, 0."""

    def __sub__(self, earlier: Totals) -> Totals:
        """What was used since then."""
        return Totals(
            self.calls - earlier.calls,
            self.attempts - earlier.attempts,
            self.retries - earlier.retries,
            self.prompt_tokens - earlier.prompt_tokens,
            self.completion_tokens - earlier.completion_tokens,
            self.total_tokens - earlier.total_tokens,
            difference_of(self.cost, earlier.cost),
            Counter(self.errors) - Counter(earlier.errors),
        )

    def as_dict(self) -> dict[str, object]:
        """The same in the types of JSON: error classes by name, dollars as text."""
        facts: dict[str, object] = {each.name: getattr(self, each.name) for each in fields(self)}
        errors = {kind.__name__: times for kind, times in self.errors.items()}
        return {**facts, "cost": str(self.cost), "errors": errors}


@dataclass(frozen=True, slots=True)
class ClientTotals(Totals):
    """What a client has used, and all clients made of it by `with_options` with it."""

    sessions: Mapping[str, Totals] = field(
        default_factory=lambda: Sessions(), repr=False, kw_only=True
    )
    """The same for each `session_id`, of the newest 10,000; of any other, zeros."""

    def as_dict(self) -> dict[str, object]:
        """The same in the types of JSON: error classes by name, dollars as text."""
        sessions = {name: each.as_dict() for name, each in self.sessions.items()}
        return {**Totals.as_dict(self), "sessions": sessions}


class Sessions(dict[str, Totals]):
    """Totals by session, the one that is longest without a call first."""

    def __missing__(self, name: str) -> Totals:
        """A session that never called, or that was dropped, used nothing."""
        return Totals()


class _Tally:
    """The numbers behind `Totals`, where they grow."""

    def __init__(self) -> None:
        self.calls = self.attempts = self.retries = 0
        self.prompt_tokens = self.completion_tokens = self.total_tokens = 0
        self.cost = NO_COST
        self.errors: Counter[type[MeshAPIError]] = Counter()
        self._shown = Totals()
        self._is_current = True

    def add(self, entry: _Entry) -> None:
        _, calls, attempts, used, error = entry
        self.calls += calls
        self.attempts += attempts
        self.retries += attempts - calls if attempts else 0
        self.prompt_tokens += used.prompt_tokens
        self.completion_tokens += used.completion_tokens
        self.total_tokens += used.total_tokens
        if used.cost:
            self.cost = sum_of(self.cost, used.cost)
        if error:
            self.errors[error] += 1
        self._is_current = False

    def facts(self) -> _Facts:
        return (
            self.calls,
            self.attempts,
            self.retries,
            self.prompt_tokens,
            self.completion_tokens,
            self.total_tokens,
            self.cost,
            self.errors.copy(),
        )

    def shown(self) -> Totals:
        # Of many sessions, few have changed since they were read; one may, while it is.
        if not self._is_current:
            self._is_current = True
            self._shown = Totals(*self.facts())
        return self._shown


_Entry: TypeAlias = "tuple[str | None, int, int, Used, type[MeshAPIError] | None]"
_Facts: TypeAlias = "tuple[int, int, int, int, int, int, Decimal, Mapping[type[MeshAPIError], int]]"


class Ledger:
    """Adds up what the calls of a client used; threads may write in it together."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._whole = _Tally()
        self._sessions: dict[str, _Tally] = {}
        self._entries: deque[_Entry] = deque()
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin with a free lock: a thread of the parent process may have held it."""
        self._lock = threading.RLock()
        self._is_busy = False

    def write(
        self,
        session: str | None,
        calls: int,
        attempts: int,
        used: Used = NOTHING,
        error: type[MeshAPIError] | None = None,
    ) -> None:
        """Add what came of a call, or of its stream."""
        self._entries.append((session, calls, attempts, used, error))
        # A signal, or a stream that is freed, may write in the midst: the loop takes its entry too.
        with self._lock:
            if self._is_busy:
                return
            self._is_busy = True
            try:
                while self._entries:
                    self._add(self._entries.popleft())
            finally:
                self._is_busy = False

    def totals(self) -> ClientTotals:
        """What stands in it now."""
        with self._lock:
            # Of a copy, as in the midst of it another session may begin.
            sessions = {name: each.shown() for name, each in self._sessions.copy().items()}
            return ClientTotals(*self._whole.facts(), sessions=Sessions(sessions))

    def _add(self, entry: _Entry) -> None:
        self._whole.add(entry)
        session = entry[0]
        if session is not None:
            # Taken out and put in, so that it is the newest.
            tally = self._sessions.pop(session) if session in self._sessions else _Tally()
            self._sessions[session] = tally
            tally.add(entry)
            if len(self._sessions) > MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
