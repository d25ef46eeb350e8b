"""The processes that submissions are forked from: for several threads, for forks of the grader, and kept up to date."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import tiny_course
from commands import has_ended

from grader.grade import grade
from grader.material import Material
from grader.report import Report
from grader.sandbox import Sandbox
from grader.servers import ForkServer
from grader.submission import Submission

FULL = 105.0


def graded(tiny: Material, sandbox: Sandbox, submission: Submission | None = None) -> Report:
    """The report, without what differs from time to time."""
    return grade(submission or tiny_course.submission(), tiny, sandbox).model_copy(update={"usage": None})


@pytest.fixture(scope="module")
def started_apart() -> Iterator[Sandbox]:
    """A sandbox whose fork server was started by a thread that has ended."""
    with Sandbox() as started:
        thread = threading.Thread(target=started.start)
        thread.start()
        thread.join()
        yield started


def test_several_threads_grade_at_once_and_each_gets_what_it_would_alone(tiny, sandbox):
    right, wrong = (
        tiny_course.submission(),
        tiny_course.submission(centered="def centered(x):\n    return x - x.mean()"),
    )
    alone = [graded(tiny, sandbox, submission) for submission in (right, wrong)]
    meet = threading.Barrier(2, timeout=60)
    lent = ForkServer.lent

    @contextlib.contextmanager
    def together(server, assignment):
        with lent(server, assignment) as process:
            meet.wait()  # both hold a process of the assignment now
            yield process

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(ForkServer, "lent", together)
        reports = list(pool.map(lambda submission: graded(tiny, sandbox, submission), [right, wrong] * 4))
    assert reports == alone * 4


def test_a_fork_server_outlives_the_thread_that_started_it(tiny, started_apart):
    assert grade(tiny_course.submission(), tiny, started_apart).score == FULL


def test_a_process_forked_from_the_grader_has_a_fork_server_of_its_own(tiny, started_apart):
    report = graded(tiny, started_apart)
    servers = started_apart.servers
    pid = os.fork()
    if not pid:
        try:
            assert started_apart.servers == []
            same = graded(tiny, started_apart) == report
            apart = not set(started_apart.servers) & set(servers)
            started_apart.close()
            os._exit(0 if same and apart else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert started_apart.servers == servers
    assert graded(tiny, started_apart) == report


def test_a_fork_server_ends_with_the_grader_though_a_process_forked_from_that_lives_on():
    program = """
import os, signal, sys
from grader.sandbox import Sandbox
sandbox = Sandbox()
sandbox.start()
if not os.fork():
    sys.stdin.read()  # lives until the test has seen enough
    os._exit(0)
print(*sandbox.servers, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert has_ended(int(process.stdout.readline()))


def test_edited_checks_are_read_again_and_the_older_process_ends(tmp_path, sandbox):
    material = tiny_course.material(tiny_course.write(tmp_path))
    assert grade(tiny_course.submission(), material, sandbox).score == FULL
    older = sandbox.servers[-1]
    checks = material.tests.path
    checks.write_text(tiny_course.replaced(tiny_course.CHECKS, "A single column", "One column"))
    assert grade(tiny_course.submission(), tiny_course.material(tmp_path), sandbox).score == FULL
    assert older not in sandbox.servers
    assert has_ended(older)


def test_a_shared_sandbox_serves_a_fork_of_the_grader_from_the_same_first_process(tiny, started_apart):
    report = graded(tiny, started_apart)
    shared = started_apart.shared()
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if graded(tiny, shared) == report else 1)
        finally:
            os._exit(2)
    shared.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert graded(tiny, started_apart) == report
