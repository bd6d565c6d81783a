"""Functions that a model may call: which one a call means, and what the model is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pydantic_core import to_json

from meshapi._core.call import says_nan
from meshapi._core.checks import fields_of
from meshapi.errors import InvalidRequest, InvalidResponse
from meshapi.resources.chat.functions import FunctionTool, bound, signature_of, tool_of
from meshapi.resources.chat.runs import ToolResult
from meshapi.resources.chat.schemas import first_line, words_of
from meshapi.resources.chat.signatures import is_async
from meshapi.resources.chat.tools import Tool, ToolCall

if TYPE_CHECKING:
    from typing_extensions import TypeIs

ToolLike: TypeAlias = Callable[..., object] | FunctionTool
"""A function that a model may call, or the tool that was made of one."""


class Toolbox:
    """The functions of a run, beside the tools that the caller answers alone."""

    def __init__(
        self, given: Sequence[ToolLike], own: Sequence[Tool | Mapping[str, object]]
    ) -> None:
        """Describe the functions; `own` are the tools without one.

        Raises:
            InvalidRequest: something is no function or cannot be called, two have one name, or
                there is no tool at all.
        """
        self.tools: list[FunctionTool] = [_tool(each) for each in _listed(given)]
        self._own = {name for each in own if (name := _name_of(each))}
        self._functions = {each.function.name: each for each in self.tools}
        names = [*(each.function.name for each in self.tools), *self._own]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidRequest(f"Two tools are called {twice[0]}: give one of them another name")
        if not names and not own:
            raise InvalidRequest("A run needs tools: give it functions, or create() asks without")

    def runs(self, call: ToolCall) -> bool:
        """Whether a call is answered here: by a function, or by telling that there is none."""
        return call.type == "function" and call.function.name not in self._own

    def prepared(self, call: ToolCall) -> PreparedCall | ToolResult:
        """Make a call ready to run; one that cannot be run has its result at once."""
        try:
            return PreparedCall(call, bound(self._tool_of(call), call.function))
        except InvalidResponse as wrong:
            return ToolResult(call, written(wrong.message), wrong)

    def _tool_of(self, call: ToolCall) -> FunctionTool:
        name = call.function.name
        if name not in self._functions:
            there = ", ".join([*self._functions, *sorted(self._own)])
            raise InvalidResponse(f"There is no tool {name!r}, only: {there}")
        return self._functions[name]


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A call whose arguments fit."""

    call: ToolCall
    run: partial[object]

    def ended(self, value: object) -> ToolResult:
        """The result, for what the function returned.

        Raises:
            ValueError: it has no form in JSON.
        """
        return ToolResult(self.call, _json_text(value))

    def failed(self, error: Exception) -> ToolResult:
        """The result, for what the function raised."""
        return ToolResult(self.call, written(words_of(error)), error)


def check_hook(hook: object, *, awaits: bool) -> None:
    """Refuse what cannot be told of errors; only an async client `awaits` what it gives.

    Raises:
        InvalidRequest: it is no function, or one that nobody would await.
    """
    if hook is None:
        return
    if not _is_callable(hook):
        raise InvalidRequest(f"on_tool_error must be a function, not {type(hook).__name__}")
    if is_async(hook) and not awaits:
        raise InvalidRequest("on_tool_error must be a plain function: only AsyncMeshAPI awaits it")


def told_instead(result: ToolResult, text: object) -> ToolResult:
    """The result with what a hook says in its place; None leaves it.

    Raises:
        InvalidRequest: it is no text.
    """
    if text is None:
        return result
    if not isinstance(text, str):
        raise InvalidRequest(f"on_tool_error must return text or None, not {type(text).__name__}")
    return ToolResult(result.call, written(text), result.error)


def written(text: str) -> str:
    """Text that can be sent: a path's undecoded bytes, or half a character, become `?`."""
    return text.encode(errors="replace").decode()


def _json_text(value: object) -> str:
    if isinstance(value, str):
        return written(value)
    try:
        document = to_json(value)
    except Exception as problem:  # noqa: BLE001  # A value's own hooks may raise anything.
        reason = first_line(problem)
    else:
        if not says_nan(document):
            return document.decode()
        reason = "NaN is no number there"
    raise ValueError(f"The result has no form in JSON: {reason}")


def _listed(given: object) -> Iterator[object]:
    if callable(given) or not isinstance(given, Sequence):
        raise InvalidRequest("tools must be a list of functions")
    return iter(given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # Each is checked.


def _tool(given: object) -> FunctionTool:
    if isinstance(given, FunctionTool):
        signature_of(given)
        return given
    if _is_callable(given):
        return tool_of(given, None, None, strict=False)
    if isinstance(given, (Tool, Mapping)):
        raise InvalidRequest(
            "A tool without a function is yours to answer: it belongs into params.tools"
        )
    raise InvalidRequest(f"A tool of a run must be a function, not {type(given).__name__}")


def _is_callable(given: object) -> TypeIs[Callable[..., object]]:
    return callable(given)


def _name_of(tool: Tool | Mapping[str, object]) -> str | None:
    if isinstance(tool, Tool):
        return tool.function.name
    name = fields_of(tool.get("function")).get("name")
    return name if isinstance(name, str) else None
