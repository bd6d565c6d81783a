"""What calls used: tokens, and US dollars where the server says."""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

# Nothing that a server says of costs may raise: what is beyond all bounds becomes infinite.
_ADDING = decimal.Context(prec=50, traps=[])


class Used(NamedTuple):
    """What an answer says that it took, or what several do together."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: Decimal | None = None


def together(each: Iterable[Used]) -> Used:
    """All of it, added up; no cost where none is known."""
    return reduce(_added, each, Used())


def _added(one: Used, other: Used) -> Used:
    return Used(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.total_tokens + other.total_tokens,
        _added_costs(one.cost, other.cost),
    )


def _added_costs(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    if one is None or other is None:
        return other if one is None else one
    return _ADDING.add(one, other)
