"""What README.md and CONTRIBUTING.md tell people to type is typed here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ASSIGNMENT = "lecture05_batch_and_momentum"
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

# `make` sets up an environment of its own: scripts/demo is run below, the suite is what you are reading.
MADE = ("make demo", "make test", "make lint")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("documents"), pytest.mark.timeout(900)]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(document: str) -> list[str]:
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()]
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


def course_copy(folder: Path) -> Path:
    for name in ("course.yaml", "nbgrader_config.py"):
        shutil.copy(ROOT / name, folder)
    for name in ("solutions", "assignments", "tests/hidden"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(shlex.split(command), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course in which student01 has handed in the solution."""
    folder = course_copy(tmp_path_factory.mktemp("course"))
    assert run(f"grader build {ASSIGNMENT}", folder).returncode == 0
    submitted = folder / "submitted" / "student01" / ASSIGNMENT
    submitted.mkdir(parents=True)
    shutil.copy(folder / "build" / "source" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", submitted)
    return folder


def test_readme_names_only_make_targets_that_exist():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    named = re.findall(r"make ([\w-]+)", " ".join(commands("README.md") + commands("CONTRIBUTING.md")))

    assert set(named) <= set(targets)


def test_the_curriculum_names_every_problem_and_is_up_to_date():
    """The script fails where a problem stands beside no line of the lecture notes."""
    made = subprocess.run([sys.executable, "scripts/curriculum"], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert made.stdout == (ROOT / "docs" / "curriculum.md").read_text(encoding="utf-8"), "run: make docs"


def test_every_command_of_the_readme_works(course: Path):
    typed = [command for command in commands("README.md") if command not in MADE]
    assert len(typed) >= 10

    for command in typed:
        done = run(command, course)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    report = json.loads((course / "reports" / ASSIGNMENT / "student01.json").read_text())
    assert report["score"] >= report["points"] == 100
    assert (course / "report.html").is_file()
    assert "student01" in (course / "grades.csv").read_text()


def test_contributing_adds_a_problem_that_validates(tmp_path: Path):
    course = course_copy(tmp_path)
    cell, checks, mistakes, alternatives = blocks("CONTRIBUTING.md", "python")
    hidden = course / "tests" / "hidden" / ASSIGNMENT
    for file, text in (
        (course / "solutions" / f"{ASSIGNMENT}.py", cell),
        (hidden / "checks.py", checks),
        (hidden / "misconceptions.py", mistakes),
        (hidden / "alternatives.py", alternatives),
    ):
        with file.open("a", encoding="utf-8") as opened:
            opened.write("\n\n" + text)

    assert run(f"grader build {ASSIGNMENT}", course).returncode == 0
    done = run(f"grader validate {ASSIGNMENT} --json", course)

    (found,) = json.loads(done.stdout)
    assert done.returncode == 1
    # One check of 2 points is not yet a problem; and a ball at rest has no movement to forget a half of.
    assert found["faults"] == [
        "the checks are worth 102 points without the bonus: make it 100",
        "heavy_ball_energy has 1 checks: write 3 or more",
        "misconception without_the_half of heavy_ball_energy loses no points: no check catches it",
        "check energy_at_rest catches no misconception: drop it, or write the mistake that it is for",
    ]
