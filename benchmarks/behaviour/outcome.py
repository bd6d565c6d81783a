"""What came of one question, as far as the client's process can tell."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """An answer, an error, or neither in time."""

    situation: str
    seconds: float = 0.0
    """How long it took."""

    text: str | None = None
    """What was answered, of a stream all of it; None where an error was raised or nothing came."""

    error: str = ""
    """The class of what was raised, with its module in front where it is not the client's own."""

    when_used: bool = False
    """Whether it was not the client that raised, but whoever used what the client had given."""

    facts: dict[str, str] = field(default_factory=dict[str, str])
    """Where on the error, or on the answer, a fact stands, and what stands there."""

    shown: list[str] = field(default_factory=list[str])
    """Where the key can be read: in a repr, a message, a traceback."""

    is_over: bool = True
    """Whether there was an end at all before nobody waited any longer."""
