"""The class that is graded, in a course of its own: no two notebooks alike, right and wrong ones mixed."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from sample_class import Desk, desk_of  # noqa: E402

from grader.build import write_source  # noqa: E402
from grader.course import load_course  # noqa: E402
from grader.material import Material  # noqa: E402

BENCH = ROOT / "build" / "bench"
ASSIGNMENT = "lecture05_batch_and_momentum"
PROGRAMS = Path(sys.executable).parent

# Of five students, two have everything right, two hold misconceptions, one did not finish.
_KINDS = ("right", "mistaken", "right", "mistaken", "unfinished")
# So often a right answer is written in another way than the reference.
_ANOTHER_WAY = 0.3

Notebook = dict[str, Any]


def make_course(folder: Path) -> None:
    """The real course in a folder of its own, with nothing handed in."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in ("course.yaml", "nbgrader_config.py"):
        shutil.copy(ROOT / part, folder)
    for part in ("solutions", "tests/hidden", "assignments"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    write_source(Material(load_course(folder), ASSIGNMENT))


def hand_in(folder: Path, count: int) -> None:
    """Write submitted/STUDENT/ASSIGNMENT/ASSIGNMENT.ipynb for `count` students."""
    for number, notebook in enumerate(class_of(desk_of(folder, ASSIGNMENT), count), 1):
        target = folder / "submitted" / f"student{number:05d}" / ASSIGNMENT
        target.mkdir(parents=True)
        (target / f"{ASSIGNMENT}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def class_of(desk: Desk, count: int) -> Iterator[Notebook]:
    """The same class at each call."""
    draw = random.Random(0)
    untouched = json.loads(json.dumps(desk.untouched()))
    mistakes, other_ways = _by_problem(desk, "misconceptions.py"), _by_problem(desk, "alternatives.py")
    problems = list(desk.tests.problems)
    for number in range(count):
        kind = _KINDS[number % len(_KINDS)]
        written = {}
        for problem in problems[: draw.randrange(1, len(problems)) if kind == "unfinished" else None]:
            another = other_ways[problem] and draw.random() < _ANOTHER_WAY
            written[problem] = draw.choice(other_ways[problem]) if another else desk.right(problem)
        if kind == "mistaken":
            for problem in draw.sample(problems, draw.randrange(1, 4)):
                written[problem] = draw.choice(mistakes[problem])
        yield {**untouched, "cells": [_filled_in(cell, written, number, kind) for cell in untouched["cells"]]}


def _by_problem(desk: Desk, file: str) -> dict[str, list[str]]:
    found = defaultdict(list)
    for problem, source in desk.answers(file):
        found[problem].append(source)
    return found


def _filled_in(cell: Notebook, written: dict[str, str], number: int, kind: str) -> Notebook:
    facts = cell["metadata"].get("nbgrader", {})
    if facts.get("grade_id") in written:
        return {**cell, "source": f"{written[facts['grade_id']]}\n# Written by student {number + 1}."}
    if facts.get("solution") and cell["cell_type"] == "markdown" and kind != "unfinished":
        return {**cell, "source": f"Because each batch looks a little different. I saw it {number + 1} times."}
    return cell


def release(folder: Path) -> Any:
    """The students' notebook as they get it."""
    return desk_of(folder, ASSIGNMENT).untouched()


def leave_out_pictures(folder: Path) -> None:
    """Take the cells that only draw out of what was handed in."""
    pictures = desk_of(folder, ASSIGNMENT).material.pictures
    for path in folder.glob(f"submitted/*/{ASSIGNMENT}/*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"] = [cell for cell in notebook["cells"] if cell["source"].strip() not in pictures]
        path.write_text(json.dumps(notebook), encoding="utf-8")
