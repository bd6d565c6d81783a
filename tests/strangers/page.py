"""The result as it is kept in docs/design.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import page
from tests.strangers.clients import Result

_CONTRACT = "contract"


def write(path: Path, versions: Mapping[str, str], results: Sequence[Result]) -> None:
    """Put the result where its page has the place for it."""
    page.write("strangers", told(versions, results), path)


def told(versions: Mapping[str, str], results: Sequence[Result]) -> str:
    """The table of the clients, and the line of schemathesis."""
    checks = [each for each in results if each.check != _CONTRACT]
    contracts = [
        f"{versions[each.stranger]}: {_cell(each)}." for each in results if each.check == _CONTRACT
    ]
    return "\n\n".join([_table(versions, checks), *contracts])


def _table(versions: Mapping[str, str], results: Sequence[Result]) -> str:
    cells = {(each.check, each.stranger): _cell(each) for each in results}
    strangers = list(dict.fromkeys(each.stranger for each in results))
    lines = (
        [check, *(cells.get((check, each), "") for each in strangers)]
        for check in dict.fromkeys(each.check for each in results)
    )
    return page.markdown(["", *(versions[each] for each in strangers)], *lines)


def _cell(result: Result) -> str:
    said = result.said.replace("|", r"\|").replace("\n", " ")
    return f"{'ok' if result.ok else '**not ok**'}: {said}"
