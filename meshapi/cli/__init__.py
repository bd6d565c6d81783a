"""The command line: `meshapi chat`, `local`, `doctor` and `models`."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status; wrong usage exits with 2."""
    try:
        from meshapi.cli.arguments import parser

        options = parser().parse_args(arguments)
        from meshapi.cli.ending import run  # Who asks for help needs no more than the parser.

        return run(options)
    except KeyboardInterrupt:
        return 130  # Before anything was imported that could say so.
