"""What came out of a run: for each row and client its figures, one for each round."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads import WORKLOADS, Workload

OURS = "meshapi"
FIGURES = Path(__file__).parent / "figures.json"


@dataclass(frozen=True)
class Row:
    """A workload, and what it cost each client."""

    name: str
    figures: dict[str, list[float]]

    @property
    def workload(self) -> Workload:
        """What was done."""
        return WORKLOADS[self.name]

    def median(self, client: str) -> float | None:
        """What it cost a client; None where it was not measured."""
        return statistics.median(self.figures[client]) if self.figures.get(client) else None

    def spread(self, client: str) -> float:
        """Half of the way from the least to the most, as a part of the median."""
        median = self.median(client)
        found = self.figures[client]
        return (max(found) - min(found)) / 2 / median if median else 0.0

    def ratio(self, client: str) -> float | None:
        """How many times what the one beside it takes."""
        ours, theirs = self.median(client), self.median(self.workload.beside)
        return ours / theirs if ours is not None and theirs else None

    @property
    def is_reached(self) -> bool | None:
        """Whether this project costs no more than it wants to; None where that is not measured."""
        ratio, median = self.ratio(OURS), self.median(OURS)
        if self.workload.reach is not None and ratio is not None:
            return round(ratio, 2) <= self.workload.reach
        if self.workload.at_most is not None and median is not None:
            return median <= self.workload.at_most
        return None


def save(rows: list[Row], path: Path) -> None:
    """Write the figures down, as they came."""
    figures = {row.name: row.figures for row in rows}
    path.write_text(json.dumps(figures, indent=1) + "\n")


def load(path: Path) -> list[Row]:
    """Read what was written down."""
    return [Row(name, figures) for name, figures in json.loads(path.read_text()).items()]
