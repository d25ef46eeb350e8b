"""What nbgrader's gradebook says of a class, read in a few queries and never written.

nbgrader's own `Gradebook` makes a database where there is none, and asks once for each submission.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nbgrader.api import (
    Assignment,
    Grade,
    GradeCell,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
    TaskCell,
)
from sqlalchemy import Engine, create_engine, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from grader.course import Course, CourseError, without_password


@dataclass(frozen=True)
class Person:
    """A student as the gradebook knows one. `lms_user_id`: the one in Canvas, say."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""


@dataclass(frozen=True)
class CellGrade:
    """The grade of one cell: None if there is none yet. `waiting`: a person has to give it. `written`: it is an answer
    in words."""

    cell: str
    points: float
    score: float | None
    waiting: bool
    written: bool


@dataclass(frozen=True)
class Graded:
    """One submission in the gradebook. `handed_in` is None where no time is known."""

    student: str
    handed_in: datetime | None = None
    extension: timedelta = timedelta(0)
    penalty: float = 0.0
    cells: tuple[CellGrade, ...] = ()

    @property
    def score(self) -> float:
        """With manual scores and extra credit, before the penalty."""
        return sum(cell.score or 0.0 for cell in self.cells)

    @property
    def begun(self) -> bool:
        """Whether anything has a grade. A run that is killed leaves a submission without."""
        return any(cell.score is not None for cell in self.cells)


@dataclass(frozen=True)
class Grades:
    """A course's gradebook: its students, and for each assignment its cells' points and who was graded."""

    students: Mapping[str, Person] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    graded: Mapping[str, Mapping[str, Graded]] = field(default_factory=dict)

    def points(self, assignment: str) -> float:
        """What makes 100 %; 0 if the gradebook does not know the assignment."""
        return sum(self.cells.get(assignment, {}).values())


def read_grades(course: Course, *assignments: str) -> Grades:
    """What the gradebook says of these assignments; nothing, where there is no gradebook yet.

    Raises CourseError if there is one that can't be read.
    """
    try:
        with _opened(course) as engine:
            if engine is None or not inspect(engine).has_table(Assignment.__tablename__):
                return Grades()
            with Session(engine) as session:
                return Grades(
                    students=_students(session),
                    cells=_cells(session),
                    graded={name: _graded(session, name) for name in assignments},
                )
    except (SQLAlchemyError, ImportError) as error:
        url = without_password(course.gradebook)
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise CourseError(
            f"The gradebook {url} can't be read: {reason}. Check `gradebook` in course.yaml, and `nbgrader db upgrade`"
        ) from None


@contextmanager
def _opened(course: Course) -> Iterator[Engine | None]:
    _, is_file, path = course.gradebook_url.partition("sqlite:///")
    if is_file and not Path(path).is_file():
        yield None  # opening it would make it
        return
    engine = create_engine(course.gradebook_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _students(session: Session) -> dict[str, Person]:
    columns = (Student.first_name, Student.last_name, Student.email, Student.lms_user_id)
    rows = session.execute(select(Student.id, *columns))
    return {student: Person(*(text or "" for text in person)) for student, *person in rows}


def _cells(session: Session) -> dict[str, dict[str, float]]:
    cells: dict[str, dict[str, float]] = defaultdict(dict)
    for kind in (GradeCell, TaskCell):
        rows = session.execute(
            select(Assignment.name, kind.name, kind.max_score)
            .join(Notebook, Notebook.assignment_id == Assignment.id)
            .join(kind, kind.notebook_id == Notebook.id)
        )
        for assignment, cell, most in rows:
            cells[assignment][cell] = most
    return dict(cells)


def _graded(session: Session, assignment: str) -> dict[str, Graded]:
    cells: dict[str, list[CellGrade]] = defaultdict(list)
    for kind in (GradeCell, TaskCell):
        rows = session.execute(
            select(
                SubmittedNotebook.assignment_id,
                kind.name,
                kind.max_score,
                kind.cell_type,
                Grade.auto_score,
                Grade.manual_score,
                Grade.score,
                Grade.needs_manual_grade,
            )
            .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
            .join(kind, kind.id == Grade.cell_id)
            .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
            .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
            .where(Assignment.name == assignment)
        )
        for submission, name, most, cell_type, auto, manual, score, waiting in rows:
            known = score if (auto, manual) != (None, None) else None
            cells[submission].append(CellGrade(name, most, known, waiting, cell_type == "markdown"))
    submissions = session.execute(
        select(
            SubmittedAssignment.id,
            SubmittedAssignment.student_id,
            SubmittedAssignment.timestamp,
            SubmittedAssignment.extension,
            func.coalesce(func.sum(SubmittedNotebook.late_submission_penalty), 0.0),
        )
        .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
        .outerjoin(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .where(Assignment.name == assignment)
        .group_by(SubmittedAssignment.id)
    )
    return {
        student: Graded(
            student=student,
            handed_in=moment.replace(tzinfo=UTC) if moment else None,
            extension=extension or timedelta(0),
            penalty=penalty,
            cells=tuple(cells[submission]),
        )
        for submission, student, moment, extension, penalty in submissions
    }
