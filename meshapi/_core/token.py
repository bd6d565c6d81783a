"""The token behind a mask, and the function that may give it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from weakref import WeakValueDictionary

from meshapi._core.checks import fields_of, is_token, items_of
from meshapi.errors import ConfigurationError

TokenSource: TypeAlias = str | Callable[[], str]
"""A token, or a function that is asked for one before every attempt."""

AsyncTokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or a function, async or not, that is asked for one before every attempt."""


class Token:
    """The token, or the function that gives it, behind a mask.

    No repr, log, pickle or traceback shows it: functions that raise hold only this object.
    """

    __slots__ = ("__weakref__", "_name", "_value")

    def __init__(self, value: object, name: str = "token") -> None:
        """Take the token as it came; `check` or `ask` says whether it can be sent."""
        self._value = value
        self._name = name
        _in_use[id(self)] = self

    @property
    def is_fixed(self) -> bool:
        """Whether it is known, and was checked when the client was made."""
        return not callable(self._value)

    def check(self) -> Token:
        """Look at a fixed token now; a function is asked later, before every attempt.

        Raises:
            ConfigurationError: the token cannot be sent in a header.
        """
        problem = None if callable(self._value) else _problem(self._value)
        if problem:
            raise ConfigurationError(f"{self._name} {problem}")
        return self

    def ask(self) -> Token:
        """The token for the next attempt.

        Raises:
            ConfigurationError: the function raised (it is the cause), is async, or gave a token
                that cannot be sent.
        """
        answer = self._asked()
        if inspect.isawaitable(answer._value):
            if inspect.iscoroutine(answer._value):
                answer._value.close()
            raise ConfigurationError("An async token function needs AsyncMeshAPI")
        return answer.check()

    async def ask_async(self) -> Token:
        """The token for the next attempt, awaited where the function is async.

        Raises:
            ConfigurationError: the function raised (it is the cause), or gave a token that cannot
                be sent.
        """
        answer = self._asked()
        try:
            if inspect.isawaitable(answer._value):
                answer = Token(await answer._value)
        except Exception as error:
            raise ConfigurationError(_FUNCTION_FAILED) from error
        return answer.check()

    def header(self) -> str:
        """The value of the header `authorization`."""
        return f"Bearer {self._value}"

    def hide(self, document: object) -> object:
        """Mask this token wherever it stands in a document that a server sent."""
        if isinstance(document, str):
            return self.hide_in_text(document)
        if fields := fields_of(document):
            return {self.hide_in_text(name): self.hide(value) for name, value in fields.items()}
        return [self.hide(item) for item in items_of(document)] or document

    def hide_in_text(self, text: str) -> str:
        """Mask this token in a text; one of a few letters is no secret, and may be a word in it."""
        if not isinstance(self._value, str) or len(self._value) < _SECRET_LENGTH:
            return text
        return text.replace(self._value, "***")

    def _asked(self) -> Token:
        if not callable(self._value):
            return self
        try:
            return Token(self._value())
        except Exception as error:
            raise ConfigurationError(_FUNCTION_FAILED) from error

    def __repr__(self) -> str:
        return "Token(***)"

    def __reduce__(self) -> str:
        raise TypeError("A token is not pickled: make the client where it is used")


_in_use: WeakValueDictionary[int, Token] = WeakValueDictionary()


def hide_tokens(text: str) -> str:
    """Mask every token in use in a text."""
    for reference in _in_use.valuerefs():  # Copied at once: other threads may add theirs.
        if token := reference():
            text = token.hide_in_text(text)
    return text


class _Mask(logging.Filter):
    """Hides every token in use in what a library below us logs, such as a header that echoes it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = hide_tokens(record.getMessage()), ()
        return True


def mask_logs(*names: str) -> None:
    """Mask tokens in these loggers, at whatever level they write."""
    for name in names:
        logging.getLogger(name).addFilter(_Mask())


_SECRET_LENGTH = 8
_FUNCTION_FAILED = "The token function failed"


def _problem(token: object) -> str | None:
    if not isinstance(token, str):
        return f"must be a str, not {type(token).__name__}"
    if not token:
        return "is empty: pass a key such as rsk_..."
    if not is_token(token):
        return "holds a space, a line break or another character that no header may carry"
    return None
