"""The signature of a function: its parameters as JSON Schema, and its arguments out of JSON."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NotRequired, Required, Self, cast

from pydantic import ConfigDict, GetPydanticSchema, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, from_json, to_json
from typing_extensions import TypedDict, TypeIs

from meshapi._core.call import says_nan
from meshapi._core.checks import fields_of
from meshapi._core.models import JSONObject
from meshapi.errors import InvalidRequest
from meshapi.resources.chat.docstrings import Docstring
from meshapi.resources.chat.schemas import first_line, json_schema_of

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
        self.parameters: list[inspect.Parameter] = _parameters(function, name)
        self.adapter: TypeAdapter[dict[str, Any]] = _adapter(self.parameters, function, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Signature):
            return NotImplemented
        return (self.function, self.name) == (other.function, other.name)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # Whatever is called need not have one.

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


def is_async(function: Callable[..., object]) -> bool:
    """Whether a call of it gives a coroutine, as far as can be seen before.

    A wrapper is what it is itself: a plain one may wait for the async function that it wraps.
    """
    return any(map(inspect.iscoroutinefunction, (function, called_by(function))))


def inner_of(function: Callable[..., object]) -> Callable[..., object]:
    """The function that a partial stands for; any other is it itself."""
    return function.func if _is_partial(function) else function


def called_by(function: Callable[..., object]) -> Callable[..., object]:
    """What runs when it is called: of an object its `__call__`."""
    inner = inner_of(function)
    is_object = not inspect.isroutine(inner) and not inspect.isclass(inner)
    return type(inner).__call__ if is_object else inner


def _is_partial(function: Callable[..., object]) -> TypeIs[functools.partial[object]]:
    return isinstance(function, functools.partial)


def _parameters(function: Callable[..., object], name: str) -> list[inspect.Parameter]:
    """The parameters that a model gives; those that a partial has bound by name are not.

    Raises:
        InvalidRequest: they cannot be told, or there is no end of them, or of what it gives.
    """
    if inspect.isasyncgenfunction(called_by(function)):
        raise InvalidRequest(f"{name} is an async generator: return all that it gives, in a list")
    bound = function.keywords if _is_partial(function) else {}
    parameters = [each for each in parameters_of(function, name) if each.name not in bound]
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


def parameters_of(function: Callable[..., object], name: str) -> Sequence[inspect.Parameter]:
    """All parameters of a function; `name` is what errors call it.

    Raises:
        InvalidRequest: Python itself cannot tell them.
    """
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
        kind.__module__ = getattr(inner_of(function), "__module__", None) or ""
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
    called = called_by(inspect.unwrap(inner_of(function)))
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


def _default(value: object) -> JSONObject:
    """A default as the schema shows it; not at all where it has no form in JSON."""
    try:
        document = to_json(value)
    except Exception:  # noqa: BLE001  # A value's own hooks may raise anything.
        return {}
    return {} if says_nan(document) else {"default": from_json(document)}
