"""HTML: the table of checks under a graded cell, one submission's page, the class's table. Everything is escaped."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grader.report import CheckResult, ProblemResult, Report, Verdict

# How tall the tallest bar of the class's spread is, in the page's units.
_TALLEST = 2.2


@dataclass(frozen=True)
class ClassRow:
    """One student in the class's table.

    told:    sentences about what happened.
    link:    where the student's own page is, seen from the class's.
    about:   a few words that stand under the student's name.
    to_read: whether an answer waits for a person.
    """

    student: str
    score: float
    penalty: float
    told: tuple[str, ...]
    link: str = ""
    about: str = ""
    to_read: bool = False

    @property
    def final(self) -> float:
        return max(0.0, self.score - self.penalty)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def checks_table(problem: ProblemResult, own_tests: str = "") -> str:
    """The checks of one problem, for the output of its graded cell.

    own_tests: the error with which the tests that the student sees there stopped, if they did.
    """
    return _templates().get_template("cell.html").render(problem=problem, own_tests=own_tests)


def report_page(report: Report, title: str) -> str:
    """A page of its own for one submission: one file, works offline."""
    return _templates().get_template("report.html").render(report=report, title=title)


def class_page(title: str, points: float, rows: Sequence[ClassRow]) -> str:
    """The table of a class, with its median and spread; `points` are those that make 100 %."""
    finals = [row.final for row in rows]
    return (
        _templates()
        .get_template("class.html")
        .render(
            title=title,
            points=points,
            rows=rows,
            median=statistics.median(finals) if finals else 0,
            full=sum(final >= points for final in finals),
            to_read=sum(row.to_read for row in rows),
            late=sum(row.penalty > 0 for row in rows),
            spread=_spread([final / points for final in finals] if points else []),
        )
    )


def sentences(report: Report) -> tuple[str, ...]:
    """What happened in one submission, in short: the most telling thing about each problem that lost points."""
    told = list(report.notes)
    if any(check.message in report.notes for problem in report.problems for check in problem.checks):
        return tuple(told)  # it could not be read: that is all there is to say
    untouched = []
    for problem in report.problems:
        lost = [check for check in problem.checks if check.verdict is not Verdict.PASSED]
        if problem.diagnosis:
            perhaps = "" if problem.diagnosis.sure else "perhaps: "
            told.append(f"{problem.name}: {perhaps}{problem.diagnosis.message}")
        elif lost and lost[0].message.endswith("still raises NotImplementedError"):
            untouched.append(problem.name)
        elif lost:
            message = lost[0].message.removeprefix(f"{problem.name} ")
            told.append(
                f"{problem.name}: {message}" if len(lost) == len(problem.checks) else _one(problem.name, lost[0])
            )
    if untouched:
        told.append(f"not attempted: {', '.join(untouched)}")
    return tuple(told)


def _one(problem: str, check: CheckResult) -> str:
    return f"{problem}: {check.title.rstrip('.')}: {check.message}"


def _spread(shares: Sequence[float]) -> list[tuple[str, int, float]]:
    """(label, count, height) for every ten per cent; the bonus may lead beyond 100."""
    counts = [0] * 11
    for share in shares:
        counts[min(10, int(share * 10 + 1e-9))] += 1
    tallest = max(counts) or 1
    return [
        (f"{10 * step}{'+' if step == 10 else ''}", count, round(_TALLEST * count / tallest, 2))
        for step, count in enumerate(counts)
    ]
