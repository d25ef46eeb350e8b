"""The form grader's own process grades, too: it lives for days, while the course is edited."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import ball_course
import pytest
from ball_course import NAME
from lab_server import jupyterlab
from nbformat import read, writes
from tiny_course import replaced

from grader.build import build
from grader.course import Course
from grader.material import Material

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nbgrader")]

STUDENT = "student01"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """One student has handed in a mistake."""
    root = tmp_path_factory.mktemp("instructor")
    (root / "exchange").mkdir(mode=0o777)
    made = ball_course.write(root / "course", root / "exchange")
    notebook = read(build(Material(made, NAME), made.folder("release")), as_version=4)
    for cell in notebook.cells:
        if cell.source.startswith("def momentum_step"):
            cell.source = ball_course.MISTAKEN
    folder = made.folder("submitted") / STUDENT / NAME
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_text(writes(notebook))
    return made


@pytest.fixture(scope="module")
def form_grader(course: Course) -> Iterator[Any]:
    """Asks the form grader of a running JupyterLab, as its page does."""
    with jupyterlab(course.root.parent, course.root) as lab:
        address, token = re.fullmatch("(.*)/lab[?]token=(.*)", lab.address()).groups()

        def ask(method: str, what: str) -> Any:
            headers = {"Authorization": f"token {token}"}
            asked = urllib.request.Request(f"{address}/formgrader/api/{what}", method=method, headers=headers)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return json.load(answer)

        yield ask


def autograded(form_grader: Any) -> Any:
    done = form_grader("POST", f"submission/{NAME}/{STUDENT}/autograde")
    assert done["success"], done
    return form_grader("GET", f"submission/{NAME}/{STUDENT}")


def test_it_grades_with_the_tests_as_they_are_now(form_grader: Any, course: Course) -> None:
    assert autograded(form_grader)["score"] == 30
    checks = course.root / "tests" / "hidden" / NAME / "checks.py"
    before = checks.read_text()
    checks.write_text(replaced(before, "learning_rate=0.1, momentum=0.8", "learning_rate=0.1, momentum=1.0"))
    assert autograded(form_grader)["score"] == 60
    checks.write_text(before)
    assert autograded(form_grader)["score"] == 30


def test_a_typo_in_course_yaml_is_told_and_ends_no_server(form_grader: Any, course: Course) -> None:
    file = course.root / "course.yaml"
    before = file.read_text()
    file.write_text(replaced(before, "timezone", "timezon"))
    done = form_grader("POST", f"submission/{NAME}/{STUDENT}/autograde")
    assert not done["success"]
    assert "course.yaml, line 3: timezon" in done["error"]
    file.write_text(before)
    assert autograded(form_grader)["score"] == 30
