"""The `grader` command: what it says, what a program can read, and its exit codes."""

import json
import subprocess
import sys

import nbformat
import pytest
import tiny_course
from typer.testing import CliRunner

import grader.doctor
import grader.sandbox
from grader import __version__
from grader.cli import app
from grader.protections import Protection

COMMANDS = "build validate grade autograde report export explain diff doctor".split()
MISSING = Protection("reads Python only", False, "the kernel does not offer it", "Use Linux 6.2 or newer.")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The tiny course, as the working folder."""
    monkeypatch.chdir(tiny_course.write(tmp_path))
    return tmp_path


def run(*arguments, code=0):
    """What a command says, with the layout of tables taken out, once it has ended with that exit code."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def said(*arguments, code=0) -> str:
    return " ".join(run(*arguments, code=code).output.split())


def write_notebook(path, *before, **answers):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(tiny_course.notebook(*tiny_course.cells(*before, **answers)), path)
    return path


# Help


def test_help_names_every_command_and_the_exit_codes():
    text = said("--help")
    for command in COMMANDS:
        assert f" {command} " in text
    assert "Exit codes: 0 done;" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(command):
    text = said(command, "--help")
    assert f"Example: grader {command} " in text.replace("│", "")


def test_the_installed_command_tells_its_version():
    command = [sys.executable, "-m", "grader.cli", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"grader {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["grade"], ["grade", "missing.ipynb"], ["build", "--nonsense"]]
)
def test_wrong_usage_has_an_exit_code_of_its_own(course, arguments):
    run(*arguments, code=2)


@pytest.mark.parametrize("command", ["build", "validate", "autograde"])
def test_an_assignment_that_does_not_exist_is_told_with_the_nearest(course, command):
    assert "has no assignment 'tiney'" in said(command, "tiney", code=2)


@pytest.mark.parametrize("arguments", [["build"], ["validate"], ["autograde", "tiny"], ["grade", "course.yaml"]])
def test_a_broken_course_is_told_with_its_line(course, arguments):
    text = tiny_course.replaced(tiny_course.COURSE, "feedback: differences", "feedback: everything")
    (course / "course.yaml").write_text(text)
    assert "course.yaml, line 5: " in said(*arguments, code=2)


def test_a_folder_without_a_course_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "There is no course.yaml in" in said("build", code=2)


# build


def test_build_makes_the_notebooks_and_check_tells_what_is_out_of_date(course):
    assert "Out of date: tiny. Run: grader build tiny" in said("build", "--check", code=1)
    assert said("build").replace(" ", "").endswith("assignments/tiny/tiny.ipynb")
    assert run("build", "--check").output == ""


def test_a_course_can_be_named_from_elsewhere(course, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    run("build", "tiny", "--course", course)
    assert (course / "assignments" / "tiny" / "tiny.ipynb").is_file()


def test_build_tells_a_fault_of_the_author(course):
    (course / "solutions" / "tiny.py").write_text(
        tiny_course.replaced(tiny_course.SOLUTION, "def largest(", "def lost(")
    )
    assert "the cell of problem 'largest' does not define it" in said("build", code=2)


# validate


@pytest.mark.slow
def test_validate_tells_a_program_all_and_a_person_the_faults(course):
    run("build")
    (found,) = json.loads(run("validate", "--json").stdout)
    assert found["valid"] is True
    assert (found["reference"], found["stub"], found["caught"], found["misconceptions"]) == (105, 0, 12, 12)

    checks = course / "tests" / "hidden" / "tiny" / "checks.py"
    checks.write_text(tiny_course.replaced(tiny_course.CHECKS, '"centered", points=20', '"centered", points=21'))
    run("build")
    assert "tiny: the checks are worth 101 points without the bonus: make it 100" in said("validate", "tiny", code=1)


# grade


@pytest.mark.slow
def test_grade_tells_a_program_all_and_writes_a_page(course):
    notebook = write_notebook(course / "tiny work.ipynb", centered="def centered(x):\n    return x - x.mean()")
    result = run("grade", notebook, "--json", "--html", course / "page.html")
    report = json.loads(result.stdout)
    assert report["score"] == 75
    assert report["assignment"] == "tiny"
    assert report["problems"][0]["diagnosis"]["misconception"] == "one_mean_for_all"
    page = (course / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "You subtract one mean of the whole array." in page
    assert not (course / "gradebook.db").exists()


@pytest.mark.slow
def test_grade_tells_a_person_what_happened_whatever_the_student_wrote(course):
    evil = "[/bold] [red]not[/red] [link=x]markup \x1b[2J :smile:"
    notebook = write_notebook(
        course / "tiny" / "[bold]a [name][.ipynb",
        f"raise ValueError({evil!r})",
        centered=f"def centered(x):\n    raise ValueError({evil!r})",
    )
    text = said("grade", notebook)
    assert "65 of 100 points" in text
    assert "Cell 1 raised ValueError at line 1: [/bold] [red]not[/red] [link=x]markup" in text
    assert "\x1b[2J" not in text
    assert ":smile:" in text


def test_grade_asks_for_the_assignment_where_the_path_does_not_tell(course, tmp_path_factory):
    notebook = write_notebook(tmp_path_factory.mktemp("elsewhere") / "[a].ipynb")
    text = said("grade", notebook, code=2)
    assert "its path names no assignment. Add --assignment, one of tiny" in text
    assert "[a].ipynb" in text


@pytest.mark.slow
def test_grade_of_a_file_that_is_no_notebook_says_why(course):
    (course / "tiny.ipynb").write_text("print('a script')")
    text = said("grade", "tiny.ipynb")
    assert "0 of 100 points" in text
    assert "The file is not a notebook" in text


# Where student code can't be confined


@pytest.fixture
def unsafe(monkeypatch):
    """A machine whose kernel lacks a protection."""
    monkeypatch.setattr(grader.sandbox, "protections", lambda: [MISSING])
    monkeypatch.setattr(grader.doctor, "protections", lambda: [MISSING])


def test_nothing_is_graded_on_an_unsafe_machine_and_the_exit_code_says_so(course, unsafe):
    notebook = write_notebook(course / "tiny.ipynb")
    text = said("grade", notebook, code=3)
    assert "This machine can't confine student code" in text
    assert "Use Linux 6.2 or newer." in text
    run("build")
    assert "Run: grader doctor" in said("validate", code=3)


def test_the_doctor_names_what_is_missing_and_how_to_mend_it(course, unsafe):
    found = {one["name"]: one for one in json.loads(run("doctor", "--json", code=3).stdout)}
    assert found["reads Python only"]["enforced"] is False
    assert found["reads Python only"]["remedy"] == "Use Linux 6.2 or newer."
    assert found["gets nowhere when it tries"]["enforced"] is False


@pytest.mark.slow
def test_the_doctor_of_a_safe_machine_has_tried_to_get_out(course):
    found = json.loads(run("doctor", "--json").stdout)
    assert all(one["enforced"] for one in found)
    assert found[-1]["detail"].startswith("refused: read a private file, write outside its folder, open a socket, ")


@pytest.mark.slow
def test_the_doctor_tells_that_the_sandbox_is_off(course):
    (course / "course.yaml").write_text(tiny_course.COURSE + "sandbox: off\n")
    text = said("doctor", code=3)
    assert "sandbox: off" in text
    assert "Write sandbox: on" in text


# autograde


@pytest.mark.slow
def test_autograde_grades_a_class_into_the_gradebook_and_again_only_what_changed(course):
    first = write_notebook(course / "submitted" / "student01" / "tiny" / "tiny.ipynb")
    write_notebook(
        course / "submitted" / "student02" / "tiny" / "tiny.ipynb", centered="def centered(x):\n    return x"
    )
    broken = course / "submitted" / "student03" / "tiny" / "tiny.ipynb"
    broken.parent.mkdir(parents=True)
    broken.write_text("no notebook")

    outcome = json.loads(run("autograde", "tiny", "--json").stdout)
    assert outcome["graded"] == ["student01", "student02", "student03"]
    assert outcome["failed"] == []
    assert outcome["troubled"][0].startswith("student03: The file is not a notebook")
    assert (course / "gradebook.db").is_file()
    scores = {
        student: json.loads((course / "reports" / "tiny" / f"{student}.json").read_text())["score"]
        for student in outcome["graded"]
    }
    assert scores == {"student01": 105, "student02": 65, "student03": 0}

    assert "0 submissions graded, 3 unchanged." in said("autograde", "tiny")
    write_notebook(first, largest="")
    outcome = json.loads(run("autograde", "tiny", "--json").stdout)
    assert (outcome["graded"], outcome["unchanged"]) == (["student01"], 2)
    outcome = json.loads(run("autograde", "tiny", "--student", "student02", "--force", "--json").stdout)
    assert outcome["graded"] == ["student02"]


def test_autograde_of_a_student_who_handed_nothing_in_is_told(course):
    text = said("autograde", "tiny", "--student", "student99", code=2)
    assert "submitted/student99/tiny is missing: student99 has handed nothing in" in text


@pytest.mark.slow
def test_validate_with_the_seed_of_another_year(course):
    run("build")
    (found,) = json.loads(run("validate", "--seed", "2028", "--json").stdout)
    assert found["valid"]
    assert "Invalid value for '--seed'" in said("validate", "--seed", "-1", code=2)
