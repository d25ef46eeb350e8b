"""`grader autograde` as a command: the same result with any number of processes, and one problem alone."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_course
from commands import run
from nbgrader.api import Gradebook
from test_cli import write_notebook

from grader.course import load_course
from grader.report import Report, Usage
from grader.reports import read_reports, read_usage

pytestmark = pytest.mark.slow

ANSWERS = (
    {},
    {"centered": "def centered(x):\n    return x - x.mean()"},
    {"largest": ""},
    {"softmax": "def softmax(z):\n    raise ValueError('no idea')"},
)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handed in and graded by one process."""
    root = tiny_course.write(tmp_path_factory.mktemp("one"))
    for number, answers in enumerate(ANSWERS):
        write_notebook(root / "submitted" / f"student{number:02}" / "tiny" / "tiny.ipynb", **answers)
    beside = root / "submitted" / "student00" / "tiny"
    (beside / "timestamp.txt").write_text("2027-03-28 12:00:00 UTC")
    (beside / "notes").mkdir()
    (beside / "notes" / "data.csv").write_text("1,2")
    (beside / "notes" / "link.csv").symlink_to(root / "course.yaml")
    run(root, "grader", "autograde", "tiny", "--jobs", "1")
    return root


def files(root: Path) -> dict[Path, bytes]:
    """All that grading leaves for people, by its place in the course."""
    folders = [root / name for name in ("autograded", "feedback", "reports")]
    return {
        path.relative_to(root): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()
    }


def grades(root: Path) -> list[tuple[object, ...]]:
    loaded = load_course(root)
    with Gradebook(loaded.gradebook_url, loaded.id) as gradebook:
        return [
            (one.student.id, one.name, one.auto_score, one.extra_credit, one.needs_manual_grade)
            for submission in gradebook.assignment_submissions("tiny")
            for notebook in submission.notebooks
            for one in sorted(notebook.grades, key=lambda grade: grade.name)
        ]


def test_three_processes_leave_what_one_leaves(course, tmp_path):
    other = tiny_course.write(tmp_path)
    shutil.copytree(course / "submitted", other / "submitted", symlinks=True)
    run(other, "grader", "autograde", "tiny", "--jobs", "3")
    assert files(other) == files(course)
    assert sorted(grades(other)) == sorted(grades(course))
    assert len(grades(course)) == 4 * len(ANSWERS)


def usages(root: Path) -> dict[str, Usage | None]:
    course = load_course(root)
    return {
        student: read_usage(course, "tiny", student, one) for student, one in read_reports(course, "tiny")[0].items()
    }


def test_what_each_submission_used_is_kept(course):
    assert len(usages(course)) == len(ANSWERS)
    assert all(usage is not None and usage.seconds > 0 for usage in usages(course).values())


def test_what_lies_beside_a_notebook_goes_where_nbgrader_puts_it(course):
    for step in ("autograded", "feedback"):
        folder = course / step / "student00" / "tiny"
        assert (folder / "notes" / "data.csv").read_text() == "1,2"
        assert not (folder / "notes" / "link.csv").exists()
    assert (course / "autograded" / "student00" / "tiny" / "tiny.ipynb").stat().st_mode & 0o777 == 0o444


def test_one_problem_alone_is_graded_again_and_the_others_stay_as_they_are(course, tmp_path):
    root = Path(shutil.copytree(course, tmp_path / "course", symlinks=True))
    checks = root / "tests" / "hidden" / "tiny" / "checks.py"
    text = checks.read_text()
    for old in ("Each column has a mean of its own.", "Each row"):
        assert old in text
    checks.write_text(
        text.replace("Each column has a mean of its own.", "Another hint.").replace("Each row", "EACH ROW")
    )
    before, used = files(root), usages(root)

    said = json.loads(run(root, "grader", "autograde", "tiny", "--problem", "centered", "--json").stdout)

    assert len(said["graded"]) == len(ANSWERS)
    report = Report.model_validate_json((root / "reports" / "tiny" / "student01.json").read_text())
    assert "Another hint." in report.text()
    assert "EACH ROW" not in report.text()
    assert report.score == 75.0
    assert before.keys() == files(root).keys()
    assert sorted(grades(root)) == sorted(grades(course))
    assert usages(root) == used  # of the whole, not of the part

    # They are as old as they were: the next run grades them whole.
    said = json.loads(run(root, "grader", "autograde", "tiny", "--json").stdout)
    assert len(said["graded"]) == len(ANSWERS)
    assert "EACH ROW" in (root / "reports" / "tiny" / "student03.json").read_text()


def test_a_problem_that_does_not_exist_is_told_with_those_that_do(course):
    done = run(course, "grader", "autograde", "tiny", "--problem", "softmaxx", code=2)
    assert "There are centered, softmax, Average, largest" in " ".join(done.stderr.split())


def test_what_can_t_be_written_costs_that_submission(course, tmp_path):
    root = tiny_course.write(tmp_path)
    for student in ("student00", "student01"):
        shutil.copytree(course / "submitted" / student, root / "submitted" / student, symlinks=True)
    (root / "autograded").mkdir()
    (root / "autograded" / "student00").write_text("in the way")

    said = json.loads(run(root, "grader", "autograde", "tiny", "--json", code=1).stdout)

    assert said["graded"] == ["student01"]
    assert said["failed"][0].startswith("student00: ") and "Not a directory" in said["failed"][0]
    assert {student for student, *_ in grades(root)} == {"student01"}
