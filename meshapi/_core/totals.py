"""What a client has used so far, in all and for each session."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, TypeVar

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


_Entry: TypeAlias = "tuple[str | None, int, int, Used, type[MeshAPIError] | None]"
TotalsT = TypeVar("TotalsT", bound=Totals)

# So many entries are added up at once, which takes less time than one by one.
_MANY = 100


class Ledger:
    """Adds up what the calls of a client used; threads may write in it together."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._totals = ClientTotals()
        self._entries: list[_Entry] = []
        """What is to be added to them."""
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin with a free lock: a thread of the parent process may have held it."""
        self._lock = threading.RLock()

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
        if len(self._entries) >= _MANY:
            self.totals()

    def totals(self) -> ClientTotals:
        """What stands in it now."""
        with self._lock:
            while True:
                before, entries = self._totals, self._entries.copy()
                if not entries:
                    return self._totals
                after, added = _after(before, entries), slice(len(entries))
                # A signal, or a stream that is freed, may have come here in the midst. From here on
                # nothing is called or made, so that none comes before both are done.
                if self._totals is before:
                    self._totals = after
                    del self._entries[added]


def _after(before: ClientTotals, entries: Sequence[_Entry]) -> ClientTotals:
    by_session: dict[str, list[_Entry]] = {}
    for entry in entries:
        if entry[0] is not None:
            # Taken out and put in, so that it is the newest.
            by_session[entry[0]] = [*by_session.pop(entry[0], ()), entry]
    sessions = Sessions(before.sessions)
    for name, its in by_session.items():
        sessions[name] = _sum(sessions.pop(name, Totals()), its)
    for name in list(islice(sessions, max(0, len(sessions) - MOST_SESSIONS))):
        del sessions[name]
    return replace(_sum(before, entries), sessions=sessions)


def _sum(before: TotalsT, entries: Sequence[_Entry]) -> TotalsT:
    _, calls, attempts, each_used, errors = zip(*entries, strict=True)
    prompt, completion, total, costs = zip(*each_used, strict=True)
    return replace(
        before,
        calls=before.calls + sum(calls),
        attempts=before.attempts + sum(attempts),
        retries=before.retries + sum(attempts) - sum(map(bool, attempts)),
        prompt_tokens=before.prompt_tokens + sum(prompt),
        completion_tokens=before.completion_tokens + sum(completion),
        total_tokens=before.total_tokens + sum(total),
        cost=reduce(sum_of, (cost for cost in costs if cost), before.cost),
        errors=Counter(before.errors) + Counter(error for error in errors if error),
    )
