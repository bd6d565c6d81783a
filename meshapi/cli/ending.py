"""How a command ends: with a status, and a sentence on stderr where something went wrong."""

from __future__ import annotations

import argparse
import io
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from meshapi.cli.printing import tell
from meshapi.cli.statuses import (
    INTERRUPTED,
    NOBODY_READS,
    STATUSES,
    WRONG_USAGE,
    advice_on,
    status_of,
)
from meshapi.errors import MeshAPIError


class WrongUsage(Exception):
    """The command was called in a way that cannot work; its text says why."""


def run(options: argparse.Namespace) -> int:
    """Run a command, and return its exit status; nothing that goes wrong shows a traceback."""
    _make_streams_patient()
    try:
        command = import_module(f"meshapi.cli.{options.command}")
        status = int(command.run(options))
        sys.stdout.flush()
    except MeshAPIError as error:
        return told(error)
    except WrongUsage as wrong:
        tell(f"meshapi: {wrong}")
        return WRONG_USAGE
    except KeyboardInterrupt:
        tell("")
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return NOBODY_READS
    except OSError as error:  # Such as a full disk that stdout goes to.
        _forget_stdout()
        tell(f"meshapi: {error.strerror or error}")
        return STATUSES[MeshAPIError]
    return status


def told(error: MeshAPIError) -> int:
    """Say what went wrong and what to do about it, and return the exit status for it."""
    tell(f"meshapi: {error}")
    if advice := advice_on(error):
        tell(f"         {advice}")
    return status_of(error)


def _make_streams_patient() -> None:
    """Neither a closed stream nor text that it has no place for is a reason to stop."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  # Open to the end.
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115  # Open to the end.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _forget_stdout() -> None:
    # What is still in its buffer would fail once more, loudly, when the interpreter ends.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
