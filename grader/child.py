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
import time
import traceback
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
from IPython.core.inputtransformer2 import TransformerManager

from grader.checks import Alternative, AuthorError, Check, HiddenTests, Misconception, marked
from grader.confine import ConfinementError, confine, only_descriptors, patience, waits
from grader.execution import Code
from grader.forbidden import Source, Watch
from grader.functions import code_of
from grader.job import Job, Run
from grader.observation import ObservationError, encode, plain
from grader.shell import NotebookShell, cell_line, describe_error, syntax_tree
from grader.student import Lines, NotDefined, Student
from grader.wire import Outbox, receive

_NOTHING = Code()


class TimeUp(BaseException):
    """The cell or check used up its time. No Exception, so that a student's `except Exception` lets it pass."""


class TimeLimit:
    """Interrupts what computes for too long, and again every second until it gives in.

    How busy the machine is must not count. The clock only stops what waits and hardly ever computes.
    """

    def __init__(self) -> None:
        self._seconds = self._began = self._had = 0.0

    def install(self) -> None:
        signal.signal(signal.SIGPROF, self._interrupt)
        signal.signal(signal.SIGALRM, self._interrupt)

    def _interrupt(self, signum: int, frame: Any) -> None:
        if signum == signal.SIGPROF:
            raise TimeUp(f"stopped after {self._seconds:g} s of computing: is there an endless loop?")
        if waits(time.monotonic() - self._began, time.process_time() - self._had):
            raise TimeUp(f"stopped after {patience(self._seconds):g} s, most of which it waited: does it sleep?")

    @contextmanager
    def of(self, seconds: float) -> Iterator[None]:
        """Interrupt the block when it has computed for `seconds`."""
        self._seconds, self._began, self._had = seconds, time.monotonic(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
        signal.setitimer(signal.ITIMER_REAL, patience(seconds), 1.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)


class Child:
    """What the process of a submission needs, made before it is forked: it is the same for each."""

    def __init__(self, tests: HiddenTests, given: Mapping[str, Any], watch: Watch, shell: NotebookShell) -> None:
        self._tests = tests
        self._given = given
        self._watch = watch
        self._shell = shell
        self._time_limit = TimeLimit()
        self._lines = Lines() if any(check.cost is not None for check in tests.checks.values()) else None

    def run(self, channel: socket.socket, bell: socket.socket) -> None:
        """Do the job that arrives on `channel`. In the forked process: what it changes is never put back."""
        job = Job.from_message(receive(channel))
        outbox = Outbox(channel, bell)
        try:
            os.chdir(job.scratch)
            os.environ.update(HOME=job.scratch, TMPDIR=job.scratch, IPYTHONDIR=job.scratch, MPLCONFIGDIR=job.scratch)
            tempfile.tempdir = None
            sys.path.insert(0, job.scratch)  # a cell may write a module, and the next one import it
            only_descriptors(channel.fileno(), bell.fileno())
            if job.confined:
                confine(Path(job.scratch), job.limits)
        except (ConfinementError, OSError) as error:
            outbox.now(["refused", str(error)])
            return
        outbox.now(["confined"])
        builtins.input = _no_input
        self._time_limit.install()
        if job.suspect:
            self._look_for_forbidden_names(outbox, job)
        if self._lines is not None:
            sys.addaudithook(self._lines.listen)
        self._run_cells(outbox, job)
        self._run_checks(outbox, job)
        self._look_at_code(outbox, job)
        outbox.now(["done"])
        outbox.ring()
        channel.recv(1)  # until the grader has looked at what this process used, and ends it

    def _look_for_forbidden_names(self, outbox: Outbox, job: Job) -> None:
        source = Source(_as_python(cell) for index, cell in enumerate(job.cells) if index not in job.tests)
        for problem in self._tests.problems.values():
            used = source.uses(problem.name, problem.forbidden)
            if used:
                outbox.now(["mentions", problem.name, used])

    def _run_cells(self, outbox: Outbox, job: Job) -> None:
        for index, source in enumerate(job.cells):
            if index in job.skip:
                self._shell.execution_count += 1
                continue
            outbox.now(["cell", index])
            error: BaseException | None = None
            outputs: list[Any] = []
            try:
                with (
                    _functions_kept(self._shell.user_ns) if index in job.tests else nullcontext(),
                    self._time_limit.of(job.limits.cell_seconds),
                ):
                    error, outputs = self._shell.run(source, job.limits.output_kb * 1024)
            except TimeUp as late:  # it struck between the cell and our own code
                error = late
            status = "ok" if error is None else "timed_out" if isinstance(error, TimeUp) else "raised"
            fault = None if error is None else [type(error).__name__, describe_error(error), cell_line(error)]
            outbox.later(["ran", index, status, fault, outputs])

    def _run_checks(self, outbox: Outbox, job: Job) -> None:
        namespace = self._shell.user_ns
        overlays: dict[str, tuple[Any, Any]] = {}
        if job.overlays:  # the author's own process: tell what it found
            try:
                overlays = _overlays(job, namespace)
            except Exception as error:
                outbox.now(["overlays", [], f"{type(error).__name__}: {error} (line {_last_line(error)})"])
                return
            outbox.now(["overlays", [[type(mark).__name__, asdict(mark)] for mark, _ in overlays.values()], ""])
        checks = self._tests.checks
        for position, run in enumerate(job.runs):
            check = checks[run.check]
            outbox.now(["check", position])
            names: Mapping[str, Any] = namespace
            if run.overlay:
                names = {**namespace, check.problem: overlays[run.overlay][1]}
            outbox.later(["checked", position, *self._observe(check, run, names)])

    def _look_at_code(self, outbox: Outbox, job: Job) -> None:
        names = self._tests.problems
        for name in dict.fromkeys(self._tests.checks[run.check].problem for run in job.runs if not run.overlay):
            try:
                found = code_of(name, self._shell.user_ns, names)
            except Exception:  # a class may answer anything to whoever looks at it
                continue
            if found != _NOTHING:
                outbox.later(["code", name, *astuple(found)])

    def _observe(self, check: Check, run: Run, names: Mapping[str, Any]) -> list[Any]:
        """Run one check: [status, ...] as `grader.sandbox` reads it."""
        student = Student(names)
        seed_everything(run.seed)
        rng = np.random.default_rng(run.seed)
        arguments = copy.deepcopy(self._given[check.given]) if check.given else ()

        def observe() -> tuple[Any, set[str]]:
            counting = self._lines.counted() if self._lines and check.cost is not None else nullcontext()
            with self._watch.during(self._tests.problems[check.problem]) as used, counting:
                result = check.observe(student, rng, *arguments)
            return result, used

        try:
            getattr(student, check.problem)
            with self._time_limit.of(run.seconds):
                result, used = self._shell.silently(observe)
                data = encode(plain(result))
            lines = self._lines.count if self._lines and check.cost is not None else 0
            return ["observed", data, sorted(used), student.changed, lines, student.shared()]
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


def _no_input(prompt: object = "") -> str:
    raise RuntimeError("input() is not available while grading: pass the value as an argument")


def _as_python(cell: str) -> str:
    try:
        return cell if syntax_tree(cell) else TransformerManager().transform_cell(cell)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


@contextmanager
def _functions_kept(namespace: dict[str, Any]) -> Iterator[None]:
    """Undo what the lesson's tests do to functions: a student's helper may have the name of one of their variables."""
    before = {name: value for name, value in namespace.items() if isinstance(value, (types.FunctionType, type))}
    try:
        yield
    finally:
        namespace.update(before)


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


def seed_everything(seed: int) -> None:
    """Seed every generator that a student's code may use without asking."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        # torch.manual_seed looks at every accelerator as well, with a stack trace for each that is not there.
        torch.default_generator.manual_seed(seed)
