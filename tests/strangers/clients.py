"""The strangers, each in an environment of its own, which is kept for the next run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from benchmarks.environments import ROOT, Client
from tests.strangers.wordings import Target

_HERE = "127.0.0.1"


@dataclass(frozen=True)
class Result:
    """What came of one check with one stranger."""

    stranger: str
    check: str
    ok: bool
    said: str


@dataclass(frozen=True)
class Stranger(Client):
    """A client, and the module that runs its checks where it is installed."""

    @property
    def version(self) -> str:
        """The client and its version."""
        return self.versions(self.requirements[0].partition("==")[0])

    def results(self, target: Target) -> Iterator[Result]:
        """Run all checks in a process of its own."""
        # At the end of the path, where this project hides no client of the same name.
        code = f"import sys; sys.path.append({str(ROOT)!r}); from tests.strangers import worker; "
        command = [self._python, "-I", "-c", code + "worker.main(*sys.argv[1:])"]
        run = subprocess.run(
            [*command, self.adapter, json.dumps(asdict(target))],
            env={**os.environ, "NO_PROXY": _HERE, "no_proxy": _HERE},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=600,
        )
        for line in run.stdout.splitlines():
            yield Result(self.title, **json.loads(line))
        if run.returncode:
            yield Result(self.title, "all", ok=False, said=f"exit status {run.returncode}")


@dataclass(frozen=True)
class Curl(Stranger):
    """The `curl` of this machine: it needs no environment."""

    @property
    def _python(self) -> str:
        return sys.executable

    @property
    def version(self) -> str:
        """The command and its version."""
        run = subprocess.run(["curl", "--version"], check=True, capture_output=True, text=True)
        return " ".join(run.stdout.split()[:2])

    def install(self) -> None:
        """Use what is there."""


STRANGERS: tuple[Stranger, ...] = (
    Stranger("openai", "openai_client", ("openai==3.54.0",)),
    Stranger("official meshapi", "official_client", ("meshapi==0.1.11",)),
    Curl("curl", "curl_client", ()),
    Stranger("schemathesis", "contract", ("schemathesis==4.32.5",)),
)
