"""What has to be begun anew in a child process: a fork copies it in whatever state it is."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewed(Protocol):
    """What knows how to begin anew."""

    def renew(self) -> None:
        """Leave to the parent process what is its own; called before there is a second thread."""
        ...


class Process:
    """Tells this process from its parents, faster than asking the system for its number."""

    generation = 0
    """How many forks lie between the first process and this one."""


_renewed: WeakSet[Renewed] = WeakSet()
_of_parents: list[object] = []


def renew_in_child(each: Renewed) -> None:
    """Call `renew` on it in every process that is forked from this one."""
    _renewed.add(each)


def keep_for_ever(each: object) -> None:
    """Keep in a child process what is its parent's, where freeing it would close it for both."""
    _of_parents.append(each)


def _renew_all() -> None:
    Process.generation += 1
    for each in list(_renewed):
        each.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
