"""The site of the documentation, built in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_PAGES = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
_NEEDED = ["docs", "examples", "meshapi", *_PAGES, "zensical.toml"]


def build(folder: Path) -> Path:
    """Build it strictly from a copy in the folder, so that no cache lands in the repository."""
    for name in _NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"
