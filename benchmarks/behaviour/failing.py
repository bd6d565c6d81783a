"""What can be told of an exception: its class, what it holds, and what it gives away."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from benchmarks.behaviour.outcome import Outcome
from benchmarks.behaviour.readings import read_error
from benchmarks.behaviour.situations import SECRET

_HERE = str(Path(__file__).parents[1])
_ROOTS = {"MeshAPIError", "OpenAIError", "OpenRouterError"}


def failed(error: BaseException, situation: str) -> Outcome:
    """The outcome that an exception is."""
    return Outcome(
        situation,
        error=_name(error),
        when_used=_is_ours(_frames(error)[-1]),
        facts=read_error(error) | {"copy": _copied(error)},
        shown=list(_shown(error)),
    )


def shown_by(thing: object) -> bool:
    """Whether the key can be read in its repr."""
    try:
        return SECRET in repr(thing)
    except Exception:  # noqa: BLE001  # What is half made has no repr yet, and shows nothing.
        return False


def _name(error: BaseException) -> str:
    kind = type(error)
    if any(each.__name__ in _ROOTS for each in kind.__mro__) or kind.__module__ == "builtins":
        return kind.__name__
    package = kind.__module__.split(".")[0].removesuffix("_core")  # pydantic's own is its core's.
    return f"{package}.{kind.__name__}"


def _copied(error: BaseException) -> str:
    """What comes of sending it to another process."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception as problem:  # noqa: BLE001  # Whatever pickling raises is what came of it.
        return type(problem).__name__
    return "the same" if (type(copy), str(copy)) == (type(error), str(error)) else "not the same"


def _shown(error: BaseException) -> Iterator[str]:
    if shown_by(error) or SECRET in str(error):
        yield "the message"
    if SECRET in "".join(traceback.format_exception(error)):
        yield "the traceback"
    if any(_holds_key(frame) for each in _chain(error) for frame in _frames(each)):
        yield "local variables"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """It, and those that a traceback shows above it."""
    yield error
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _chain(before)


def _frames(error: BaseException) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_HERE)


def _holds_key(frame: FrameType) -> bool:
    """Whether a frame shows the key, and is not one of ours, which hold it on purpose."""
    return not _is_ours(frame) and any(map(shown_by, frame.f_locals.values()))
