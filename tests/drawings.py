"""`python -m tests.drawings`: the drawings of the documentation, into docs/drawings.

The tree of errors is read from the classes. How a call and a stream work are steps from top to
bottom, each with what may happen there instead on its right, and ways back on the left.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Literal

from meshapi import errors
from tests.reference import first_sentence

FOLDER = Path(__file__).parent.parent / "docs" / "drawings"

_INK, _SOFT, _LINE = "#1f2933", "#52606d", "#9aa5b1"
_MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


@dataclass(frozen=True)
class Aside:
    """What may happen at a step instead of going on: an answer, a failure, an error raised."""

    kind: Literal["answer", "failure", "error"]
    what: str
    when: str


@dataclass(frozen=True)
class Step:
    """One box of a way: what happens, and a line about it."""

    what: str
    detail: str
    asides: tuple[Aside, ...] = ()
    is_yours: bool = False


@dataclass(frozen=True)
class Way:
    """Steps in their order; `back` goes from a step to an earlier one, by their numbers."""

    title: str
    description: str
    steps: list[Step]
    back: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])


CALL = Way(
    "How a call works",
    "From the line that calls create to the answer or the error: the request is described, waits "
    "for its turn and a connection, is sent, and its answer is read. What failed and certainly was "
    "not run is retried after a wait, within the deadline of the call.",
    [
        Step(
            "client.chat.completions.create(params)",
            "your line; the params were checked when they were built",
            (Aside("error", "InvalidRequest", "it cannot be written as JSON: nothing is sent"),),
            is_yours=True,
        ),
        Step(
            "The deadline starts",
            "timeout: 310 s for all that follows, unless you say else",
            (Aside("error", "DeadlineExceeded", "it passes, whatever is being waited for"),),
        ),
        Step(
            "Wait for a turn",
            "only with rate_limit=RateLimit(...)",
            (Aside("error", "RateLimitExceeded", "the turn would come after the deadline"),),
        ),
        Step(
            "A connection",
            "one that was kept, or a new one: address, proxy, TLS",
            (Aside("failure", "ConnectionFailed", "none is made: not_sent"),),
        ),
        Step(
            "The request leaves",
            "the same Idempotency-Key in each attempt, and its number",
            (Aside("failure", "ConnectionFailed", "no answer, or half of one: ambiguous"),),
        ),
        Step(
            "An answer comes in",
            "inflated and bounded, within what the deadline leaves",
            (
                Aside("answer", "ChatCompletionResponse", "it is whole: this is what you get"),
                Aside("failure", "APIStatusError", "the gateway says no: what it says decides"),
                Aside("failure", "InvalidResponse", "it makes no sense, such as HTML: final"),
            ),
        ),
        Step(
            "If it failed: may it be retried?",
            "retry_safety, max_retries, the budget, the deadline",
            (Aside("error", "The error is raised", "it is ambiguous or final, or no try is left"),),
        ),
    ],
    {(6, 2): "yes: wait as long as the server asked, then retry"},
)

STREAM = Way(
    "How a stream works",
    "From the line that calls stream to the whole answer or the error: until the first event it "
    "is opened like a call and may be opened again; after it never. Each event becomes a chunk and "
    "is added up. The stream is complete when it says so; all else raises with what had come.",
    [
        Step(
            "client.chat.completions.stream(params)",
            "your line, in a with block",
            (Aside("error", "InvalidRequest", "it cannot be written as JSON: nothing is sent"),),
            is_yours=True,
        ),
        Step(
            "It is opened like a call",
            "wait for a turn, connect, send, read the head of the answer",
            (
                Aside(
                    "error", "APIStatusError, ConnectionFailed", "as of a call, when no try is left"
                ),
            ),
        ),
        Step(
            "The first event",
            "unless it is an error, nothing is retried from here on",
            (Aside("error", "DeadlineExceeded", "none came within Timeout.first_event"),),
        ),
        Step(
            "An event becomes a chunk",
            "bytes, an event, a ChatCompletionChunk",
            (
                Aside(
                    "error", "APIStatusError with partial", "the event is an error of the gateway"
                ),
                Aside("error", "StreamInterrupted with partial", "it cannot be read, or is cut"),
            ),
        ),
        Step("It is added up", "text, reasoning, tool calls and usage, for final()"),
        Step(
            "for chunk in stream: ...",
            "your loop; or over text_stream or events",
            (
                Aside(
                    "answer", "break, close(), an exception", "you leave: the connection is freed"
                ),
                Aside("error", "DeadlineExceeded with partial", "no event within Timeout.idle"),
            ),
            is_yours=True,
        ),
        Step(
            "[DONE], or a finish_reason for every choice",
            "the stream is complete",
            (Aside("error", "StreamInterrupted with partial", "it ends, and neither has come"),),
        ),
        Step(
            "The connection goes back",
            "what is left of the body is read, for 0.1 s at the most",
            (Aside("answer", "stream.final()", "the whole ChatCompletionResponse"),),
        ),
    ],
    {(1, 1): "retried like a call", (5, 3): "the next event"},
)

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
