"""What a change of tests or solutions would do to a class that has been graded. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ConfigDict

from grader.course import CourseError
from grader.grade import grade
from grader.material import Material
from grader.report import CheckResult, Report
from grader.reports import ReportError, graded_students, read_report
from grader.sandbox import Sandbox
from grader.submission import Submission, SubmissionError, read_notebook


class CheckChange(BaseModel):
    """A check that has another result than before. A verdict of "" means that there was, or is, no such check."""

    problem: str
    check: str
    before: str
    after: str
    score_before: float
    score_after: float


class StudentChange(BaseModel):
    """One submission graded anew: its scores from the checks, before and after, and the checks that changed.

    fault: why it could not be compared.
    """

    model_config = ConfigDict(frozen=True)

    student: str
    before: float = 0.0
    after: float = 0.0
    checks: tuple[CheckChange, ...] = ()
    fault: str = ""

    @property
    def changed(self) -> bool:
        return self.before != self.after or bool(self.checks)


def comparable(material: Material) -> list[str]:
    """Those who have a report. Raises CourseError if nobody has."""
    students = graded_students(material.course, material.name)
    if not students:
        folder = material.course.folder("reports") / material.name
        raise CourseError(
            f"{folder} holds no report: there is nothing to compare with. Run: grader autograde {material.name}"
        )
    return students


def regraded(material: Material, sandbox: Sandbox, students: Iterable[str]) -> Iterator[StudentChange]:
    """Each submission graded with the material as it is now, beside the report that it has."""
    for student in students:
        try:
            before = read_report(material.course, material.name, student)
            submission = _as_graded(material, student, before)
        except ReportError:
            yield StudentChange(student=student, fault="its report can't be read. Autograde it again")
            continue
        except SubmissionError as error:
            yield StudentChange(student=student, fault=str(error))
            continue
        yield compared(student, before, grade(submission, material, sandbox))


def _as_graded(material: Material, student: str, before: Report) -> Submission:
    """The submission that a report is about: autograded/ holds it with the lesson's own cells restored."""
    name = f"{material.name}.ipynb"
    try:
        notebook = read_notebook(material.course.folder("autograded") / student / material.name / name)
    except OSError as error:
        raise SubmissionError(f"its notebook in autograded/: {error.strerror}. Autograde it again") from None
    unreadable = Submission.of(name, notebook, before.notes[0] if before.notes else "It could not be read.")
    for submission in (Submission.of(name, notebook), unreadable):
        if submission.digest == before.digest:
            return submission
    raise SubmissionError("its notebook in autograded/ is not the one that was graded. Autograde it again")


def compared(student: str, before: Report, after: Report) -> StudentChange:
    """Two reports of one submission, side by side."""
    old, new = _results(before), _results(after)
    changes = []
    for place in dict.fromkeys([*old, *new]):
        left, right = old.get(place), new.get(place)
        if left is None or right is None or (left.verdict, left.score) != (right.verdict, right.score):
            changes.append(
                CheckChange(
                    problem=place[0],
                    check=place[1],
                    before=left.verdict.value if left else "",
                    after=right.verdict.value if right else "",
                    score_before=left.score if left else 0.0,
                    score_after=right.score if right else 0.0,
                )
            )
    return StudentChange(student=student, before=before.score, after=after.score, checks=tuple(changes))


def _results(report: Report) -> dict[tuple[str, str], CheckResult]:
    return {(problem.name, check.name): check for problem in report.problems for check in problem.checks}
