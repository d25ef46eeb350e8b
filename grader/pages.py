"""HTML: the table of checks under a graded cell, the pages of a submission, a class and a course. All is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from grader.pictures import figure
from grader.report import CheckResult, ProblemResult, Report, Verdict

if TYPE_CHECKING:
    from grader.class_report import CheckStatistics, ClassReport, CourseReport, ProblemStatistics
    from grader.similar import Side, SimilarReport

_TEMPLATES = Path(__file__).parent / "templates"

# What an alpha of so much or more says.
_ALPHA = (
    (0.9, "the problems order this class almost alike"),
    (0.8, "the problems order this class much alike"),
    (0.7, "the problems agree well enough to compare students"),
    (0.0, "the problems measure different things, and a few points more or less say little about a student"),
    (float("-inf"), "the problems work against each other; look at those with a negative discrimination"),
)
# Submissions from which an estimate of alpha begins to be steady.
_FEW = 30


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "points": lambda number: f"{round(number, 2):g}",
        "tenths": lambda number: f"{round(number, 1):g}",
        "amount": lambda number: f"{round(number, 1 if number >= 10 else 2):g}",
        "percent": lambda share: f"{100 * share:.0f}\N{NARROW NO-BREAK SPACE}%",
        "coefficient": _coefficient,
        "figure": figure,
        "moment": lambda moment: f"{_date(moment)}, {moment:%H:%M}",
        "date": _date,
        "pieces": _pieces,
    }
    made.filters |= filters
    return made


def _coefficient(number: float) -> str:
    return f"{number:.2f}".replace("-", "−").replace("−0.00", "0.00")


def _date(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def checks_table(problem: ProblemResult, own_tests: str = "") -> str:
    """The checks of one problem, for the output of its graded cell.

    own_tests: the error with which the tests that the student sees there stopped, if they did.
    """
    return _templates().get_template("cell.html").render(problem=problem, own_tests=own_tests)


def report_page(report: Report, title: str) -> str:
    """A page of its own for one submission: one file, works offline."""
    return _templates().get_template("report.html").render(report=report, title=title, script="")


def class_page(report: ClassReport, files: Mapping[str, str]) -> str:
    """The page of one assignment. files: what else there is of it, name -> link."""
    lectures: dict[str, set[str]] = defaultdict(set)
    for held in report.misconceptions:
        if held.lecture:
            lectures[held.lecture].update(held.holders)
    return _page(
        "class.html",
        report=report,
        files=files,
        students={one.student: one for one in report.students},
        lectures=sorted(((name, len(who)) for name, who in lectures.items()), key=lambda one: -one[1])[:3],
        remarkable=_remarkable(report),
        reliability=_reliability(report),
    )


def course_page(report: CourseReport, files: Mapping[str, str]) -> str:
    """The page of the course. files: what else there is of it, name -> link."""
    return _page("course.html", report=report, files=files, begun=[one for one in report.assignments if one.handed_in])


def similar_page(report: SimilarReport, files: Mapping[str, str]) -> str:
    """The page of similar submissions. files: what else there is of it, name -> link."""
    from grader.similar import COMMON, LEAST, MANY, RUN

    return _page("similar.html", report=report, files=files, run=RUN, common=COMMON, many=MANY, least=LEAST)


def _pieces(side: Side) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is marked."""
    position = 0
    for start, end in side.marks:
        yield side.text[position:start], False
        yield side.text[start:end], True
        position = end
    yield side.text[position:], False


def _page(template: str, **facts: Any) -> str:
    script = (_TEMPLATES / "sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Ours, and known to the page's policy by its digest: nothing else on the page can run.
    return _templates().get_template(template).render(script=Markup(script), script_digest=f"sha256-{digest}", **facts)


def _remarkable(report: ClassReport) -> dict[str, list[tuple[ProblemStatistics, CheckStatistics]]]:
    """The checks that a teacher should look at, by what is remarkable about them."""
    found: dict[str, list[tuple[ProblemStatistics, CheckStatistics]]] = {
        "Nobody reached": [],
        "Nobody passes": [],
        "Everybody passes": [],
        "Those who do well elsewhere fail here": [],
    }
    for problem in report.problems:
        for check in problem.checks:
            one = problem, check
            if not check.reached:
                found["Nobody reached"].append(one)
            elif not check.passed:
                found["Nobody passes"].append(one)
            elif check.passed == report.analysed:
                found["Everybody passes"].append(one)
            if check.discrimination.value is not None and check.discrimination.value < 0:
                found["Those who do well elsewhere fail here"].append(one)
    return found


def _reliability(report: ClassReport) -> str:
    """Cronbach's alpha in a sentence."""
    alpha = report.reliability.value
    if alpha is None:
        return f"How reliable the scores are can't be said: {report.reliability.why}."
    told = next(told for least, told in _ALPHA if alpha >= least)
    few = f" From {report.analysed} submissions this is a rough estimate." if report.analysed < _FEW else ""
    return (
        f"Cronbach's alpha is {_coefficient(alpha)}: {told}. It estimates how well the scores would agree with those "
        f"on other problems of the same kind, from 0, not at all, to 1; 0.7 is a usual demand (Nunnally and Bernstein, "
        f"Psychometric Theory, 1994).{few}"
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
