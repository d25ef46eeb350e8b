"""The processes that mark submissions: what one submission does to its process costs neither the others nor the run."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from grader.checks import AuthorError
from grader.gradebook import Scores
from grader.marking import Handed, Marked
from grader.progress import RunProgress
from grader.workers import Failed, Workers


class Marker:
    """Does what a submission's text says, in place of marking it. Notes the process in the report."""

    def mark(self, handed: Handed) -> Marked:
        match handed.notebook:
            case b"die":
                os.kill(os.getpid(), signal.SIGKILL)
            case b"die once":
                if handed.student not in _seen():
                    _see(handed.student)
                    os.kill(os.getpid(), signal.SIGKILL)
            case b"a bug":
                raise ZeroDivisionError("of ours")
            case b"a fault of the course":
                raise AuthorError("checks.py is broken")
        large = "x" * 2_000_000  # more than fits into a pipe
        return Marked(handed.student, str(os.getpid()), large, "", Scores("", None, {}, {}, {}), (), Counter())


_NOTES = ""


def _seen() -> str:
    with open(_NOTES) as file:
        return file.read()


def _see(student: str) -> None:
    with open(_NOTES, "a") as file:
        file.write(student)


@pytest.fixture
def run(tmp_path, monkeypatch) -> Callable[..., list[Marked | Failed]]:
    """Has three processes mark submissions with these texts."""
    notes = tmp_path / "notes"
    notes.touch()
    monkeypatch.setattr(f"{__name__}._NOTES", str(notes))

    def mark(*texts: str, jobs: int = 3) -> list[Marked | Failed]:
        with Workers([Marker] * jobs) as workers:
            return list(workers.run(Handed(f"student{n:02}", text.encode()) for n, text in enumerate(texts)))

    return mark


def test_every_submission_is_marked_once_and_every_process_has_its_share(run):
    marked = run(*["fine"] * 20)
    assert sorted(one.student for one in marked) == [f"student{n:02}" for n in range(20)]
    assert len({one.report for one in marked}) == 3


def test_a_class_of_none_is_marked(run):
    assert run() == []


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_submission_that_ends_its_process_is_tried_again_and_then_given_up(run, jobs):
    marked = {one.student: one for one in run("fine", "die", *["fine"] * 10, "die once", jobs=jobs)}
    assert marked.keys() == {f"student{n:02}" for n in range(13)}
    assert marked.pop("student01") == Failed("student01", "grading it ended the process that graded it")
    assert not [one for one in marked.values() if isinstance(one, Failed)]


def test_a_bug_of_ours_costs_that_submission(run):
    marked = {one.student: one for one in run("fine", "a bug", "fine")}
    assert marked.pop("student01") == Failed("student01", "ZeroDivisionError: of ours")
    assert len(marked) == 2


def test_a_fault_of_the_course_ends_the_run(run):
    with pytest.raises(AuthorError, match=r"checks\.py is broken"):
        run("fine", "a fault of the course", *["fine"] * 10)


# ---------------------------------------------------------------- progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(terminal: bool, seconds: float, total: int) -> list[str]:
    clock, file = Clock(), StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, color_system=None)
    with RunProgress(console, total, clock=clock) as progress:
        for done in range(total):
            clock.now += seconds
            progress.advance({"passed": 10 * done, "wrong": done})
    return [line.strip() for line in file.getvalue().replace("\r", "\n").splitlines() if line.strip()]


def test_a_log_gets_a_plain_line_now_and_then_and_at_the_end():
    lines = told(terminal=False, seconds=1, total=25)
    assert lines == [
        "10 of 25 graded, 60 a minute, 0:00:15 left; checks: 90 passed, 9 wrong",
        "20 of 25 graded, 60 a minute, 0:00:05 left; checks: 190 passed, 19 wrong",
        "25 of 25 graded, 60 a minute, 0:00:00 left; checks: 240 passed, 24 wrong",
    ]


def test_a_terminal_gets_a_bar_with_pace_time_left_and_verdicts():
    lines = told(terminal=True, seconds=0.5, total=4)
    assert any("4/4" in line and "120 a minute" in line and "30 passed, 3 wrong" in line for line in lines)


def test_the_first_one_has_no_pace_yet():
    assert told(terminal=False, seconds=20, total=1) == ["1 of 1 graded, checks: 0 passed, 0 wrong"]
