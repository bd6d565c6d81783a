"""`python -m tests.drawings`: the drawings of the documentation, into docs/drawings.

The tree of errors is read from the classes. The steps of `tests/ways.py` go from top to bottom,
each with what may happen there instead on its right, and ways back on the left.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from pathlib import Path

from meshapi import errors
from tests.reference import first_sentence
from tests.ways import CALL, STREAM, Aside, Step, Way

FOLDER = Path(__file__).parent.parent / "docs" / "drawings"

_INK, _SOFT, _LINE = "#1f2933", "#52606d", "#9aa5b1"
_MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"

_WIDTH = 880
_LEFT, _BOX = 64, 400
_RIGHT, _ASIDE = 512, 344
_HEIGHT, _GAP = 54, 26
_COLOURS = {
    "yours": ("#e9edfd", "#3f51b5"),
    "answer": ("#e6f4ee", "#0b6e4f"),
    "failure": ("#fff6e0", "#b7791f"),
    "error": ("#fdeeec", "#b3382c"),
}
_LEGEND = {
    "yours": "your code",
    "answer": "no error",
    "failure": "a failed attempt",
    "error": "an error is raised",
}


def drawings() -> dict[str, str]:
    """Each drawing's file name, and what is in it."""
    return {"errors.svg": _tree(), "call.svg": _way(CALL), "stream.svg": _way(STREAM)}


def _way(way: Way) -> str:
    tops = list(_tops(way.steps))
    parts = [_step(step, top) for step, top in zip(way.steps, tops, strict=False)]
    downs = [
        _arrow(f"M{_LEFT + _BOX / 2} {top + _HEIGHT}V{below - 2}")
        for top, below in pairwise(tops[:-1])
    ]
    backs = [_back(tops[start], tops[end], label) for (start, end), label in way.back.items()]
    parts = [*_legend(way), *downs, *backs, *parts]
    return _card(way.title, way.description, tops[-1], parts)


def _legend(way: Way) -> Iterator[str]:
    """What the colours that are in the drawing mean, from right to left above it."""
    kinds = {aside.kind for step in way.steps for aside in step.asides}
    right = _RIGHT + _ASIDE
    for kind in reversed([each for each in _LEGEND if each in {"yours", *kinds}]):
        fill, line = _COLOURS[kind]
        x = right - 7 * len(_LEGEND[kind])
        right = x - 40
        yield (
            f'<rect x="{x - 18}" y="24" width="12" height="12" rx="3" fill="{fill}"'
            f' stroke="{line}"/>\n'
            f'<text x="{x}" y="34" font-size="12.5" fill="{_SOFT}">{_LEGEND[kind]}</text>\n'
        )


def _tops(steps: list[Step]) -> Iterator[float]:
    """Where each box begins, and where the drawing ends."""
    top = 56
    for step in steps:
        yield top
        top += max(1, len(step.asides)) * (_HEIGHT + 8) - 8 + _GAP
    yield top - _GAP + 20


def _step(step: Step, top: float) -> str:
    fill, line = _COLOURS["yours"] if step.is_yours else ("#f4f6f8", _LINE)
    asides = [
        _aside(aside, top, top + number * (_HEIGHT + 8)) for number, aside in enumerate(step.asides)
    ]
    return _box(_LEFT, top, _BOX, fill, line, step.what, step.detail) + "".join(asides)


def _aside(aside: Aside, start: float, top: float) -> str:
    fill, line = _COLOURS[aside.kind]
    half = _HEIGHT / 2
    arrow = _arrow(f"M{_LEFT + _BOX} {start + half}h20V{top + half}H{_RIGHT - 2}")
    return arrow + _box(_RIGHT, top, _ASIDE, fill, line, aside.what, aside.when)


def _box(x: float, y: float, width: float, fill: str, line: str, what: str, detail: str) -> str:
    font = f' font-family="{_MONO}" font-size="13"' if _is_code(what) else ""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{_HEIGHT}" rx="6" fill="{fill}"'
        f' stroke="{line}"/>\n'
        f'<text x="{x + 14}" y="{y + 23}" font-weight="600"{font}>{escape(what)}</text>\n'
        f'<text x="{x + 14}" y="{y + 42}" font-size="12.5" fill="{_SOFT}">{escape(detail)}</text>\n'
    )


def _is_code(words: str) -> bool:
    return bool(re.search(r"[a-z][A-Z]|[(\[]", words))


def _arrow(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{_LINE}" marker-end="url(#head)"/>\n'


def _back(start: float, end: float, label: str) -> str:
    """A way back along the left side, and what is said there."""
    low, high = start + _HEIGHT - 12, end + 12
    x, middle = _LEFT - 24, (low + high) / 2
    return _arrow(f"M{_LEFT} {low}H{x}V{high}H{_LEFT - 2}") + (
        f'<text transform="translate({x - 8} {middle}) rotate(-90)" text-anchor="middle"'
        f' font-size="12.5" fill="{_SOFT}">{escape(label)}</text>\n'
    )


_ROW, _INDENT, _WORDS = 26, 26, 304


def _tree() -> str:
    bottom = 64
    parts: list[str] = []
    tops: list[float] = []  # Where the error above, and those above it, stand.
    for depth, error in _walk(errors.MeshAPIError):
        x = 28 + depth * _INDENT
        del tops[depth:]
        if depth:
            parts.append(_elbow(x - _INDENT + 8, tops[-1] + 8, x - 6, bottom - 4))
        tops.append(bottom)
        sentence = first_sentence(f"meshapi.{error.__name__}")
        lines = _wrapped(sentence.rstrip(".").replace("`", ""))
        parts.append(_name(x, bottom, error.__name__) + _sentence(bottom, lines))
        bottom += _ROW + 17 * (len(lines) - 1)
    description = "Every error class under MeshAPIError, with the first sentence of its docstring."
    return _card("The tree of errors", description, bottom, parts)


def _walk(error: type[errors.MeshAPIError], depth: int = 0) -> Iterator[tuple[int, type]]:
    yield depth, error
    for below in error.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _walk(below, depth + 1)


def _wrapped(sentence: str) -> list[str]:
    """Its lines, about equally long."""
    count = len(textwrap.wrap(sentence, 84))
    return textwrap.wrap(sentence, 84 if count == 1 else len(sentence) // count + 8)


def _name(x: float, y: float, name: str) -> str:
    font = f'font-weight="600" font-family="{_MONO}" font-size="13"'
    return f'<text x="{x}" y="{y}" {font}>{name}</text>\n'


def _sentence(y: float, lines: list[str]) -> str:
    return "".join(
        f'<text x="{_WORDS}" y="{y + 17 * number}" font-size="12.5" fill="{_SOFT}">'
        f"{escape(line)}</text>\n"
        for number, line in enumerate(lines)
    )


def _elbow(x: float, y: float, right: float, bottom: float) -> str:
    return f'<path d="M{x} {y}V{bottom}H{right}" fill="none" stroke="{_LINE}"/>\n'


def _card(title: str, description: str, height: float, parts: list[str]) -> str:
    """A light card, so that it reads the same on a dark page."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        f' aria-labelledby="title description" font-family="system-ui, sans-serif" font-size="14"'
        f' fill="{_INK}">\n'
        f'<title id="title">{title}</title>\n'
        f'<desc id="description">{description}</desc>\n'
        f'<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        f' orient="auto"><path d="M0 0L8 4L0 8z" fill="{_LINE}"/></marker>\n'
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>\n'
        f'<text x="28" y="34" font-size="16" font-weight="600">{title}</text>\n'
        f"{''.join(parts)}</svg>\n"
    )


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, drawing in drawings().items():
        (FOLDER / name).write_text(drawing)


if __name__ == "__main__":
    main()
