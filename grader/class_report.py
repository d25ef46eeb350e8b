"""The class report: what one class made of one assignment, and of the course. Reads reports, gradebook and submitted/.

A broken file costs that file, and is named in `faults`. What students wrote is in here as text: pages escape it.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from grader import statistics
from grader.course import Assignment, Course
from grader.grade import UNCONFINED
from grader.grades import Graded, Grades, Person, read_grades
from grader.habits import of_a_class
from grader.intake import student_fault
from grader.outputs import safe_text
from grader.pages import sentences
from grader.report import CheckResult, Diagnosis, ProblemResult, Report, Usage, Verdict
from grader.reports import read_reports, read_usage

# So many who used most are named.
_MOST = 5


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Statistic(_Model):
    """A number, or why there is none."""

    value: float | None = None
    why: str = ""


class CheckStatistics(_Model):
    """What became of one check. `discrimination` is the item-rest correlation with the autograded score."""

    name: str
    title: str
    points: float
    verdicts: dict[Verdict, int]
    reached: int
    difficulty: Statistic
    discrimination: Statistic

    @property
    def passed(self) -> int:
        return self.verdicts.get(Verdict.PASSED, 0)


class ProblemStatistics(_Model):
    """What became of one problem.

    reached:     how many attempted it.
    unexplained: who lost points in it by what no misconception explains.
    """

    name: str
    bonus: bool
    points: float
    reached: int
    difficulty: Statistic
    discrimination: Statistic
    unexplained: tuple[str, ...]
    checks: tuple[CheckStatistics, ...]


class Held(_Model):
    """A misconception of this class: who surely holds it, and who perhaps does."""

    problem: str
    misconception: str
    message: str
    lecture: str
    sure: tuple[str, ...]
    perhaps: tuple[str, ...]

    @property
    def holders(self) -> tuple[str, ...]:
        return self.sure + self.perhaps


class HabitHeld(_Model):
    """What is no mistake in the maths, and who does it, in which problems."""

    habit: str
    problems: tuple[str, ...]
    holders: tuple[str, ...]


class WrittenAnswer(_Model):
    """An answer that a person grades."""

    cell: str
    points: float
    graded: int
    waiting: int
    mean: Statistic


class Used(_Model):
    """What the submissions used of something that is limited.

    limit: what a whole submission may use.
    most:  who used most, the most first.
    """

    limit: float
    median: Statistic
    ninetieth: Statistic
    maximum: Statistic
    most: tuple[str, ...]


class StudentResult(_Model):
    """One student.

    score:    the gradebook's, with manual scores and bonus; None if there is none.
    possible: the points of all that has been graded: what waits for a person is not in it.
    problems: the autograded score of each problem.
    waiting:  the cells that a person has to grade.
    notes:    what makes the submission need a look.
    told:     what happened, in sentences.
    page:     the student's own page, as a link from the class's.
    usage:    None if it was not measured.
    """

    student: str
    name: str = ""
    state: Literal["graded", "not graded", "not handed in"] = "not handed in"
    handed_in: datetime | None = None
    seconds_late: float = 0.0
    late: bool = False
    score: float | None = None
    penalty: float = 0.0
    possible: float = 0.0
    problems: dict[str, float] = {}
    waiting: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    page: str = ""
    usage: Usage | None = None

    @property
    def final(self) -> float | None:
        return None if self.score is None else max(0.0, self.score - self.penalty)

    @property
    def share(self) -> float | None:
        """Of the points that have been graded; more than 1 by a bonus."""
        return self.final / self.possible if self.final is not None and self.possible > 0 else None


class ClassReport(_Model):
    """What a class made of one assignment.

    points:       what makes 100 %, answers in words included.
    distribution: how many students have [0, 10 %), ..., [90, 100 %), and 100 % or more.
    analysed:     the submissions that the statistics of problems and checks are about.
    measured:     those that the statistics of time and memory are about.
    faults:       files and grades that were left out or need a look, each with what to do.
    """

    course: str
    assignment: str
    title: str
    due: datetime
    points: float
    students: tuple[StudentResult, ...]
    mean: Statistic
    median: Statistic
    standard_deviation: Statistic
    distribution: tuple[int, ...]
    reliability: Statistic
    analysed: int
    problems: tuple[ProblemStatistics, ...]
    misconceptions: tuple[Held, ...]
    habits: tuple[HabitHeld, ...]
    written: tuple[WrittenAnswer, ...]
    measured: int
    seconds: Used
    memory_mb: Used
    faults: tuple[str, ...]

    @property
    def handed_in(self) -> tuple[StudentResult, ...]:
        return tuple(one for one in self.students if one.state != "not handed in")

    @property
    def missing(self) -> tuple[StudentResult, ...]:
        return tuple(one for one in self.students if one.state == "not handed in")

    @property
    def late(self) -> tuple[StudentResult, ...]:
        return tuple(one for one in self.students if one.late)

    @property
    def waiting(self) -> tuple[StudentResult, ...]:
        return tuple(one for one in self.students if one.waiting)

    @property
    def shares(self) -> list[float]:
        return [one.share for one in self.students if one.share is not None]


class AssignmentRow(_Model):
    """One assignment in the course's overview. `mean` and `median` are shares of the points."""

    assignment: str
    title: str
    due: datetime
    points: float
    handed_in: int
    mean: Statistic
    median: Statistic
    reliability: Statistic
    late: int
    waiting: int
    top: Held | None
    page: str


class StudentRow(_Model):
    """One student in the course's overview. `finals`: assignment -> points, None if there are none."""

    student: str
    name: str
    finals: dict[str, float | None]
    waiting: tuple[str, ...]
    total: float


class CourseReport(_Model):
    """A course so far. `points` are those of the assignments in which something was graded."""

    course: str
    title: str
    points: float
    assignments: tuple[AssignmentRow, ...]
    students: tuple[StudentRow, ...]
    faults: tuple[str, ...]


# ---------------------------------------------------------------- reading


def class_report(course: Course, assignment: str, beside: Path | None = None) -> ClassReport:
    """The report of one assignment, whose page will stand in `beside`: in reports/, unless given.

    Raises CourseError if the assignment or the gradebook can't be used.
    """
    one = course.assignment(assignment)
    reports, faults = read_reports(course, one.name)
    submitted = {path.parent.name for path in course.folder("submitted").glob(f"*/{one.name}") if path.is_dir()}
    for name in sorted(submitted):
        if fault := student_fault(name):
            faults.append(f"{fault}. Rename the folder in {course.folders.submitted}/")
            submitted.remove(name)
    folder = beside or course.folder("reports")

    def page(student: str) -> str:
        feedback, own = feedback_page(course, one.name, student), own_page(course, one.name, student)
        target = feedback if os.path.isfile(feedback) else own if student in reports else None
        return quote(os.fsencode(Path(os.path.relpath(target, folder)).as_posix())) if target else ""

    usages = {student: read_usage(course, one.name, student, report) for student, report in reports.items()}
    return summarize(course, one, read_grades(course, one.name), reports, submitted, faults, page, usages)


def feedback_page(course: Course, assignment: str, student: str) -> Path:
    """Where `nbgrader generate_feedback` puts a student's page."""
    return course.folder("feedback") / student / assignment / f"{assignment}.html"


def own_page(course: Course, assignment: str, student: str) -> Path:
    """Where the class report puts the page of a student who has none of nbgrader's."""
    return course.folder("reports") / assignment / f"{student}.html"


# ---------------------------------------------------------------- summing up


def summarize(
    course: Course,
    assignment: Assignment,
    grades: Grades,
    reports: Mapping[str, Report],
    handed_in: set[str],
    faults: Sequence[str] = (),
    page: Callable[[str], str] = lambda student: "",
    usages: Mapping[str, Usage | None] = MappingProxyType({}),
) -> ClassReport:
    """Everything about one class and one assignment. Pure.

    reports: student -> report. handed_in: who has something in submitted/. page: student -> link.
    usages:  student -> what the submission used.
    """
    name = assignment.name
    graded = grades.graded.get(name, {})
    students = []
    for student in sorted({*grades.students, *graded, *reports, *handed_in}):
        result = _result(course, assignment, student, graded.get(student), reports.get(student))
        if result.state == "not handed in" and student in handed_in:
            result = result.model_copy(update={"state": "not graded"})
        facts = {"name": _name(grades.students.get(student)), "page": page(student), "usage": usages.get(student)}
        students.append(result.model_copy(update=facts))
    of_these_checks = _of_one_version(reports)
    attempted = {
        student: report for student, report in of_these_checks.items() if any(map(_reached, _checks(report.problems)))
    }
    finals = [one.final for one in students if one.final is not None]
    used = {one.student: one.usage for one in students if one.usage is not None}
    return ClassReport(
        course=course.title,
        assignment=name,
        title=assignment.title,
        due=assignment.due,
        points=grades.points(name) or next((report.points for report in of_these_checks.values()), 0.0),
        students=tuple(students),
        mean=_statistic(statistics.mean, finals),
        median=_statistic(statistics.median, finals),
        standard_deviation=_statistic(statistics.standard_deviation, finals),
        distribution=tuple(statistics.distribution([one.share for one in students if one.share is not None])),
        reliability=_reliability(attempted.values()),
        analysed=len(attempted),
        problems=_problems(next(iter(of_these_checks.values())).problems if of_these_checks else (), attempted),
        misconceptions=_held(reports),
        habits=_habits(reports),
        written=_written(graded.values()),
        measured=len(used),
        seconds=_used({student: one.seconds for student, one in used.items()}, course.limits.submission_seconds),
        memory_mb=_used({student: one.memory_mb for student, one in used.items()}, course.limits.memory_mb),
        faults=(*faults, *_odd(name, graded, reports, len(reports) - len(of_these_checks), faults)),
    )


def _name(person: Person | None) -> str:
    return safe_text(" ".join(filter(None, (person.first_name, person.last_name)))) if person else ""


def _result(
    course: Course, assignment: Assignment, student: str, grade: Graded | None, report: Report | None
) -> StudentResult:
    facts: dict[str, Any] = {"student": safe_text(student)}
    if report is not None:
        facts |= {
            "state": "not graded",
            "problems": {problem.name: problem.score for problem in report.problems},
            "notes": tuple(safe_text(note) for note in report.notes if note != UNCONFINED),
            "told": tuple(safe_text(told) for told in sentences(report) if told != UNCONFINED),
        }
    if grade is not None:
        facts["state"] = "not graded"
        late = timedelta(0)
        if grade.handed_in is not None:
            late = max(late, grade.handed_in - assignment.due - grade.extension)
            facts["handed_in"] = grade.handed_in.astimezone(ZoneInfo(course.timezone))
        facts |= {
            "seconds_late": late.total_seconds(),
            "late": late > timedelta(minutes=course.late.grace_minutes),
        }
    if grade is not None and grade.begun:
        facts |= {
            "state": "graded",
            "score": grade.score,
            "penalty": grade.penalty,
            "possible": sum(cell.points for cell in grade.cells if not cell.waiting),
            "waiting": tuple(safe_text(cell.cell) for cell in grade.cells if cell.waiting),
        }
    return StudentResult(**facts)


def _odd(
    assignment: str,
    graded: Mapping[str, Graded],
    reports: Mapping[str, Report],
    other_version: int,
    known: Sequence[str],
) -> Iterator[str]:
    """What gradebook and reports do not agree on, and what should not be so."""
    if unconfined := sum(UNCONFINED in report.notes for report in reports.values()):
        told = _counted(unconfined, "submission was", "submissions were")
        yield f"{told} graded without a sandbox: see `sandbox` in course.yaml"
    if other_version:
        yield (
            f"{_counted(other_version, 'report is', 'reports are')} of other checks than the rest, and left out of the "
            f"statistics of problems and checks. Grade all of them again: `grader autograde {assignment} --force`"
        )
    for student in sorted(student for student in graded.keys() - reports.keys() if graded[student].begun):
        if not any(f"/{student}.json" in fault for fault in known):
            again = f"grader autograde {assignment} --student {shlex.quote(student)} --force"
            yield safe_text(f"{student} is in the gradebook, but has no report. Grade again: `{again}`")
    for student in sorted(reports.keys() - graded.keys()):
        yield safe_text(f"{student} has a report, but is not in the gradebook: `grader autograde {assignment}`")


def _of_one_version(reports: Mapping[str, Report]) -> dict[str, Report]:
    """The reports with the same checks and points, as most have them: others were graded before a check changed."""
    versions: dict[tuple, dict[str, Report]] = defaultdict(dict)
    for student, report in reports.items():
        key = tuple((check.name, check.points) for check in _checks(report.problems))
        versions[key][student] = report
    return max(versions.values(), key=len, default={})


def _checks(problems: Iterable[ProblemResult]) -> Iterator[CheckResult]:
    return (check for problem in problems for check in problem.checks)


def _reached(check: CheckResult) -> bool:
    return check.verdict is not Verdict.NOT_ATTEMPTED and not check.message.startswith("not reached")


def _reliability(reports: Collection[Report]) -> Statistic:
    """Cronbach's alpha over the problems that everybody is asked for."""
    if not reports:
        return Statistic(why="there is no submission")
    scores = [[problem.score for problem in report.problems if not problem.bonus] for report in reports]
    return _statistic(statistics.cronbach_alpha, list(zip(*scores, strict=True)))


def _problems(problems: Sequence[ProblemResult], reports: Mapping[str, Report]) -> tuple[ProblemStatistics, ...]:
    """Statistics of `problems`, which every one of the reports has in this order."""
    regular = [sum(one.score for one in report.problems if not one.bonus) for report in reports.values()]
    found = []
    for position, problem in enumerate(problems):
        results = {student: report.problems[position] for student, report in reports.items()}
        reached = sum(any(map(_reached, result.checks)) for result in results.values())
        found.append(
            ProblemStatistics(
                name=safe_text(problem.name),
                bonus=problem.bonus,
                points=problem.points,
                reached=reached,
                **_item([result.score for result in results.values()], problem.points, reached, regular, problem.bonus),
                unexplained=tuple(
                    safe_text(student)
                    for student, result in results.items()
                    if result.diagnosis is None
                    and any(_reached(check) and check.verdict is not Verdict.PASSED for check in result.checks)
                ),
                checks=tuple(
                    _check(check, [result.checks[index] for result in results.values()], regular, problem.bonus)
                    for index, check in enumerate(problem.checks)
                ),
            )
        )
    return tuple(found)


def _check(
    check: CheckResult, results: Sequence[CheckResult], regular: Sequence[float], bonus: bool
) -> CheckStatistics:
    reached = sum(map(_reached, results))
    return CheckStatistics(
        name=safe_text(check.name),
        title=safe_text(check.title),
        points=check.points,
        verdicts=dict(sorted(Counter(result.verdict for result in results).items())),
        reached=reached,
        **_item([result.score for result in results], check.points, reached, regular, bonus),
    )


def _item(
    scores: Sequence[float], points: float, reached: int, regular: Sequence[float], bonus: bool
) -> dict[str, Statistic]:
    """Difficulty and discrimination. regular: the total without the bonus, of which a bonus is no part."""
    if scores and not reached:
        nobody = Statistic(why="nobody reached it")
        return {"difficulty": nobody, "discrimination": nobody}
    rest = [total - (0.0 if bonus else score) for total, score in zip(regular, scores, strict=True)]
    return {
        "difficulty": _statistic(statistics.difficulty, scores, points),
        "discrimination": _statistic(statistics.item_rest_correlation, scores, rest),
    }


def _statistic(function: Callable[..., float], *numbers: Any) -> Statistic:
    try:
        return Statistic(value=function(*numbers))
    except statistics.Undefined as reason:
        return Statistic(why=str(reason))


def _held(reports: Mapping[str, Report]) -> tuple[Held, ...]:
    """The misconceptions, those that most hold first."""
    first: dict[tuple[str, str], Diagnosis] = {}
    holders: dict[tuple[str, str], dict[bool, list[str]]] = defaultdict(lambda: {True: [], False: []})
    for student, report in reports.items():
        for problem in report.problems:
            if problem.diagnosis is not None:
                key = problem.name, problem.diagnosis.misconception
                first.setdefault(key, problem.diagnosis)
                holders[key][problem.diagnosis.sure].append(safe_text(student))
    held = [
        Held(
            problem=safe_text(problem),
            misconception=safe_text(name),
            message=safe_text(first[problem, name].message),
            lecture=safe_text(first[problem, name].lecture),
            sure=tuple(who[True]),
            perhaps=tuple(who[False]),
        )
        for (problem, name), who in holders.items()
    ]
    return tuple(sorted(held, key=lambda one: (-len(one.holders), -len(one.sure), one.problem, one.misconception)))


def _habits(reports: Mapping[str, Report]) -> tuple[HabitHeld, ...]:
    """What students do beside the maths, what most do first."""
    # Habit -> where and who, each once and in order.
    where: dict[str, dict[str, None]] = defaultdict(dict)
    who: dict[str, dict[str, None]] = defaultdict(dict)
    for student, report in reports.items():
        for problem in report.problems:
            for habit in filter(None, map(of_a_class, problem.habits)):
                where[habit][safe_text(problem.name)] = None
                who[habit][safe_text(student)] = None
    found = [HabitHeld(habit=habit, problems=tuple(where[habit]), holders=tuple(who[habit])) for habit in who]
    return tuple(sorted(found, key=lambda one: (-len(one.holders), one.habit)))


def _written(graded: Iterable[Graded]) -> tuple[WrittenAnswer, ...]:
    answers = defaultdict(list)
    for submission in graded:
        for cell in submission.cells if submission.begun else ():
            if cell.written or cell.waiting:
                answers[cell.cell, cell.points].append(cell)
    return tuple(
        WrittenAnswer(
            cell=safe_text(name),
            points=points,
            graded=len(cells) - sum(cell.waiting for cell in cells),
            waiting=sum(cell.waiting for cell in cells),
            mean=_statistic(statistics.mean, [cell.score or 0.0 for cell in cells if not cell.waiting]),
        )
        for (name, points), cells in sorted(answers.items())
    )


def _used(amounts: Mapping[str, float], limit: float) -> Used:
    """amounts: student -> how much."""
    median, ninetieth, maximum = (
        _statistic(statistics.quantile, list(amounts.values()), share) for share in (0.5, 0.9, 1.0)
    )
    most = sorted(amounts, key=lambda student: (-amounts[student], student))[:_MOST]
    return Used(limit=limit, median=median, ninetieth=ninetieth, maximum=maximum, most=tuple(most))


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


# ---------------------------------------------------------------- the course


def course_report(course: Course, reports: Sequence[ClassReport], pages: Mapping[str, str]) -> CourseReport:
    """The course, from the class reports of its assignments. pages: assignment -> link. Pure."""
    names = {one.student: one.name for report in reports for one in report.students}
    begun = [report for report in reports if report.handed_in]
    finals: dict[str, dict[str, float | None]] = {student: {} for student in names}
    waiting: dict[str, list[str]] = {student: [] for student in names}
    for report in begun:
        for one in report.students:
            finals[one.student][report.assignment] = one.final
            if one.waiting or one.state == "not graded":
                waiting[one.student].append(report.assignment)
    return CourseReport(
        course=course.id,
        title=course.title,
        points=sum(report.points for report in begun),
        assignments=tuple(
            AssignmentRow(
                assignment=report.assignment,
                title=report.title,
                due=report.due,
                points=report.points,
                handed_in=len(report.handed_in),
                mean=_statistic(statistics.mean, report.shares),
                median=_statistic(statistics.median, report.shares),
                reliability=report.reliability,
                late=len(report.late),
                waiting=len(report.waiting),
                top=report.misconceptions[0] if report.misconceptions else None,
                page=pages.get(report.assignment, ""),
            )
            for report in reports
        ),
        students=tuple(
            StudentRow(
                student=student,
                name=names[student],
                finals=finals[student],
                waiting=tuple(waiting[student]),
                total=sum(final for final in finals[student].values() if final is not None),
            )
            for student in sorted(names)
        ),
        faults=tuple(f"{report.title}: {fault}" for report in reports for fault in report.faults),
    )
