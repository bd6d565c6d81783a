"""What `parse` gives: a whole completion, and the value that was read from it."""

from typing import Generic, cast

from pydantic import PrivateAttr
from typing_extensions import TypeVar

from meshapi._core.models import OneClass
from meshapi.resources.chat.replies import ChatCompletionResponse

T_co = TypeVar("T_co", covariant=True)


class ParsedCompletion(OneClass, ChatCompletionResponse, Generic[T_co]):
    """A whole answer, and in `parsed` the value that its text stands for."""

    _parsed: T_co = PrivateAttr()

    @property
    def parsed(self) -> T_co:
        """The first answer's text, as the type that was asked for. Not part of a dump."""
        return self._parsed


T = TypeVar("T")


def parsed_as(completion: ChatCompletionResponse, parsed: T) -> ParsedCompletion[T]:
    """The same completion, with what was read from it."""
    whole = cast("ParsedCompletion[T]", ParsedCompletion.__new__(ParsedCompletion))
    whole.__setstate__(completion.__getstate__())
    whole._parsed = parsed  # pyright: ignore[reportPrivateUsage]  # A setter would be public.
    return whole
