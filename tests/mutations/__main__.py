"""Put each fault into a copy of the package, and see that a test fails.

python -m tests.mutations [words of a promise]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutations.mutation import Mutation
from tests.mutations.table import MUTATIONS

ROOT = Path(__file__).parents[2]
WORKERS = 2
SECONDS = 90


def copy_to(folder: Path) -> Path:
    copy = folder / "copy"
    for name in ("meshapi", "tests", "examples", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def is_caught(mutation: Mutation, copy: Path) -> bool:
    """Whether the tests that pass without the fault fail with it."""
    path = copy / "meshapi" / mutation.file
    source = path.read_text()
    if source.count(mutation.old) != 1:
        raise LookupError(f"{mutation.promise}: not found once in {mutation.file}")
    path.write_text(source.replace(mutation.old, mutation.new))
    try:
        return not passes(mutation.tests, copy)
    finally:
        path.write_text(source)


def passes(tests: str, copy: Path) -> bool:
    files, *words = tests.split(" -k ")
    chosen = ["-k", " and ".join(words)] if words else []
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen]
    command += [f"tests/{file}" for file in files.split()]
    try:
        run = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return False
    if run.returncode == 5:
        raise LookupError(f"No test is chosen by {tests}")
    return run.returncode == 0


def main() -> int:
    words = " ".join(sys.argv[1:]).lower()
    chosen = [each for each in MUTATIONS if words in each.promise.lower()]
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(WORKERS):
            copies.put(copy_to(Path(folder) / str(number)))

        def judge(mutation: Mutation) -> bool:
            copy = copies.get()
            try:
                caught = is_caught(mutation, copy)
            except LookupError as error:
                caught = False
                print(error)  # noqa: T201  # A report.
            finally:
                copies.put(copy)
            print("caught  " if caught else "SURVIVED", mutation.promise, flush=True)  # noqa: T201  # A report.
            return caught

        with ThreadPoolExecutor(WORKERS) as workers:
            verdicts = list(workers.map(judge, chosen))
    print(f"{sum(verdicts)} of {len(verdicts)} caught")  # noqa: T201  # A report.
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
