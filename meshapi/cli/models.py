"""`meshapi models`: which models there are, how much they read at once, and what they cost."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from meshapi.cli.clients import client_for
from meshapi.cli.printing import harmless, has_rich, shown, tell
from meshapi.cli.statuses import OK
from meshapi.resources.models import ModelInfo, ModelListParams, ModelPricing


class _Row(NamedTuple):
    id: str
    context: str
    price_in: str
    price_out: str


_TITLES = _Row("model", "context", "$/M in", "$/M out")


def run(options: argparse.Namespace) -> int:
    """List the models that fit."""
    with client_for(local=options.local) as client:
        models = client.models.list(_params(options)).data
    wanted = options.text.lower()
    found = [each for each in models if wanted in each.id.lower()]
    if options.json:
        _print_json(found)
    elif not found:
        tell("No model fits.")
    elif has_rich():
        _print_table([_row(each) for each in found])
    else:
        _print_lines([_row(each) for each in found])
    return OK


def _params(options: argparse.Namespace) -> ModelListParams:
    given = {"free": options.free or None, "type": options.type, "provider": options.provider}
    return ModelListParams.model_validate(
        {name: value for name, value in given.items() if value is not None}
    )


def _print_json(models: Sequence[ModelInfo]) -> None:
    documents = [each.model_dump(mode="json", exclude_unset=True) for each in models]
    print(json.dumps(documents))


def _print_table(rows: Sequence[_Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in _TITLES:
        table.add_column(title, justify="left" if title == _TITLES.id else "right")
    for row in rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
    Console().print(table)


def _print_lines(rows: Sequence[_Row]) -> None:
    lines = [_TITLES, *rows] if sys.stdout.isatty() else rows
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for row in lines:
        numbers = "".join(
            f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)
        )
        print(shown(f"{row.id:<{widths[0]}}{numbers}", sys.stdout))


def _row(model: ModelInfo) -> _Row:
    context = model.context_length or model.context_window
    return _Row(
        " ".join(model.id.split()),
        "-" if context is None else str(context),
        _price(model.pricing, "prompt"),
        _price(model.pricing, "completion"),
    )


def _price(pricing: ModelPricing | None, what: str) -> str:
    if pricing is None:
        return "-"
    ways = ((f"{what}_usd_per_1m", 1), (f"{what}_usd_per_1k", 1000), (what, 1_000_000))
    for field, times in ways:
        price = _decimal(getattr(pricing, field, None))
        if price is not None:
            return f"{(price * times).normalize():f}"
    return "-"


def _decimal(value: object) -> Decimal | None:
    """A price as a number; OpenRouter's, of a single token, is a field we do not know."""
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        return None
    return price if price.is_finite() and price >= 0 else None
