"""The reference is whole: every name has a page, every member its words, every bound its figure."""

from __future__ import annotations

import builtins
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import griffe
import pytest

from meshapi import errors
from tests.published import DOCUMENT
from tests.reference import EXPORTS, INDEX, blocks, found, index, pages

CALLS = [
    "meshapi.resources.chat.chat.Chat",
    "meshapi.resources.chat.completions.ChatCompletions",
    "meshapi.resources.chat.compare.Compare",
    "meshapi.resources.models.Models",
]
REQUEST = DOCUMENT["components"]["schemas"]["ChatCompletionRequest"]
DOCUMENTED = [path for page in pages().values() for path, _ in blocks(page)]

# What signatures name and no reader needs: the mask of a token, a place in the line of a limit.
INNER = {"meshapi._core.token.Token", "meshapi._core.rate_limit.Place"}


def members(owner: griffe.Object) -> Iterator[griffe.Object]:
    """The public members of a class, its bases' included."""
    for name, member in owner.all_members.items():
        if owner.is_class and not name.startswith(("_", "model_")):
            yield member.final_target if isinstance(member, griffe.Alias) else member


@cache
def reached() -> dict[str, griffe.Object]:
    """What the pages document, with all members, by where it is at home."""
    named = [found(path) for path in DOCUMENTED]
    everything = [*named, *(each for owner in named for each in members(owner))]
    return {each.canonical_path: each for each in everything}


def expressions(subject: griffe.Object) -> Iterator[griffe.Expr]:
    """What is said of types: by an attribute, an alias, or a function's arguments and result."""
    said: list[object] = []
    if isinstance(subject, griffe.Attribute):
        is_alias = subject.parent is not None and subject.parent.is_module
        said = [subject.value if is_alias else subject.annotation]
    elif isinstance(subject, griffe.Function):
        said = [subject.returns, *(each.annotation for each in subject.parameters)]
    yield from (each for each in said if isinstance(each, griffe.Expr))


def named_types(subject: griffe.Object) -> set[str]:
    """The types of the package that these name, type variables apart."""
    names = {
        each.canonical_path
        for expression in expressions(subject)
        for each in expression.iterate(flat=True)
        if isinstance(each, griffe.ExprName) and each.name[0].isupper()
    }
    ours = [found(name) for name in names if name.startswith("meshapi.")]
    return {each.canonical_path for each in ours if not is_type_variable(each)}


def is_type_variable(subject: griffe.Object) -> bool:
    return isinstance(subject, griffe.Attribute) and str(subject.value).startswith("TypeVar(")


def bounds(subject: griffe.Object) -> list[str]:
    """The figures that a field is held to."""
    if not isinstance(subject, griffe.Attribute):
        return []
    source = f"{subject.annotation} {subject.value}"
    return re.findall(r"\b(?:ge|gt|le|lt|max_length|min_length)=(-?\d+)\b(?! ?\*)", source)


def raised(subject: griffe.Object) -> Iterator[str]:
    """The classes that a docstring says are raised."""
    if subject.docstring:
        for section in subject.docstring.parse("google"):
            if isinstance(section, griffe.DocstringSectionRaises):
                yield from (str(each.annotation) for each in section.value)


def is_error(name: str) -> bool:
    known = getattr(errors, name, None) or getattr(builtins, name, None)
    return name == "pydantic.ValidationError" or (
        isinstance(known, type) and issubclass(known, Exception)
    )


def test_every_public_name_is_on_one_page_of_the_reference() -> None:
    times = Counter(DOCUMENTED)

    assert {name: times[name] for name in [*EXPORTS, *CALLS] if times[name] != 1} == {}
    assert times.total() == len(times)


def test_the_index_of_the_reference_says_what_the_docstrings_say() -> None:
    assert INDEX.read_text() == index(), "python -m tests.reference writes it"


def test_everything_public_has_a_docstring() -> None:
    assert len(reached()) > 600
    assert [path for path, each in reached().items() if not each.docstring] == []


def test_what_a_signature_names_is_in_the_reference() -> None:
    homes = {found(path).canonical_path for path in DOCUMENTED} | INNER

    missing = {
        (path, name)
        for path, each in reached().items()
        for name in named_types(each)
        if name not in homes and name.replace(".Async", ".") not in homes
    }

    assert missing == set()


def test_the_words_of_a_field_name_its_bounds() -> None:
    bound = {path: figures for path, each in reached().items() if (figures := bounds(each))}

    assert len(bound) > 15
    for path, figures in bound.items():
        docstring = reached()[path].docstring
        words = re.findall(r"-?\d+", docstring.value if docstring else "")
        assert set(figures) <= set(words), path


def test_what_a_docstring_says_is_raised_is_an_error() -> None:
    said = [(path, name) for path, each in reached().items() for name in raised(each)]

    assert len(said) > 50
    assert [(path, name) for path, name in said if not is_error(name)] == []


@pytest.mark.parametrize(
    "field",
    list(members(found("meshapi.ChatCompletionParams"))),
    ids=lambda field: field.name,
)
def test_a_field_of_a_request_says_where_it_is_published(field: griffe.Object) -> None:
    assert field.docstring
    words = " ".join(field.docstring.value.split())

    assert re.search(r"\((all sources|sources? 00\d|Mesh's docs)", words)
    is_published = field.name in REQUEST["properties"]
    assert bool(re.search(r"\(all sources|\(sources? [\d, ]*002", words)) == is_published
