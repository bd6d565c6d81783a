"""The figures as bars, next to each other."""

from __future__ import annotations

from xml.sax.saxutils import escape

from benchmarks.environments import CLIENTS
from benchmarks.figures import OURS, Row

_COLOURS = {
    "meshapi": "#0b6e4f",
    "httpx": "#8d99ae",
    "official": "#e09f3e",
    "openai": "#9e2a2b",
    "openrouter": "#540b0e",
}
_LEFT, _WIDTH, _BAR, _TITLE, _GAP, _TOP = 12, 520, 11, 17, 12, 92
_MOST = 6.0
"""The longest bar, in times what httpx alone takes; what is longer is cut off, and says so."""


def chart(rows: list[Row]) -> str:
    """An SVG of the CPU time of each client, in multiples of what httpx alone takes."""
    timed = [row for row in rows if row.workload.unit in {"µs", "ms"} and row.median("httpx")]
    names = [each for each in _COLOURS if any(each in row.figures for row in timed)]
    step = _TITLE + len(names) * _BAR + _GAP
    height = _TOP + step * len(timed)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" font-family="system-ui, sans-serif" font-size="12">',
        "<title>CPU time of a client, in multiples of what httpx alone takes</title>",
        # White on a dark page too: the colours are chosen for it.
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
        *_legend(names),
        _line(_x(1.0), height),
        # The line goes behind the words, not through them.
        '<g stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke">',
    ]
    for place, row in enumerate(timed):
        parts += _group(row, names, _TOP + place * step)
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def _x(ratio: float) -> float:
    return _LEFT + min(ratio, _MOST) * (_WIDTH - _LEFT - 60) / _MOST


def _legend(names: list[str]) -> list[str]:
    title = "CPU time, httpx alone is 1: shorter is better"
    parts = [f'<text x="{_LEFT}" y="24" font-weight="600" font-size="14">{title}</text>']
    for place, name in enumerate(names):
        x, y = _LEFT + place % 3 * 165, 38 + place // 3 * 20
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{_COLOURS[name]}"/>')
        parts.append(f'<text x="{x + 18}" y="{y + 10}">{escape(CLIENTS[name].title)}</text>')
    return parts


def _line(x: float, height: int) -> str:
    return f'<path d="M{x:.0f} {_TOP - 6}V{height - 8}" stroke="#999" stroke-dasharray="3 3"/>'


def _group(row: Row, names: list[str], top: int) -> list[str]:
    title = escape(row.workload.title)
    parts = [f'<text x="{_LEFT}" y="{top + 12}">{title}</text>']
    median = row.median("httpx")
    for place, name in enumerate(names):
        figure = row.median(name)
        if figure is None or not median:
            continue
        ratio, y = figure / median, top + _TITLE + place * _BAR
        width = _x(ratio) - _LEFT
        weight = ' font-weight="600"' if name == OURS else ""
        said = f"{ratio:.2f}" + (" →" if ratio > _MOST else "")
        parts.append(
            f'<rect x="{_LEFT}" y="{y}" width="{width:.0f}" height="{_BAR - 1}" '
            f'fill="{_COLOURS[name]}" stroke="none"/>'
        )
        parts.append(
            f'<text x="{_LEFT + width + 5:.0f}" y="{y + 9}" font-size="10"{weight}>{said}</text>'
        )
    return parts
