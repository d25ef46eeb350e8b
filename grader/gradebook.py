"""nbgrader's gradebook: what it knows of an assignment, and the results of many submissions written at once."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sql
from nbgrader import api
from nbgrader.api import (
    Assignment,
    Comment,
    Grade,
    Notebook,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.orm import Session, selectinload
from traitlets.config import Config

from grader.build import source_notebook, write_source
from grader.checks import AuthorError
from grader.course import Course, without_password
from grader.material import Material

# Students in one question to the database: each is a parameter, and old SQLites take 999 of them.
_AT_ONCE = 400
# What lost against others who wrote at the same moment is tried again, after up to so many seconds and then longer.
_TRIES, _WAIT = 10, 0.05
_PATIENCE = 60  # seconds that SQLite waits for another's transaction

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Cell:
    """A cell of an assignment as the gradebook has it. `points` is None unless it carries a score."""

    name: str
    cell_type: str
    source: str
    locked: bool
    checksum: str
    solution: bool
    points: float | None


@dataclass(frozen=True)
class Layout:
    """The cells that the gradebook knows of an assignment's notebook, in their order there, and its kernel."""

    assignment: str
    cells: tuple[Cell, ...]
    kernelspec: Mapping[str, Any] | None

    @property
    def points(self) -> float:
        return sum(cell.points or 0.0 for cell in self.cells)


@dataclass(frozen=True)
class Scores:
    """What a graded submission brings to the gradebook, by cell.

    auto:     points; None where a person has to look. extra: extra credit.
    comments: the grader's own; None takes back that of an earlier run.
    penalty:  points for being late; None if it is not.
    """

    student: str
    handed_in: datetime | None
    auto: Mapping[str, float | None]
    extra: Mapping[str, float]
    comments: Mapping[str, str | None]
    penalty: float | None = None


@dataclass(frozen=True)
class Kept:
    """What the gradebook holds of a submission and no autograder changes: what people gave, and what is not graded.

    manual, extra: points by cell. comments: by cell, the grader's own and a person's.
    handed_in:     in UTC, without a zone, as nbgrader has it. extension: what this student got.
    """

    manual: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    comments: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    handed_in: datetime | None = None
    extension: timedelta | None = None

    def score(self, scores: Scores, cell: str) -> float:
        """The points that a cell has now, as nbgrader counts them: a person's before the grader's."""
        given = self.manual.get(cell, scores.auto.get(cell))
        return 0.0 if given is None else given + scores.extra.get(cell, self.extra.get(cell, 0.0))

    def total(self, scores: Scores) -> float:
        return sum(self.score(scores, cell) for cell in scores.auto)


class Gradebook:
    """One assignment in the gradebook of its course, which is made if it is not there. A context manager.

    Raises AuthorError if the database can't be used.
    """

    def __init__(self, material: Material) -> None:
        register(material)
        url = material.course.gradebook_url
        self._engine = sql.create_engine(url, connect_args={"timeout": _PATIENCE} if url.startswith("sqlite") else {})
        self._order = [cell.metadata.nbgrader.grade_id for cell in source_notebook(material).cells if cell.metadata]
        due = utc(material.assignment.due)
        with Session(self._engine) as session:
            notebook = session.scalars(
                sql.select(Notebook)
                .join(Notebook.assignment)
                .where(Assignment.name == material.name, Notebook.name == material.name)
            ).one()
            if notebook.assignment.duedate != due:
                notebook.assignment.duedate = due
            self.layout = self._layout(notebook)
            self._assignment, self._notebook = notebook.assignment_id, notebook.id
            self._graded = {cell.name: cell.id for cell in notebook.grade_cells}
            self._solutions = {cell.name: cell.id for cell in notebook.solution_cells}
            session.commit()

    def __enter__(self) -> Gradebook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    def _layout(self, notebook: Notebook) -> Layout:
        points = {cell.name: cell.max_score for cell in notebook.grade_cells}
        solutions = {cell.name for cell in notebook.solution_cells}
        cells = [
            Cell(
                cell.name,
                cell.cell_type,
                cell.source,
                cell.locked,
                cell.checksum,
                cell.name in solutions,
                points.get(cell.name),
            )
            for cell in notebook.source_cells
        ]
        # The database gives them in any order.
        place = {name: position for position, name in enumerate(self._order)}
        cells.sort(key=lambda cell: place.get(cell.name, len(place)))
        return Layout(notebook.name, tuple(cells), json.loads(notebook.kernelspec) if notebook.kernelspec else None)

    def submissions(self) -> set[str]:
        """The students of whom the gradebook has a submission."""
        wanted = sql.select(SubmittedAssignment.student_id).where(SubmittedAssignment.assignment_id == self._assignment)
        with Session(self._engine) as session:
            return set(session.scalars(wanted))

    def kept(self, students: Sequence[str]) -> dict[str, Kept]:
        """What is kept of the earlier submissions of these students. Those who have none are not in it."""
        with Session(self._engine) as session:
            return {
                row.assignment.student_id: self._kept(row)
                for some in _parts(students)
                for row in session.scalars(self._rows(some))
            }

    def _kept(self, row: SubmittedNotebook) -> Kept:
        cells = {identity: name for name, identity in (*self._graded.items(), *self._solutions.items())}
        graded = [(cells[grade.cell_id], grade) for grade in row.grades if grade.cell_id in cells]
        return Kept(
            manual={name: grade.manual_score for name, grade in graded if grade.manual_score is not None},
            extra={name: grade.extra_credit for name, grade in graded if grade.extra_credit is not None},
            comments={
                cells[comment.cell_id]: (comment.auto_comment, comment.manual_comment)
                for comment in row.comments
                if comment.cell_id in cells
            },
            handed_in=row.assignment.timestamp,
            extension=row.assignment.extension,
        )

    def _rows(self, students: Sequence[str]) -> sql.Select[tuple[SubmittedNotebook]]:
        """The submitted notebooks of some students, with all that hangs on them."""
        parts = SubmittedNotebook.assignment, SubmittedNotebook.grades, SubmittedNotebook.comments
        return (
            sql.select(SubmittedNotebook)
            .join(SubmittedNotebook.assignment)
            .where(SubmittedNotebook.notebook_id == self._notebook, SubmittedAssignment.student_id.in_(students))
            .options(*map(selectinload, parts))
        )

    def save(self, results: Sequence[Scores]) -> None:
        """Write the results of some submissions, in one transaction. What people gave stays."""
        # Always in the same order: two graders that write the same students can't wait for each other in a circle.
        ordered = sorted(results, key=lambda one: one.student)
        _again(lambda: self._save(ordered), _TRIES, IntegrityError, OperationalError)

    def _save(self, results: Sequence[Scores]) -> None:
        with Session(self._engine) as session:
            names = [one.student for one in results]
            known = {*session.scalars(sql.select(api.Student.id).where(api.Student.id.in_(names)))}
            session.add_all(api.Student(id=name) for name in names if name not in known)
            rows = {row.assignment.student_id: row for row in session.scalars(self._rows(names))}
            for one in results:
                row = rows.get(one.student) or self._new(session, one.student)
                if one.handed_in is not None:
                    row.assignment.timestamp = one.handed_in
                row.late_submission_penalty = one.penalty
                self._fill(row, one)
            session.commit()

    def _new(self, session: Session, student: str) -> SubmittedNotebook:
        row = SubmittedNotebook(notebook_id=self._notebook)
        row.assignment = SubmittedAssignment(assignment_id=self._assignment, student_id=student)
        session.add(row)
        return row

    def _fill(self, row: SubmittedNotebook, scores: Scores) -> None:
        grades = {grade.cell_id: grade for grade in row.grades}
        for name, cell in self._graded.items():
            grade = grades.get(cell)
            if grade is None:  # into the row's list: that brings it into the session, and `notebook=row` does not
                row.grades.append(grade := Grade(cell_id=cell))
            if name in scores.auto:
                grade.auto_score = scores.auto[name]
                grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None
            if name in scores.extra:
                grade.extra_credit = scores.extra[name]
        comments = {comment.cell_id: comment for comment in row.comments}
        for name, cell in self._solutions.items():
            comment = comments.get(cell)
            if comment is None:
                row.comments.append(comment := Comment(cell_id=cell))
            if name in scores.comments:
                comment.auto_comment = scores.comments[name]


def utc(moment: datetime) -> datetime:
    """A moment in UTC and without a zone, as nbgrader has it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _parts(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))


def _again(action: Callable[[], _Result], tries: int, *failures: type[Exception]) -> _Result:
    """Call `action` until it succeeds: it may fail because another process writes at the same moment."""
    for attempt in range(tries - 1):
        try:
            return action()
        except failures:
            time.sleep(_WAIT * 2**attempt * random.random())  # those who met there must not come back together
    return action()


def register(material: Material) -> None:
    """Make the assignment known to the gradebook, as `nbgrader generate_assignment` does, unless it is.

    What students got stays as it is: the notebook that is made along the way is thrown away.
    Raises AuthorError if the database can't be used.
    """
    write_source(material)
    try:
        # Two that make the tables of an empty database at the same moment hinder each other.
        _again(lambda: _register(material), 4, IntegrityError, ProgrammingError, NbGraderException)
    except (SQLAlchemyError, NbGraderException, ImportError) as error:
        told = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise AuthorError(
            f"The gradebook {without_password(material.course.gradebook)} can't be used: {told}"
        ) from error


def _register(material: Material) -> None:
    find_alembic()
    with api.Gradebook(material.course.gradebook_url, material.course.id) as gradebook:
        try:
            gradebook.find_notebook(material.name, material.name)
            return
        except api.MissingEntry:
            pass
        finally:
            gradebook.close()
            gradebook.engine.dispose()
    config = Config()
    point_at(config, material.course)
    with tempfile.TemporaryDirectory() as folder:
        config.CourseDirectory.release_directory = folder
        config.CourseDirectory.assignment_id = material.name
        GenerateAssignment(coursedir=CourseDirectory(config=config), config=config, force=True).start()


def point_at(config: Any, course: Course) -> None:
    """Tell nbgrader where the course's folders and its gradebook are."""
    config.CourseDirectory.root = str(course.root)
    config.CourseDirectory.course_id = course.id
    config.CourseDirectory.db_url = course.gradebook_url
    for step in ("source", "release", "submitted", "autograded", "feedback"):
        setattr(config.CourseDirectory, f"{step}_directory", str(getattr(course.folders, step)))


def find_alembic() -> None:
    """nbgrader runs `alembic` by bare name, and leaves half a database where that is not on PATH."""
    scripts = str(Path(sys.executable).parent)
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
