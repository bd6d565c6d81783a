"""What is told of what was seen: one row for each question that an app's author may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from benchmarks.behaviour.run import Seen

Telling: TypeAlias = Callable[[Seen], str]


@dataclass(frozen=True)
class Row:
    """A question, the situation that answers it, and how the answer is put."""

    title: str
    situation: str
    tell: Telling

    by_chance: bool = False
    """Whether waits are drawn at random: then the shortest of sync and async is told of both."""


def _raised(seen: Seen) -> str:
    """The class of the error, and whose fault it looks like."""
    where = " where the answer is used" if seen.outcome.when_used else ""
    return f"`{seen.outcome.error}`{where}"


def _came(seen: Seen) -> str:
    """What an app notices."""
    outcome = seen.outcome
    if not outcome.is_over:
        return f"no end within {outcome.seconds:.0f} s"
    if outcome.error:
        return _raised(seen) + (" with the text so far" if "so far" in outcome.facts else "")
    return "no error" if outcome.text else "no error, no text"


def _answered(seen: Seen) -> str:
    """Whether an answer that is merely unusual was read."""
    return "read" if seen.outcome.text else _raised(seen)


def _in_time(seen: Seen) -> str:
    """Whether the second that the app gave was enough."""
    if not seen.outcome.is_over:
        return f"{_came(seen)}, {_times(seen)}"
    if not seen.outcome.error:
        return "waits for all of it"
    return f"{_came(seen)}, {'in time' if seen.outcome.seconds < 2 else 'late'}, {_times(seen)}"


def _times(seen: Seen) -> str:
    # Somebody who goes on sends as many as the clock lets them: the figure would be chance.
    if not seen.outcome.is_over and len(seen.requests) > 1:
        return "asks on and on"
    return "1 request" if len(seen.requests) == 1 else f"{len(seen.requests)} requests"


def _sent(seen: Seen) -> str:
    """How many requests the server saw, and what came of them."""
    if not seen.outcome.is_over:
        return f"{_times(seen)}: {_came(seen)}"
    return f"{_times(seen)}: {_raised(seen)}"


def _waited(seen: Seen) -> str:
    """How many requests the server saw, and whether it was left alone as long as it had asked."""
    if not seen.gaps:
        return _sent(seen)
    return f"{_times(seen)}, {'after the wait' if min(seen.gaps) > 1.99 else 'too early'}"


def _one_key(seen: Seen) -> str:
    """Whether a server could tell that it is asked the same thing again."""
    keys = {each.headers.get("idempotency-key") for each in seen.requests}
    if keys == {None}:
        return "none"
    return "the same" if len(keys) == 1 else "another each time"


def _fact(name: str) -> Telling:
    """Where a fact can be read."""

    def tell(seen: Seen) -> str:
        place, _, value = seen.outcome.facts.get(name, "").partition(" = ")
        return f"`{place}`: {value}" if place else "no"

    return tell


def _place(name: str) -> Telling:
    """Where a fact can be read, without its value."""
    return lambda seen: _fact(name)(seen).partition(":")[0]


def _copied(seen: Seen) -> str:
    copy = seen.outcome.facts["copy"]
    return "yes" if copy == "the same" else f"`{copy}`"


def _shown(seen: Seen) -> str:
    """The first place where the key can be read."""
    return f"shown in {seen.outcome.shown[0]}" if seen.outcome.shown else "not shown"


def _refused_and_shown(seen: Seen) -> str:
    return f"{_raised(seen) if seen.outcome.error else 'no error'}, {_shown(seen)}"


SECTIONS: Mapping[str, Sequence[Row]] = {
    "streams": (
        Row("ends early, without a reason or `[DONE]`", "stream-short", _came),
        Row("the connection is reset", "stream-reset", _came),
        Row("an error frame", "stream-error", _came),
        Row("an event that is no JSON", "stream-corrupt", _came),
        Row("an HTML page with status 200", "stream-page", _came),
    ),
    "answers": (
        Row("an HTML page with status 200", "page", _came),
        Row("an error with status 200", "error-in-200", _came),
        Row("`{}`", "empty", _came),
        Row("half of an answer", "half", _came),
    ),
    "repeats": (
        Row("the connection is reset after the request", "lost", _sent),
        Row("500", "500", _sent),
        Row("503", "503", _sent),
        Row("503 to a stream", "503-stream", _sent),
        Row("429, `Retry-After: 2`", "429-2s", _waited, by_chance=True),
        Row("429, 2 s in the body", "429-body-2s", _waited, by_chance=True),
        Row("429, `Retry-After: 120`", "429-120s", _sent),
        Row("`Idempotency-Key` of what is retried", "503", _one_key),
    ),
    "time": (
        Row("silence", "silent", _in_time),
        Row("an answer, byte by byte, for 6 s", "drip", _in_time),
        Row("a stream of comments for 6 s", "drip-stream", _in_time),
    ),
    "errors": (
        Row("401", "401", _raised),
        Row("402, the budget is spent", "402", _raised),
        Row("404, no such model", "404", _raised),
        Row("422", "422", _raised),
        Row("429", "429-2s", _raised),
        Row("the code of the 404", "404", _fact("code")),
        Row("the request id", "404", _place("request id")),
        Row("the field that a 422 names", "422", _place("field")),
        Row("the wait of a 429, from the header", "429-2s", _place("wait")),
        Row("the wait of a 429, from the body", "429-body-2s", _place("wait")),
        Row("the error can be pickled", "402", _copied),
    ),
    "keys": (
        Row("a key with a line break", "key-newline", _refused_and_shown),
        Row("a key with an é", "key-accent", _refused_and_shown),
        Row("the server repeats the key in a 401", "key-echoed", _shown),
        Row("a 400, local variables included", "key-locals", _shown),
        Row("`repr` of the client", "good", _shown),
    ),
    "unusual": (
        Row("a `finish_reason` nobody knows", "new-reason", _answered),
        Row("a field nobody knows can be read", "new-field", _place("new field")),
        Row("no `id`, `created`, `usage`", "sparse", _answered),
        Row("the request id of a good answer", "good", _place("request id")),
    ),
}


def cell(row: Row, seen: Sequence[Seen]) -> str:
    """What is told of a client: once where sync and async are the same."""
    met = [each for each in seen if each.outcome.situation == row.situation]
    if row.by_chance:
        met = [min(met, key=lambda each: min(each.gaps, default=0.0))]
    told = {each.colour: row.tell(each) for each in met}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{colour}: {text}" for colour, text in told.items())
