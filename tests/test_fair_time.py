"""A score must not depend on how busy the machine is: limits are of computing, and the clock only stops what waits."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny_course

import grader.sandbox
from grader.build import source_notebook
from grader.conversation import Budget
from grader.course import load_course
from grader.grade import grade
from grader.material import Material
from grader.report import Report
from grader.sandbox import Sandbox
from grader.submission import Submission

ROOT = Path(__file__).parents[1]


@contextmanager
def busy_machine() -> Iterator[None]:
    """Two processes for each core compute all the time: whatever else runs takes two or three times as long."""
    program = "print(flush=True)\nwhile True:\n    pass"
    count = 2 * (os.cpu_count() or 1)
    processes = [
        subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def told(report: Report) -> str:
    return report.model_dump_json()


@pytest.mark.slow
def test_a_trained_model_gets_the_same_report_on_a_busy_machine(sandbox: Sandbox, monkeypatch) -> None:
    course = load_course(ROOT)
    generous = Material(course, "lecture09_convolution")
    submission = Submission.of("right.ipynb", source_notebook(generous))
    budgets = []
    monkeypatch.setattr(grader.sandbox, "Budget", lambda seconds: budgets.append(Budget(seconds)) or budgets[-1])
    generous.references(sandbox)
    grade(submission, generous, sandbox)
    needed = generous.limits.submission_seconds - budgets[-1].left
    # On the clock, it would not be done by then. A busy machine also computes a little more slowly.
    limits = course.limits.model_copy(update={"submission_seconds": 2.5 * needed})
    strict = Material(course.model_copy(update={"limits": limits}), generous.name)
    strict.references(sandbox)
    alone = grade(submission, strict, sandbox)
    assert alone.score == alone.points + alone.bonus_points
    with busy_machine():
        assert told(grade(submission, strict, sandbox)) == told(alone)


@pytest.mark.slow
def test_what_never_ends_gets_the_same_report_on_a_busy_machine(tmp_path, sandbox: Sandbox) -> None:
    course = tiny_course.replaced(tiny_course.COURSE, "cell_seconds: 5", "cell_seconds: 0.5")
    course = tiny_course.replaced(course, "check_seconds: 5", "check_seconds: 0.5")
    material = tiny_course.material(tiny_course.write(tmp_path, course=course))
    endless = tiny_course.submission(
        "while True:\n    pass",
        "import time\nwhile True:\n    time.sleep(0.1)",
        "import itertools\nsum(itertools.repeat(1, 10**12))",
        centered="def centered(x):\n    while len(x) == 300:\n        pass\n    return x - x.mean(0)",
    )
    alone = grade(endless, material, sandbox)
    assert [cell.message for cell in alone.cells] == [
        "stopped after 0.5 s of computing: is there an endless loop?",
        "stopped after 4 s, most of which it waited: does it sleep?",
        "did not stop when its time was up, and was killed",
    ]
    assert alone.score == 100
    with busy_machine():
        assert told(grade(endless, material, sandbox)) == told(alone)
