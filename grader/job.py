"""What a sandbox is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from grader.confine import Limits


@dataclass(frozen=True)
class Run:
    """One check to run for at most `seconds`: the notebook's own definition, or with `overlay` put in its place."""

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
    given:    further arguments of checks, encoded, by the name that the check has for them.
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

    def message(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Job:
        return cls(
            cells=tuple(message["cells"]),
            runs=tuple(Run(**run) for run in message["runs"]),
            limits=Limits(**message["limits"]),
            skip=tuple(message["skip"]),
            tests=tuple(message["tests"]),
            overlays=tuple(message["overlays"]),
            module=message["module"],
            scratch=message["scratch"],
            confined=message["confined"],
            suspect=message["suspect"],
            given=message["given"],
        )
