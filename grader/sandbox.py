"""The trusted side of the sandbox: asks the fork server for a process, gives it a job, and watches it from outside."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sized
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from grader.confine import Limits, readable_paths
from grader.job import Job
from grader.observation import decode
from grader.outputs import safe_output, safe_text
from grader.protections import Protection, protections
from grader.watch import DISK, FILES, THREADS, Watch
from grader.wire import Inbox, pack, receive

# A process that does not give in to an interrupt is killed this much later.
_GRACE = 2.0
# So often is looked at what a process uses.
_LOOK = 0.25
# What a cell's output takes beside its text, which may have four bytes a character.
_OUTPUT_EXTRA = 100_000
_CELL_STATUSES = ("ok", "raised", "timed_out")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")

_TRIAL_CHECK = """
from grader import check

@check("anything", points=1, hint="none")
def trial(student, rng):
    \"\"\"Never run.\"\"\"
"""
_TRIAL = """
import ctypes, os, socket, subprocess
libc = ctypes.CDLL(None)
def refuse():
    raise PermissionError
try:
    {action}
except (OSError, MemoryError):
    print("refused")
"""
ESCAPES = {
    "read a private file": "open('{folder}/checks.py')",
    "write outside its folder": "open('/var/tmp/grader-trial', 'w')",
    "open a socket": "socket.socket()",
    "start a process": "subprocess.run(['true'])",
    "fork": "os.fork() or os._exit(0)",
    "signal the grader": "os.kill(os.getppid(), 0)",
    "share memory": "libc.shmget(0, 4096, 0o1600) < 0 and refuse()",
    "read the grader's memory": "open(f'/proc/{{os.getppid()}}/mem')",
    "change its namespaces": "libc.unshare(0x10000000) < 0 and refuse()",
    "mount": "libc.mount(b'none', b'.', b'tmpfs', 0, None) < 0 and refuse()",
    "take all memory": "bytearray(2**36)",
    "write a huge file": "os.truncate(open('huge', 'w').name, 2**30)",
}


class SandboxError(RuntimeError):
    """Grading can't go on safely: the message says why and what to do."""


@dataclass(frozen=True)
class Fault:
    """An exception in the student's code: its name, message, and line in the notebook cell if known."""

    name: str
    message: str
    line: int | None = None


@dataclass(frozen=True)
class CellRun:
    """What became of one code cell: ok, raised, timed out, or killed (it took the process with it)."""

    status: str
    fault: Fault | None = None
    outputs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class CheckRun:
    """What became of one check. `status` is one of: observed, raised, timed_out, not_defined, not_attempted,
    unobservable, killed, not_reached."""

    status: str
    data: bytes = b""
    used: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    lines: int = 0
    fault: Fault | None = None

    @cached_property
    def value(self) -> Any:
        """The observation, decoded. Raises ObservationError if it is none."""
        return decode(self.data)


@dataclass
class Execution:
    """Everything that one submission's process reported. All of it is untrusted."""

    cells: dict[int, CellRun] = field(default_factory=dict)
    checks: dict[int, CheckRun] = field(default_factory=dict)
    mentions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    overlays: list[Any] = field(default_factory=list)
    overlay_fault: str = ""
    killed: str = ""


class Sandbox:
    """A fork server of one's own. A context manager: the server ends with it.

    `private` are folders that no submission may read (the course, the gradebook): checked when it starts.
    `confined=False` trusts every submission with the grader's own account: course.yaml has to say so.
    """

    def __init__(self, private: tuple[Path, ...] = (), *, confined: bool = True) -> None:
        self._private = private
        self.confined = confined
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._assignments: dict[str, tuple[socket.socket, int]] = {}
        self._home = ""
        self._ready = False

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the fork server in the background, if it does not run. It takes seconds; `run` waits for it."""
        if self._server is not None:
            return
        if self.confined:
            self._refuse_unless_safe()
        self._control, theirs = socket.socketpair()
        self._home = tempfile.mkdtemp(prefix="grader-home-")
        environment = {
            **dict.fromkeys(("HOME", "IPYTHONDIR", "MPLCONFIGDIR", "TMPDIR"), self._home),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "MALLOC_ARENA_MAX": "2",
            # One thread: a fork of a process with a thread pool would hang, and sums would depend on the machine.
            **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")},
        }
        self._server = subprocess.Popen(
            [sys.executable, "-s", "-m", "grader.forkserver"],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
        theirs.close()

    def _refuse_unless_safe(self) -> None:
        if missing := [protection for protection in protections() if not protection.enforced]:
            raise SandboxError(f"This machine can't confine student code. {_told(missing)} Run: grader doctor")
        for private in self._private:
            for path in readable_paths():
                if private.resolve().is_relative_to(path):
                    raise SandboxError(
                        f"{private} lies inside {path}, which student code may read. Move the course to another folder."
                    )

    @property
    def servers(self) -> list[int]:
        """The numbers of the processes that submissions are forked from, the first one's first."""
        first = [self._server.pid] if self._server is not None else []
        return first + [pid for _, pid in self._assignments.values()]

    def close(self) -> None:
        for control, _ in self._assignments.values():
            control.close()
        self._assignments.clear()
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            if self._server.stderr:
                self._server.stderr.close()
            shutil.rmtree(self._home, ignore_errors=True)
        self._control = self._server = None
        self._ready = False

    def _for_assignment(self, checks_file: Path, imports: tuple[str, ...]) -> socket.socket:
        """The socket of the process that forks for this assignment's submissions. It is made when first asked for."""
        self.start()
        assert self._control is not None
        request = "\n".join(["assignment", str(checks_file), *imports])
        if request not in self._assignments:
            ours, theirs = socket.socketpair()
            with contextlib.suppress(OSError), theirs:
                if not self._ready:
                    self._ready = receive(self._control) is not None
                _send(self._control, request, theirs.fileno())
            try:
                self._assignments[request] = ours, self._answer(ours)
            except SandboxError:
                ours.close()
                raise
        return self._assignments[request][0]

    def _answer(self, control: socket.socket) -> int:
        """The number of the process that was asked for."""
        reply = None
        with contextlib.suppress(OSError):
            reply = receive(control)
        if reply is None:
            complaint = self._complaint()
            self.close()
            raise SandboxError(f"The fork server ended. Run: grader doctor\n{complaint}")
        if reply[0] == "failed":
            raise SandboxError(str(reply[1]))
        return int(reply[1])

    def _complaint(self) -> str:
        if self._server is None or self._server.stderr is None:
            return ""
        self._server.kill()
        return self._server.stderr.read().decode(errors="replace")[-1500:]

    def run(self, job: Job, checks_file: Path, imports: tuple[str, ...] = ()) -> Execution:
        """Run a job to its end. What hangs or crashes costs its cell or check; the rest is run again without it.

        imports: modules that these notebooks use, imported once for all of them.
        """
        control = self._for_assignment(checks_file, imports)
        execution = Execution()
        skip: list[int] = []
        remaining = list(range(len(job.runs)))
        deadline = time.monotonic() + job.limits.submission_seconds
        # Each attempt costs a cell or a check, and all of them together the time of one submission.
        for _ in range(len(job.cells) + len(job.runs) + 1):
            part = replace(job, skip=(*job.skip, *skip), runs=tuple(job.runs[i] for i in remaining))
            reached = self._attempt(part, control, execution, remaining, deadline)
            remaining = [i for i in remaining if i not in execution.checks]
            if reached is None or reached[0] == "budget" or (reached[0] == "check" and not remaining):
                break
            if reached[0] == "cell":
                skip.append(reached[1])
        for i in remaining:
            execution.checks.setdefault(i, CheckRun("not_reached", fault=Fault("", execution.killed)))
        return execution

    def trial(self) -> list[str]:
        """Run a process that tries to get out. Returns what it managed to do, of what it must not."""
        with tempfile.TemporaryDirectory() as folder:
            checks = Path(folder) / "checks.py"
            checks.write_text(_TRIAL_CHECK, encoding="utf-8")
            cells = tuple(_TRIAL.format(action=action.format(folder=folder)) for action in ESCAPES.values())
            limits = Limits(5, 5, 60, 512, 64, 8)
            execution = self.run(Job(cells=cells, runs=(), limits=limits, confined=self.confined), checks)
        return [
            escape for position, escape in enumerate(ESCAPES) if "refused" not in str(execution.cells[position].outputs)
        ]

    def _attempt(
        self, job: Job, control: socket.socket, execution: Execution, positions: list[int], deadline: float
    ) -> tuple[str, int] | None:
        """One process. Returns None if it finished, else what it was at when it ended: a cell or a check."""
        with _scratch() as scratch:
            ours, theirs = socket.socketpair()
            with ours:
                with contextlib.suppress(OSError), theirs:
                    _send(control, "submission", theirs.fileno())
                pid = self._answer(control)
                conversation = _Conversation(execution, positions, job)
                try:
                    reason = conversation.hold(
                        ours, replace(job, scratch=str(scratch), confined=self.confined), pid, deadline
                    )
                finally:
                    # The server has not reaped it, so the number is still this process's.
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    _remove(scratch, pid)
                    with contextlib.suppress(OSError):
                        _send(control, f"release\n{pid}")
        return conversation.ended(reason)


def _send(control: socket.socket, request: str, *descriptors: int) -> None:
    socket.send_fds(control, [request.encode() + b"\0"], list(descriptors))


def _told(missing: list[Protection]) -> str:
    """Why protections are missing, and how to mend it: each reason once."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in missing:
        reasons.setdefault((one.detail, one.remedy), []).append(one.name)
    return " ".join(
        f"Nothing enforces that it {', '.join(names)}: {detail}. {remedy}"
        for (detail, remedy), names in reasons.items()
    )


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="grader-scratch-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path, pid: int) -> None:
    """Remove the folder of a process that was killed, however deep, locked or alive it is."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists() or not hasattr(os, "pidfd_open"):
        return
    with contextlib.suppress(OSError):
        with open(os.pidfd_open(pid)) as process:
            select.select([process], [], [], 10)  # until it has ended, it could put a link where a folder was
        while entries := list(os.scandir(folder)):
            for entry in entries:
                _flatten(entry, folder)
        folder.rmdir()


def _flatten(entry: os.DirEntry[str], top: Path) -> None:
    """Remove a file, or a folder whose folders are moved up to `top`: no path gets longer than two names."""
    if not entry.is_dir(follow_symlinks=False):
        os.unlink(entry.path)
        return
    os.chmod(entry.path, 0o700)
    for inner in os.scandir(entry.path):
        if inner.is_dir(follow_symlinks=False):
            os.chmod(inner.path, 0o700)
            os.rename(inner.path, tempfile.mkdtemp(dir=top))
        else:
            os.unlink(inner.path)
    os.rmdir(entry.path)


class _Conversation:
    """Reads one process's messages, and decides when it has had its time."""

    def __init__(self, execution: Execution, positions: list[int], job: Job) -> None:
        self._execution = execution
        self._positions = positions
        self._job = job
        self._at: tuple[str, int] = ("cell", -1)
        self._confined = False
        self._done = False
        self._ran: set[int] = set()

    def hold(self, channel: socket.socket, job: Job, pid: int, deadline: float) -> str:
        """Give the job, take messages until the end. Returns why it ended: "" if the process ended by itself."""
        channel.settimeout(30)
        try:
            channel.sendall(pack(job.message()))
        except OSError:
            return ""
        channel.setblocking(False)
        inbox = Inbox()
        limits = job.limits
        watch = Watch(pid, Path(job.scratch), limits)
        now = time.monotonic()
        look, until = now + _LOOK, min(deadline, now + _GRACE + limits.cell_seconds)
        while not self._done:
            now = time.monotonic()
            if now > until:
                return "budget" if now > deadline else "time"
            if now > look:
                if excess := watch.excess():
                    return excess
                look = now + _LOOK
            readable, _, _ = select.select([channel], [], [], _LOOK)
            if not readable:
                continue
            try:
                data = channel.recv(2**20)
            except OSError:
                data = b""
            if not data:
                return ""
            try:
                for message in inbox.feed(data):
                    self._take(message)
                    kind, index = self._at
                    seconds = job.runs[index].seconds if kind == "check" else limits.cell_seconds
                    until = min(deadline, time.monotonic() + _GRACE + seconds)
            except SandboxError:
                raise
            except Exception as error:  # whatever an untrusted message makes our code do
                return f"it broke the protocol ({error})"
        return ""

    def _take(self, message: list[Any]) -> None:
        name, *rest = message
        execution = self._execution
        if name == "cell":
            self._at = (name, _index(rest[0], self._job.cells))
        elif name == "check":
            self._at = (name, _index(rest[0], self._positions))
        elif name == "ran":
            index, status, fault, outputs = rest
            if _index(index, self._job.cells) in self._ran:
                raise ValueError("a cell that ran twice")
            self._ran.add(index)
            if len(pack(outputs)) > 4 * self._job.limits.output_kb * 1024 + _OUTPUT_EXTRA:
                raise ValueError("more output than a cell may have")
            ran = CellRun(_one_of(status, _CELL_STATUSES), _fault(fault), tuple(map(safe_output, outputs)))
            execution.cells[index] = ran
        elif name == "checked":
            execution.checks[self._positions[_index(rest[0], self._positions)]] = _check_run(rest[1:])
        elif name == "mentions" and self._at == ("cell", -1):  # later, student code could take it back
            execution.mentions[str(rest[0])] = _texts(rest[1])
        elif name == "overlays":
            execution.overlays = list(rest[0])
            execution.overlay_fault = str(rest[1])
        elif name == "confined":
            self._confined = True
        elif name == "refused" and not self._confined:  # later, only student code could say so
            raise SandboxError(f"The sandbox could not be set up: {rest[0]}")
        elif name == "done":
            self._done = True
        else:
            raise ValueError(f"unknown message {name[:20]!r}")

    def ended(self, reason: str) -> tuple[str, int] | None:
        """Note what the end of the process costs."""
        if self._done:
            return None
        kind, index = self._at
        told = {
            "time": "did not stop when its time was up, and was killed",
            "memory": f"used more than {self._job.limits.memory_mb} MB of memory, and was killed",
            "threads": f"started more than {THREADS} threads, and was killed",
            "disk": f"wrote more than {DISK * self._job.limits.file_mb} MB or {FILES:,} files, and was killed",
            "budget": f"the notebook used up its {self._job.limits.submission_seconds:g} s",
            "": "ended the process (a crash, or more memory or time than allowed)",
        }.get(reason, reason)
        fault = Fault("", told)
        if kind == "cell":
            self._execution.cells[max(index, 0)] = CellRun("timed_out" if reason == "time" else "killed", fault)
        elif self._positions[index] not in self._execution.checks:
            status = "timed_out" if reason in ("time", "budget") else "killed"
            self._execution.checks[self._positions[index]] = CheckRun(status, fault=fault)
        self._execution.killed = told
        return ("budget", index) if reason == "budget" else (kind, max(index, 0))


def _index(value: Any, among: Sized) -> int:
    if type(value) is not int or not 0 <= value < len(among):
        raise ValueError("a position that does not exist")
    return value


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"unknown status {str(value)[:20]!r}")
    return str(value)


def _fault(fault: Any) -> Fault | None:
    if fault is None:
        return None
    name, message, line = fault
    # An address differs in each process; a report must not.
    told = _ADDRESS.sub("0x...", safe_text(message))
    return Fault(safe_text(name)[:100], told[:500], int(line) if line is not None else None)


def _check_run(rest: list[Any]) -> CheckRun:
    status, *facts = rest
    if status == "observed":
        data, used, changed, lines = facts
        if not isinstance(data, bytes):
            raise ValueError("an observation that is no bytes")
        return CheckRun(status, data, _texts(used), _texts(changed), int(lines))
    if status == "raised":
        return CheckRun(status, fault=_fault(facts))
    _one_of(status, ("not_attempted", "not_defined", "timed_out", "unobservable"))
    return CheckRun(status, fault=_fault(["", facts[0], None]))


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(safe_text(value)[:100] for value in values[:100])
