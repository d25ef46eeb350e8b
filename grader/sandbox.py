"""The trusted side of the sandbox: asks the fork server for a process, gives it a job, and cleans up after it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from grader.confine import Limits, readable_paths
from grader.conversation import Budget, Conversation
from grader.execution import CellRun, CheckRun, Execution, Fault, SandboxError
from grader.job import Job
from grader.protections import Protection, protections
from grader.servers import Assignment, AssignmentServer, ForkServer, ServerEnded

__all__ = ["CellRun", "CheckRun", "Execution", "Fault", "Sandbox", "SandboxError"]

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


class Sandbox:
    """A fork server of one's own. A context manager: the server ends with it.

    Several threads may use it at once: each has its submissions forked from a process of its own. A process that is
    forked from the grader gets a fork server of its own, and the grader's stays with the grader.

    `private` are folders that no submission may read (the course, the gradebook): checked when it starts.
    `confined=False` trusts every submission with the grader's own account: course.yaml has to say so.
    """

    def __init__(self, private: tuple[Path, ...] = (), *, confined: bool = True) -> None:
        self._private = private
        self.confined = confined
        self._lock = threading.Lock()
        self._server: ForkServer | None = None
        _ALL.add(self)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, *, wait: bool = False) -> None:
        """Start the fork server in the background, if it does not run. It takes seconds; `run` waits for it."""
        server = self._started()
        if wait:
            server.wait()

    def _started(self) -> ForkServer:
        with self._lock:
            if self._server is None:
                if self.confined:
                    self._refuse_unless_safe()
                self._server = ForkServer()
            return self._server

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
        return self._server.pids if self._server is not None else []

    def close(self) -> None:
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def shared(self, *private: Path) -> Sandbox:
        """A sandbox that uses the same fork server, which saves it the seconds of a start, and ends with this one.

        A process that is forked from this one may take it along. private: further folders, as above.
        """
        if self._server is not None and self._server.ended():
            self.close()
        other = Sandbox((*self._private, *private), confined=self.confined)
        if private and self.confined:
            other._refuse_unless_safe()
        other._server = self._started().shared()
        _ALL.discard(other)
        return other

    def leave(self) -> None:
        """What belongs to the process that this one was forked from is left to it."""
        server, self._server, self._lock = self._server, None, threading.Lock()
        if server is not None:
            server.leave()

    def run(self, job: Job, checks_file: Path, imports: tuple[str, ...] = ()) -> Execution:
        """Run a job to its end. What hangs or crashes costs its cell or check; the rest is run again without it.

        imports: modules that these notebooks use, imported once for all of them.
        """
        facts = os.stat(checks_file)
        version = facts.st_mtime_ns, facts.st_size, facts.st_ino
        assignment = Assignment(checks_file, version, imports, tuple(job.given.items()))
        server = self._started()
        try:
            with server.lent(assignment) as lent:
                return self._run(job, lent)
        except ServerEnded:
            complaint = server.complaint()
            with self._lock:
                if self._server is server:
                    self._server = None
            server.close()
            raise SandboxError(f"The fork server ended. Run: grader doctor\n{complaint}") from None

    def _run(self, job: Job, server: AssignmentServer) -> Execution:
        execution = Execution()
        skip: list[int] = []
        remaining = list(range(len(job.runs)))
        budget = Budget(job.limits.submission_seconds)
        # Each attempt costs a cell or a check, and all of them together the time of one submission.
        for _ in range(len(job.cells) + len(job.runs) + 1):
            part = replace(job, skip=(*job.skip, *skip), runs=tuple(job.runs[i] for i in remaining))
            reached = self._attempt(part, server, execution, remaining, budget)
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
        self, job: Job, server: AssignmentServer, execution: Execution, positions: list[int], budget: Budget
    ) -> tuple[str, int] | None:
        """One process. Returns None if it finished, else what it was at when it ended: a cell or a check."""
        with _scratch() as scratch, contextlib.ExitStack() as stack:
            ours, theirs, bell, their_bell = map(stack.enter_context, (*socket.socketpair(), *socket.socketpair()))
            with theirs, their_bell:
                pid = server.fork(theirs, their_bell)
            conversation = Conversation(execution, positions, job, budget)
            try:
                own = replace(job, scratch=str(scratch), confined=self.confined)
                reason = conversation.hold(ours, bell, own, pid)
            finally:
                # The server has not reaped it, so the number is still this process's.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                _remove(scratch, pid)
                server.release(pid)
        reached = conversation.ended(reason)
        if reached is not None and server.ended():
            raise ServerEnded  # and took the process with it
        return reached


def _leave_all() -> None:
    for sandbox in _ALL:
        sandbox.leave()


# A fork would have the server's sockets, too: it would not notice when the grader ends.
_ALL: weakref.WeakSet[Sandbox] = weakref.WeakSet()
os.register_at_fork(after_in_child=_leave_all)


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
