"""What comes out of grading one submission. Plain data, the same for the same submission, course and seed."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Verdict(StrEnum):
    """What became of one check."""

    PASSED = "passed"
    WRONG = "wrong"
    RAISED = "raised"
    TIMED_OUT = "timed out"
    NOT_ATTEMPTED = "not attempted"
    FORBIDDEN = "forbidden"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Picture(_Model):
    """What an answer looks like, where a person would rather look than read. It obeys the course's reveal policy.

    kind:     a map of a matrix's rows; a curve for each row, over its index; a path, of a row of x and one of y.
    part:     which part of the answer it is, if not all of it.
    observed: the student's numbers, rounded and apart by spaces: a row each.
    expected: the reference's, if they may be seen. off: 1 where the student's are wrong, if that may be seen, else 0.
    """

    kind: Literal["map", "curve", "path"]
    part: str
    observed: tuple[str, ...]
    expected: tuple[str, ...] = ()
    off: tuple[str, ...] = ()


class CheckResult(_Model):
    """One check of one submission. `message`, `case` and `picture` already obey the course's reveal policy.

    case: the smallest input that goes wrong, if the check has several; the message begins with it.
    """

    name: str
    title: str
    verdict: Verdict
    points: float
    score: float
    message: str = ""
    hint: str = ""
    case: str = ""
    picture: Picture | None = None


class Diagnosis(_Model):
    """The misconception that explains a wrong answer. `sure` if it explains every check of the problem."""

    misconception: str
    message: str
    lecture: str
    sure: bool


class ProblemResult(_Model):
    """One graded function or class. `habits` are sentences on what is wrong with it and is no mistake in the maths."""

    name: str
    bonus: bool
    checks: tuple[CheckResult, ...]
    diagnosis: Diagnosis | None = None
    habits: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)

    @property
    def score(self) -> float:
        return sum(check.score for check in self.checks)

    @property
    def solved(self) -> bool:
        return all(check.verdict is Verdict.PASSED for check in self.checks)


class CellResult(_Model):
    """A code cell that did not simply run: its position in the notebook, counted from 1."""

    cell: int
    status: str
    message: str


class Usage(_Model):
    """What the processes of a submission used, as the limits count it: seconds of computing, all together, and the
    most memory that one of them asked for. Seen from outside them."""

    seconds: float = 0.0
    memory_mb: float = 0.0

    def and_then(self, other: Usage) -> Usage:
        """With what another process used after it."""
        return Usage(seconds=self.seconds + other.seconds, memory_mb=max(self.memory_mb, other.memory_mb))


class Measured(_Model):
    """The usage as it is kept in a file, with the digest of the submission that it is of."""

    digest: str
    usage: Usage


class Report(_Model):
    """All of it for one submission.

    `score` may exceed `points` by the bonus. `outputs` are what the cells printed and showed, by position in the
    notebook, and `usage` is None if nothing ran or was measured. They are no part of the report's JSON: the outputs are
    the student's, and the usage differs from time to time.
    """

    course: str
    assignment: str
    submission: str
    digest: str
    score: float
    points: float
    bonus_points: float
    problems: tuple[ProblemResult, ...]
    cells: tuple[CellResult, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: dict[int, list[dict[str, Any]]] = Field(default_factory=dict, exclude=True, repr=False)
    usage: Usage | None = Field(default=None, exclude=True, repr=False)

    def with_notes(self, notes: Iterable[str]) -> Report:
        return self.model_copy(update={"notes": (*self.notes, *notes)})

    def with_earlier(self, earlier: Report) -> Report:
        """This report on a few problems, made whole with what an earlier one says of the others."""
        new = {problem.name: problem for problem in self.problems}
        problems = tuple(new.get(problem.name, problem) for problem in earlier.problems)
        score = sum(problem.score for problem in problems)
        return self.model_copy(update={"problems": problems, "score": score, "usage": None})  # that of a part only

    def text(self) -> str:
        """The report as it is kept in a file."""
        return self.model_dump_json(indent=1) + "\n"

    def measured(self) -> str:
        """The usage as it is kept in a file, or nothing."""
        return Measured(digest=self.digest, usage=self.usage).model_dump_json() if self.usage else ""

    def problem(self, name: str) -> ProblemResult | None:
        return next((problem for problem in self.problems if problem.name == name), None)
