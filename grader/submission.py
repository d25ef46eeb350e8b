"""Reads what a student handed in. Nothing of it is executed here."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from grader.intake import IntakeError, read_plain
from grader.outputs import safe_text

# Far beyond what anybody writes by hand: several programs look at each cell, and some of them are slow.
_CELLS, _CODE, _TEXT = 2000, 10 * 2**20, 2**20
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
# Of the JSON text, before it is parsed: a byte may become an object of a hundred.
_PARTS = 4_000_000
PICTURE = re.compile(r"data:image/[\w.+-]+;base64,[A-Za-z0-9+/=]+")
"""A picture in the text of a cell, where some editors put it."""

_ID = re.compile("[a-zA-Z0-9_-]{1,64}")  # what the notebook format allows


class SubmissionError(ValueError):
    """The file is no notebook that can be read: the message tells the student why."""


@dataclass(frozen=True)
class Submission:
    """A notebook file as handed in: its code cells by position, and a digest of its bytes.

    `fault` says why it could not be read; it then has no cells.
    """

    name: str
    digest: str
    cells: tuple[tuple[int, str], ...] = ()
    fault: str = ""

    @classmethod
    def read(cls, path: Path) -> Submission:
        """Read a notebook file. One that can't be read gives a Submission with a `fault`."""
        name, digest = safe_text(path.name), ""
        try:
            data = file_bytes(path)
            digest = hashlib.sha256(data).hexdigest()
            return cls(name, digest, code_cells(parse_notebook(data)))
        except SubmissionError as error:
            return cls(name, digest, fault=str(error))

    @classmethod
    def of(cls, name: str, notebook: NotebookNode, fault: str = "") -> Submission:
        """A submission from a notebook that is in memory already."""
        cells = () if fault else code_cells(notebook)
        return cls(name, hashlib.sha256(json.dumps(cells).encode()).hexdigest(), cells, fault)


def code_cells(notebook: NotebookNode) -> tuple[tuple[int, str], ...]:
    """The (position, source) of every code cell that is not empty."""
    return tuple(
        (position, str(cell.source))
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and str(cell.source).strip()
    )


def read_notebook(path: Path) -> NotebookNode:
    """Parse a notebook of any format version, brought up to version 4. Raises SubmissionError."""
    return parse_notebook(file_bytes(path))


def file_bytes(path: Path) -> bytes:
    """The bytes of a file that a student handed in. Raises SubmissionError."""
    try:
        return read_plain(path)
    except IntakeError as error:
        remedy = "Clear its outputs" if "larger" in str(error) else "Save the notebook as a file"
        raise SubmissionError(f"The file {error}. {remedy}, and hand it in again.") from None


def parse_notebook(data: bytes) -> NotebookNode:
    """The notebook in a file's bytes, of any format version, brought up to version 4. Raises SubmissionError."""
    text = data.decode("utf-8-sig", errors="replace")
    if not text.strip():
        raise SubmissionError("The file is empty. Save the notebook, and hand it in again.")
    if sum(text.count(sign) for sign in ",[{") > _PARTS:
        raise SubmissionError("The file has millions of parts. Clear its outputs, and hand it in again.")
    try:
        parsed = json.loads(text)
        if _HALF_CHARACTER.search(text):  # JSON can spell what UTF-8 can't
            text = json.dumps(parsed, ensure_ascii=False).encode(errors="replace").decode()
            parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SubmissionError(f"The file is not a notebook (it is not JSON: {error}).") from None
    if not isinstance(parsed, dict) or not ("cells" in parsed or "worksheets" in parsed):
        raise SubmissionError("The file is JSON, but not a notebook: it has no cells.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing cell ids and the like: they are repaired below
            current = parsed.get("nbformat") == 4
            notebook = nbformat.from_dict(parsed) if current else nbformat.reads(text, as_version=4)
            if not current:
                for cell in notebook.cells:
                    cell.pop("id", None)  # drawn at random on the way up: each reading would give another notebook
            _must_be_bounded(notebook)
            tidy(notebook)
            nbformat.validate(notebook)
    except SubmissionError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise SubmissionError(f"The file is not a valid notebook ({reason}).") from None
    return notebook


def _must_be_bounded(notebook: NotebookNode) -> None:
    if len(notebook.cells) > _CELLS:
        raise SubmissionError(f"The notebook has {len(notebook.cells):,} cells: {_CELLS:,} are the most.")
    code = sum(len(_source(cell)) for cell in notebook.cells if cell.get("cell_type") == "code")
    text = sum(len(PICTURE.sub("", _source(cell))) for cell in notebook.cells if cell.get("cell_type") != "code")
    for what, length, most in (("code", code, _CODE), ("text", text, _TEXT)):
        if length > most:
            raise SubmissionError(f"The notebook has {length:,} characters of {what}: {most:,} are the most.")


def _source(cell: NotebookNode) -> str:
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else source


def tidy(notebook: NotebookNode) -> None:
    """Mend what other editors leave out or write differently, and leave out what grading does not need."""
    notebook.nbformat_minor = max(5, notebook.get("nbformat_minor", 0))
    notebook.metadata = _only(
        notebook.get("metadata"), {"kernelspec": ("name", "display_name"), "language_info": ("name",)}
    )
    seen: set[str] = set()
    for position, cell in enumerate(notebook.cells):
        cell.source = _source(cell)
        cell.metadata = _only(cell.get("metadata"), {"nbgrader": ()})
        identity = cell.get("id")
        if not isinstance(identity, str) or identity in seen or not _ID.fullmatch(identity):
            identity = f"cell-{position}"
            while identity in seen:
                identity += "-"
        cell.id = identity
        seen.add(identity)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = []  # the student's own outputs count for nothing, and may be broken
        else:
            for key in ("outputs", "execution_count"):
                cell.pop(key, None)


def _only(metadata: Any, wanted: dict[str, tuple[str, ...]]) -> NotebookNode:
    """The entries of some metadata that are `wanted` and whole: they hold the texts that their kind must have."""
    kept = NotebookNode()
    for key, texts in wanted.items():
        value = metadata.get(key) if isinstance(metadata, dict) else None
        if isinstance(value, dict) and all(isinstance(value.get(text), str) for text in texts):
            kept[key] = value
    return kept
