"""What users may rely on, as text with one fact in a line: `python -m tests.surface` writes it.

The code is read, not run, so that annotations and defaults stand there as they were written.
"""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import griffe

from meshapi.cli import arguments, statuses
from tests import reference

ROOT = Path(__file__).parent.parent
SURFACE = Path(__file__).parent / "surface.txt"

Found = Any  # griffe tells its objects and their aliases apart only at run time.
MODULES = ("meshapi", "meshapi.errors", "meshapi.local", "meshapi.otel", "meshapi.pytest_plugin")
# Nobody imports these: they stand behind a client's attributes.
SHELLS = (
    "resources.chat.chat.Chat",
    "resources.chat.chat.AsyncChat",
    "resources.chat.completions.ChatCompletions",
    "resources.chat.completions.AsyncChatCompletions",
    "resources.chat.compare.Compare",
    "resources.chat.compare.AsyncCompare",
    "resources.models.Models",
    "resources.models.AsyncModels",
)
# Of the methods with two underscores, these are called by what a user writes.
SPOKEN = {
    *("__init__", "__call__", "__len__", "__getitem__"),
    *("__enter__", "__exit__", "__aenter__", "__aexit__"),
    *("__iter__", "__next__", "__aiter__", "__anext__"),
}
OF_PYDANTIC = {"model_config", "model_post_init"}
MARKS = {
    griffe.ParameterKind.positional_only: "/, ",
    griffe.ParameterKind.keyword_only: "*, ",
    griffe.ParameterKind.var_positional: "*",
    griffe.ParameterKind.var_keyword: "**",
}
VARIADIC = (griffe.ParameterKind.var_positional, griffe.ParameterKind.var_keyword)
# Read by us, or for us by the standard library and httpx.
VARIABLES = re.compile(r"(MESHAPI|OTEL|SSL)_[A-Z_]+|[A-Z]+_PROXY|NO_COLOR|TERM")


def surface() -> str:
    """The whole surface."""
    sections = {
        "Names": names(),
        "Command line": command_line(),
        "Exit statuses": exit_statuses(),
        "Environment variables": variables(),
        "Package": package(),
    }
    texts = (f"# {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    return "\n\n".join(texts) + "\n"


def names() -> Iterator[str]:
    loaded: Found = reference.package()
    shown = dict[str, str]()  # Where an object is at home, and the name it was shown by.
    for module in MODULES:
        home = loaded[module.removeprefix("meshapi.")] if "." in module else loaded
        for name in sorted(exported(home)):
            yield from shown_once(f"{module}.{name}", home[name], shown)
    for path in SHELLS:
        yield from shown_once(path.rpartition(".")[2], loaded[path], shown)


def exported(module: Found) -> Iterable[str]:
    """What a module says it exports; else what it defines itself."""
    if module.exports is not None:
        return map(str, module.exports)
    own = (name for name, member in module.members.items() if not member.is_alias)
    return [name for name in own if not name.startswith("_")]


def shown_once(path: str, found: Found, shown: dict[str, str]) -> Iterator[str]:
    first = shown.setdefault(found.canonical_path, path)
    if first == path:
        yield from described(path, found, shown)
    else:
        yield f"{path} is {first}"


def described(path: str, found: Found, shown: Mapping[str, str]) -> Iterator[str]:
    if found.is_class:
        yield f"{path}: {head(found)}"
        yield from members(path, found, shown)
    elif found.is_function:
        for each in overloads(path, found):
            yield from called(*each)
    elif found.is_attribute:
        yield attribute(path, found)


def head(kind: Found) -> str:
    decorators = (f"@{each.value} " for each in kind.decorators)
    return f"{''.join(decorators)}class({', '.join(map(str, kind.bases))})"


def members(path: str, kind: Found, shown: Mapping[str, str]) -> Iterator[str]:
    """Those of the class and of bases that are not public; those of public ones stand there."""
    inherited = {
        name: member
        for name, member in kind.inherited_members.items()
        if member.final_target.parent.canonical_path not in shown
    }
    for name, member in sorted({**inherited, **kind.members}.items()):
        if is_public(name) and not (name == "__init__" and is_made_for_you(kind)):
            yield from described(f"{path}.{name}", member, shown)


def is_public(name: str) -> bool:
    return name in SPOKEN or (not name.startswith("_") and name not in OF_PYDANTIC)


def is_made_for_you(kind: Found) -> bool:
    """Whether only we call its constructor; that of a dataclass is its fields."""
    is_shell = kind.canonical_path.removeprefix("meshapi.") in SHELLS
    return is_shell or is_dataclass(kind) or kind.name.endswith(("Stream", "Events"))


def is_dataclass(kind: Found) -> bool:
    return "dataclass" in kind.labels


def overloads(path: str, function: Found) -> list[tuple[str, Found]]:
    found: list[Found] = function.overloads or []
    return [(f"{path}[{n}]", each) for n, each in enumerate(found, 1)] or [(path, function)]


def called(path: str, function: Found) -> Iterator[str]:
    yield f"{path}() -> {function.annotation}"
    if any("pytest.fixture" in str(each.value) for each in function.decorators):
        return  # Its parameters are asked for by pytest.
    for each in function.parameters:
        if each.name not in {"self", "cls"}:
            default = "" if each.kind in VARIADIC else given(each.default)
            yield f"{path}({MARKS.get(each.kind, '')}{each.name}: {each.annotation}{default})"


def attribute(path: str, found: Found) -> str:
    if "property" in found.labels:
        return f"{path} -> {found.annotation} (property)"
    if found.name == "__version__":
        return f"{path}: str"
    if "__init__" in found.parent.all_members and not is_dataclass(found.parent):
        return f"{path}: {found.annotation}"  # What it is set to is what was given.
    return f"{path}: {found.annotation}{given(found.value)}"


def given(value: object) -> str:
    return "" if value is None else f" = {value}"


def command_line() -> Iterator[str]:
    (commands,) = (each.choices for each in arguments.parser()._actions if each.choices)
    assert isinstance(commands, dict)
    parsers = cast("dict[str, argparse.ArgumentParser]", commands)
    for name, command in sorted(parsers.items()):
        for action in command._actions[1:]:  # Without --help.
            option = "".join(action.option_strings[-1:])
            values = "|".join(action.choices or []) or str(action.metavar or "")
            default = f"(else {action.default})" if action.default else ""
            words = ["meshapi", name, option, values, default]
            yield " ".join(each for each in words if each)


def exit_statuses() -> Iterator[str]:
    for kind, status in statuses.STATUSES.items():
        yield f"{status} {kind.__name__}"


def variables() -> list[str]:
    strings = {
        node.value
        for path in (ROOT / "meshapi").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return sorted(filter(VARIABLES.fullmatch, strings))


def package() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    yield f"Python {project['requires-python']}"
    yield from (f"needs {each}" for each in project["dependencies"])
    for extra, needed in project["optional-dependencies"].items():
        if extra not in {"dev", "docs"}:
            yield from (f"extra {extra} needs {each}" for each in needed)
    yield from (f"command {name} = {target}" for name, target in project["scripts"].items())
    for group, points in project["entry-points"].items():
        yield from (f"entry point {group}: {name} = {target}" for name, target in points.items())


if __name__ == "__main__":
    SURFACE.write_text(surface())
