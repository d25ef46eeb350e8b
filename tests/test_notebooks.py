"""Every notebook in a real kernel: solved, it runs in silence; as students get it, it says what there is to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from grader.build import source_notebook
from grader.course import load_course
from grader.material import Material
from grader.submission import read_notebook

ROOT = Path(__file__).parents[1]
COURSE = load_course(ROOT)
NAMES = [assignment.name for assignment in COURSE.assignments if assignment.available]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(notebook: NotebookNode, folder: Path) -> list[NotebookNode]:
    """Its code cells with their outputs. A cell that fails does not stop the next."""
    client = NotebookClient(notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": str(folder)}})
    return [cell for cell in client.execute().cells if cell.cell_type == "code"]


def outputs(cells: list[NotebookNode], kind: str) -> list[NotebookNode]:
    return [output for cell in cells for output in cell.outputs if output.output_type == kind]


def pictures(cells: list[NotebookNode]) -> int:
    return sum("image/png" in output.data for output in outputs(cells, "display_data"))


@pytest.mark.parametrize("name", NAMES)
def test_the_solved_notebook_runs_through_without_an_error_or_a_warning(name: str, tmp_path: Path) -> None:
    cells = run(source_notebook(Material(COURSE, name)), tmp_path)
    assert [f"{error.ename}: {error.evalue}" for error in outputs(cells, "error")] == []
    assert [stream.text for stream in outputs(cells, "stream") if stream.name == "stderr"] == []
    assert outputs(cells, "execute_result") == []  # such as <matplotlib.legend.Legend at 0x7f...>
    assert pictures(cells) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_the_students_notebook_fails_only_where_something_is_to_be_written(name: str, tmp_path: Path) -> None:
    material = Material(COURSE, name)
    notebook = read_notebook(ROOT / "assignments" / name / f"{name}.ipynb")
    cells = run(notebook, tmp_path)
    graded = [cell for cell in cells if cell.metadata.get("nbgrader")]
    for cell in cells:
        errors = {error.ename for error in outputs([cell], "error")}
        assert errors <= ({"NotImplementedError"} if cell in graded else set()), cell.source
        assert [stream.text for stream in outputs([cell], "stream") if stream.name == "stderr"] == []
    asked = [cell for cell in graded if cell.metadata.nbgrader.grade]
    assert sum(bool(outputs([cell], "error")) for cell in asked) == len(material.tests.problems)
    drawn = [cell for cell in cells if cell.source.strip() in material.pictures]
    assert len(drawn) >= 2
    for cell in drawn:
        told = "".join(stream.text for stream in outputs([cell], "stream"))
        assert pictures([cell]) or (told.startswith("This picture needs") and told.count("\n") == 1), cell.source
