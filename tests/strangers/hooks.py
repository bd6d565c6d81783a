"""What schemathesis is told of the gateway that no OpenAPI text can say."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from tests.strangers.wordings import MODEL, TEMPLATE, TOOL, TOOL_NAME

schemathesis: Any = import_module("schemathesis")  # Not by `import`: it has its own environment.


def map_case(context: Any, case: Any) -> Any:
    """Let a request name only a model, a template and a tool that are there."""
    body: object = case.body
    if isinstance(body, dict):
        case.body = _with_tool(_routed(cast("dict[str, Any]", body)))
    return case


def _routed(body: dict[str, Any]) -> dict[str, Any]:
    there = {"model": MODEL, "template": TEMPLATE}
    return body | {name: known for name, known in there.items() if isinstance(body.get(name), str)}


def _with_tool(body: dict[str, Any]) -> dict[str, Any]:
    """Add the tool that `tool_choice` asks for, unless the tools are wrong on purpose."""
    name, tools = _name(body.get("tool_choice")), body.get("tools", [])
    if name is None or not isinstance(tools, list | None):
        return body
    tool = {**TOOL, "function": {**TOOL["function"], "name": name}}
    return {**body, "tools": [*(tools or []), tool]}


def _name(choice: object) -> str | None:
    match choice:
        case "required":
            return TOOL_NAME
        case {"function": {"name": str(name)}}:
            return name
        case _:
            return None


schemathesis.hook(map_case)
