"""Whether a failed request may be retried, and after what wait: decisions only, no waiting."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypedDict, cast

from meshapi._core.checks import is_seconds, is_whole
from meshapi._core.fork import renew_in_child
from meshapi.errors import ConfigurationError, MeshAPIError, RetrySafety

if TYPE_CHECKING:
    from tenacity import RetryCallState

# A repeat would fail the same way or start a second paid job, whatever the status says.
FINAL_CODES = frozenset(
    {
        "provider_job_failed",
        "batch_limit_exceeded",
        "byok_fallback_disabled",
        "pii_redaction_unavailable",
        "all_models_failed",
    }
)


def safety_of_status(status: int, code: str | int | None, *, names_wait: bool) -> RetrySafety:
    """Tell what an error answer says about sending the request again.

    | status | safety |
    |---|---|
    | any, with one of `FINAL_CODES` | final |
    | 408, 429, 502, 503, 529 | refused |
    | other 4xx, 501 | final |
    | other 5xx that names a wait | refused |
    | other 5xx | ambiguous |
    """
    if code in FINAL_CODES:
        return "final"
    if status in {408, 429, 502, 503, 529}:
        return "refused"
    if status < 500 or status == 501:
        return "final"
    return "refused" if names_wait else "ambiguous"


def longest_wait(headers: Mapping[str, str], in_body: object = None) -> float | None:
    """The longest of the waits a server named, in seconds; None if it named none."""
    # A header that came twice is joined by a comma, and a date has one after its weekday.
    named = re.split(r",\s*(?!\d{1,2}[ -][A-Z])", headers.get("retry-after", ""))
    milliseconds = [_seconds(each) for each in headers.get("retry-after-ms", "").split(",")]
    waits = (
        *(each / 1000 for each in milliseconds if each is not None),
        *(_seconds(each) for each in named),
        *(_seconds_until(each) for each in named),
        _seconds(in_body),
    )
    return max((wait for wait in waits if wait is not None), default=None)


# Longer or odder hints are hostile or broken, and count as absent.
_HINT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


def _seconds(hint: object) -> float | None:
    if isinstance(hint, bool) or not isinstance(hint, (str, int, float)):
        return None
    if isinstance(hint, int) and not 0 <= hint < 10**12:
        return None  # Python refuses to print an integer of thousands of digits.
    text = str(hint).strip()
    return float(text) if _HINT.fullmatch(text) else None


def _seconds_until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        # The parser reads the year 0 as 2000; the two forms of HTTP's dates show the year as here.
        if f" {moment.year}" not in date and f"-{moment:%y} " not in date:
            return None
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When and how often a failed request is retried; all numbers are 0 or more.

    Raises:
        ConfigurationError: a number is negative or not one, or `retry_ambiguous` is not a bool.
    """

    max_retries: int = 2
    """How often a request may be retried; 0 means never."""

    retry_ambiguous: bool = False
    """Also retry what may already have run and been billed (a lost answer, a 500, a 504)."""

    initial_wait: float = 0.5
    """Seconds before the first retry where the server names no wait, less up to half of them, at
    random; each next one doubles."""

    max_wait: float = 8.0
    """Where that doubling ends, in seconds."""

    max_retry_after: float = 60.0
    """The longest wait asked for by the server that is waited, in seconds; a longer one raises at
    once."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if not is_whole(self.max_retries, least=0):
            raise ConfigurationError("max_retries must be a whole number, 0 or more")
        if self.retry_ambiguous not in {True, False}:
            raise ConfigurationError("retry_ambiguous must be True or False")
        for name in ("initial_wait", "max_wait", "max_retry_after"):
            if not is_seconds(getattr(self, name)):
                raise ConfigurationError(f"{name} must be a number of seconds, 0 or more")

    def allows(self, error: MeshAPIError) -> bool:
        """Whether this kind of failure is retried at all."""
        if error.retry_safety == "ambiguous":
            return self.retry_ambiguous
        return error.retry_safety in {"not_sent", "refused"}

    def wait(self, error: MeshAPIError, attempt: int, *, jitter: float) -> float:
        """Seconds to wait after a failed attempt, the first being 1; `jitter` is from 0 to 1.

        A wait that the server named is kept, or exceeded by up to a tenth. Our own doubles from
        `initial_wait` to `max_wait`, half of it fixed and half random.
        """
        if error.retry_after is not None:
            return error.retry_after * (1 + jitter / 10)
        longest = min(self.max_wait, self.initial_wait * 2.0 ** min(attempt - 1, 60))
        return longest * (1 + jitter) / 2


class RetryBudget:
    """What keeps a dead gateway from being flooded: ten tokens, shared by all calls of a client.

    A retry costs one, unless the server named its wait; a success gives a tenth back.
    """

    def __init__(self) -> None:
        """Start full."""
        self._tenths = self._full = 100
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin with a free lock: a thread of the parent process may have held it."""
        self._lock = threading.Lock()

    def spend(self) -> bool:
        """Take one token, if there is one."""
        with self._lock:
            if self._tenths < 10:
                return False
            self._tenths -= 10
            return True

    def refund(self) -> None:
        """Give back what a success is worth."""
        with self._lock:
            self._tenths = min(self._full, self._tenths + 1)


class Rules(TypedDict):
    """What tenacity is driven by."""

    retry: Callable[[RetryCallState], bool]
    wait: Callable[[RetryCallState], float]
    stop: Callable[[RetryCallState], bool]
    reraise: bool


class Attempts:
    """The attempts of one logical call: how many there were, and whether there is another."""

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Begin before the first; the call must be over when the clock shows the deadline."""
        self.policy = policy
        self.budget = budget
        self.deadline = deadline
        self.clock = clock
        self.jitter = jitter
        self.count = 0

    @property
    def left(self) -> float:
        """Seconds until the deadline; negative once it has passed."""
        return self.deadline - self.clock()

    def may_follow(self, error: MeshAPIError) -> bool:
        """Whether a failure of this kind is retried, as long as there are attempts."""
        return self.policy.allows(error) and self.count <= self.policy.max_retries

    def wait(self, error: MeshAPIError) -> float:
        """Seconds until the next attempt: as the server named, or longer if the deadline allows."""
        wait = self.policy.wait(error, self.count, jitter=self.jitter())
        return wait if wait < self.left or error.retry_after is None else error.retry_after

    def give_up(self, error: MeshAPIError, wait: float) -> bool:
        """Whether that wait cannot be slept: no time, or no budget for another attempt."""
        if wait >= self.left:
            return True
        if error.retry_after is not None:
            return error.retry_after > self.policy.max_retry_after
        return not self.budget.spend()

    def rules(self) -> Rules:
        """The same in tenacity's words; it asks for `wait` and `stop` once `retry` said yes."""
        return Rules(
            retry=lambda state: _is_ours(state) and self.may_follow(_failure(state)),
            wait=lambda state: self.wait(_failure(state)),
            stop=lambda state: self.give_up(_failure(state), state.upcoming_sleep),
            reraise=True,
        )


def _is_ours(state: RetryCallState) -> bool:
    return state.outcome is not None and isinstance(state.outcome.exception(), MeshAPIError)


def _failure(state: RetryCallState) -> MeshAPIError:
    assert state.outcome is not None
    return cast("MeshAPIError", state.outcome.exception())
