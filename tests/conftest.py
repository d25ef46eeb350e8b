"""What several test modules share: the tiny course, and one sandbox and one database server for a worker's tests."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import postgresql_server
import pytest
import tiny_course

from grader.grade import grade
from grader.job import Job
from grader.material import Material
from grader.report import Report
from grader.sandbox import Execution, Sandbox


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The tiny course's assignment. Shared: a test that changes the course writes its own."""
    return tiny_course.material(tiny_course.write(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A confining sandbox. Its fork server takes seconds to start, a submission milliseconds."""
    with Sandbox() as started, pytest.MonkeyPatch.context() as environment:
        environment.setenv("THE_GRADERS_PASSWORD", "secret")  # for a test that no submission sees it
        started.start()
        yield started


@pytest.fixture(scope="session")
def execute(tiny: Material, sandbox: Sandbox) -> Callable[..., Execution]:
    """Runs cells in the sandbox and no checks: `execute("1 + 1", output_kb=1)`."""

    def run(*cells: str, **limits: float) -> Execution:
        job = Job(cells=cells, runs=(), limits=replace(tiny.limits, **limits))
        return sandbox.run(job, tiny.tests.path)

    return run


@pytest.fixture(scope="session")
def graded(tiny: Material, sandbox: Sandbox) -> Callable[..., Report]:
    """Grades a notebook of the tiny course: right answers, but for those given, and with cells in front."""

    def run(*before: str, **answers: str) -> Report:
        return grade(tiny_course.submission(*before, **answers), tiny, sandbox)

    return run


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgresql_server.Server]:
    """A PostgreSQL server. Tests that use it are of one xdist group: one worker starts it, once."""
    with postgresql_server.running() as server:
        yield server
