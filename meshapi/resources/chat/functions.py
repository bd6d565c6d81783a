"""Functions as tools: what a model is told of one, and how a call of it is bound."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Self

from pydantic import PrivateAttr, ValidationError

from meshapi._core.call import summary
from meshapi._core.models import JSONObject
from meshapi.errors import InvalidRequest, InvalidResponse
from meshapi.resources.chat.docstrings import read_docstring
from meshapi.resources.chat.schemas import words_of
from meshapi.resources.chat.signatures import Signature, called_by, inner_of, parameters_of
from meshapi.resources.chat.strict import strict_schema
from meshapi.resources.chat.tools import Tool, ToolCallFunction, ToolFunction

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_PROBLEMS = 10


class FunctionTool(Tool):
    """A tool that has its function beside it: what `Tool.from_function` makes.

    It is sent, dumped and validated as the tool that it is; the function is no part of that.
    """

    _signature: Signature | None = PrivateAttr(default=None)

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """Copy, with `update` validated as at construction; the function is the same.

        Raises:
            pydantic.ValidationError: when a name or a value of `update` is wrong.
        """
        copy = super().model_copy(update=update, deep=deep)
        copy._signature = self._signature
        return copy


def tool_of(
    function: Callable[..., object],
    name: str | None,
    description: str | None,
    *,
    strict: bool,
) -> FunctionTool:
    """Make a tool of a function.

    Raises:
        InvalidRequest: a model cannot call it as it is; the message says what to change.
    """
    if not callable(function):
        raise InvalidRequest(f"A tool is made of a function, not of {_kind(function)}")
    if not isinstance(strict, bool):  # pyright: ignore[reportUnnecessaryIsInstance]  # As checkers promise.
        raise InvalidRequest("strict must be True or False")
    own_name = _said(inner_of(function), "__name__")
    name = _checked_name(own_name if name is None else name, function)
    signature = Signature(function, name)
    names = {each.name for each in parameters_of(inner_of(function), name)}
    docstring = read_docstring(_doc(function), names)
    schema = signature.schema(docstring)
    facts: JSONObject = {"name": name, "parameters": schema}
    if said := docstring.text if description is None else description:
        facts["description"] = said
    if strict:
        facts |= {"parameters": _strict(schema, name), "strict": True}
    tool = FunctionTool(function=_described(facts, name))
    tool._signature = signature  # pyright: ignore[reportPrivateUsage]  # A setter would be public.
    return tool


def bound(tool: FunctionTool, call: ToolCallFunction) -> functools.partial[object]:
    """Bind a tool's function to the arguments of a call.

    Raises:
        InvalidResponse: they do not fit; the message tells the model why, field by field.
    """
    signature = signature_of(tool)
    _ = call.parsed_arguments  # It knows better what is wrong with JSON, and refuses NaN.
    try:
        return signature.bound(call.arguments)
    except ValidationError as problem:
        reason = _told(problem)
    except Exception as problem:  # noqa: BLE001  # A type's own validator may raise anything.
        reason = words_of(problem)
    raise InvalidResponse(f"The arguments of {call.name} do not fit: {reason}")


def signature_of(tool: FunctionTool) -> Signature:
    """What a tool calls.

    Raises:
        InvalidRequest: it was not made of a function.
    """
    signature = tool._signature  # pyright: ignore[reportPrivateUsage]  # It is no user's concern.
    if signature is None:
        raise InvalidRequest(
            f"The tool {tool.function.name} has no function: make it with Tool.from_function"
        )
    return signature


def _told(problem: ValidationError) -> str:
    problems = problem.errors(include_url=False, include_input=False, include_context=False)
    named = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems]
    return "; ".join(named[:_MOST_PROBLEMS])


def _kind(value: object) -> str:
    return type(value).__name__


def _checked_name(name: object, function: Callable[..., object]) -> str:
    if name is None or name == "<lambda>":
        raise InvalidRequest(f"This {_kind(function)} has no name to call it by: give name=")
    if not isinstance(name, str):
        raise InvalidRequest(f"A tool's name must be text, not {_kind(name)}")
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot be a tool's name: give name=, of up to 64 letters, digits, _ and -"
        )
    return name


def _said(owner: object, attribute: str) -> str | None:
    """An attribute that is text; None where it is none, or cannot be asked for."""
    try:
        said = getattr(owner, attribute, None)
    except Exception:  # noqa: BLE001  # It may be a property.
        return None
    return said if isinstance(said, str) else None


def _doc(function: Callable[..., object]) -> str | None:
    """The docstring of a function; of an object that is called, that of its `__call__` first."""
    inner = inner_of(function)
    if inspect.isroutine(inner):
        return _said(inner, "__doc__")
    if inspect.isclass(inner):
        return _doc_of_class(inner)
    return _said(called_by(inner), "__doc__") or _doc_of_class(type(inner))


def _doc_of_class(kind: type) -> str | None:
    """The docstring of a class, unless it is only its signature, as a dataclass has by itself."""
    doc = _said(kind, "__doc__") or ""
    is_signature = re.fullmatch(rf"{re.escape(kind.__name__)}\(.*\)", doc, re.DOTALL)
    return None if is_signature else doc


def _described(facts: JSONObject, name: str) -> ToolFunction:
    try:
        return ToolFunction.model_validate(facts)
    except ValidationError as problem:
        reason = summary(problem)
    raise InvalidRequest(f"{name} cannot be described to a model: {reason}")


def _strict(schema: JSONObject, name: str) -> JSONObject:
    strict = strict_schema(schema)
    if strict is None:
        raise InvalidRequest(
            f"{name} cannot be strict: some parameter takes anything, any keys, or a tuple. "
            "Annotate it more narrowly, or leave out strict=True"
        )
    return strict
