"""HTML: the table of checks under a graded cell, one submission's page, the class's table. Everything is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grader.report import ProblemResult, Report


@dataclass(frozen=True)
class ClassRow:
    """One student in the class's table; `told` are sentences about what happened."""

    student: str
    score: float
    penalty: float
    told: tuple[str, ...]
    link: str = ""


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def checks_table(problem: ProblemResult, own_tests: str = "") -> str:
    """The checks of one problem, for the output of its graded cell.

    own_tests: the error with which the tests that the student sees there stopped, if they did.
    """
    return _templates().get_template("cell.html").render(problem=problem, own_tests=own_tests)


def report_page(report: Report, title: str) -> str:
    """A page of its own for one submission: one file, works offline."""
    return _templates().get_template("report.html").render(report=report, title=title)


def class_page(title: str, points: float, rows: Sequence[ClassRow]) -> str:
    """The table of a class."""
    return _templates().get_template("class.html").render(title=title, points=points, rows=rows)
