"""pytest collects hidden tests: each check becomes a test.

pytest tests/hidden                                          against the reference solutions
pytest tests/hidden --submission some.ipynb -k momentum      against a student's notebook
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from grader.material import Material
    from grader.report import CheckResult, Report
    from grader.sandbox import Sandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("grader", "hidden tests of an auto-graded course")
    group.addoption(
        "--submission", metavar="NOTEBOOK", help="run the hidden tests against this notebook, not the reference"
    )


def pytest_configure(config: pytest.Config) -> None:
    chosen = config.getoption("submission")
    if chosen and not Path(chosen).is_file():
        raise pytest.UsageError(f"--submission: there is no file {chosen}")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name != "checks.py" or file_path.parents[1].name != "hidden":
        return None
    return ChecksFile.from_parent(parent, path=file_path)


class ChecksFile(pytest.File):
    """A checks.py. Its submission, or reference, runs once for all of its checks."""

    _report: Report | None = None

    def collect(self) -> Iterator[pytest.Item]:
        from grader.checks import AuthorError, HiddenTests

        try:
            tests = HiddenTests.load(self.path)
        except AuthorError as error:
            raise self.CollectError(str(error)) from error
        for problem in tests.problems.values():
            for check in problem.checks:
                yield CheckItem.from_parent(self, name=f"{problem.name}::{check.name}")

    def result(self, name: str) -> tuple[CheckResult, str]:
        """The result of a check, and the diagnosis of its problem if there is one."""
        if self._report is None:
            self._report = self._graded()
        for problem in self._report.problems:
            for check in problem.checks:
                if check.name == name:
                    return check, problem.diagnosis.message if problem.diagnosis else ""
        raise LookupError(name)

    def _graded(self) -> Report:
        from grader.build import source_notebook
        from grader.course import load_course
        from grader.grade import grade
        from grader.material import Material
        from grader.submission import Submission

        # Who runs the hidden tests by hand may see all: the teaching assistant, not the student.
        course = load_course(self.path.parent).model_copy(update={"feedback": "full"})
        material = Material(course, self.path.parent.name)
        chosen = self.config.getoption("submission")
        submission = Submission.read(Path(chosen)) if chosen else Submission.of("reference", source_notebook(material))
        return grade(submission, material, _sandbox(self.config, material))


def _sandbox(config: pytest.Config, material: Material) -> Sandbox:
    """One fork server for the whole session."""
    from grader.sandbox import Sandbox

    kept: Any = config.stash.get(_KEY, None)
    if kept is None:
        kept = config.stash[_KEY] = Sandbox(private=(material.course.root,), confined=material.course.sandbox == "on")
    return kept


_KEY: pytest.StashKey[Any] = pytest.StashKey()


def pytest_unconfigure(config: pytest.Config) -> None:
    sandbox = config.stash.get(_KEY, None)
    if sandbox is not None:
        sandbox.close()


class CheckFailed(Exception):
    """A check that did not pass."""


class CheckItem(pytest.Item):
    """One hidden test."""

    def runtest(self) -> None:
        assert isinstance(self.parent, ChecksFile)
        result, diagnosis = self.parent.result(self.name.partition("::")[2])
        if result.verdict.value != "passed":
            lines = [result.title, f"{result.verdict.value}: {result.message}", f"hint: {result.hint}"]
            raise CheckFailed("\n".join([*lines, f"diagnosis: {diagnosis}"] if diagnosis else lines))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from grader.checks import AuthorError
        from grader.course import CourseError
        from grader.sandbox import SandboxError

        if isinstance(excinfo.value, (CheckFailed, AuthorError, CourseError, SandboxError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name
