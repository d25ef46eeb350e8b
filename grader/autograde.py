"""`grader autograde`: every submission under submitted/ into nbgrader's gradebook, and again only what changed.

What is written is what `nbgrader autograde` and `nbgrader generate_feedback` would have written. The receipt of a
submission is the last thing: killed at any moment and run again, it loses nothing and repeats nothing that is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path

from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import find_all_files, parse_utc
from pydantic import BaseModel

from grader.checks import AuthorError
from grader.cluster import Cluster
from grader.course import Course
from grader.gradebook import Gradebook, Kept
from grader.intake import IntakeError, handed_in_notebook, plain_files, read_plain, student_fault
from grader.marking import Handed, Marked, Marker
from grader.material import Material
from grader.outputs import safe_text
from grader.reports import write_report
from grader.sandbox import Sandbox
from grader.submission import SubmissionError, file_bytes
from grader.workers import Failed, Workers

# Results are written so many at a time, or so many seconds after the first of them came.
_BATCH, _SECONDS = 64, 1.0


class Outcome(BaseModel):
    """What a run did: who was graded, who needs a look, who could not be graded."""

    assignment: str
    graded: list[str]
    unchanged: int
    troubled: list[str]
    failed: list[str]


class Autograder:
    """Grades the submissions of one assignment. A context manager.

    problem: the only one to grade; what is known of the others stays as it is.
    """

    def __init__(self, course: Course, assignment: str, sandbox: Sandbox, problem: str = "") -> None:
        self._course, self._sandbox = course, sandbox
        self._material = Material(course, assignment)
        self._name = self._material.name
        self._problem = problem
        self._material.tests.problems_named(problem)
        self._receipts: dict[str, str] = {}
        self.outcome = Outcome(assignment=self._name, graded=[], unchanged=0, troubled=[], failed=[])
        self.verdicts: Counter[str] = Counter()

    def __enter__(self) -> Autograder:
        self._gradebook = Gradebook(self._material)
        return self

    def __exit__(self, *_: object) -> None:
        self._gradebook.close()

    def waiting(self, student: str = "", *, force: bool = False) -> list[str]:
        """The students whose submission has to be graded, in order of their names. Raises AuthorError."""
        submitted = self._course.folder("submitted")
        students = sorted(path.parent.name for path in submitted.glob(f"*/{self._name}") if path.is_dir())
        if student:
            if student not in students:
                where = f"{self._course.folders.submitted}/{student}/{self._name}"
                raise AuthorError(safe_text(f"{where} is missing: {student} has handed nothing in"))
            students = [student]
        for name in [name for name in students if student_fault(name)]:
            students.remove(name)
            self.outcome.failed.append(f"{student_fault(name)}. Rename the folder in {submitted}")
        known = set() if force or self._problem else self._gradebook.submissions()
        waiting = [name for name in students if name not in known or not self._done(name)]
        self.outcome.unchanged = len(students) - len(waiting)
        return waiting

    def grade(self, students: Sequence[str], jobs: int, cluster: Cluster | None = None) -> Iterator[str]:
        """Grade these students' submissions; gives back the name of each when it is done with, graded or not.

        On a cluster, if there is one, else in so many processes of this machine.
        """
        if not students:
            return
        self._material.references(self._sandbox)
        self._material.overlays(self._sandbox)
        if cluster is not None:
            cluster.send(self._material, self._gradebook.layout)
            yield from self._written(cluster.run(self._handed(students)))
            return
        with ExitStack() as stack:
            shared = [stack.enter_context(self._sandbox.shared()) for _ in range(min(jobs, len(students)))]
            makers = [partial(Marker, self._material, self._gradebook.layout, sandbox) for sandbox in shared]
            workers = stack.enter_context(Workers(makers))
            yield from self._written(workers.run(self._handed(students)))

    def _written(self, results: Iterable[Marked | Failed]) -> Iterator[str]:
        """Write the results as they come, some at a time and beside the grading; in any case, what has come."""
        batch: list[Marked] = []
        writing: Future[None] | None = None
        since = time.monotonic()
        with ThreadPoolExecutor(1) as writer:
            try:
                for result in results:
                    if isinstance(result, Failed):
                        self._fail(result.student, result.reason)
                    else:
                        batch.append(result)
                        self.verdicts += result.verdicts
                    if len(batch) >= _BATCH or time.monotonic() > since + _SECONDS:
                        if writing is not None:
                            writing.result()
                        writing, batch, since = writer.submit(self._write, batch), [], time.monotonic()
                    yield result.student
            finally:
                if writing is not None:
                    writing.result()
                self._write(batch)
                for names in (self.outcome.graded, self.outcome.troubled, self.outcome.failed):
                    names.sort()  # they come in any order

    def _handed(self, students: Sequence[str]) -> Iterator[Handed]:
        kept = self._gradebook.kept(students)
        for student in students:
            try:
                yield self._read(student, kept.get(student, Kept()))
            except (IntakeError, OSError, ValueError) as error:
                self._fail(student, str(error))

    def _read(self, student: str, kept: Kept) -> Handed:
        folder, receipt, report = self._submitted(student), self._receipt(student), ""
        if self._problem:
            # Graded in part, it is as whole and as new as it was before.
            self._receipts[student] = receipt.read_text() if receipt.is_file() else ""
            file = self._course.report_file(self._name, student)
            report = file.read_text(encoding="utf-8") if file.is_file() else ""
        else:
            self._receipts[student] = self._key(student)
        receipt.unlink(missing_ok=True)
        data, fault = b"", ""
        try:
            data = file_bytes(handed_in_notebook(folder, self._name))
        except SubmissionError as error:
            fault = str(error)
        left_out = tuple(plain_files(folder)[1])
        return Handed(student, data, fault, left_out, _handed_in(folder), kept, self._problem, report)

    def _fail(self, student: str, reason: str) -> None:
        self.outcome.failed.append(safe_text(f"{student}: {reason}"))

    def _write(self, results: list[Marked]) -> None:
        written = [one for one in results if self._files_written(one)]
        self._gradebook.save([one.scores for one in written])
        for one in written:
            receipt = self._receipt(one.student)
            receipt.parent.mkdir(parents=True, exist_ok=True)
            receipt.write_text(self._receipts.pop(one.student))
            self.outcome.graded.append(one.student)
            self.outcome.troubled += [f"{one.student}: {note}" for note in one.notes]

    def _files_written(self, one: Marked) -> bool:
        """Whether its files could be written: one that changes or goes while it is graded costs that submission."""
        try:
            self._write_files(one)
        except (IntakeError, OSError) as error:
            self._fail(one.student, str(error))
            return False
        return True

    def _write_files(self, one: Marked) -> None:
        """The same files as nbgrader's, what was handed in beside the notebook included."""
        write_report(self._course, self._name, one.student, one.report, one.measured)
        source = self._course.folder("source") / self._name
        beside = {
            path.relative_to(folder): path
            for folder in (self._submitted(one.student), source)
            for path in _beside_notebooks(folder)
        }
        for step, suffix, text, mode in (
            ("autograded", "ipynb", one.notebook, 0o444),
            ("feedback", "html", one.page, 0o644),
        ):
            folder = self._course.root / getattr(self._course.folders, step) / one.student / self._name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for place, path in beside.items():
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (folder / place).write_bytes(read_plain(path))
                os.chmod(folder / place, mode)
            made = folder / f"{self._name}.{suffix}"
            made.write_text(text, encoding="utf-8")
            os.chmod(made, mode)

    def _submitted(self, student: str) -> Path:
        return self._course.folder("submitted") / student / self._name

    def _receipt(self, student: str) -> Path:
        return self._course.root / "build" / "receipts" / self._name / student

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
        autograded = self._course.folder("autograded") / student / self._name
        return receipt.is_file() and autograded.is_dir() and receipt.read_text() == self._key(student)


def _handed_in(folder: Path) -> datetime | None:
    """When a submission was handed in, in UTC without a zone: nbgrader keeps that beside it."""
    path = folder / "timestamp.txt"
    if not path.exists():
        return None
    text = read_plain(path, 1000).decode(errors="replace").strip()
    try:
        moment: datetime | None = parse_utc(text) if text else None
    except (ValueError, OverflowError):
        raise IntakeError(f"{path} holds no date and time. Mend or remove it") from None
    return moment


def _beside_notebooks(folder: Path) -> list[Path]:
    """The plain files of a folder that nbgrader hands on with its notebooks."""
    handed_on = {Path(path) for path in find_all_files(str(folder), [*CourseDirectory().ignore, "*.ipynb"])}
    return [path for path in plain_files(folder)[0] if path in handed_on]
