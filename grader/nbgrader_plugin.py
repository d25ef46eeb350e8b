"""nbgrader's door to the engine: what nbgrader_config.py hands to nbgrader's own commands."""

from __future__ import annotations

import atexit
import html
import itertools
import logging
import os
import re
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import nbformat
import nbgrader.converters.base
import nbgrader.utils
from nbconvert.exporters import NotebookExporter
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import BaseConverter, GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange.default import ExchangeCollect
from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin, LateSubmissionPlugin
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from sqlalchemy.exc import SAWarning
from traitlets import Unicode
from traitlets.config import Config

from grader.build import cell_id, tests_cell, write_source
from grader.course import Course, load_course
from grader.feedback import safe_markdown
from grader.grade import UNCONFINED, grade
from grader.intake import collect, plain_files, student_fault, take
from grader.material import Material
from grader.outputs import gist, safe_text
from grader.pages import checks_table
from grader.report import ProblemResult, Report
from grader.sandbox import Sandbox
from grader.submission import Submission, SubmissionError, read_notebook

# The id of the cell that says why a file could not be read; the assignment's cells come after it.
_UNREADABLE = "unreadable"
INTAKE = Path("build", "intake")
"""Where `grader autograde` puts a notebook that came under another name."""


def configure(config: Any, folder: str | Path) -> None:
    """Give nbgrader everything that course.yaml in `folder` says. Called by nbgrader_config.py."""
    course = load_course(folder)
    _find_alembic()
    # nbgrader 0.9 reads relations of objects that it has not added yet; SQLAlchemy 2 says so, many times each.
    warnings.filterwarnings("ignore", category=SAWarning, module="nbgrader.api")
    config.CourseDirectory.root = str(course.root)
    config.CourseDirectory.course_id = course.id
    config.CourseDirectory.db_url = course.gradebook_url
    for step in ("source", "release", "submitted", "autograded", "feedback"):
        setattr(config.CourseDirectory, f"{step}_directory", str(getattr(course.folders, step)))
    if course.folders.exchange:
        config.Exchange.root = str(course.root / course.folders.exchange)
    config.FileNameCollectorPlugin.named_regexp = course.collect_regexp
    config.ZipCollectApp.extractor_plugin = ExtractPlainFiles
    config.ZipCollectApp.collector_plugin = CollectDownloads
    config.ExchangeFactory.collect = CollectPlainFiles
    config.CollectDownloads.timezone = course.timezone
    config.Autograde.exporter_class = ReadAnything
    config.Autograde.sanitize_preprocessors = [
        ClearOutput,
        OverwriteKernelspec,
        RestoreCells,
        CheckCellMetadata,
    ]
    config.Autograde.autograde_preprocessors = [
        GradeSubmission,
        IgnorePattern,
        ClearMetadataPreprocessor,
        LimitOutput,
        SaveAutoGrades,
        SaveCourseFacts,
        AssignLatePenalties,
        CheckCellMetadata,
    ]
    config.OverwriteCells.add_missing_cells = True
    config.RestoreCells.add_missing_cells = True
    config.AssignLatePenalties.plugin_class = LatePenalty
    config.Autograde.pre_convert_hook = _before_autograde
    # What students wrote in markdown and raw cells stands on pages that others open.
    config.HTMLExporter.filters = {"markdown2html": safe_markdown}
    config.HTMLExporter.exclude_raw = True
    _copy_plain_files_only(course)
    logging.setLogRecordFactory(PlainRecord)


def _copy_plain_files_only(course: Course) -> None:
    """Keep nbgrader from following the links in a submission: it would copy your files into what students get back."""
    submitted = (course.folder("submitted"), course.root / INTAKE)
    found_by_nbgrader = nbgrader.utils.find_all_files

    def found(path: str, exclude: list[str] | None = None) -> list[str]:
        files: list[str] = found_by_nbgrader(path, exclude)
        folder = course.root / path
        if not any(folder.is_relative_to(place) for place in submitted):
            return files
        plain = set(plain_files(folder)[0])
        return [file for file in files if course.root / file in plain]

    nbgrader.converters.base.find_all_files = found


class PlainRecord(logging.LogRecord):
    """nbgrader writes the names of students and files into its log as they are: a terminal must not obey them."""

    def getMessage(self) -> str:
        return safe_text(super().getMessage())


def _find_alembic() -> None:
    """nbgrader runs `alembic` by bare name, and leaves half a database where that is not on PATH."""
    scripts = str(Path(sys.executable).parent)
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])


class Engine:
    """The course, its materials and a sandbox, kept for all the submissions that one process grades."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.sandbox = Sandbox(private=(course.root,), confined=course.sandbox == "on")
        self.troubled: list[str] = []
        self.unreadable: dict[tuple[str, str], str] = {}
        self.left_out: dict[tuple[str, str], list[str]] = {}
        self._materials: dict[str, Material] = {}
        self._registered: set[str] = set()

    def material(self, assignment: str) -> Material:
        if assignment not in self._materials:
            self._materials[assignment] = Material(self.course, assignment)
        return self._materials[assignment]

    def register(self, assignment: str) -> None:
        """Make the assignment known to the gradebook, unless it is."""
        if assignment not in self._registered:
            register(self.material(assignment))
            self._registered.add(assignment)

    def grade(self, notebook: NotebookNode, assignment: str, student: str) -> Report:
        name = f"{assignment}.ipynb"
        fault = self.unreadable.pop((assignment, student), "")
        report = grade(Submission.of(name, notebook, fault), self.material(assignment), self.sandbox)
        notes = (*report.notes, *self.left_out.pop((assignment, student), ()))
        report = report.model_copy(update={"notes": notes})
        self._keep(report, assignment, student)
        self.troubled += [f"{student}: {note}" for note in report.notes if note != UNCONFINED]
        return report

    def _keep(self, report: Report, assignment: str, student: str) -> None:
        file = self.course.folder("reports") / assignment / f"{student}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def close(self) -> None:
        self.sandbox.close()


@cache
def engine(root: Path) -> Engine:
    """The engine of the course in `root`, which nbgrader makes the working folder.

    When the process ends, it names the submissions that need a look.
    """
    made = Engine(load_course(root))
    made.sandbox.start()

    def end() -> None:
        made.close()
        if made.troubled:
            count = len(made.troubled)
            print(f"\n{count} submission{'s need' if count > 1 else ' needs'} a look:", file=sys.stderr)
            for line in made.troubled:
                print(f"  {line}", file=sys.stderr)

    atexit.register(end)
    return made


def _before_autograde(*, assignment: str, notebooks: list[str], **_: Any) -> None:
    """nbgrader grades what its gradebook knows, and generate_assignment skips an assignment that has its release."""
    made = engine(Path.cwd())
    made.register(assignment)
    folder = Path(notebooks[0]).parent
    made.left_out[assignment, folder.parent.name] = plain_files(folder)[1]


class ExtractPlainFiles(ExtractorPlugin):
    """Unpacks downloads, whatever they hold: nbgrader's own would follow links and fill the disk."""

    def extract(self, archive_path: str, extracted_path: str) -> None:
        for folder, _, names in os.walk(archive_path):
            for name in sorted(names):
                self.log.info("Taking in %s", name)
                for told in collect(Path(folder) / name, Path(extracted_path) / Path(folder).relative_to(archive_path)):
                    self.log.warning(told)


class CollectPlainFiles(ExchangeCollect):
    """Collects from the exchange, where students own their folders and can put anything into them."""

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / Path(dest).name
            copy.mkdir()
            for told in take(Path(src), copy):
                self.log.warning("%s: %s", Path(src).name, told)
            super().do_copy(str(copy), dest, log)


class CollectDownloads(FileNameCollectorPlugin):
    """Reads the times in the names of downloaded files as the course's local time, which Blackboard writes there.

    nbgrader would take 2027-03-26-22-15-00 for ten in the evening, UTC.
    """

    timezone = Unicode("UTC", help="Timezone of the times in file names.").tag(config=True)

    def collect(self, submitted_file: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = super().collect(submitted_file)
        if found and (fault := student_fault(found["student_id"])):
            self.log.warning(fault)
            return None
        stamp = found.get("timestamp") if found else None
        if found and stamp and re.fullmatch(r"\d{4}(-\d\d){5}", stamp):
            moment = datetime.strptime(stamp, "%Y-%m-%d-%H-%M-%S").replace(tzinfo=ZoneInfo(self.timezone))
            found["timestamp"] = moment.astimezone(UTC).isoformat()
        return found


class ReadAnything(NotebookExporter):
    """Reads notebooks of any format. A file that can't be read becomes a notebook that says so.

    Why it can't be read is kept aside, not in the notebook: there a student could write it.
    """

    def from_filename(self, filename: str, resources: Any = None, **kwargs: Any) -> Any:
        path = Path(filename)
        try:
            notebook = read_notebook(path)
        except SubmissionError as error:
            facts = resources["nbgrader"]
            engine(Path.cwd()).unreadable[facts["assignment"], facts["student"]] = str(error)
            notebook = nbformat.v4.new_notebook()
            told = f"**This submission could not be read.** {html.escape(str(error))}"
            notebook.cells = [nbformat.v4.new_markdown_cell(told)]
            notebook.cells[0].id = _UNREADABLE
        resources = self._init_resources(resources)
        resources["metadata"]["name"] = path.stem
        resources["metadata"]["path"] = str(path.parent)
        return self.from_notebook_node(notebook, resources=resources, **kwargs)


class RestoreCells(OverwriteCells):
    """Brings a notebook back to the assignment's cells, whatever an editor or a student did to them.

    nbgrader's own step fails on a notebook that lacks a solution cell, and knows nothing of cell ids.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        facts = resources["nbgrader"]
        with Gradebook(facts["db_url"]) as gradebook:
            source = gradebook.find_notebook(facts["notebook"], facts["assignment"])
            known = self._source_metadata(source)
            by_source = {cell.source: cell.name for cell in source.source_cells if cell.locked}
        by_id = {cell_id(name): name for name in known}
        lesson = engine(Path.cwd()).material(facts["assignment"])
        marks = [
            (self._grade_id(cell), by_id.get(cell.get("id", ""), ""), _told_by(cell, before, by_source, lesson))
            for before, cell in zip([None, *nb.cells], nb.cells, strict=False)
        ]
        for cell in nb.cells:
            cell.metadata.pop("nbgrader", None)
        # Metadata and ids first: what a cell says is for notebooks that have lost both.
        for kind in range(3):
            # From the end: of copies of a cell the last one counts, as nbgrader has it.
            for cell, names in zip(reversed(nb.cells), reversed(marks), strict=True):
                if "nbgrader" not in cell.metadata and names[kind] in known:
                    cell.metadata["nbgrader"] = known.pop(names[kind])
        return super().preprocess(nb, resources)

    @staticmethod
    def _source_metadata(source: Any) -> dict[str, NotebookNode]:
        points = {cell.name: cell.max_score for cell in source.grade_cells}
        solutions = {cell.name for cell in source.solution_cells}
        return {
            cell.name: NotebookNode(
                schema_version=3,
                grade_id=cell.name,
                grade=cell.name in points,
                solution=cell.name in solutions,
                locked=cell.locked,
                task=False,
                cell_type=cell.cell_type,
                **({"points": points[cell.name]} if cell.name in points else {}),
            )
            for cell in source.source_cells
        }

    @staticmethod
    def _grade_id(cell: NotebookNode) -> str:
        metadata = cell.metadata.get("nbgrader")
        name = metadata.get("grade_id") if isinstance(metadata, dict) else None
        return name if isinstance(name, str) else ""

    def add_missing_grade_cells(self, nb: NotebookNode, resources: Any) -> Any:
        source = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        solutions = {cell.name for cell in source.solution_cells}
        graded = {cell.name: cell for cell in source.grade_cells}
        after = int(bool(nb.cells) and nb.cells[0].id == _UNREADABLE)
        for cell in source.source_cells:
            places = [index for index, other in enumerate(nb.cells) if self._grade_id(other) == cell.name]
            if places:
                after = places[0] + 1
            elif cell.name in graded:
                added = self.missing_cell_transform(cell, graded[cell.name].max_score, cell.name in solutions)
                if cell.name in solutions:
                    added.source = cell.source  # an answer that was deleted is no answer: zero, not "to be graded"
                added["id"] = cell_id(cell.name)
                nb.cells.insert(after, added)
                after += 1
        return nb, resources


def _questions(material: Material) -> dict[str, str]:
    """Question -> grade_id of the cell below it, for every answer in words."""
    return {
        before.source: cell.metadata["answer"]
        for before, cell in itertools.pairwise(material.solution.cells)
        if "answer" in cell.metadata
    }


def _told_by(cell: NotebookNode, before: NotebookNode | None, tests: dict[str, str], lesson: Material) -> str:
    """The grade_id of a cell as it shows in what the cell says, or in the question above it; "" if it doesn't."""
    if cell.cell_type != "code":
        asked = _questions(lesson).get(before.source, "") if before is not None else ""
        return "" if any(cell.source == other.source for other in lesson.solution.cells) else asked
    if cell.source in tests:
        return tests[cell.source]
    defined = re.findall(r"^(?:def|class)\s+(\w+)", cell.source, re.MULTILINE)
    return defined[-1] if defined else ""


class GradeSubmission(NbGraderPreprocessor):
    """Replaces nbgrader's Execute: the engine runs and judges the notebook; its scores become the cells' outputs."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        facts = resources["nbgrader"]
        report = engine(Path.cwd()).grade(nb, facts["assignment"], facts["student"])
        # Kept for the steps that follow; nbconvert carries resources from one to the next.
        resources["grader_report"] = report
        for position, cell in enumerate(nb.cells):
            if cell.cell_type == "code":
                outputs = report.outputs.get(position, [])
                cell.outputs = [nbformat.from_dict(output) for output in outputs]
                cell.execution_count = None
        by_cell = {tests_cell(problem.name): problem for problem in report.problems}
        for cell in nb.cells:
            problem = by_cell.get(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
            if problem is not None:
                cell.outputs = self._scored(problem, cell)
        return nb, resources

    @staticmethod
    def _scored(problem: ProblemResult, cell: NotebookNode) -> list[NotebookNode]:
        failed = [f"{output.ename}: {gist(output.evalue)}" for output in cell.outputs if output.output_type == "error"]
        score = 0.0 if problem.bonus else problem.score
        # nbgrader takes the number in the cell's result as the score; a page shows the table in its place.
        data = {"text/html": checks_table(problem, failed[0] if failed else ""), "text/plain": repr(score)}
        return [nbformat.v4.new_output("execute_result", data)]


class SaveCourseFacts(NbGraderPreprocessor):
    """Saves what nbgrader has a place for but no step: a bonus as extra credit, and the due date."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        facts = resources["nbgrader"]
        report: Report = resources["grader_report"]
        due = engine(Path.cwd()).course.assignment(facts["assignment"]).due.astimezone(UTC).replace(tzinfo=None)
        with Gradebook(facts["db_url"]) as gradebook:
            assignment = gradebook.find_assignment(facts["assignment"])
            if assignment.duedate != due:
                assignment.duedate = due
            for problem in report.problems:
                if problem.bonus:
                    grade = gradebook.find_grade(
                        tests_cell(problem.name), facts["notebook"], facts["assignment"], facts["student"]
                    )
                    grade.extra_credit = problem.score
            gradebook.db.commit()
        return nb, resources


class LatePenalty(LateSubmissionPlugin):
    """The late policy of course.yaml."""

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        return engine(Path.cwd()).course.late.penalty(score, total_seconds_late)


def converter(kind: type[BaseConverter], course: Course, assignment: str, student: str = "*", **folders: Path) -> Any:
    """One of nbgrader's converters for one assignment of the course, as its command would make it.

    folders: other places for some of the course's folders, such as `submitted=...`.
    """
    config = Config()
    configure(config, course.root)
    config.CourseDirectory.assignment_id = assignment
    config.CourseDirectory.student_id = student
    for step, folder in folders.items():
        setattr(config.CourseDirectory, f"{step}_directory", str(folder))
    return kind(coursedir=CourseDirectory(config=config), config=config, force=True)


def register(material: Material) -> None:
    """Make the assignment known to the gradebook, as `nbgrader generate_assignment` does, unless it is.

    What students got stays as it is: the notebook that is made along the way is thrown away.
    """
    write_source(material)
    with Gradebook(material.course.gradebook_url, material.course.id) as gradebook:
        try:
            gradebook.find_notebook(material.name, material.name)
        except MissingEntry:
            with tempfile.TemporaryDirectory() as folder:
                converter(GenerateAssignment, material.course, material.name, release=Path(folder)).start()
