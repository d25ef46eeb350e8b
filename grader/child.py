"""The student's process: it confines itself, runs the notebook's cells and then the checks, and reports each step.

What it sends are observations and facts about what happened. It holds no answer, so it can't send one.
"""

from __future__ import annotations

import builtins
import copy
import os
import random
import signal
import socket
import sys
import tempfile
import traceback
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from IPython.core.inputtransformer2 import TransformerManager

from grader.checks import Alternative, AuthorError, Check, HiddenTests, Misconception, marked
from grader.confine import ConfinementError, confine, only_descriptors
from grader.forbidden import Source, Watch
from grader.job import Job, Run
from grader.observation import ObservationError, decode, encode, plain
from grader.shell import NotebookShell, cell_line, describe_error, is_python
from grader.student import Lines, NotDefined, Student
from grader.wire import Outbox, receive


class TimeUp(BaseException):
    """The cell or check used up its time. No Exception, so that a student's `except Exception` lets it pass."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block after `seconds`, and again every second until it gives in."""

    def interrupt(signum: int, frame: Any) -> None:
        raise TimeUp(f"stopped after {seconds:g} s: is there an endless loop?")

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main(channel: socket.socket, tests: HiddenTests, shell: NotebookShell, watch: Watch) -> None:
    """Do the job that arrives on `channel`. Never returns to the fork server's code."""
    job = Job.from_message(receive(channel))
    outbox = Outbox(channel)
    try:
        os.chdir(job.scratch)
        os.environ.update(HOME=job.scratch, TMPDIR=job.scratch, IPYTHONDIR=job.scratch, MPLCONFIGDIR=job.scratch)
        tempfile.tempdir = None
        sys.path.insert(0, job.scratch)  # a cell may write a module, and the next one import it
        only_descriptors(channel.fileno())
        if job.confined:
            confine(Path(job.scratch), job.limits)
    except (ConfinementError, OSError) as error:
        outbox.now(["refused", str(error)])
        return
    outbox.now(["confined"])
    builtins.input = _no_input
    if job.suspect:
        source = Source(_as_python(cell) for index, cell in enumerate(job.cells) if index not in job.tests)
        for problem in tests.problems.values():
            used = source.uses(problem.name, problem.forbidden)
            if used:
                outbox.now(["mentions", problem.name, used])
    lines = Lines()
    if any(check.cost is not None for check in tests.checks.values()):
        sys.addaudithook(lines.listen)
    _run_cells(outbox, job, shell)
    _run_checks(outbox, job, tests, shell, watch, lines)
    outbox.now(["done"])


def _no_input(prompt: object = "") -> str:
    raise RuntimeError("input() is not available while grading: pass the value as an argument")


def _as_python(cell: str) -> str:
    try:
        return cell if is_python(cell) else TransformerManager().transform_cell(cell)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


def _run_cells(outbox: Outbox, job: Job, shell: NotebookShell) -> None:
    for index, source in enumerate(job.cells):
        if index in job.skip:
            shell.execution_count += 1
            continue
        outbox.now(["cell", index])
        error: BaseException | None = None
        outputs: list[Any] = []
        try:
            with (
                _functions_kept(shell.user_ns) if index in job.tests else nullcontext(),
                time_limit(job.limits.cell_seconds),
            ):
                error, outputs = shell.run(source, job.limits.output_kb * 1024)
        except TimeUp as late:  # it struck between the cell and our own code
            error = late
        status = "ok" if error is None else "timed_out" if isinstance(error, TimeUp) else "raised"
        fault = None if error is None else [type(error).__name__, describe_error(error), cell_line(error)]
        outbox.later(["ran", index, status, fault, outputs])


@contextmanager
def _functions_kept(namespace: dict[str, Any]) -> Iterator[None]:
    """Undo what the lesson's tests do to functions: a student's helper may have the name of one of their variables."""
    before = {name: value for name, value in namespace.items() if isinstance(value, (types.FunctionType, type))}
    try:
        yield
    finally:
        namespace.update(before)


def _run_checks(outbox: Outbox, job: Job, tests: HiddenTests, shell: NotebookShell, watch: Watch, lines: Lines) -> None:
    namespace = shell.user_ns
    overlays: dict[str, tuple[Any, Any]] = {}
    if job.overlays:  # the author's own process: tell what it found
        try:
            overlays = _overlays(job, namespace)
        except Exception as error:
            outbox.now(["overlays", [], f"{type(error).__name__}: {error} (line {_last_line(error)})"])
            return
        outbox.now(["overlays", [[type(mark).__name__, asdict(mark)] for mark, _ in overlays.values()], ""])
    checks = tests.checks
    given = {name: decode(data) for name, data in job.given.items()}
    for position, run in enumerate(job.runs):
        check = checks[run.check]
        outbox.now(["check", position])
        names: Mapping[str, Any] = namespace
        if run.overlay:
            names = {**namespace, check.problem: overlays[run.overlay][1]}
        outbox.later(["checked", position, *_observe(check, run, given, names, tests, shell, watch, lines)])


def _overlays(job: Job, namespace: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Execute the author's misconceptions and alternatives beside what the reference cells defined."""
    solution = types.ModuleType(f"solutions.{job.module}")
    own = dict(vars(solution))
    vars(solution).update({**namespace, **own})  # its name stays its own: the notebook's is __main__
    package = types.ModuleType("solutions")
    setattr(package, job.module, solution)
    sys.modules["solutions"], sys.modules[solution.__name__] = package, solution
    found: dict[str, tuple[Any, Any]] = {}
    for position, source in enumerate(job.overlays):
        module = types.ModuleType(f"overlays_{position}")
        sys.modules[module.__name__] = module
        exec(compile(source, module.__name__, "exec"), vars(module))
        for kind in (Misconception, Alternative):
            for mark, value in marked(vars(module), kind):
                if mark.name in found:
                    raise AuthorError(f"two of them are named {mark.name}: rename one")
                found[mark.name] = mark, value
    return found


def _last_line(error: BaseException) -> int | None:
    return traceback.extract_tb(error.__traceback__)[-1].lineno


def _observe(
    check: Check,
    run: Run,
    given: Mapping[str, Any],
    names: Mapping[str, Any],
    tests: HiddenTests,
    shell: NotebookShell,
    watch: Watch,
    lines: Lines,
) -> list[Any]:
    """Run one check: [status, ...] as `grader.sandbox` reads it."""
    student = Student(names)
    seed_everything(run.seed)
    rng = np.random.default_rng(run.seed)
    arguments = copy.deepcopy(given[check.given]) if check.given else ()

    def observe() -> tuple[Any, set[str]]:
        with watch.during(tests.problems[check.problem]) as used, lines.counted(check.cost is not None):
            result = check.observe(student, rng, *arguments)
        return result, used

    try:
        getattr(student, check.problem)
        with time_limit(run.seconds):
            result, used = shell.silently(observe)
            data = encode(plain(result))
        return ["observed", data, sorted(used), student.changed, lines.count]
    except NotDefined as missing:
        return ["not_defined", missing.name]
    except NotImplementedError as error:
        return ["not_attempted", describe_error(error), cell_line(error)]
    except TimeUp as late:
        return ["timed_out", str(late)]
    except ObservationError as error:
        return ["unobservable", str(error)]
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the student's code cost the check
        return ["raised", type(error).__name__, describe_error(error), cell_line(error)]


def seed_everything(seed: int) -> None:
    """Seed every generator that a student's code may use without asking."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        # torch.manual_seed looks at every accelerator as well, with a stack trace for each that is not there.
        torch.default_generator.manual_seed(seed)
