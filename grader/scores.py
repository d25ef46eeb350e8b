"""The scores of an assignment: what nbgrader's gradebook says of each student, and the report behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment
from pydantic import BaseModel, ConfigDict, ValidationError

from grader.course import Course, CourseError
from grader.report import Report


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


class Scores(BaseModel):
    """A class in one assignment. `points` make 100 %, `problems` are what each is worth there (a bonus: 0)."""

    model_config = ConfigDict(frozen=True)

    course: str
    assignment: str
    title: str
    points: float
    problems: dict[str, float]
    students: tuple[StudentScore, ...]

    def missing_as_zero(self) -> Scores:
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


def read_scores(course: Course, assignment: str) -> Scores:
    """The scores in the course's gradebook. Raises CourseError if nothing of the assignment is in it."""
    name = course.assignment(assignment).name
    nothing = f"{name} is not in the gradebook: nothing of it has been graded. Run: grader autograde {name}"
    scheme, _, file = course.gradebook_url.partition(":///")
    if scheme == "sqlite" and not Path(file).is_file():  # opening it would make an empty one
        raise CourseError(nothing)
    with Gradebook(course.gradebook_url, course.id) as gradebook:
        try:
            known = gradebook.find_assignment(name)
        except MissingEntry:
            raise CourseError(nothing) from None
        submissions = {one.student_id: one for one in gradebook.assignment_submissions(name)}
        students = []
        for student in sorted(gradebook.students, key=lambda one: one.id):
            person = {key: getattr(student, key) or "" for key in ("first_name", "last_name", "email", "lms_user_id")}
            submission = submissions.get(student.id)
            facts = _facts(submission, course, name) if submission is not None else {}
            students.append(StudentScore(student=student.id, **person, **facts))
        return Scores(
            course=course.id,
            assignment=name,
            title=course.assignment(name).title,
            points=known.max_score,
            problems={
                _problem(cell.name): cell.max_score for notebook in known.notebooks for cell in notebook.grade_cells
            },
            students=tuple(students),
        )


def _facts(submission: SubmittedAssignment, course: Course, assignment: str) -> dict[str, Any]:
    raw, penalty = submission.score, submission.late_submission_penalty or 0.0
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
    return {
        "score": max(0.0, raw - penalty),
        "raw_score": raw,
        "penalty": penalty,
        "to_read": any(grade.needs_manual_grade for grade in grades),
        "problems": {_problem(grade.name): grade.score for grade in grades},
        "report": read_report(course, assignment, submission.student_id),
    }


def _problem(cell: str) -> str:
    """The problem that a graded cell belongs to; an answer in words has the cell's name."""
    return cell.removeprefix("test_")


def read_report(course: Course, assignment: str, student: str) -> Report | None:
    """What was found when this submission was graded, or None if no such file can be read."""
    file = course.folder("reports") / assignment / f"{student}.json"
    try:
        return Report.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
