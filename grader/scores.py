"""The scores of an assignment: what nbgrader's gradebook says of each student, and the report behind it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from grader.course import Course, CourseError
from grader.grades import Graded, read_grades
from grader.report import Report
from grader.reports import read_reports


class StudentScore(BaseModel):
    """One student in one assignment.

    score:     the final one, as nbgrader's own export has it: with what a person gave, with the bonus, and with the
               late penalty taken off. None if the student handed nothing in.
    problems:  the score of each problem and each answer in words, the bonus among them.
    to_read:   an answer waits for a person: the score is not the last word.
    report:    what the checks found; None if there is none that can be read.
    """

    model_config = ConfigDict(frozen=True)

    student: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""
    score: float | None = None
    raw_score: float | None = None
    penalty: float | None = None
    to_read: bool = False
    problems: dict[str, float] = {}
    report: Report | None = None

    @property
    def name(self) -> str:
        """As a gradebook sorts it: "Last, First", or the id where there is no name."""
        return ", ".join(filter(None, (self.last_name, self.first_name))) or self.student


class ClassScores(BaseModel):
    """A class in one assignment. `points` make 100 %, `problems` are what each is worth there (a bonus: 0)."""

    model_config = ConfigDict(frozen=True)

    course: str
    assignment: str
    title: str
    points: float
    problems: dict[str, float]
    students: tuple[StudentScore, ...]

    def missing_as_zero(self) -> ClassScores:
        """The same, with a score of zero for who handed nothing in."""
        students = tuple(one.model_copy(update={"score": 0.0}) if one.score is None else one for one in self.students)
        return self.model_copy(update={"students": students})

    @property
    def remarks(self) -> list[str]:
        """What a person should know before these scores go out."""
        found = {
            "Handed nothing in, and has no score": [one for one in self.students if one.score is None],
            "An answer waits for a person": [one for one in self.students if one.to_read],
            "Has no report that can be read, and so no checks; autograde again": [
                one for one in self.students if one.raw_score is not None and one.report is None
            ],
        }
        return [f"{what}: {', '.join(one.student for one in students)}" for what, students in found.items() if students]


def read_scores(course: Course, assignment: str) -> ClassScores:
    """The scores in the course's gradebook. Raises CourseError if nothing of the assignment is in it."""
    name = course.assignment(assignment).name
    grades = read_grades(course, name)
    if name not in grades.cells:
        raise CourseError(
            f"{name} is not in the gradebook: nothing of it has been graded. Run: grader autograde {name}"
        )
    graded, reports = grades.graded[name], read_reports(course, name)[0]
    return ClassScores(
        course=course.id,
        assignment=name,
        title=course.assignment(name).title,
        points=grades.points(name),
        problems={_problem(cell): most for cell, most in grades.cells[name].items()},
        students=tuple(
            StudentScore(student=student, **vars(person), **_facts(graded.get(student), reports.get(student)))
            for student, person in sorted(grades.students.items())
        ),
    )


def _facts(graded: Graded | None, report: Report | None) -> dict[str, Any]:
    if graded is None:
        return {}
    return {
        "score": max(0.0, graded.score - graded.penalty),
        "raw_score": graded.score,
        "penalty": graded.penalty,
        "to_read": any(cell.waiting for cell in graded.cells),
        "problems": {_problem(cell.cell): cell.score or 0.0 for cell in graded.cells},
        "report": report,
    }


def _problem(cell: str) -> str:
    """The problem that a graded cell belongs to; an answer in words has the cell's name."""
    return cell.removeprefix("test_")
