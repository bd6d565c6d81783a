"""A virtual environment for each client, made when it is first measured."""

from __future__ import annotations

import os
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FOLDER = ROOT / ".benchmarks"


@dataclass(frozen=True)
class Client:
    """A client, where it is installed from, and the adapter that calls it."""

    title: str
    adapter: str
    requirements: tuple[str, ...]
    rounds: int = 1000
    """How often it is run at most: the slowest needs no three runs to be told from the others."""

    @property
    def _folder(self) -> Path:
        return _FOLDER / "-".join(self.requirements).replace(str(ROOT), "here").replace("/", "_")

    @property
    def _python(self) -> str:
        return str(self._folder / ("Scripts" if os.name == "nt" else "bin") / "python")

    @property
    def is_made(self) -> bool:
        """Whether its environment is there."""
        return (self._folder / "made").exists()

    def install(self) -> None:
        """Make the environment, unless an earlier run did."""
        if self.is_made:
            return
        venv.create(self._folder, with_pip=True, clear=True)
        pip = [self._python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *self.requirements], check=True)
        (self._folder / "made").touch()

    def versions(self, *packages: str) -> str:
        """The versions of those packages that it has."""
        code = (
            "import importlib.metadata as m, sys\n"
            "known = {each.name.lower(): each.version for each in m.distributions()}\n"
            "print(', '.join(f'{p} {known[p]}' for p in sys.argv[1:] if p in known))"
        )
        command = [self._python, "-c", code, *packages]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def measure(self, workload: str, url: str) -> float:
        """Run a workload in a process of its own.

        Raises:
            RuntimeError: the client failed, in these words.
        """
        return float(self.run("benchmarks.worker", self.adapter, workload, url))

    def run(self, module: str, *arguments: str) -> str:
        """What the `main` of a module of ours prints in a process of the client's environment.

        Raises:
            RuntimeError: it failed, in these words.
        """
        # Isolated, and at the end of the path, where this project hides no client of its name.
        code = f"import sys; sys.path.append({str(ROOT)!r}); from {module} import main; "
        command = [self._python, "-I", "-c", code + "main(*sys.argv[1:])", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            words = " ".join(arguments)
            raise RuntimeError(f"{self.title} could not do {module} {words}:\n{run.stderr}")
        return run.stdout


CLIENTS = {
    "meshapi": Client("meshapi", "mesh", ("--editable", str(ROOT))),
    "httpx": Client("httpx alone", "httpx_alone", ("httpx==0.28.1",)),
    "floor": Client("httpx + pydantic", "floor", ("httpx==0.28.1", "pydantic")),
    "openai": Client("openai", "openai_sdk", ("openai==3.54.0",)),
    "openrouter": Client("openrouter", "openrouter_sdk", ("openrouter==1.3.84",), rounds=1),
    "official": Client("meshapi 0.1.11", "mesh", ("meshapi==0.1.11",)),
}
