"""The engine as steps of `nbgrader autograde`: what nbgrader_config.py puts in the place of some of nbgrader's own."""

from __future__ import annotations

import atexit
import sys
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

from grader.checks import AuthorError
from grader.course import FILE, CourseError, load_course
from grader.grade import UNCONFINED, grade
from grader.gradebook import Gradebook, Kept
from grader.intake import plain_files
from grader.marking import readable, scores_of, show
from grader.material import Material
from grader.report import Report
from grader.reports import write_report
from grader.restore import restore
from grader.sandbox import Sandbox
from grader.submission import Submission, SubmissionError, file_bytes


class Engine:
    """The course, its materials and a sandbox, kept for all the submissions that one process grades."""

    def __init__(self, root: Path) -> None:
        self._written = _written(root)
        self.course = load_course(root)
        self.troubled: list[str] = []
        self._faults: dict[tuple[str, str], str] = {}
        self._left_out: dict[tuple[str, str], list[str]] = {}
        self._sandbox = Sandbox(private=(root,), confined=self.course.sandbox == "on")
        self._sandbox.start()
        self._known: dict[str, tuple[Material, Gradebook]] = {}

    def outdated(self) -> bool:
        """Whether somebody has edited the course since it was read."""
        return self._written != _written(self.course.root)

    def known(self, assignment: str) -> tuple[Material, Gradebook]:
        """The assignment's material and its place in the gradebook, which learns of it if it has not."""
        if assignment not in self._known:
            material = Material(self.course, assignment)
            self._known[assignment] = material, Gradebook(material)
        return self._known[assignment]

    def look_at(self, folder: Path) -> None:
        """Note what lies beside the notebooks in submitted/STUDENT/ASSIGNMENT."""
        self.known(folder.name)
        self._left_out[folder.name, folder.parent.name] = plain_files(folder)[1]

    def read(self, path: Path, assignment: str, student: str) -> NotebookNode:
        data, fault = b"", ""
        try:
            data = file_bytes(path)
        except SubmissionError as error:
            fault = str(error)
        notebook, fault = readable(data, fault)
        if fault:
            self._faults[assignment, student] = fault
        return notebook

    def grade(self, notebook: NotebookNode, assignment: str, student: str) -> Report:
        material, _ = self.known(assignment)
        submission = Submission.of(f"{assignment}.ipynb", notebook, self._faults.pop((assignment, student), ""))
        report = grade(submission, material, self._sandbox).with_notes(self._left_out.pop((assignment, student), ()))
        write_report(self.course, assignment, student, report.text(), report.measured())
        self.troubled += [f"{student}: {note}" for note in report.notes if note != UNCONFINED]
        return report

    def save(self, notebook: NotebookNode, report: Report, assignment: str, student: str) -> None:
        material, gradebook = self.known(assignment)
        kept = gradebook.kept([student]).get(student, Kept())
        gradebook.save([scores_of(student, notebook, report, material, kept)])

    def end(self) -> None:
        """Name the submissions that need a look."""
        atexit.unregister(self.end)
        self._sandbox.close()
        for _, gradebook in self._known.values():
            gradebook.close()
        if self.troubled:
            count = len(self.troubled)
            print(f"\n{count} submission{'s need' if count > 1 else ' needs'} a look:", file=sys.stderr)
            for line in self.troubled:
                print(f"  {line}", file=sys.stderr)


def _written(root: Path) -> dict[Path, tuple[int, int]]:
    """What stands in the course's folder that authors write, with what changes when they do."""
    found = (root / FILE, *root.glob("solutions/*.py"), *root.glob("tests/hidden/**/*"))
    files = {path: path.stat() for path in found if "__pycache__" not in path.parts}
    return {path: (facts.st_mtime_ns, facts.st_size) for path, facts in files.items() if S_ISREG(facts.st_mode)}


@cache
def engine(root: Path) -> Engine:
    """The engine of the course in `root`, which nbgrader makes the working folder. It ends with the process."""
    made = Engine(root)
    atexit.register(made.end)
    return made


def before_autograde(*, notebooks: list[str], **_: Any) -> None:
    """nbgrader grades what its gradebook knows, and generate_assignment skips an assignment that has its release."""
    root = Path.cwd()
    try:
        if engine(root).outdated():  # the form grader's process lives for days
            engine(root).end()
            engine.cache_clear()
        engine(root).look_at(Path(notebooks[0]).parent)
    except (AuthorError, CourseError) as error:
        # nbgrader would go on after an exception, and fail on each submission.
        sys.exit(f"grader: {error}")


class ReadAnything(NotebookExporter):
    """Reads notebooks of any format. A file that can't be read becomes a notebook that says so."""

    def from_filename(self, filename: str, resources: Any = None, **kwargs: Any) -> Any:
        path, facts = Path(filename), resources["nbgrader"]
        notebook = engine(Path.cwd()).read(path, facts["assignment"], facts["student"])
        resources = self._init_resources(resources)
        resources["metadata"]["name"] = path.stem
        resources["metadata"]["path"] = str(path.parent)
        return self.from_notebook_node(notebook, resources=resources, **kwargs)


class RestoreCells(NbGraderPreprocessor):
    """Replaces nbgrader's OverwriteCells and OverwriteKernelspec."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        material, gradebook = engine(Path.cwd()).known(resources["nbgrader"]["assignment"])
        restore(nb, gradebook.layout, material)
        return nb, resources


class GradeSubmission(NbGraderPreprocessor):
    """Replaces nbgrader's Execute: the engine runs and judges the notebook; its scores become the cells' outputs."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        facts = resources["nbgrader"]
        report = engine(Path.cwd()).grade(nb, facts["assignment"], facts["student"])
        # Kept for the step that saves it; nbconvert carries resources from one to the next.
        resources["grader_report"] = report
        show(report, nb)
        return nb, resources


class SaveScores(NbGraderPreprocessor):
    """Replaces nbgrader's SaveAutoGrades and AssignLatePenalties, and saves a bonus as extra credit."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        facts = resources["nbgrader"]
        engine(Path.cwd()).save(nb, resources["grader_report"], facts["assignment"], facts["student"])
        return nb, resources
