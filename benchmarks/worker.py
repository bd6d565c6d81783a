"""One client, one workload, one process: `worker.py ADAPTER WORKLOAD URL` prints one number.

What is imported before the client would not count as its own, so that comes first.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from benchmarks.adapters import Adapter


def main(adapter: str, workload: str, url: str) -> None:
    """Import the client, run the workload, print what it cost."""
    begun = time.process_time()
    module = import_module(f"benchmarks.adapters.{adapter}")
    imported = time.process_time() - begun

    from benchmarks.workloads import WORKLOADS

    print(WORKLOADS[workload].run(cast("Adapter", module), url, imported))


if __name__ == "__main__":
    main(*sys.argv[1:])
