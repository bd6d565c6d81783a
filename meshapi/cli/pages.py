"""Where an answer appears while it comes: as plain text, or as Markdown that rich renders."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from meshapi.cli.printing import harmless, has_rich, shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.markdown import Markdown

_FRAMES_PER_SECOND = 8


class Page(Protocol):
    """Takes an answer piece by piece."""

    def write(self, piece: str) -> None:
        """Show the next piece."""
        ...

    def end(self) -> None:
        """Show what is left, and begin a new line."""
        ...


def new_page() -> Page:
    """The best page that stdout can show."""
    return MarkdownPage() if has_rich() else PlainPage()


class PlainPage:
    """Shows every piece as it comes."""

    def __init__(self) -> None:
        """Begin at the beginning of a line."""
        self._last = "\n"

    def write(self, piece: str) -> None:
        """Show the next piece."""
        sys.stdout.write(shown(piece, sys.stdout))
        sys.stdout.flush()
        self._last = piece[-1:] or self._last

    def end(self) -> None:
        """Begin a new line, unless the answer did."""
        if self._last != "\n":
            print(flush=True)


class MarkdownPage:
    """Prints a block once it is finished, and shows the last one while it grows."""

    def __init__(self) -> None:
        """Begin with nothing."""
        from rich.console import Console

        self._console = Console()
        self._growing = ""
        self._live: Live | None = None

    def write(self, piece: str) -> None:
        """Show the next piece."""
        self._growing += harmless(piece)
        if "\n" in piece:
            self._print_finished()
        self._shown_live().update(_Tail(self._growing))

    def end(self) -> None:
        """Print the last block."""
        if self._live:
            self._live.stop()
            self._live = None
        if self._growing.strip():
            self._console.print(_markdown(self._growing))
        self._growing = ""

    def _print_finished(self) -> None:
        place = start_of_last_block(self._growing)
        finished, self._growing = self._growing[:place], self._growing[place:]
        if finished.strip():
            self._console.print(_markdown(finished))
            self._console.print()

    def _shown_live(self) -> Live:
        if self._live is None:
            from rich.live import Live

            # It vanishes at the end, when the whole block is printed in its place.
            self._live = Live(
                console=self._console, refresh_per_second=_FRAMES_PER_SECOND, transient=True
            )
            self._live.start()
            self._console.show_cursor()  # Whoever stops this by force would be left without one.
        return self._live


class _Tail:
    """The end of a text, as much as the terminal has lines: more could not be taken back."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        # Read for each frame, not for each piece; and no more of it than may be seen.
        text = _markdown(end_of(self._text, console.height))
        lines = console.render_lines(text, options.update(height=None), pad=False)
        for line in lines[-(console.height - 1) :]:
            yield from line
            yield Segment.line()


def _markdown(text: str) -> Markdown:
    from rich.markdown import Markdown

    # A link shows where it leads.
    return Markdown(text, hyperlinks=False)


def end_of(text: str, lines: int) -> str:
    """The last lines of a block, inside of the fence or below the head of the table they are in."""
    every = text.splitlines(keepends=True)
    dropped, kept = every[:-lines], every[-lines:]
    fence = ""
    for line in dropped:
        fence = _fence_after(line.strip(), fence)
    is_table = len(dropped) > 1 and not dropped[1].strip("|:- \n") and "-" in dropped[1]
    head = [f"{fence}\n"] if fence else dropped[: 2 * is_table]
    return "".join([*head, *kept])


def start_of_last_block(text: str) -> int:
    """Where the last block of a Markdown text begins; what stands before it changes no more.

    A block ends at a blank line, but not inside a fence, and not before a line that is indented.
    """
    start = place = 0
    fence = ""
    after_blank = False
    for line in text.splitlines(keepends=True):
        if after_blank and not fence and not line[0].isspace():
            start = place
        fence = _fence_after(line.strip(), fence)
        after_blank = not line.strip()
        place += len(line)
    return start


def _fence_after(line: str, fence: str) -> str:
    """The fence that is open after a line, "" if none is."""
    if fence:
        closes = line.startswith(fence) and not line.strip(fence[0])
        return "" if closes else fence
    mark = line[:1]
    length = len(line) - len(line.lstrip(mark)) if mark and mark in "`~" else 0
    return mark * length if length >= 3 else ""
