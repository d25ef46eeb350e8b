"""The tiny course with an answer in words, a second assignment like the first, a late policy, and a class of eight."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import tiny_course
from nbformat import NotebookNode
from nbgrader.api import Gradebook

from grader.build import build
from grader.course import Course, load_course
from grader.material import Material

TINY, SECOND = tiny_course.NAME, "second"
ESSAY = """\

# %% [markdown]
# Why does a mean of its own matter to each column?

# %% [markdown] answer="why" points=5
# **Model answer.** The columns are in different units.
"""
STUDENTS = tuple(f"student{number:02}" for number in range(1, 9))
RIGHT, MISTAKEN, UNTOUCHED, LATE, UNREADABLE, HOSTILE, FOREIGN, GAPS = STUDENTS

SCRIPT = "<script>document.title = 'hostile'</script>"
_LATE_POLICY = "late:\n  penalty_per_day: 0.1\n"
_WRONG = "def centered(x):\n    return x - x.mean()"
_SHOWS = (
    f'from IPython.display import HTML, display\ndisplay(HTML("<b>bold</b>{SCRIPT}"))\nprint("&lt;", "\\x1b[31mred")'
)


def write(root: Path, gradebook: str = "sqlite:///gradebook.db", like: Course | None = None) -> Course:
    """Put the course into `root`, with nbgrader's configuration, and with what is known of the solutions in another."""
    course = tiny_course.COURSE.replace("assignments:", f"gradebook: {gradebook}\n{_LATE_POLICY}assignments:")
    course += course[course.index("  - name") :].replace(TINY, SECOND)
    tiny_course.write(root, course=course, solution=tiny_course.SOLUTION + ESSAY)
    hidden, solutions = root / "tests" / "hidden", root / "solutions"
    shutil.copytree(hidden / TINY, hidden / SECOND)
    shutil.copy(solutions / f"{TINY}.py", solutions / f"{SECOND}.py")
    mistakes = hidden / SECOND / "misconceptions.py"
    mistakes.write_text(tiny_course.replaced(mistakes.read_text(), f"import {TINY} as", f"import {SECOND} as"))
    shutil.copy(Path(__file__).parents[1] / "nbgrader_config.py", root)
    if like is not None:
        shutil.copytree(like.root / "build" / "cache", root / "build" / "cache")
    return load_course(root)


def stub(material: Material) -> NotebookNode:
    """The notebook that students get."""
    return nbformat.read(build(material, material.course.folder("release")), as_version=4)


def solved(material: Material, *, essay: str = "Units differ.", **answers: str) -> NotebookNode:
    """The stub with every problem solved, or with other answers to some."""
    notebook = stub(material)
    written = {**tiny_course.ANSWERS, "why": essay, **answers}
    for cell in notebook.cells:
        facts = cell.metadata.get("nbgrader", {})
        if facts.get("solution"):
            cell.source = written[facts["grade_id"]]
    return notebook


def notebooks(material: Material) -> dict[str, bytes]:
    """student -> the bytes that each hands in."""
    gaps = solved(material, largest="")
    gaps.cells = [cell for cell in gaps.cells if "softmax" not in cell.metadata.get("nbgrader", {}).get("grade_id", "")]
    hostile = solved(material, essay=f"Because <b>so</b> {SCRIPT} ![x](http://x.example/y.png) $a<b$", centered=_WRONG)
    shows = nbformat.v4.new_code_cell(_SHOWS, id="shows")
    hostile.cells[:0] = [
        shows,
        nbformat.v4.new_raw_cell(SCRIPT, id="raw"),
        nbformat.v4.new_markdown_cell(SCRIPT, id="m"),
    ]
    made = {
        RIGHT: solved(material),
        MISTAKEN: solved(material, centered=_WRONG, softmax="def softmax(z):\n    raise ValueError('no idea')"),
        UNTOUCHED: stub(material),
        LATE: solved(material),
        HOSTILE: hostile,
        FOREIGN: tiny_course.notebook(*tiny_course.cells(centered=_WRONG)),
        GAPS: gaps,
    }
    saved = {student: (nbformat.writes(notebook) + "\n").encode() for student, notebook in made.items()}
    return {student: saved.get(student, json.dumps({"cells": "none"}).encode()) for student in STUDENTS}


def hand_in(course: Course, assignment: str = TINY, students: Iterable[str] = STUDENTS) -> None:
    made = notebooks(Material(course, assignment))
    for student in students:
        folder = course.folder("submitted") / student / assignment
        folder.mkdir(parents=True)
        (folder / f"{assignment}.ipynb").write_bytes(made[student])
        day = 28 if student == LATE else 26
        (folder / "timestamp.txt").write_text(f"2027-03-{day} 12:00:00 UTC")


def facts(course: Course, assignment: str = TINY) -> dict[str, dict[str, Any]]:
    """student -> everything that nbgrader's gradebook holds about the submission, as nbgrader reads it."""
    with Gradebook(course.gradebook_url, course.id) as gradebook:
        return {
            submission.student_id: {
                "score": submission.score,
                "max_score": submission.max_score,
                "penalty": submission.late_submission_penalty,
                "timestamp": submission.timestamp,
                "extension": submission.extension,
                "due": submission.assignment.duedate,
                "needs_manual_grade": submission.needs_manual_grade,
                "cells": {
                    grade.name: (
                        grade.auto_score,
                        grade.manual_score,
                        grade.extra_credit,
                        grade.needs_manual_grade,
                        grade.max_score,
                    )
                    for notebook in submission.notebooks
                    for grade in notebook.grades
                },
                "comments": {
                    comment.name: (comment.auto_comment, comment.manual_comment)
                    for notebook in submission.notebooks
                    for comment in notebook.comments
                },
            }
            for submission in gradebook.assignment_submissions(assignment)
        }
