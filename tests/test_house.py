"""The rules of the house: layers, twins, the public surface, and what an import costs."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

import meshapi
from meshapi import (
    AsyncMeshAPI,
    AsyncStream,
    ChatCompletionParams,
    MeshAPI,
    RateLimit,
    Stream,
)
from meshapi._core.connections.async_pool import AsyncPool
from meshapi._core.connections.pool import Pool
from meshapi._core.resource import AsyncResource, Resource
from meshapi._core.transport import AsyncTransport, Transport
from meshapi.local import LocalGateway
from meshapi.resources.chat.chat import AsyncChat, Chat
from meshapi.resources.chat.compare import AsyncCompare, Compare
from meshapi.resources.chat.completions import AsyncChatCompletions, ChatCompletions
from meshapi.resources.chat.relay import AsyncServerSentEvents, ServerSentEvents
from meshapi.resources.chat.run_streams import AsyncToolRunStream, ToolRunStream
from meshapi.resources.chat.streams import AsyncChatCompletionStream, ChatCompletionStream
from meshapi.resources.models import AsyncModels, Models

ROOT = Path(meshapi.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

# Each may import what stands before it, and nothing after.
LAYERS = [
    "_core",
    "_version",
    "_core.meta",
    "errors",
    "_core.checks",
    "_core.models",
    "_core.fork",
    "_core.retry",
    "_core.hooks",
    "_core.rate_limit",
    "_core.token",
    "_core.settings",
    "_core.log",
    "_core.envelope",
    "_core.usage",
    "_core.totals",
    "_core.call",
    "_core.events",
    "_core.reader",
    "_core.deadline",
    "_core.waiting",
    "_core.telling",
    "_core.watch",
    "_core.inflate",
    "_core.exchange",
    "_core.outgoing",
    "_core.incoming",
    "_core.connections.line",
    "_core.connections.sync_line",
    "_core.connections.async_line",
    "_core.connections.guard",
    "_core.connections.limit",
    "_core.connections.shelf",
    "_core.connections.routes",
    "_core.connections.proxies",
    "_core.connections.connection",
    "_core.connections.kept",
    "_core.connections.pool",
    "_core.connections.async_pool",
    "_core.connections",
    "_core.transport",
    "_core.streams",
    "_core.resource",
    "resources",
    "_client",
    "",
    "otel",
    "local",
    "pytest_plugin",
    "cli",
    "__main__",
]


def layer_of(module: str) -> int:
    inner = module.removeprefix("meshapi").removeprefix(".")
    return next(
        place
        for place, layer in enumerate(LAYERS)
        if inner == layer or (layer not in {"", "_core"} and inner.startswith(f"{layer}."))
    )


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> Iterator[str]:
    """The modules that a file imports when it runs, not those it names for type checkers."""
    tree = ast.parse(path.read_text())
    for_checkers = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "meshapi":
            modules = [each.name for each in node.names if (ROOT / f"{each.name}.py").exists()]
            yield from [f"meshapi.{name}" for name in modules] or ["meshapi"]
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_imports_run_one_way(path: Path) -> None:
    own = layer_of(module_of(path))

    for imported in imports_of(path):
        if imported.split(".")[0] == "meshapi":
            assert layer_of(imported) <= own, f"{module_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_httpx_stays_inside(path: Path) -> None:
    core = "meshapi._core."
    seam = ("transport", "incoming", "outgoing", "connections")
    in_process = "meshapi.local.in_process"  # It is an httpx transport.
    allowed = (*(core + name for name in seam), "meshapi._client", in_process)
    found = {name.split(".")[0] for name in imports_of(path)} & {"httpx", "httpcore"}

    assert not found or module_of(path).startswith(allowed)


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_only_the_shells_wait(path: Path) -> None:
    shells = ("transport", "incoming", "waiting", "telling", "streams")
    waiting = {f"meshapi._core.{name}" for name in shells}
    in_resources = ("meshapi.resources", "meshapi._client", "meshapi.local")
    below = "meshapi._core.connections"
    asynchronous = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFunctionDef)
    ]

    if module_of(path) == "meshapi._core.token":
        assert asynchronous == ["ask_async"]
    elif module_of(path) not in waiting and not module_of(path).startswith((*in_resources, below)):
        assert asynchronous == []


def test_a_resource_imports_no_other() -> None:
    folders = [each for each in (ROOT / "resources").iterdir() if each.is_dir()]

    for folder in folders:
        others = {f"meshapi.resources.{each.name}" for each in folders if each != folder}
        for path in folder.rglob("*.py"):
            assert not {".".join(each.split(".")[:3]) for each in imports_of(path)} & others


TWINS: list[tuple[type, type]] = [
    (MeshAPI, AsyncMeshAPI),
    (Chat, AsyncChat),
    (ChatCompletions, AsyncChatCompletions),
    (Compare, AsyncCompare),
    (Models, AsyncModels),
    (Stream, AsyncStream),
    (ChatCompletionStream, AsyncChatCompletionStream),
    (ServerSentEvents, AsyncServerSentEvents),
    (ToolRunStream, AsyncToolRunStream),
    (Pool, AsyncPool),
    (Transport, AsyncTransport),
    (Resource, AsyncResource),
]
ASYNC_NAMES = {
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
}


def members(kind: type) -> dict[str, Any]:
    return {
        ASYNC_NAMES.get(name, name): member
        for name, member in vars(kind).items()
        if inspect.isfunction(member) or isinstance(member, property)
    }


@pytest.mark.parametrize(("plain", "twin"), TWINS, ids=lambda kind: kind.__name__)
def test_twins_have_the_same_methods_parameters_and_words(plain: type, twin: type) -> None:
    ours, theirs = members(plain), members(twin)

    # It opens late, in the loop that it runs in, and its token may be awaited.
    only_async = {"_ensure_open", "_ask_token", "_of_this_loop"}
    # It opens at once, and a thread waits where nobody but another can end it.
    only_sync = {"_open", "cut_off"} if plain is Pool else set[str]()
    if plain is ServerSentEvents:  # To WSGI it is an iterator, besides.
        only_sync = {"__iter__", "__next__", "close"}
    assert ours.keys() - only_sync == theirs.keys() - only_async
    for name, member in ours.items():
        if name in only_sync:
            continue
        if inspect.isfunction(member):
            parameters = list(inspect.signature(member).parameters)
            assert list(inspect.signature(theirs[name]).parameters) == parameters, name
        if name not in {"__init__", "meta"}:
            words = (theirs[name].__doc__ or "").replace("another task", "another thread")
            assert (member.__doc__ or "") == words, name


def test_all_names_exactly_what_is_visible() -> None:
    front_door = ast.parse((ROOT / "__init__.py").read_text())
    for_checkers = {
        f"{node.module}.{alias.name}"
        for block in front_door.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    when_asked_for = {f"meshapi.{home}.{name}" for name, home in meshapi._HOMES.items()}

    assert for_checkers == when_asked_for
    assert set(meshapi.__all__) == meshapi._HOMES.keys() | {"__version__"}
    assert meshapi.__all__ == sorted(meshapi.__all__) == dir(meshapi)


def test_the_errors_are_there_without_an_import_of_their_own() -> None:
    script = "import meshapi; print(meshapi.errors.SpendLimitExceeded.__name__)"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert run.stdout == "SpendLimitExceeded\n"


def test_a_name_that_is_not_there_is_missed_as_usual() -> None:
    with pytest.raises(AttributeError, match="no attribute 'MeshApi'"):
        getattr(meshapi, "MeshApi")  # noqa: B009  # A checker sees that it is not there.


def test_every_published_schema_is_a_public_model() -> None:
    document = yaml.safe_load((Path(__file__).parent / "wire" / "openapi.yaml").read_text())
    renamed = {"ChatCompletionRequest": "ChatCompletionParams"}

    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") != "object":
            continue
        model = getattr(meshapi, renamed.get(str(name), str(name)))
        assert issubclass(model, BaseModel), name
        assert schema["properties"].keys() <= model.model_fields.keys(), name


def public_members() -> Iterator[tuple[str, Any]]:
    for name in meshapi.__all__:
        member = getattr(meshapi, name)
        if inspect.isclass(member):
            yield name, member
            yield from (
                (f"{name}.{each}", value)
                for each, value in vars(member).items()
                if not each.startswith("_")
                and (inspect.isfunction(value) or isinstance(value, property))
            )


@pytest.mark.parametrize(("name", "member"), list(public_members()), ids=lambda x: str(x)[:50])
def test_everything_public_says_what_it_is(name: str, member: Any) -> None:
    assert inspect.getdoc(member), name


@pytest.mark.parametrize("kind", [MeshAPI, AsyncMeshAPI, RateLimit, LocalGateway])
def test_an_editor_shows_the_arguments_of_what_people_make(kind: type) -> None:
    # Over a call it shows the docstring of `__init__`, where there is one, and not the class's.
    assert not vars(kind)["__init__"].__doc__
    assert "\nArgs:\n" in (inspect.getdoc(kind) or "")


def documented_attributes(kind: type) -> set[str]:
    """The annotated attributes of a class that have a docstring below them."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(tree, ast.ClassDef)
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.If))]
    return {
        first.target.id
        for body in bodies
        for first, then in pairwise(body)
        if isinstance(first, ast.AnnAssign)
        and isinstance(first.target, ast.Name)
        and isinstance(then, ast.Expr)
        and isinstance(then.value, ast.Constant)
    }


MODELS = [
    getattr(meshapi, name)
    for name in meshapi.__all__
    if inspect.isclass(getattr(meshapi, name)) and issubclass(getattr(meshapi, name), BaseModel)
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_documented_where_it_stands(model: type[BaseModel]) -> None:
    documented = set[str]().union(
        *(
            documented_attributes(each)
            for each in model.__mro__
            if each.__module__.startswith("meshapi.")
        )
    )

    assert model.model_fields.keys() <= documented


def test_no_public_signature_says_any() -> None:
    for name, member in public_members():
        if inspect.isfunction(member) and member.__module__.startswith("meshapi."):
            signature = str(inspect.signature(member))
            assert "Any" not in re.findall(r"\w+", signature), name


def test_every_ignore_has_its_code_and_reason() -> None:
    for path in [*MODULES, *Path(__file__).parent.rglob("*.py")]:
        for line in path.read_text().splitlines():
            ignores = re.findall(r"# (?:type: ignore|pyright: ignore|noqa)(\S*)", line)
            coded = all(re.fullmatch(r"\[[\w-]+(?:,)?|\[[\w-]+\]|:", each) for each in ignores)
            reasoned = not ignores or re.search(r"(?:\]|: [A-Z]+\d+)  # \w[^\[]*$", line)
            assert (coded and reasoned) or path.name == Path(__file__).name, line


def test_the_version_is_one_and_semantic() -> None:
    assert re.fullmatch(r"1\.\d+\.\d+", meshapi.__version__)


def test_a_parametrised_params_class_is_the_class_itself() -> None:
    assert ChatCompletionParams[bool] is ChatCompletionParams
