"""What is known about an exchange besides its answer: status, headers, request id, time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


class Headers(Mapping[str, str]):
    """Response headers: a read-only mapping whose names are looked up in any case.

    Names are kept in lower case. A header sent more than once reads as its values joined by ", ".
    """

    __slots__ = ("_values",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        """Take the pairs in the order in which they came."""
        self._values: dict[str, str] = {}
        for name, value in items:
            name = name.lower()
            self._values[name] = f"{self._values[name]}, {value}" if name in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({self._values})"


NO_HEADERS = Headers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What is known about an exchange besides its answer.

    On an error raised before any answer came, `status_code` and `request_id` are None and `headers`
    is empty; `attempts` and `elapsed` still tell what was tried.
    """

    request_id: str | None = None
    """The header `x-request-id` (`req_<ULID>`): the key to this call's cost and to support."""

    status_code: int | None = None
    """The HTTP status as it was on the wire; None when no answer came."""

    headers: Headers = field(default_factory=Headers, repr=False)
    """Every response header, by name in any case."""

    attempts: int = 0
    """How often the request was tried, the first time included."""

    elapsed: float = 0.0
    """Seconds from the call to its answer (for a stream, to its first event), waits included."""
