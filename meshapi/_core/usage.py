"""What calls used: tokens, and US dollars where the server says."""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

# Nothing that a server says of costs may raise: what is beyond all bounds becomes infinite.
_FORGIVING = decimal.Context(prec=50, traps=[])

NO_COST = Decimal(0)


class Used(NamedTuple):
    """What an answer says that it took, or what several do together."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: Decimal = NO_COST


NOTHING = Used()


def together(each: Iterable[Used]) -> Used:
    """All of it, added up."""
    return reduce(_both, each, NOTHING)


def _both(one: Used, other: Used) -> Used:
    return Used(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.total_tokens + other.total_tokens,
        sum_of(one.cost, other.cost),
    )


def sum_of(cost: Decimal, more: Decimal) -> Decimal:
    """Two costs together."""
    return _FORGIVING.add(cost, more) or NO_COST


def difference_of(cost: Decimal, less: Decimal) -> Decimal:
    """What one cost is above another."""
    return _FORGIVING.subtract(cost, less) or NO_COST  # And not 0E-8.
