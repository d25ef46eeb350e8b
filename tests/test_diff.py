"""`grader diff`: what a change of tests would do to a graded class, before anybody applies it."""

import json

import nbformat
import pytest
import tiny_course
from nbgrader.api import Gradebook
from typer.testing import CliRunner

from grader.cli import app

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("diff")]

EASIER = tiny_course.CHECKS.replace('hint="exp(1000)', 'compare=at_least(0.0), after=lambda p: p.ndim, hint="exp(1000)')
EASIER = EASIER.replace("import Problem, check, exact", "import Problem, at_least, check, exact")


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Three submissions, graded: student01 is right, student02's softmax overflows, student03 is no notebook."""
    root = tiny_course.write(tmp_path_factory.mktemp("course"))
    overflowing = "def softmax(z):\n    z = torch.exp(z)\n    return z / z.sum(1, keepdim=True)"
    for student, answers in {"student01": {}, "student02": {"softmax": overflowing}}.items():
        file = root / "submitted" / student / "tiny" / "tiny.ipynb"
        file.parent.mkdir(parents=True)
        nbformat.write(tiny_course.notebook(*tiny_course.cells(**answers)), file)
    broken = root / "submitted" / "student03" / "tiny" / "tiny.ipynb"
    broken.parent.mkdir(parents=True)
    broken.write_text("no notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run("autograde", "tiny")
        yield root


def everything_in(root) -> dict[str, bytes]:
    """Every file that holds a result, and the gradebook."""
    folders = [root / name for name in ("reports", "autograded", "submitted")]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in [*files, root / "gradebook.db"]}


@pytest.fixture
def checks(course):
    """Writes other hidden tests, and puts the old ones back."""
    file = course / "tests" / "hidden" / "tiny" / "checks.py"
    yield file.write_text
    file.write_text(tiny_course.CHECKS)


def test_nothing_changes_where_nothing_was_changed(course):
    result = run("diff", "tiny")
    assert result.stdout == "3 submissions: 0 gain, 0 lose, 0 change.\n"
    assert "3 of 3 graded" in result.stderr and "scores: 3 as before" in result.stderr


def test_who_gains_and_who_loses_is_told_and_nothing_is_written(course, checks):
    checks(tiny_course.replaced(EASIER, '"Average", points=5, hint="The mean', '"Average", points=4, hint="The mean'))
    before = everything_in(course)

    text = " ".join(run("diff", "tiny", code=1).stdout.split())

    assert "student01 105 104 -1" in text
    assert "student02 85 104 +19" in text
    assert "softmax::large_numbers: wrong → passed for 1" in text
    assert "Average::of_one_number: passed, other points for 2" in text
    assert "3 submissions: 1 gain, 1 lose, 2 change. Gain: student02 Lose: student01" in text
    assert everything_in(course) == before
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        assert gradebook.find_submission("tiny", "student02").score == 85


def test_a_program_reads_the_same_and_of_checks_that_come_and_go(course, checks):
    checks(EASIER.replace("def below_zero(", "def all_below_zero("))
    found = {one["student"]: one for one in json.loads(run("diff", "tiny", "--json", code=1).stdout)}
    assert (found["student02"]["before"], found["student02"]["after"]) == (85, 105)
    passes, gone, new = found["student02"]["checks"]
    assert passes == {
        "problem": "softmax",
        "check": "large_numbers",
        "before": "wrong",
        "after": "passed",
        "score_before": 0,
        "score_after": 20,
    }
    assert (gone["check"], gone["before"], gone["after"], gone["score_before"]) == ("below_zero", "passed", "", 1)
    assert (new["check"], new["before"], new["after"], new["score_after"]) == ("all_below_zero", "", "passed", 1)
    assert found["student01"]["checks"] == [gone, new]


def test_what_can_not_be_compared_is_told(course):
    report = course / "reports" / "tiny" / "student01.json"
    changed, gone = (course / "autograded" / student / "tiny" / "tiny.ipynb" for student in ("student02", "student03"))
    kept = {file: file.read_bytes() for file in (report, changed, gone)}
    report.write_text("{")
    nbformat.write(tiny_course.notebook("x = 1"), changed)
    gone.unlink()
    try:
        told = " ".join(run("diff", "tiny", code=1).stderr.split())
    finally:
        for file, data in kept.items():
            file.write_bytes(data)
    assert "student01 was not compared: its report can't be read. Autograde it again" in told
    assert "student02 was not compared: its notebook in autograded/ is not the one that was graded" in told
    assert (
        "student03 was not compared: its notebook in autograded/: No such file or directory. Autograde it again" in told
    )


def test_a_class_that_is_not_graded_has_nothing_to_compare_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_course.write(tmp_path))
    told = " ".join(run("diff", "tiny", code=2).output.split())
    assert "there is nothing to compare with. Run: grader autograde tiny" in told
