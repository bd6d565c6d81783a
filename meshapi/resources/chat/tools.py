"""Tools: what the model may call, how it is told to, and the calls it asks for."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, GetPydanticSchema
from pydantic_core import from_json, to_json

from meshapi._core.models import (
    JSONObject,
    NullableText,
    Params,
    Payload,
    Tagged,
    Text,
    null_reads_as,
)
from meshapi.errors import InvalidResponse

if TYPE_CHECKING:
    from meshapi.resources.chat.functions import FunctionTool


class ToolFunctionParameters(Payload):
    """The JSON Schema of a function's arguments: any fields, kept as they are, nulls included."""


class ToolFunction(Params):
    """A function that the model may call (source 002)."""

    name: Text
    """The name that the model calls it by."""

    description: Text | None = None
    """What it does, for the model to read."""

    parameters: Annotated[
        ToolFunctionParameters | Mapping[str, object] | None,
        GetPydanticSchema(lambda _source, handler: handler(ToolFunctionParameters | None)),
    ] = None
    """The JSON Schema of its arguments, as a model or as a plain mapping."""

    strict: bool | None = None
    """Whether the arguments must follow the schema to the letter (OpenAI's field)."""


class Tool(Tagged, Params):
    """A tool that the model may call (source 002)."""

    type: Literal["function"] = "function"
    """Always `function`; sent whether it was given or not."""

    function: ToolFunction
    """The function itself."""

    cache_control: Mapping[str, object] | None = None
    """Asks the provider to cache the prompt up to this tool, as `{"type": "ephemeral"}` (Mesh's
    docs)."""

    @classmethod
    def from_function(
        cls,
        f: Callable[..., object],
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool = False,
    ) -> "FunctionTool":
        """Describe a function, sync or async, by its signature and docstring.

        Annotations make the schema; `Annotated[int, Field(gt=0, description="...")]` says more.
        A parameter without an annotation takes anything, one with a default may be left out.
        Google-style docstrings describe parameters too; the rest of a docstring is description.

        Args:
            f: the function, a method, a partial or another callable.
            name: what the model calls it by; the function's own name unless given.
            description: what it does; what the docstring says unless given.
            strict: whether the model must follow the schema to the letter; then it must give
                every parameter, whatever its default.

        Raises:
            InvalidRequest: a model cannot call it as it is; the message says what to change.
        """
        from meshapi.resources.chat.functions import tool_of  # Not all programs have tools.

        return tool_of(f, name, description, strict=strict)


class ToolChoiceFunction(Params):
    """The function that the model must call (source 002)."""

    name: Text
    """Its name."""


class ToolChoice(Tagged, Params):
    """An order to call one function (source 002)."""

    type: Literal["function"] = "function"
    """Always `function`; sent whether it was given or not."""

    function: ToolChoiceFunction
    """The function to call."""


def _json_text(arguments: object) -> object:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return to_json(arguments).decode()


ToolArguments: TypeAlias = Annotated[str, BeforeValidator(_json_text), Field(default="")]
"""Arguments as JSON text; a server that sends an object instead is read as its JSON."""


class ToolCallFunction(Payload):
    """What to call, and with what (source 002)."""

    name: Annotated[NullableText, Field(default="")]
    """The function's name."""

    arguments: ToolArguments
    """The arguments: a JSON object as text, exactly as the model wrote it."""

    @property
    def parsed_arguments(self) -> JSONObject:
        """The arguments, parsed; empty where the model wrote none.

        Raises:
            InvalidResponse: the model wrote something else than a JSON object.
        """
        try:
            parsed = from_json(self.arguments or "{}", allow_inf_nan=False)
        except ValueError as error:
            problem = f"no JSON: {error}"
        else:
            if isinstance(parsed, dict):
                return parsed  # pyright: ignore[reportUnknownVariableType]  # JSON's keys are text.
            problem = "no JSON object"
        raise InvalidResponse(f"The arguments of {self.name or 'a call'} are {problem}")

    @classmethod
    def empty(cls) -> Self:
        """A call of nothing, in the place of one that is missing."""
        return cls(name="", arguments="")


class ToolCall(Tagged, Payload):
    """A call that the model asks for (source 002); answer it with a `tool` message of its id."""

    id: Annotated[NullableText, Field(default="")]
    """Names this call; its answer carries it as `tool_call_id`."""

    type: Annotated[str, BeforeValidator(lambda type_: type_ or "function")] = "function"
    """`function`, also where a server says none; sent whether it was given or not."""

    function: Annotated[
        ToolCallFunction,
        null_reads_as(ToolCallFunction.empty),
        Field(default_factory=ToolCallFunction.empty),
    ]
    """What to call; empty where a call of another type has none."""
