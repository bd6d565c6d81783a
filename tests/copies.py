"""The ways in which Python makes a second one of a thing."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any


def _pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, _pickled]
