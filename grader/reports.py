"""The reports in reports/ASSIGNMENT/, one file a student, that grading has left there.

What a submission used is kept in build/usage/, and not beside them: reports/ is the same each time.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from pydantic import ValidationError

from grader.course import Course
from grader.outputs import safe_text
from grader.report import Measured, Report, Usage


class ReportError(ValueError):
    """A report can't be read: the message says which, why, and what to do."""


def write_report(course: Course, assignment: str, student: str, text: str, measured: str) -> None:
    """Keep a report's text, and what was measured of its submission, where the others read it."""
    kept = {course.report_file(assignment, student): text}
    if measured:
        kept[_usage_file(course, assignment, student)] = measured
    for file, content in kept.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")


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


def read_usage(course: Course, assignment: str, student: str, report: Report) -> Usage | None:
    """What the submission of this report used; None if that is not known."""
    try:
        found = Measured.model_validate_json(_usage_file(course, assignment, student).read_bytes())
    except (OSError, ValueError):
        return None
    return found.usage if found.digest == report.digest else None


def _usage_file(course: Course, assignment: str, student: str) -> Path:
    return course.root / "build" / "usage" / assignment / student


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            return "it is cut off, or no JSON"
        place = ".".join(map(str, first["loc"]))
        return f"it has another format than this grader's reports (at `{safe_text(place)}`)"
    return str(getattr(error, "strerror", None) or error)
