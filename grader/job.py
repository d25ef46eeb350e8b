"""What a sandbox is asked to do."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import Any

from grader.confine import Limits


@dataclass(frozen=True)
class Run:
    """One check that may compute for `seconds`: the notebook's own definition, or with `overlay` put in its place."""

    check: str
    seed: int
    seconds: float
    overlay: str = ""


@dataclass(frozen=True)
class Job:
    """What a sandbox is asked to do. Contains no answer.

    cells:    sources of the code cells, in order; `skip` are the positions not to run, `tests` those of the
              lesson's own tests.
    overlays: author's source that defines misconceptions and alternatives; empty for a student.
    module:   the name under which `overlays` may import what the cells defined.
    confined: False only where course.yaml says `sandbox: off`.
    suspect:  the cells mention something forbidden: find out whether a problem reaches it.
    given:    further arguments of checks, encoded, by the name that the check has for them. They are the same for
              all submissions, and travel to the process that those are forked from.
    """

    cells: tuple[str, ...]
    runs: tuple[Run, ...]
    limits: Limits
    skip: tuple[int, ...] = ()
    tests: tuple[int, ...] = ()
    overlays: tuple[str, ...] = ()
    module: str = ""
    scratch: str = ""
    confined: bool = True
    suspect: bool = True
    given: dict[str, bytes] = field(default_factory=dict)

    def message(self) -> list[Any]:
        runs = [(run.check, run.seed, run.seconds, run.overlay) for run in self.runs]
        facts = (self.skip, self.tests, self.overlays, self.module, self.scratch, self.confined, self.suspect)
        return [self.cells, runs, astuple(self.limits), *facts]

    @classmethod
    def from_message(cls, message: list[Any]) -> Job:
        cells, runs, limits, skip, tests, overlays, *facts = message
        runs = tuple(Run(*run) for run in runs)
        return cls(tuple(cells), runs, Limits(*limits), tuple(skip), tuple(tests), tuple(overlays), *facts)
