"""The result as it is kept in docs/design.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.strangers.clients import Result

_BEGIN, _END = "<!-- strangers -->", "<!-- /strangers -->"
_CONTRACT = "contract"


def write(path: Path, versions: Mapping[str, str], results: Sequence[Result]) -> None:
    """Put the result between the markers, which are added where they are missing."""
    text = path.read_text() if path.exists() else "# How the code is built\n"
    if _BEGIN not in text:
        text = f"{text.rstrip()}\n\n{_BEGIN}\n{_END}\n"
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{_BEGIN}\n\n{markdown(versions, results)}\n\n{_END}{after}")


def markdown(versions: Mapping[str, str], results: Sequence[Result]) -> str:
    """The table of the clients, and the line of schemathesis."""
    checks = [each for each in results if each.check != _CONTRACT]
    contracts = [
        f"{versions[each.stranger]}: {_cell(each)}." for each in results if each.check == _CONTRACT
    ]
    return "\n\n".join([_table(versions, checks), *contracts])


def _table(versions: Mapping[str, str], results: Sequence[Result]) -> str:
    cells = {(each.check, each.stranger): _cell(each) for each in results}
    strangers = list(dict.fromkeys(each.stranger for each in results))
    rows = [
        ["", *(versions[each] for each in strangers)],
        ["---"] * (len(strangers) + 1),
        *(
            [check, *(cells.get((check, each), "") for each in strangers)]
            for check in dict.fromkeys(each.check for each in results)
        ),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(result: Result) -> str:
    said = result.said.replace("|", r"\|").replace("\n", " ")
    return f"{'ok' if result.ok else '**not ok**'}: {said}"
