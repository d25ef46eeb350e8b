"""Brings a submitted notebook back to the assignment's cells, whatever an editor or a student did to them.

nbgrader's own step (OverwriteCells) fails on a notebook that lacks a solution cell, knows nothing of cell ids, and asks
the database several times for each cell.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping

from nbformat import NotebookNode
from nbgrader.utils import compute_checksum

from grader.build import SCHEMA, cell_id
from grader.gradebook import Cell, Layout
from grader.material import Material

UNREADABLE = "unreadable"
"""The id of the cell that says why a file could not be read; the assignment's cells come after it."""


def restore(notebook: NotebookNode, layout: Layout, material: Material) -> None:
    """Give each cell its place in the assignment, put locked ones back, and add scored ones that are missing."""
    if layout.kernelspec:
        notebook.metadata["kernelspec"] = dict(layout.kernelspec)
    places = _places(notebook, layout, material)
    for cell in notebook.cells:
        cell.metadata.pop("nbgrader", None)
        if cell.id in places:
            _put_back(cell, places[cell.id])
    _add_missing(notebook, layout, places)


def _places(notebook: NotebookNode, layout: Layout, material: Material) -> dict[str, Cell]:
    """Which of the assignment's cells each cell is, by the notebook's cell ids; a few are none of them."""
    known = {cell.name: cell for cell in layout.cells}
    by_id = {cell_id(name): name for name in known}
    by_source = {cell.source: cell.name for cell in layout.cells if cell.locked}
    questions = _questions(material)
    lesson = {cell.source for cell in material.solution.cells}
    marks = [
        (_grade_id(cell), by_id.get(cell.id, ""), _told_by(cell, before, by_source, questions, lesson))
        for before, cell in zip([None, *notebook.cells], notebook.cells, strict=False)
    ]
    places: dict[str, Cell] = {}
    # Metadata and ids first: what a cell says is for notebooks that have lost both.
    for kind in range(3):
        # From the end: of copies of a cell the last one counts, as nbgrader has it.
        for cell, names in zip(reversed(notebook.cells), reversed(marks), strict=True):
            if cell.id not in places and names[kind] in known:
                places[cell.id] = known.pop(names[kind])
    return places


def _grade_id(cell: NotebookNode) -> str:
    metadata = cell.metadata.get("nbgrader")
    name = metadata.get("grade_id") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _questions(material: Material) -> dict[str, str]:
    """Question -> grade_id of the cell below it, for every answer in words."""
    return {
        before.source: cell.metadata["answer"]
        for before, cell in itertools.pairwise(material.solution.cells)
        if "answer" in cell.metadata
    }


def _told_by(
    cell: NotebookNode,
    before: NotebookNode | None,
    tests: Mapping[str, str],
    questions: Mapping[str, str],
    lesson: Collection[str],
) -> str:
    """The grade_id of a cell as it shows in what the cell says, or in the question above it; "" if it doesn't."""
    if cell.cell_type != "code":
        asked = questions.get(before.source, "") if before is not None else ""
        return "" if cell.source in lesson else asked
    if cell.source in tests:
        return tests[cell.source]
    defined = re.findall(r"^(?:def|class)\s+(\w+)", cell.source, re.MULTILINE)
    return defined[-1] if defined else ""


def _put_back(cell: NotebookNode, place: Cell) -> None:
    if cell.cell_type != place.cell_type:
        cell.cell_type = place.cell_type
        if place.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
        else:
            for key in ("outputs", "execution_count"):
                cell.pop(key, None)
    cell.metadata["nbgrader"] = _metadata(place)
    if place.locked and compute_checksum(cell) != place.checksum:
        cell.source = place.source


def _metadata(place: Cell) -> NotebookNode:
    return NotebookNode(
        schema_version=SCHEMA,
        grade_id=place.name,
        grade=place.points is not None,
        solution=place.solution,
        locked=place.locked,
        task=False,
        cell_type=place.cell_type,
        checksum=place.checksum,
        **({} if place.points is None else {"points": place.points}),
    )


def _add_missing(notebook: NotebookNode, layout: Layout, there: Mapping[str, Cell]) -> None:
    """Add the cells that carry a score and are not in the notebook, each below the one that comes before it.

    there: what the notebook has, by the ids of its cells.
    """
    added: dict[str, list[NotebookNode]] = {}
    identities = {place: identity for identity, place in there.items()}
    after = UNREADABLE
    for place in layout.cells:
        if place in identities:
            after = identities[place]
        elif place.points is not None:
            added.setdefault(after, []).append(_added(place))
    first = [] if any(cell.id == UNREADABLE for cell in notebook.cells) else added.pop(UNREADABLE, [])
    notebook.cells = [*first, *(one for cell in notebook.cells for one in (cell, *added.get(cell.id, ())))]


def _added(place: Cell) -> NotebookNode:
    source = place.source
    # An answer that was deleted is no answer: it has to be the stub's to the letter, which is worth nothing.
    if not place.solution:
        told = f"This cell (id:{place.name}) was missing from the submission. It was added back by nbgrader."
        source = f"{'# ' if place.cell_type == 'code' else ''}{told}\n\n{source}"
    cell = NotebookNode(id=cell_id(place.name), cell_type=place.cell_type, source=source, metadata=NotebookNode())
    cell.metadata["nbgrader"] = _metadata(place)
    if place.cell_type == "code":
        cell.update(outputs=[], execution_count=None)
    return cell
