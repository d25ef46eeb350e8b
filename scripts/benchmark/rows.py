"""The ways to grade, and what was measured of each."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from benchmark.processes import Measured

STOCK = "stock nbgrader"
STOCK_WITHOUT_PICTURES = "stock nbgrader, no pictures"
OTTER = "otter run"
CONTAINERS = "otter grade, 2 containers"
DOOR = "nbgrader autograde, our step"
BULK = "grader autograde"
COLD = "grader autograde, the first time"
ONE, TWO, DASK = f"{BULK} --jobs 1", f"{BULK} --jobs 2", f"{BULK} --dask, 2 workers"
BARE, BARE_TWO = "bare fork", "bare fork, 2 at a time"
PEERS = (STOCK, STOCK_WITHOUT_PICTURES, OTTER, CONTAINERS)
WITHOUT_PAGES = (OTTER, CONTAINERS, BARE, BARE_TWO)


@dataclass(frozen=True)
class Graded:
    """One run of a way to grade. feedback: None if the grading has made the pages, too, or there are none."""

    grading: Measured
    feedback: Measured | None = None

    @property
    def seconds(self) -> float:
        return self.grading.seconds + (self.feedback.seconds if self.feedback else 0)

    @property
    def peak(self) -> float:
        return max(self.grading.peak, self.feedback.peak if self.feedback else 0)


@dataclass
class Row:
    """A way to grade, and its runs. pages: whether they end with feedback pages.

    measured: how many submissions were graded in each run, if not as many as the row is about.
    """

    name: str
    submissions: int
    pages: bool
    runs: list[Graded] = field(default_factory=list)
    measured: int = 0

    @property
    def factor(self) -> float:
        return self.submissions / (self.measured or self.submissions)

    @property
    def seconds(self) -> float:
        return self.factor * statistics.median(run.seconds for run in self.runs)

    @property
    def grading_seconds(self) -> float:
        return self.factor * statistics.median(run.grading.seconds for run in self.runs)

    @property
    def feedback_seconds(self) -> float | None:
        found = [run.feedback.seconds for run in self.runs if run.feedback]
        return self.factor * statistics.median(found) if found else None

    @property
    def spread(self) -> tuple[float, float]:
        found = [self.factor * run.seconds for run in self.runs]
        return min(found), max(found)

    @property
    def per_minute(self) -> float:
        return 60 * self.submissions / self.seconds

    @property
    def peak(self) -> float:
        return max(run.peak for run in self.runs)

    def times(self, stock: Row | None) -> float | None:
        """How many times stock nbgrader's rate: with feedback if this way makes it, else of grading alone."""
        if stock is None:
            return None
        return stock.seconds / self.seconds if self.pages else stock.grading_seconds / self.grading_seconds

    def times_grading(self, stock: Row | None) -> float | None:
        """How many times, grading alone; nothing where the grading makes pages, too."""
        if stock is None or (self.pages and self.feedback_seconds is None):
            return None
        return stock.grading_seconds / self.grading_seconds
