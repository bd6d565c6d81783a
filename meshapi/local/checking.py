"""Whether what a test says can be: if not, a sentence that says what cannot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

ValueT = TypeVar("ValueT")


def checked(
    adapter: TypeAdapter[ValueT], value: object, what: str, names: Iterable[str] = ()
) -> ValueT:
    """The value, as the adapter reads it.

    Raises:
        ValueError: it cannot be; the message names the field, and the fields that there are.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problem = max(error.errors(), key=lambda each: len(each["loc"]))
    if problem["type"] == "extra_forbidden":
        raise ValueError(f"{what} has no {problem['loc'][-1]}: it has {', '.join(names)}")
    where = ".".join(str(step) for step in problem["loc"])
    raise ValueError(f"{what}: {where}: {problem['msg']}" if where else f"{what}: {problem['msg']}")
