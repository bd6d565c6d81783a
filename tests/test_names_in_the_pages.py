"""What the pages name in code style is there: names, attributes, files and variables."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import chain

import pytest

import meshapi
import meshapi.local
import meshapi.otel
from meshapi import ChatCompletionParams
from meshapi.local import LocalGateway
from tests.pages import BLOCKS, DOCS, PAGES, ROOT, Page


def source(folder: str) -> str:
    """All the Python below a folder."""
    return "".join(path.read_text() for path in (ROOT / folder).rglob("*.py"))


SOURCE = source("meshapi")
# On these, `client` may be one of somebody else's.
OF_OTHERS = {"migrating-from-openai.md", "migrating-from-meshapi-0.1.md", "other-clients.md"}


# A span's attribute that the code takes from OpenTelemetry.
TAKEN = {"error.type"}


def is_written(word: str) -> bool:
    """Whether the code writes it as it is, as it does with a span's other attributes."""
    return word in TAKEN or f'"{word}"' in SOURCE


def is_a_name(dotted: str) -> bool:
    """Whether it can be imported."""
    try:
        pkgutil.resolve_name(dotted)
    except (ImportError, AttributeError):
        return is_written(dotted)
    return True


# What CONTRIBUTING.md shows somebody to add.
IMAGINED = {"meshapi/resources/tokens.py", "tests/test_tokens.py"}


def is_there(path: str) -> bool:
    """Whether a file, a folder, or a pattern of them is."""
    return path in IMAGINED or any(ROOT.glob(path.rstrip("/")))


def examples() -> Mapping[str, object]:
    """One of each of what the pages call by the same word everywhere."""
    gateway = LocalGateway()
    client = gateway.client()
    params = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
    completion = client.chat.completions.create(params)
    return {
        "client": client,
        "completion": completion,
        "gateway": gateway,
        "mesh_gateway": gateway,
        "params": params,
    }


EXAMPLES = examples()


def is_a_chain(dotted: str) -> bool:
    """Whether an attribute's attribute is, of one of the examples."""
    first, *names = dotted.split(".")
    try:
        reduce(getattr, names, EXAMPLES[first])
    except AttributeError:
        return False
    return True


def kinds_below(kind: type) -> list[type]:
    """A class, and all that are made of it."""
    kinds: list[type] = kind.__subclasses__()
    return [kind, *chain.from_iterable(map(kinds_below, kinds))]


KINDS: Mapping[str, list[type]] = {
    "error": kinds_below(meshapi.MeshAPIError),
    "run": [meshapi.ToolRun, meshapi.ToolRunStream],
    "stream": [meshapi.ParsedCompletionStream, meshapi.Stream],
}


def is_a_member(dotted: str) -> bool:
    """Whether one of these classes says that its objects have it."""
    first, name = dotted.split(".")
    return any(name in members_of(kind) for kind in KINDS[first]) or is_written(dotted)


def members_of(kind: type) -> set[str]:
    """The names of what its objects have."""
    annotated = (name for each in kind.__mro__ for name in inspect.get_annotations(each))
    return {*dir(kind), *annotated}


PUBLIC: Mapping[str, type] = {
    name: thing
    for module in (meshapi, meshapi.local, meshapi.otel)
    for name, thing in inspect.getmembers(module, inspect.isclass)
}
# Headers, a tab of a code host, classes of openai and Django, and what CONTRIBUTING.md adds.
OF_NO_PYTHON_HERE = {
    *("Accept", "Host", "Security", "APIConnectionError", "StreamingHttpResponse"),
    *("AsyncTokens", "AsyncX", "TokenCount", "TokenCountParams"),
}
WRITTEN = "".join(block.text for block in BLOCKS if block.language == "python")
WORDS = {*re.findall(r"\w+", SOURCE + source("tests") + WRITTEN), *OF_NO_PYTHON_HERE}


def is_a_class(dotted: str) -> bool:
    """Whether Python that is run has such a class, and it such a member."""
    name, _, member = dotted.partition(".")
    known = members_of(PUBLIC[name]) if name in PUBLIC else WORDS
    return name in WORDS and (not member or member in known)


PATTERNS: Mapping[str, Callable[[str], bool]] = {
    r"(meshapi(?:\.\w+)+)(?:\(.*\))?": is_a_name,
    rf"((?:{'|'.join(EXAMPLES)})(?:\.(?!py\b)[a-z]\w*)+)(?:\W.*)?": is_a_chain,
    rf"((?:{'|'.join(KINDS)})\.[a-z]\w*)(?:\W.*)?": is_a_member,
    r"([A-Z]\w*[a-z]\w*(?:\.\w+)?)(?:\(.*\))?": is_a_class,
    r"((?:\.ci|\.github|benchmarks|docs|examples|meshapi|tests)/[\w./*-]*)": is_there,
}


def named_in(page: Page) -> Iterator[tuple[Callable[[str], bool], str]]:
    """What a page names in code style, and the check of each."""
    for code in page.code:
        for pattern, check in PATTERNS.items():
            if found := re.fullmatch(pattern, code):
                yield check, found[1]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_a_page_names_is_there(page: Page) -> None:
    others = (is_a_chain, is_a_class, is_a_member) if page.path.name in OF_OTHERS else ()
    named = [(check, name) for check, name in named_in(page) if check not in others]

    assert [name for check, name in named if not check(name)] == []


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_is_of_something_that_is_named(pattern: str) -> None:
    codes = [code for page in PAGES for code in page.code]

    assert any(re.fullmatch(pattern, code) for code in codes)


VARIABLE = re.compile(r"\bMESHAPI_[A-Z_]+")
# Those of ours that stand in the code as a whole string are read there.
READ = set(re.findall(r'"(MESHAPI_[A-Z_]+)"', SOURCE))
# Where somebody looks a variable up.
LISTS = {DOCS / "options.md", DOCS / "command-line.md"}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_variable_that_a_page_names_is_read(page: Page) -> None:
    assert set(VARIABLE.findall(page.text)) <= READ


def test_a_variable_that_is_read_is_named_where_options_are() -> None:
    named = "".join(page.text for page in PAGES if page.path in LISTS)

    assert set(VARIABLE.findall(named)) >= READ
