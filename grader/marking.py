"""One submission's whole way, from the bytes of its notebook to everything that is written of it.

No gradebook, no folder of the course: what is needed comes in, what is to be written goes out. So it runs in any
process and on any machine that has the course's material.
"""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import LimitOutput
from nbgrader.utils import compute_checksum, determine_grade, is_grade, is_solution
from pydantic import ValidationError

from grader.build import tests_cell
from grader.feedback import FeedbackPages
from grader.grade import UNCONFINED, grade
from grader.gradebook import Kept, Layout, Scores, utc
from grader.material import Material
from grader.outputs import gist
from grader.pages import checks_table
from grader.report import ProblemResult, Report
from grader.restore import UNREADABLE, restore
from grader.sandbox import Sandbox
from grader.submission import Submission, SubmissionError, parse_notebook, tidy


@dataclass(frozen=True)
class Handed:
    """What a student handed in.

    fault:     why the file could not be read; `notebook` is then empty.
    left_out:  sentences about what was handed in beside it and is no plain file.
    handed_in: when, in UTC without a zone, if that is known.
    kept:      what the gradebook already holds of this submission.
    problem:   the only one to grade; `report` is then what is known of the others (JSON).
    """

    student: str
    notebook: bytes
    fault: str = ""
    left_out: tuple[str, ...] = ()
    handed_in: datetime | None = None
    kept: Kept = field(default_factory=Kept)
    problem: str = ""
    report: str = ""


@dataclass(frozen=True)
class Marked:
    """What is written of a submission: its report (JSON), the autograded notebook, the student's page, the scores.

    notes:    what a person should look at. verdicts: how many checks ended with each.
    measured: what it used (JSON), if that was measured: it differs from time to time.
    """

    student: str
    report: str
    notebook: str
    page: str
    scores: Scores
    notes: tuple[str, ...]
    verdicts: Counter[str]
    measured: str = field(default="", compare=False)


class Marker:
    """Marks the submissions of one assignment, one after the other."""

    def __init__(self, material: Material, layout: Layout, sandbox: Sandbox) -> None:
        self._material, self._layout, self._sandbox = material, layout, sandbox
        self._pages = FeedbackPages()

    def mark(self, handed: Handed) -> Marked:
        """Mark one submission. Whatever is wrong with it is in the report; faults of the course raise AuthorError."""
        notebook, fault = readable(handed.notebook, handed.fault)
        restore(notebook, self._layout, self._material)
        tidy(notebook)
        submission = Submission.of(f"{self._material.name}.ipynb", notebook, fault)
        report = self._report(submission, handed).with_notes(handed.left_out)
        show(report, notebook)
        LimitOutput().preprocess(notebook, {})
        text = nbformat.v4.writes(notebook) + "\n"
        scores = scores_of(handed.student, notebook, report, self._material, handed.kept, handed.handed_in)
        return Marked(
            student=handed.student,
            report=report.text(),
            notebook=text,
            page=self._pages.page(notebook, self._layout, scores, handed.kept),
            scores=scores,
            notes=tuple(note for note in report.notes if note != UNCONFINED),
            verdicts=Counter(check.verdict.value for problem in report.problems for check in problem.checks),
            measured=report.measured(),
        )

    def _report(self, submission: Submission, handed: Handed) -> Report:
        earlier = self._earlier(submission, handed) if handed.problem else None
        if earlier is None:
            return grade(submission, self._material, self._sandbox)
        return grade(submission, self._material, self._sandbox, handed.problem).with_earlier(earlier)

    def _earlier(self, submission: Submission, handed: Handed) -> Report | None:
        """The report on the same submission and the same problems, if there is one."""
        try:
            report = Report.model_validate_json(handed.report)
        except ValidationError:
            return None
        same = report.digest == submission.digest and [one.name for one in report.problems] == [
            *self._material.tests.problems
        ]
        return report if same else None


def scores_of(
    student: str,
    notebook: NotebookNode,
    report: Report,
    material: Material,
    kept: Kept,
    handed_in: datetime | None = None,
) -> Scores:
    """What an autograded notebook is worth. handed_in: when, if that is newer than what is kept."""
    scores = Scores(
        student=student,
        handed_in=handed_in,
        auto={cell.metadata.nbgrader.grade_id: determine_grade(cell)[0] for cell in notebook.cells if is_grade(cell)},
        extra={tests_cell(problem.name): problem.score for problem in report.problems if problem.bonus},
        comments={
            cell.metadata.nbgrader.grade_id: "No response." if _untouched(cell) else None
            for cell in notebook.cells
            if is_solution(cell)
        },
    )
    moment = handed_in or kept.handed_in
    due = utc(material.assignment.due) + (kept.extension or timedelta())
    if moment is None or moment <= due:
        return scores
    total = kept.total(scores)
    penalty = material.course.late.penalty(total, (moment - due).total_seconds())
    return replace(scores, penalty=min(total, penalty))


def _untouched(cell: NotebookNode) -> bool:
    return bool(compute_checksum(cell) == cell.metadata.nbgrader.checksum)


def readable(data: bytes, fault: str = "") -> tuple[NotebookNode, str]:
    """The notebook that was handed in, and why it could not be read: it then only says so.

    The reason is kept apart from the notebook, where a student could write it.
    """
    if not fault:
        try:
            return parse_notebook(data), ""
        except SubmissionError as error:
            fault = str(error)
    told = nbformat.v4.new_markdown_cell(f"**This submission could not be read.** {html.escape(fault)}")
    told["id"] = UNREADABLE
    return nbformat.v4.new_notebook(cells=[told]), fault


def show(report: Report, notebook: NotebookNode) -> None:
    """Put what the cells printed and what their problems scored into the notebook, where nbgrader looks for it."""
    scored = {tests_cell(problem.name): problem for problem in report.problems}
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        cell.outputs = [nbformat.from_dict(output) for output in report.outputs.get(position, [])]
        problem = scored.get(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if problem is not None:
            cell.outputs = [_score_output(problem, cell)]


def _score_output(problem: ProblemResult, cell: NotebookNode) -> NotebookNode:
    failed = [f"{output.ename}: {gist(output.evalue)}" for output in cell.outputs if output.output_type == "error"]
    score = 0.0 if problem.bonus else problem.score
    # nbgrader takes the number in the cell's result as the score; a page shows the table in its place.
    data = {"text/html": checks_table(problem, failed[0] if failed else ""), "text/plain": repr(score)}
    facts = {"output_type": "execute_result", "metadata": {}, "data": data, "execution_count": None}
    return nbformat.from_dict(facts)
