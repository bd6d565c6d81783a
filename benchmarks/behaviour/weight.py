"""What an installation of a client is: `main(PACKAGE)` prints its weight, where it is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import Distribution, distributions, metadata
from pathlib import Path

_OF_THE_ENVIRONMENT = {"pip", "setuptools"}


def main(package: str) -> None:
    """Print the weight as JSON."""
    module = import_module(package)
    installed = [each for each in distributions() if each.name not in _OF_THE_ENVIRONMENT]
    size = sum(each.stat().st_size for dist in installed for each in _files(dist, module.__file__))
    weight = {
        "python": metadata(package)["Requires-Python"],
        "packages": len(installed),
        "megabytes": size / 1e6,
    }
    print(json.dumps(weight))


def _files(dist: Distribution, module: str | None) -> Iterator[Path]:
    """The files of a distribution, bytecode aside; of an editable one those of its package."""
    files = [Path(str(each.locate())) for each in dist.files or []]
    if module and dist.name == "meshapi" and "site-packages" not in module:
        files = list(Path(module).parent.rglob("*"))
    return (each for each in files if each.is_file() and each.suffix != ".pyc")
