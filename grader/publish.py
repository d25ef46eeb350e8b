"""Writes the class report, the course's overview and what is similar: a page, and beside it JSON and CSV.

    reports/ASSIGNMENT.html .json .csv -checks.csv -misconceptions.csv -habits.csv
    reports/ASSIGNMENT/STUDENT.html          of those who have no feedback page of nbgrader's
    reports/ASSIGNMENT-similar.html .json .csv
    reports/course-overview.html .json .csv -assignments.csv

No assignment and no student can take one of these names: assignments have no hyphen and no dot, and students' files lie
in a folder of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import BaseModel

from grader.class_report import (
    ClassReport,
    CourseReport,
    class_report,
    course_report,
    feedback_page,
    own_page,
)
from grader.course import Course
from grader.outputs import csv_text, safe_text
from grader.pages import class_page, course_page, report_page, similar_page
from grader.report import Verdict
from grader.reports import read_reports

if TYPE_CHECKING:
    from grader.similar import SimilarReport

OVERVIEW = "course-overview.html"


def publish_class(course: Course, assignment: str, file: Path | None = None) -> tuple[ClassReport, Path]:
    """Write the report of one assignment to `file`. Returns it and where its page is. Raises CourseError."""
    name = course.assignment(assignment).name
    page = file or course.folder("reports") / f"{name}.html"
    report = class_report(course, name, page.parent)
    _write_class(course, report, page)
    return report, page


def publish_course(course: Course, file: Path | None = None) -> tuple[CourseReport, Path]:
    """Write the overview to `file`, and beside it the report of each assignment that somebody has handed in."""
    page = file or course.folder("reports") / OVERVIEW
    reports = [class_report(course, assignment.name, page.parent) for assignment in course.assignments]
    pages = {report.assignment: page.with_name(f"{report.assignment}.html") for report in reports if report.handed_in}
    for report in reports:
        if report.assignment in pages:
            _write_class(course, report, pages[report.assignment])
    overview = course_report(course, reports, {name: its_page.name for name, its_page in pages.items()})
    tables = {
        "Students (CSV)": ("", _totals(overview)),
        "Assignments (CSV)": ("-assignments", _assignments(overview)),
    }
    page.write_text(course_page(overview, _write_beside(page, overview, tables)), encoding="utf-8")
    return overview, page


def publish_similar(
    course: Course, assignment: str, file: Path | None = None, threshold: float = 0.6, jobs: int = 1
) -> tuple[SimilarReport, Path]:
    """Write which submissions of an assignment are similar. Returns it and where its page is. Raises CourseError."""
    from grader.similar import similar  # and with it SciPy, which the other pages do without

    report = similar(course, assignment, threshold, jobs)
    page = file or course.folder("reports") / f"{report.assignment}-similar.html"
    files = _write_beside(page, report, {"Pairs (CSV)": ("", _pairs(report))})
    page.write_text(similar_page(report, files), encoding="utf-8")
    return report, page


def _write_class(course: Course, report: ClassReport, page: Path) -> None:
    for student, own in read_reports(course, report.assignment)[0].items():
        if not feedback_page(course, report.assignment, student).is_file():
            file = own_page(course, report.assignment, student)
            file.write_text(report_page(own, safe_text(f"{report.title}: {student}")), encoding="utf-8")
    tables = {
        "Students (CSV)": ("", _students(report)),
        "Checks (CSV)": ("-checks", _checks(report)),
        "Misconceptions (CSV)": ("-misconceptions", _misconceptions(report)),
        "Habits (CSV)": ("-habits", _habits(report)),
    }
    page.write_text(class_page(report, _write_beside(page, report, tables)), encoding="utf-8")


def _write_beside(page: Path, report: BaseModel, tables: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Write JSON and tables beside the page. tables: name -> (end of the file's name, CSV). Returns the links."""
    page.parent.mkdir(parents=True, exist_ok=True)
    written = {"JSON": page.with_suffix(".json")}
    written["JSON"].write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for name, (end, table) in tables.items():
        written[name] = page.with_name(f"{page.stem}{end}.csv")
        written[name].write_text(table, encoding="utf-8-sig", newline="")  # else Excel takes it for another encoding
    return {name: quote(file.name) for name, file in written.items()}


def _students(report: ClassReport) -> str:
    problems = [problem.name for problem in report.problems]
    header = (
        "student name state handed_in hours_late score late_penalty final graded_points waiting notes happened "
        "computing_seconds memory_mb"
    )
    return csv_text(
        [*header.split(), *problems],
        (
            [
                *(one.student, one.name, one.state, one.handed_in.isoformat() if one.handed_in else None),
                *(round(one.seconds_late / 3600, 2), one.score, one.penalty, one.final, one.possible),
                *("; ".join(one.waiting), " ".join(one.notes), "; ".join(one.told)),
                *((one.usage.seconds, one.usage.memory_mb) if one.usage else (None, None)),
                *(one.problems.get(problem) for problem in problems),
            ]
            for one in report.students
        ),
    )


def _checks(report: ClassReport) -> str:
    header = "problem bonus check title points submissions reached difficulty discrimination"
    return csv_text(
        [*header.split(), *(verdict.value for verdict in Verdict)],
        (
            [
                *(problem.name, "bonus" if problem.bonus else "", check.name, check.title, check.points),
                *(report.analysed, check.reached, check.difficulty.value, check.discrimination.value),
                *(check.verdicts.get(verdict, 0) for verdict in Verdict),
            ]
            for problem in report.problems
            for check in problem.checks
        ),
    )


def _misconceptions(report: ClassReport) -> str:
    return csv_text(
        ["problem", "misconception", "message", "lecture", "sure", "perhaps", "who is sure", "who perhaps"],
        (
            [
                *(held.problem, held.misconception, held.message, held.lecture, len(held.sure), len(held.perhaps)),
                *("; ".join(held.sure), "; ".join(held.perhaps)),
            ]
            for held in report.misconceptions
        ),
    )


def _habits(report: ClassReport) -> str:
    return csv_text(
        ["habit", "students", "who", "problems"],
        ([one.habit, len(one.holders), "; ".join(one.holders), "; ".join(one.problems)] for one in report.habits),
    )


def _pairs(report: SimilarReport) -> str:
    return csv_text(
        ["student", "other", "score of all", "problem", "score", "shared", "of", "nobody else has", "most others"],
        (
            [*pair.students, pair.score, one.problem, one.score, one.shared, one.of, one.alone, one.others]
            for pair in report.pairs
            for one in pair.problems
        ),
    )


def _totals(report: CourseReport) -> str:
    begun = [one.assignment for one in report.assignments if one.handed_in]
    return csv_text(
        ["student", "name", "total", *begun, "not graded to the end"],
        (
            [one.student, one.name, one.total, *(one.finals.get(name) for name in begun), "; ".join(one.waiting)]
            for one in report.students
        ),
    )


def _assignments(report: CourseReport) -> str:
    header = "assignment title due points handed_in mean_share median_share reliability late waiting explain_again"
    return csv_text(
        header.split(),
        (
            [
                *(one.assignment, one.title, one.due.isoformat(), one.points, one.handed_in),
                *(one.mean.value, one.median.value, one.reliability.value, one.late, one.waiting),
                one.top.message if one.top else None,
            ]
            for one in report.assignments
        ),
    )
