"""From a solution script to the notebooks: nbgrader's source, and the release that students get."""

from __future__ import annotations

import filecmp
import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from grader.checks import AuthorError
from grader.material import Material

SCHEMA = 3
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def source_notebook(material: Material) -> NotebookNode:
    """The solved notebook with nbgrader's cell metadata. The points of a tests cell are those of its checks."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": _KERNEL, "language_info": {"name": "python"}})
    seen: set[str] = set()
    for position, cell in enumerate(material.solution.cells):
        wanted = {key: cell.metadata[key] for key in ("problem", "tests", "answer", "picture") if key in cell.metadata}
        metadata = _nbgrader_metadata(material, wanted, cell)
        made = NotebookNode(cell_type=cell.cell_type, source=cell.source, metadata=NotebookNode())
        if metadata:
            identity = metadata["grade_id"]
            if identity in seen:
                raise AuthorError(f"{material.solution_file}: two cells are tagged {wanted}: keep one")
            seen.add(identity)
            made.metadata["nbgrader"] = NotebookNode(metadata)
        else:
            identity = f"{material.name}/{position}"
        made["id"] = cell_id(identity)
        if made.cell_type == "code":
            made.update(outputs=[], execution_count=None)
        notebook.cells.append(made)
    _complete(material, seen)
    nbformat.validate(notebook)
    return notebook


def _nbgrader_metadata(material: Material, wanted: dict[str, str], cell: NotebookNode) -> dict[str, Any]:
    base = {"schema_version": SCHEMA, "task": False, "cell_type": cell.cell_type}
    if "problem" in wanted:
        _must_match(material, wanted["problem"], cell)
        return {**base, "grade": False, "solution": True, "locked": False, "grade_id": wanted["problem"]}
    if "tests" in wanted:
        problem = material.tests.problems.get(wanted["tests"])
        if problem is None:
            raise AuthorError(f"{material.solution_file}: tests={wanted['tests']!r}, but no check tests that problem")
        # A bonus cell has no points of its own: its score is nbgrader's extra credit.
        points = 0.0 if problem.bonus else problem.points
        return {
            **base,
            "grade": True,
            "solution": False,
            "locked": True,
            "grade_id": tests_cell(problem.name),
            "points": points,
        }
    if "answer" in wanted:
        points = float(cell.metadata.get("points", 0))
        if points <= 0:
            raise AuthorError(f"{material.solution_file}: answer={wanted['answer']!r} needs points=N, more than 0")
        identity = wanted["answer"]
        return {**base, "grade": True, "solution": True, "locked": False, "grade_id": identity, "points": points}
    return {}


def cell_id(identity: str) -> str:
    """The notebook format's id of a cell: the same at each build, so that a cell is known without its metadata."""
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


def tests_cell(problem: str) -> str:
    """nbgrader's grade_id of the cell that carries a problem's score."""
    return f"test_{problem}"


def _must_match(material: Material, problem: str, cell: NotebookNode) -> None:
    if problem not in material.tests.problems:
        raise AuthorError(f"{material.solution_file}: problem={problem!r}, but no check tests it")
    if not re.search(rf"^(def|class) {re.escape(problem)}\b", cell.source, re.MULTILINE):
        raise AuthorError(f"{material.solution_file}: the cell of problem {problem!r} does not define it")
    begin, end = (cell.source.count(f"### {word} SOLUTION") for word in ("BEGIN", "END"))
    if not begin or begin != end:
        missing = "BEGIN" if begin < max(end, 1) else "END"
        raise AuthorError(f"{material.solution_file}: the cell of {problem!r} has no ### {missing} SOLUTION")


def _complete(material: Material, seen: set[str]) -> None:
    for problem in material.tests.problems:
        for identity in (problem, tests_cell(problem)):
            if identity not in seen:
                raise AuthorError(f"{material.solution_file}: no cell for {identity}, though checks test {problem}")


def write_source(material: Material) -> Path:
    """Write the solved notebook where nbgrader looks for it. Untouched if it is up to date."""
    folder = material.course.folder("source") / material.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{material.name}.ipynb"
    text = nbformat.writes(source_notebook(material)) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


def build(material: Material, release: Path) -> Path:
    """Write the source notebook, and the students' notebook below `release`. Returns the latter's path."""
    source = write_source(material)
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        shutil.copytree(source.parent, stage / "source" / material.name)
        config = Config()
        config.CourseDirectory.root = str(stage)
        config.CourseDirectory.assignment_id = material.name
        config.GenerateAssignment.no_database = True
        config.SaveCells.enabled = False
        try:
            GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).start()
        except NbGraderException as error:
            raise AuthorError(f"{material.solution_file}: nbgrader can't make a notebook of it; see above") from error
        made = stage / "release" / material.name / source.name
        target = release / material.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or not filecmp.cmp(made, target, shallow=False):
            shutil.copyfile(made, target)
    return target


def outdated(material: Material) -> bool:
    """Whether the students' notebook of this assignment is not what its script and checks give."""
    committed = material.course.folder("release") / material.name / f"{material.name}.ipynb"
    with tempfile.TemporaryDirectory() as folder:
        made = build(material, Path(folder))
        return not committed.is_file() or not filecmp.cmp(made, committed, shallow=False)
