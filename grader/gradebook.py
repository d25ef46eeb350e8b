"""nbgrader's gradebook: what it knows of an assignment, and the results of many submissions written at once."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sql
from alembic.script import ScriptDirectory
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
from nbgrader.dbutil import ALEMBIC_DIR
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.pool import NullPool
from traitlets.config import Config

from grader.build import source_notebook, write_source
from grader.checks import AuthorError
from grader.course import Course, without_password
from grader.material import Material
from grader.outputs import safe_text

# Students in one question to the database: each is a parameter, and old SQLites take 999 of them.
_AT_ONCE = 400
# Seconds that others' locks are waited for, and a server that has gone away. What lost against others who wrote at the
# same moment is tried again after a part of _WAIT seconds, and then longer.
_PATIENCE, _WAIT = 60.0, 0.05
# PostgreSQL's name for the lock of those who find no tables and make them.
_MAKING = int.from_bytes(b"grader")

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
        self._course = course = material.course
        shown, due = without_password(course.gradebook), utc(material.assignment.due)
        self._points = _points(material)
        write_source(material)
        with _usable(self._course):
            self._engine = _open(course.gradebook_url)
            if fault := _make_tables(self._engine):
                raise AuthorError(f"The gradebook {shown} {fault}")
            _again(lambda: _learn(self._engine, material), self._engine)
            with Session(self._engine) as session:
                notebook = session.scalars(_notebook(material)).one()
                self.layout = self._layout(notebook)
                self._assignment, self._notebook = notebook.assignment_id, notebook.id
                self._graded = {cell.name: cell.id for cell in notebook.grade_cells}
                self._solutions = {cell.name: cell.id for cell in notebook.solution_cells}
                owner, known_due = notebook.assignment.course_id, notebook.assignment.duedate
            if owner != course.id:
                raise AuthorError(
                    f"The gradebook {shown} holds {material.name} of the course {owner!r}, and this course is "
                    f"{course.id!r}. In course.yaml, give each course a gradebook of its own"
                )
            if fault := _changed(self.layout, self._points, material):
                raise AuthorError(f"The gradebook {shown} {fault}")
            if known_due != due:
                with _writing(self._engine) as session:
                    session.execute(sql.update(Assignment).where(Assignment.id == self._assignment).values(duedate=due))

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
        place = {name: position for position, name in enumerate(self._points)}
        cells.sort(key=lambda cell: place.get(cell.name, len(place)))
        return Layout(notebook.name, tuple(cells), json.loads(notebook.kernelspec) if notebook.kernelspec else None)

    def submissions(self) -> set[str]:
        """The students of whom the gradebook has a submission."""
        wanted = sql.select(SubmittedAssignment.student_id).where(SubmittedAssignment.assignment_id == self._assignment)
        with _usable(self._course), Session(self._engine) as session:
            return set(session.scalars(wanted))

    def kept(self, students: Sequence[str]) -> dict[str, Kept]:
        """What is kept of the earlier submissions of these students. Those who have none are not in it."""
        with _usable(self._course), Session(self._engine) as session:
            return {
                submission.student_id: self._kept(submission)
                for some in _parts(students)
                for submission in session.scalars(self._submissions(some))
            }

    def _kept(self, submission: SubmittedAssignment) -> Kept:
        cells = {identity: name for name, identity in (*self._graded.items(), *self._solutions.items())}
        rows = [row for row in submission.notebooks if row.notebook_id == self._notebook]
        graded = [(cells[grade.cell_id], grade) for row in rows for grade in row.grades if grade.cell_id in cells]
        return Kept(
            manual={name: grade.manual_score for name, grade in graded if grade.manual_score is not None},
            extra={name: grade.extra_credit for name, grade in graded if grade.extra_credit is not None},
            comments={
                cells[comment.cell_id]: (comment.auto_comment, comment.manual_comment)
                for row in rows
                for comment in row.comments
                if comment.cell_id in cells
            },
            handed_in=submission.timestamp,
            extension=submission.extension,
        )

    def _submissions(self, students: Sequence[str]) -> sql.Select[tuple[SubmittedAssignment]]:
        """The submissions of some students, with all that hangs on them."""
        notebooks = selectinload(SubmittedAssignment.notebooks)
        return (
            sql.select(SubmittedAssignment)
            .where(SubmittedAssignment.assignment_id == self._assignment, SubmittedAssignment.student_id.in_(students))
            .options(*(notebooks.selectinload(part) for part in (SubmittedNotebook.grades, SubmittedNotebook.comments)))
        )

    def save(self, results: Sequence[Scores]) -> None:
        """Write the results of some submissions, in one transaction: all or none. What people gave stays."""
        # Always in the same order: two graders that write the same students can't wait for each other in a circle.
        ordered = sorted(results, key=lambda one: one.student)
        with _usable(self._course):
            _again(lambda: self._save(ordered), self._engine)

    def _save(self, results: Sequence[Scores]) -> None:
        with _writing(self._engine) as session:
            for some in _parts(results):
                names = [one.student for one in some]
                known = {*session.scalars(sql.select(api.Student.id).where(api.Student.id.in_(names)))}
                session.add_all(api.Student(id=name) for name in names if name not in known)
                there = {submission.student_id: submission for submission in session.scalars(self._submissions(names))}
                for one in some:
                    submission = there.get(one.student) or self._new(one.student)
                    if one.handed_in is not None:
                        submission.timestamp = one.handed_in
                    self._fill(self._row(submission), one)
                    session.add(submission)  # and all that has been hung on it

    def _new(self, student: str) -> SubmittedAssignment:
        return SubmittedAssignment(assignment_id=self._assignment, student_id=student)

    def _row(self, submission: SubmittedAssignment) -> SubmittedNotebook:
        rows = [row for row in submission.notebooks if row.notebook_id == self._notebook]
        return rows[0] if rows else SubmittedNotebook(notebook_id=self._notebook, assignment=submission)

    def _fill(self, row: SubmittedNotebook, scores: Scores) -> None:
        row.late_submission_penalty = scores.penalty
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


@contextmanager
def _usable(course: Course) -> Iterator[None]:
    """Whatever the database can't do is told in a sentence."""
    shown = without_password(course.gradebook)
    try:
        yield
    except ImportError as error:
        raise AuthorError(
            f"The gradebook {shown} needs a driver: {error}. For PostgreSQL: pip install 'psycopg[binary]'"
        ) from None
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        told = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        # From None: SQLAlchemy's own message holds what was to be written.
        raise AuthorError(f"The gradebook {shown} can't be used: {safe_text(told)}") from None


def find_driver(course: Course) -> None:
    """Raises AuthorError where the gradebook's database is one that nothing here can open."""
    with _usable(course):
        _open(course.gradebook_url)


def _again(action: Callable[[], _Result], engine: sql.Engine) -> _Result:
    """Call `action` until it succeeds: another process may write at the same moment, a server may start anew."""
    # SQLite has waited by itself.
    failures = (IntegrityError,) if engine.dialect.name == "sqlite" else (IntegrityError, OperationalError)
    end, wait = time.monotonic() + _PATIENCE, _WAIT
    while True:
        try:
            return action()
        except failures:
            if time.monotonic() > end:
                raise
        time.sleep(wait * random.random())  # those who met there must not come back together
        wait = min(2 * wait, 2.0)


def _open(url: str) -> sql.Engine:
    # No connection outlives its use: a process that is forked while one is open would speak on it, too.
    return sql.create_engine(
        url, poolclass=NullPool, connect_args={"timeout": _PATIENCE} if url.startswith("sqlite") else {}
    )


@contextmanager
def _writing(engine: sql.Engine) -> Iterator[Session]:
    """A transaction: what is done in it counts when it ends, or nothing of it does."""
    begin = {
        # From the start: nobody else writes between what is read here and what is written.
        "sqlite": "BEGIN IMMEDIATE",
        "postgresql": f"SET LOCAL lock_timeout = {round(1000 * _PATIENCE)}",
    }
    with Session(engine) as session, session.begin():
        if engine.dialect.name in begin:
            session.connection().exec_driver_sql(begin[engine.dialect.name])
        yield session


def _make_tables(engine: sql.Engine) -> str:
    """Make nbgrader's tables where there are none. Returns what is wrong with those that there are, or "".

    In one transaction: nbgrader's own way, in several, leaves half of them to whoever comes while it is at it.
    """
    newest = ScriptDirectory(ALEMBIC_DIR).get_current_head()
    with engine.connect() as connection:
        version = _version(connection)
    if version is None:
        with _writing(engine) as session:
            connection = session.connection()
            if engine.dialect.name == "postgresql":
                connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_MAKING)))
            if _version(connection) is None:
                api.Base.metadata.create_all(connection)
                connection.execute(sql.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
                connection.execute(sql.text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": newest})
    elif version not in ("", newest):
        return (
            f"is another nbgrader's: its tables are of version {version}, and this nbgrader's of {newest}. "
            "Make a copy of it, and then run: nbgrader db upgrade"
        )
    return ""


def _version(connection: sql.Connection) -> str | None:
    """The version of nbgrader's tables: None if there are none, "" if nbgrader has not said."""
    there = sql.inspect(connection)
    if not there.has_table(SubmittedAssignment.__tablename__):
        return None
    if not there.has_table("alembic_version"):
        return ""
    return connection.scalar(sql.text("SELECT version_num FROM alembic_version")) or ""


def _notebook(material: Material) -> sql.Select[tuple[Notebook]]:
    return (
        sql.select(Notebook)
        .join(Notebook.assignment)
        .where(Assignment.name == material.name, Notebook.name == material.name)
    )


def _learn(engine: sql.Engine, material: Material) -> None:
    """Make the assignment known to the gradebook, as `nbgrader generate_assignment` does, unless it is.

    nbgrader writes it cell by cell, and another grader would find half of it. So it writes into a gradebook of its own,
    from where all goes over at once.
    """
    with Session(engine) as session:
        if session.scalars(_notebook(material)).one_or_none() is not None:
            return
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gradebook.db"
        made = _open(url)
        _make_tables(made)
        config = Config()
        point_at(config, material.course)
        config.CourseDirectory.db_url = url
        config.CourseDirectory.release_directory = folder
        config.CourseDirectory.assignment_id = material.name
        try:
            GenerateAssignment(coursedir=CourseDirectory(config=config), config=config, force=True).start()
        except NbGraderException as error:
            raise AuthorError(f"{material.solution_file}: nbgrader can't make a notebook of it; see above") from error
        with made.connect() as source, _writing(engine) as session:
            _copy_cells(source, session, material)


def _copy_cells(source: sql.Connection, session: Session, material: Material) -> None:
    """The assignment, its notebook and its cells, from a gradebook that holds nothing else."""
    session.merge(api.Course(id=material.course.id))
    assignment = session.scalars(sql.select(Assignment).where(Assignment.name == material.name)).one_or_none()
    if assignment is None:
        assignment = Assignment(name=material.name, course_id=material.course.id)
        session.add(assignment)
    session.flush()
    cells = api.BaseCell, api.GradeCell, api.SolutionCell, api.SourceCell
    for table in (kind.__table__ for kind in (Notebook, *cells)):
        rows = [dict(row) for row in source.execute(sql.select(table)).mappings()]
        if table is Notebook.__table__:
            rows = [{**row, "assignment_id": assignment.id} for row in rows]
        session.execute(sql.insert(table), rows)


def _points(material: Material) -> dict[str, float | None]:
    """Cell -> points, of the cells that nbgrader has to know, in their order; None for one without a score."""
    cells = [cell.metadata.nbgrader for cell in source_notebook(material).cells if cell.metadata]
    return {cell.grade_id: cell.get("points") for cell in cells}


def _changed(layout: Layout, points: Mapping[str, float | None], material: Material) -> str:
    """How the cells that the gradebook knows differ from those that there are now, and what to do; "" if they don't."""
    known = {cell.name: cell.points for cell in layout.cells}
    command = f"nbgrader generate_assignment {material.name} --force"
    if known.keys() != points.keys():
        told = [
            f"{verb} {', '.join(sorted(names))}"
            for verb, names in (("lacks", points.keys() - known.keys()), ("still holds", known.keys() - points.keys()))
            if names
        ]
        return (
            f"knows other cells of {material.name} than {material.solution_file} has: it {' and '.join(told)}. Until "
            f"somebody's submission is graded, `{command}` mends that; from then on nbgrader refuses to add or remove "
            "cells, and they have to be as they were"
        )
    differ = [
        f"{known[name] or 0:g} points for the cell {name}, and the checks now give {new or 0:g}"
        for name, new in points.items()
        if (known[name] or 0) != (new or 0)
    ]
    if differ:
        return f"holds {'; '.join(differ)}. Run `{command}`: what students and graders have stays. Then grade again"
    return ""


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
