"""`python -m tests.strangers.left`: the old sides of docs/migrating-*.md, each in its own client.

The new sides are run by the test suite.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.environments import CLIENTS
from meshapi.local import LocalGateway
from tests.migration import PAGES, Change, changes

_THERE = "https://api.meshapi.ai"


def main() -> int:
    """Run them all; the exit status is how many do not run, or say nothing."""
    failed = 0
    with LocalGateway() as gateway, tempfile.TemporaryDirectory() as folder:
        os.environ["MESHAPI_TOKEN"] = gateway.token
        for client in PAGES:
            CLIENTS[client].install()
            for change in changes(client):
                failed += not _said(client, change, gateway.base_url, Path(folder))
    return failed


def _said(client: str, change: Change, url: str, folder: Path) -> str:
    """What the program says at the local gateway, which is also printed."""
    script = folder / "before.py"
    script.write_text(change.before.replace(_THERE, url))
    try:
        said = CLIENTS[client].run("tests.strangers.script", str(script))
    except RuntimeError as problem:
        print(change, "DOES NOT RUN", problem)  # noqa: T201  # A report.
        return ""
    print(change, said.strip().splitlines()[-1:])  # noqa: T201  # A report.
    return said


if __name__ == "__main__":
    sys.exit(main())
