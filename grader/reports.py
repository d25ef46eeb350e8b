"""The reports in reports/ASSIGNMENT/, one file a student, that grading has left there."""

from __future__ import annotations

import shlex

from pydantic import ValidationError

from grader.course import Course
from grader.outputs import safe_text
from grader.report import Report


class ReportError(ValueError):
    """A report can't be read: the message says which, why, and what to do."""


def write_report(course: Course, assignment: str, student: str, text: str) -> None:
    """Keep a report's text where the others read it."""
    file = course.report_file(assignment, student)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def graded_students(course: Course, assignment: str) -> list[str]:
    """Those who have a report, in order."""
    return sorted(file.stem for file in (course.folder("reports") / assignment).glob("*.json"))


def read_report(course: Course, assignment: str, student: str) -> Report:
    """What was found when this submission was graded. Raises ReportError."""
    try:
        report = Report.model_validate_json(course.report_file(assignment, student).read_bytes())
        if report.assignment != assignment:
            raise ValueError(f"it is of {safe_text(report.assignment)[:100]}")
    except (OSError, ValueError) as error:
        where = safe_text(f"{course.folders.reports}/{assignment}/{student}.json")
        again = safe_text(f"grader autograde {assignment} --student {shlex.quote(student)} --force")
        raise ReportError(f"{where} is left out: {_reason(error)}. Grade it again: `{again}`") from None
    return report


def read_reports(course: Course, assignment: str) -> tuple[dict[str, Report], list[str]]:
    """student -> report, and a sentence about each file that is none."""
    reports, faults = {}, []
    for student in graded_students(course, assignment):
        try:
            reports[student] = read_report(course, assignment, student)
        except ReportError as error:
            faults.append(str(error))
    return reports, faults


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            return "it is cut off, or no JSON"
        place = ".".join(map(str, first["loc"]))
        return f"it has another format than this grader's reports (at `{safe_text(place)}`)"
    return str(getattr(error, "strerror", None) or error)
