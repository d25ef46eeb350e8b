"""Hidden tests in pytest: against the reference, and against a student's notebook, for who debugs a complaint."""

import subprocess
import sys

import nbformat
import pytest
import tiny_course

pytestmark = pytest.mark.slow


@pytest.fixture
def course(tmp_path):
    return tiny_course.write(tmp_path)


def run_pytest(course, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/hidden", *arguments]
    return subprocess.run(command, cwd=course, capture_output=True, text=True, check=False)


def submission(course, **answers):
    nbformat.write(tiny_course.notebook(*tiny_course.cells(**answers)), course / "some work.ipynb")
    return "some work.ipynb"


def test_the_reference_passes_every_check(course):
    result = run_pytest(course, "-v")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "13 passed" in result.stdout
    assert "tests/hidden/tiny/checks.py::centered::one_column PASSED" in result.stdout


def test_a_students_notebook_is_tested_with_pytests_own_choice_of_tests(course):
    path = submission(
        course, centered="def centered(x):\n    return x - x.mean()", softmax="def softmax(z):\n    1 / 0"
    )
    result = run_pytest(course, "--submission", path, "-k", "centered")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 passed" in result.stdout
    assert "3 failed" in result.stdout
    assert "9 deselected" in result.stdout
    failure = result.stdout[result.stdout.index("centered::each_column") :]
    lines = failure.splitlines()
    assert lines[1] == "Each column loses its own mean."
    assert lines[2].startswith("wrong: 2 rows: differs by up to ")
    assert ", expected [[" in lines[2]  # who runs this may see all
    assert lines[3] == "hint: Each column has a mean of its own."
    assert lines[4] == "diagnosis: You subtract one mean of the whole array."
    assert "Traceback" not in result.stdout
    assert "softmax" not in result.stdout


def test_a_submission_that_is_not_there_is_told(course):
    result = run_pytest(course, "--submission", "missing.ipynb")
    assert result.returncode == 4
    assert "--submission: there is no file missing.ipynb" in result.stderr


def test_checks_that_can_not_be_loaded_are_told_without_a_traceback(course):
    checks = course / "tests" / "hidden" / "tiny" / "checks.py"
    checks.write_text(tiny_course.replaced(tiny_course.CHECKS, "def below_zero", "def in_the_middle"))
    result = run_pytest(course)
    assert result.returncode == 2
    assert "two functions are named in_the_middle: rename one" in result.stdout
    assert "Traceback" not in result.stdout


def test_a_reference_that_fails_a_check_is_told_without_a_traceback(course):
    solution = course / "solutions" / "tiny.py"
    solution.write_text(tiny_course.replaced(tiny_course.SOLUTION, "return int(np.argmax(x))", "return 1 / 0"))
    result = run_pytest(course, "-k", "in_the_middle")
    assert result.returncode == 1
    assert "check in_the_middle can't be used: the reference largest gave 'raised' ZeroDivisionError" in result.stdout
    assert "Traceback" not in result.stdout
