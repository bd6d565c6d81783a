"""The result as it is kept in docs/design.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.strangers.clients import Result
from tests.strangers.document import AMENDMENTS

_BEGIN, _END = "<!-- strangers -->", "<!-- /strangers -->"
_HOOKS = (
    "A model or a template that a request names is one that the gateway has: else most answers "
    "would be 404.",
    "The tool that `tool_choice` asks for is put among the tools: without it 422 is right, which "
    "no schema can say.",
    "Every check is on; those of response headers, which the document does not name, and of "
    "resources, which one operation does not have, find nothing to see.",
)
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
    """The table of the clients, the line of schemathesis, and what the document was told."""
    checks = [each for each in results if each.check != _CONTRACT]
    contracts = [
        f"{versions[each.stranger]}: {_cell(each)}." for each in results if each.check == _CONTRACT
    ]
    told = [f"- {each.reason}" for each in AMENDMENTS] + [f"- {each}" for each in _HOOKS]
    parts = [_table(versions, checks), *contracts, "What it was told beside the document:"]
    return "\n\n".join([*parts, "\n".join(told)])


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
