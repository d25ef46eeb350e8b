"""`grader autograde`: every submission under submitted/ into nbgrader's gradebook, and again only what changed."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters.autograde import Autograde
from nbgrader.converters.base import NbGraderException
from pydantic import BaseModel

from grader.checks import AuthorError
from grader.course import Course
from grader.intake import IntakeError, plain_files, read_plain, student_fault, take
from grader.nbgrader_plugin import INTAKE, converter, engine
from grader.outputs import safe_text


class Outcome(BaseModel):
    """What a run did: who was graded, who needs a look, who could not be graded."""

    assignment: str
    graded: list[str]
    unchanged: int
    troubled: list[str]
    failed: list[str]


class Autograder:
    """Grades the submissions of one assignment, one after the other. A context manager."""

    def __init__(self, course: Course, assignment: str) -> None:
        self._course = course
        self._engine = engine(course.root)
        self._material = self._engine.material(assignment)
        self._outcome = Outcome(assignment=self._material.name, graded=[], unchanged=0, troubled=[], failed=[])

    def __enter__(self) -> Autograder:
        self._engine.register(self._material.name)
        return self

    def __exit__(self, *_: object) -> None: ...

    def waiting(self, student: str = "", *, force: bool = False) -> list[str]:
        """The students whose submission has to be graded, in order of their names."""
        submitted = self._course.folder("submitted")
        students = sorted(path.parent.name for path in submitted.glob(f"*/{self._material.name}") if path.is_dir())
        if student:
            if student not in students:
                where = f"{self._course.folders.submitted}/{student}/{self._material.name}"
                raise AuthorError(safe_text(f"{where} is missing: {student} has handed nothing in"))
            students = [student]
        for name in [name for name in students if student_fault(name)]:
            students.remove(name)
            self._outcome.failed.append(f"{student_fault(name)}. Rename the folder in {submitted}")
        waiting = [name for name in students if force or not self._done(name)]
        self._outcome.unchanged = len(students) - len(waiting)
        return waiting

    def grade(self, student: str) -> None:
        """Grade one student's submission. Its failure is noted and costs nobody else."""
        self._receipt(student).unlink(missing_ok=True)
        before = len(self._engine.troubled)
        try:
            folder = self._intake(student)
            one = converter(Autograde, self._course, self._material.name, student, submitted=folder)
            one.start()
        except (NbGraderException, IntakeError, OSError) as error:
            self._outcome.failed.append(f"{student}: {error}")
            return
        self._outcome.graded.append(student)
        self._outcome.troubled += self._engine.troubled[before:]
        receipt = self._receipt(student)
        receipt.parent.mkdir(parents=True, exist_ok=True)
        receipt.write_text(self._key(student))

    def outcome(self) -> Outcome:
        self._engine.troubled.clear()
        return self._outcome

    def _submitted(self, student: str) -> Path:
        return self._course.folder("submitted") / student / self._material.name

    def _receipt(self, student: str) -> Path:
        return self._course.root / "build" / "receipts" / self._material.name / student

    def _key(self, student: str) -> str:
        digest = hashlib.sha256(self._material.digest.encode())
        files, left_out = plain_files(self._submitted(student))
        for file in files:
            digest.update(str(file.relative_to(self._submitted(student))).encode())
            digest.update(hashlib.sha256(read_plain(file)).digest())
        digest.update(repr(left_out).encode())
        return digest.hexdigest()

    def _done(self, student: str) -> bool:
        """Graded to the end, and nothing has changed since: the receipt is the last thing written."""
        receipt = self._receipt(student)
        autograded = self._course.folder("autograded") / student / self._material.name
        if not (receipt.is_file() and autograded.is_dir() and receipt.read_text() == self._key(student)):
            return False
        with Gradebook(self._course.gradebook_url, self._course.id) as gradebook:
            try:
                gradebook.find_submission(self._material.name, student)
            except MissingEntry:
                return False
        return True

    def _intake(self, student: str) -> Path:
        """The folder to read from. A lone notebook under another name is taken for the assignment's."""
        folder = self._submitted(student)
        notebooks = list(folder.glob("*.ipynb"))
        name = f"{self._material.name}.ipynb"
        if len(notebooks) != 1 or notebooks[0].name == name:
            return self._course.folder("submitted")
        intake = self._course.root / INTAKE
        target = intake / student / self._material.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        left_out = take(folder, target)
        if not (target / notebooks[0].name).exists():
            raise IntakeError(" ".join(left_out))
        (target / notebooks[0].name).rename(target / name)
        return intake


logging.getLogger("traitlets").setLevel(logging.ERROR)
