"""Functions as tools: what a model is told of one, and how its arguments reach it."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NotRequired, Required, Self, cast

from pydantic import ConfigDict, GetPydanticSchema, PrivateAttr, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, from_json, to_json
from typing_extensions import TypedDict, TypeIs

from meshapi._core.call import says_nan, summary
from meshapi._core.checks import fields_of
from meshapi._core.models import JSONObject
from meshapi.errors import InvalidRequest, InvalidResponse
from meshapi.resources.chat.docstrings import Docstring, read_docstring
from meshapi.resources.chat.schemas import first_line, json_schema_of, words_of
from meshapi.resources.chat.strict import strict_schema
from meshapi.resources.chat.tools import Tool, ToolCallFunction, ToolFunction

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_PROBLEMS = 10
_STARS: Mapping[object, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}
_AT_RUN_TIME = "annotations must name what is there at run time, at the top of the module"
_IN_JSON = "annotate its parameters with types that JSON has a form for"


class Signature:
    """A function, its parameters, and what reads its arguments from JSON."""

    def __init__(self, function: Callable[..., object], name: str) -> None:
        """Look at the parameters of a function; `name` is what errors call it.

        Raises:
            InvalidRequest: a model cannot call it as it is; the message says what to change.
        """
        self.function = function
        self.name = name
        self.parameters = _parameters(function, name)
        self.adapter = _adapter(self.parameters, function, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Signature):
            return NotImplemented
        return (self.function, self.name) == (other.function, other.name)

    __hash__ = None  # type: ignore[assignment]  # Whatever is called need not have one.

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        # What reads the arguments is made on the fly, so that it is no part of a pickle.
        return type(self), (self.function, self.name)

    def schema(self, docstring: Docstring) -> JSONObject:
        """The JSON Schema of the arguments, with what is said of each and its default."""
        schema = _json_schema(self.adapter, self.name)
        properties = fields_of(schema.get("properties"))
        for parameter in self.parameters:
            field = fields_of(properties.get(parameter.name))
            if said := docstring.parameters.get(parameter.name):
                field.setdefault("description", said)
            if parameter.default is not parameter.empty:
                field.update(_default(parameter.default))
        return schema

    def bound(self, arguments: str) -> functools.partial[object]:
        """Read arguments, and bind the function to them.

        Raises:
            pydantic.ValidationError: they do not fit.
        """
        given = self.adapter.validate_json(arguments or "{}")
        in_order = [
            given.pop(each.name, each.default)
            for each in self.parameters
            if each.kind is each.POSITIONAL_ONLY
        ]
        return functools.partial(self.function, *in_order, **given)


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
    own_name = _said(_inner(function), "__name__")
    name = _checked_name(own_name if name is None else name, function)
    signature = Signature(function, name)
    names = {each.name for each in _signature(_inner(function), name)}
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


def is_async(function: Callable[..., object]) -> bool:
    """Whether a call of it gives a coroutine, as far as can be seen before.

    A wrapper is what it is itself: a plain one may wait for the async function that it wraps.
    """
    return any(map(inspect.iscoroutinefunction, (function, _called(function))))


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


def _inner(function: Callable[..., object]) -> Callable[..., object]:
    return function.func if _is_partial(function) else function


def _called(function: Callable[..., object]) -> Callable[..., object]:
    """What runs when it is called: of an object its `__call__`."""
    inner = _inner(function)
    is_object = not inspect.isroutine(inner) and not inspect.isclass(inner)
    return type(inner).__call__ if is_object else inner


def _is_partial(function: Callable[..., object]) -> TypeIs[functools.partial[object]]:
    return isinstance(function, functools.partial)


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
    inner = _inner(function)
    if inspect.isroutine(inner):
        return _said(inner, "__doc__")
    if inspect.isclass(inner):
        return _doc_of_class(inner)
    return _said(_called(inner), "__doc__") or _doc_of_class(type(inner))


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


def _parameters(function: Callable[..., object], name: str) -> list[inspect.Parameter]:
    """The parameters that a model gives; those that a partial has bound by name are not.

    Raises:
        InvalidRequest: they cannot be told, or there is no end of them, or of what it gives.
    """
    if inspect.isasyncgenfunction(_called(function)):
        raise InvalidRequest(f"{name} is an async generator: return all that it gives, in a list")
    bound = function.keywords if _is_partial(function) else {}
    parameters = [each for each in _signature(function, name) if each.name not in bound]
    for each in parameters:
        if stars := _STARS.get(each.kind):
            raise InvalidRequest(
                f"{name} takes {stars}{each.name}, which no schema can name: "
                "give each argument a parameter"
            )
        if isinstance(each.default, FieldInfo):
            raise InvalidRequest(
                f"The default of {name}({each.name}) is a Field: write Annotated[..., Field(...)]"
            )
    return parameters


def _signature(function: Callable[..., object], name: str) -> Sequence[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except Exception as problem:  # noqa: BLE001  # It may be a property: any code may run.
        reason = first_line(problem)
    raise InvalidRequest(
        f"The signature of {name} cannot be read ({reason}): call it in a function of your own"
    )


def _adapter(
    parameters: Sequence[inspect.Parameter], function: Callable[..., object], name: str
) -> TypeAdapter[dict[str, Any]]:
    # Not a BaseModel, where a parameter could not be called `json` or `model_config`.
    made = cast("Callable[[str, dict[str, object]], Any]", TypedDict)
    try:
        kind = made(name, {each.name: _field(each) for each in parameters})
        kind.__pydantic_config__ = ConfigDict(extra="forbid", defer_build=True)
        kind.__module__ = getattr(_inner(function), "__module__", None) or ""
        adapter = TypeAdapter[dict[str, Any]](kind)
        adapter.rebuild(_types_namespace=_namespace(function))
    except PydanticUndefinedAnnotation as problem:
        reason, advice = first_line(problem), _AT_RUN_TIME
    except Exception as problem:  # noqa: BLE001  # A type's own hooks may raise anything.
        reason, advice = first_line(problem), _IN_JSON
    else:
        return adapter
    raise InvalidRequest(f"{name} cannot be described to a model ({reason}): {advice}")


def _namespace(function: Callable[..., object]) -> dict[str, Any]:
    """The names that the annotations of a function's parameters are written with."""
    called = _called(inspect.unwrap(_inner(function)))
    if inspect.isclass(called):
        called = getattr(called, "__init__")  # noqa: B009  # A checker cannot know whose it is.
    return getattr(inspect.unwrap(called), "__globals__", {})


def _field(parameter: inspect.Parameter) -> object:
    is_bare = parameter.annotation is parameter.empty
    annotation = object if is_bare else parameter.annotation
    needed = Required if parameter.default is parameter.empty else NotRequired
    return needed[Annotated[annotation, _AT_ONCE]]


def _read_at_once(schema: Any) -> CoreSchema:
    """Read an `Iterable` as a list: what pydantic makes of one finds its faults in the function."""
    if schema["type"] == "generator":
        schema = {**schema, "type": "list"}
    elif "schema" in schema:
        schema = {**schema, "schema": _read_at_once(schema["schema"])}
    return cast("CoreSchema", schema)


_AT_ONCE = GetPydanticSchema(lambda source, handler: _read_at_once(handler(source)))


def _json_schema(adapter: TypeAdapter[dict[str, Any]], name: str) -> JSONObject:
    schema = json_schema_of(adapter, name)
    return {key: value for key, value in schema.items() if key != "title"}


def _strict(schema: JSONObject, name: str) -> JSONObject:
    strict = strict_schema(schema)
    if strict is None:
        raise InvalidRequest(
            f"{name} cannot be strict: some parameter takes anything, any keys, or a tuple. "
            "Annotate it more narrowly, or leave out strict=True"
        )
    return strict


def _default(value: object) -> JSONObject:
    """A default as the schema shows it; not at all where it has no form in JSON."""
    try:
        document = to_json(value)
    except Exception:  # noqa: BLE001  # A value's own hooks may raise anything.
        return {}
    return {} if says_nan(document) else {"default": from_json(document)}
