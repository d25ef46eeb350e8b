"""The fork server, from the trusted side: starts it, and keeps the processes that an assignment's submissions need."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.execution import SandboxError
from grader.wire import pack, receive


@dataclass(frozen=True)
class Assignment:
    """What the submissions of an assignment have in common, and its process therefore reads before they come.

    checks:  the file of the hidden tests, and `version` what changes when that file does.
    imports: modules that the notebooks use.
    given:   further arguments of checks by name, encoded.
    """

    checks: Path
    version: tuple[int, ...]
    imports: tuple[str, ...]
    given: tuple[tuple[str, bytes], ...]


class AssignmentServer:
    """The process that forks for the submissions of one assignment. For one thread at a time."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.pid = self._answer()

    def _answer(self) -> int:
        """The number of the process that was asked for."""
        reply = None
        with contextlib.suppress(OSError):
            reply = receive(self.control)
        if reply is None:
            raise ServerEnded
        if reply[0] == "failed":
            raise SandboxError(str(reply[1]))
        return int(reply[1])

    def fork(self, channel: socket.socket, bell: socket.socket) -> int:
        """The number of a new process for a submission. It gets `channel` and `bell`. Raises ServerEnded."""
        with contextlib.suppress(OSError):
            _send(self.control, "submission", channel.fileno(), bell.fileno())
        return self._answer()

    def release(self, pid: int) -> None:
        """The process that was forked has been killed, and its number may be used again."""
        with contextlib.suppress(OSError):
            _send(self.control, f"release\n{pid}")

    def ended(self) -> bool:
        """Whether it hung up. It says nothing unasked."""
        try:
            return not self.control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True


class ServerEnded(Exception):
    """The process does not answer any more."""


class ForkServer:
    """The first process, and one for each assignment and thread that grades it at the same time.

    It starts in the background, which takes seconds. Safe to use from several threads.
    """

    _process: subprocess.Popen[bytes] | None

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready = False
        self._idle: dict[Assignment, list[AssignmentServer]] = {}
        self._all: list[AssignmentServer] = []
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
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-m", "grader.forkserver"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=Path(__file__).parents[1],
                start_new_session=True,
            )

    def shared(self) -> ForkServer:
        """The same first process, for a process that will be forked from this one: it ends with this one's."""
        with self._lock:
            self._await()
            other = object.__new__(ForkServer)
            other._lock, other._ready, other._idle, other._all = threading.Lock(), True, {}, []
            # Whoever asks gets the answer on a socket of its own, and a question is a single message.
            other._control, other._process = self._control.dup(), None
            return other

    def _await(self) -> None:
        if not self._ready:
            with contextlib.suppress(OSError):
                self._ready = receive(self._control) is not None

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes that submissions are forked from, the first one's first."""
        first = [self._process.pid] if self._process is not None else []
        return first + [server.pid for server in self._all]

    @contextlib.contextmanager
    def lent(self, assignment: Assignment) -> Iterator[AssignmentServer]:
        """A process for the assignment that nobody else uses meanwhile. Raises ServerEnded."""
        with self._lock:
            self._end_older(assignment)
            idle = self._idle.setdefault(assignment, [])
            server = idle.pop() if idle else self._made(assignment)
        try:
            yield server
        finally:
            with self._lock:
                if assignment in self._idle:
                    idle.append(server)
                else:  # the checks were edited meanwhile
                    self._end(server)

    def _end_older(self, assignment: Assignment) -> None:
        """End the processes that hold an older version of this assignment's checks."""
        for other in list(self._idle):
            if other.checks == assignment.checks and other.version != assignment.version:
                for server in self._idle.pop(other):
                    self._end(server)

    def _end(self, server: AssignmentServer) -> None:
        server.control.close()
        self._all.remove(server)

    def _made(self, assignment: Assignment) -> AssignmentServer:
        ours, theirs = socket.socketpair()
        try:
            with contextlib.suppress(OSError), theirs:
                self._await()
                request = "\n".join(["assignment", str(assignment.checks), *assignment.imports])
                _send(self._control, request, theirs.fileno())
            with contextlib.suppress(OSError):
                ours.sendall(pack(dict(assignment.given)))
            server = AssignmentServer(ours)
        except BaseException:
            ours.close()
            raise
        self._all.append(server)
        return server

    def wait(self) -> None:
        """Wait until the first process can fork, or has ended."""
        with self._lock:
            self._await()

    def ended(self) -> bool:
        """Whether the first process has ended; only its own grader knows."""
        return self._process is not None and self._process.poll() is not None

    def complaint(self) -> str:
        """The last words of a server that ended."""
        with self._lock:
            if self._process is None or self._process.stderr is None or self._process.stderr.closed:
                return ""
            self._process.kill()
            return self._process.stderr.read().decode(errors="replace")[-1500:]

    def close(self) -> None:
        """End all of its processes."""
        with self._lock:
            self._hang_up()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                shutil.rmtree(self._home, ignore_errors=True)

    def _hang_up(self) -> None:
        for control in (self._control, *(server.control for server in self._all)):
            control.close()
        if self._process is not None and self._process.stderr:
            self._process.stderr.close()

    def leave(self) -> None:
        """In a process that was forked from the grader: close what belongs to the grader, and let it live."""
        self._hang_up()
        if self._process is not None:
            self._process.returncode = 0  # it is no child of this process


def _send(control: socket.socket, request: str, *descriptors: int) -> None:
    socket.send_fds(control, [request.encode() + b"\0"], list(descriptors))
