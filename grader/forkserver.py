"""The processes that submissions are forked from.

The first has imported numpy, torch and matplotlib once. It is started fresh, so it inherits nothing of the grader's
memory. For each assignment it forks one that has also imported that assignment's checks and libraries, and that one
forks for each submission: none ever sees another assignment's checks. Neither reads a submission: the forked child gets
its job on a channel of its own.

Requests come on a socket, which is standard input of the first; each may have another socket attached:

    assignment CHECKS_FILE [MODULE...]   to the first: the attached socket is the new process's own, and it answers
                                         there: ["ready", pid] or ["failed", message]
    submission                           to an assignment's: the attached socket is the child's channel; ["forked", pid]
    release PID                          no reply: the child is ending and may be reaped, which frees its number

Fields are lines; a zero byte ends a request.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from grader.checks import AuthorError, HiddenTests
from grader.confine import prepare
from grader.forbidden import Watch
from grader.shell import NotebookShell
from grader.wire import pack

_REQUEST = 65536


def _preload() -> NotebookShell:
    """Import and warm up what nearly every notebook touches, so that no submission pays for it."""
    import matplotlib.pyplot as plt
    import torch

    torch.set_num_threads(1)
    # The first optimizer imports torch's compiler, which takes seconds.
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1).step()
    shell = NotebookShell.instance()
    shell.run_line_magic("matplotlib", "inline")
    plt.figure().canvas.draw()
    plt.close("all")
    shell.run("1 + 1", 1000)
    shell.reset()
    shell.execution_count = 1
    return shell


def main() -> None:
    control = socket.socket(fileno=os.dup(0))
    _die_with_parent()
    shell = _preload()
    # A notebook imports Python's libraries, not the folder that the grader happens to lie in.
    sys.path[:] = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix, "/usr/lib"))]
    os.chdir(os.environ["HOME"])
    prepare()
    gc.collect()
    gc.freeze()
    control.sendall(pack(["ready", os.getpid()]))
    server = First(control, shell)
    try:
        server.serve()
    finally:
        server.end()


class Server:
    """Answers requests by forking, until whoever asks hangs up. Its children end with it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: set[int] = set()
        self._released: set[int] = set()

    def serve(self) -> None:
        waiting, descriptors = b"", []
        while True:
            data, received, _, _ = socket.recv_fds(self._control, _REQUEST, 4)
            if not data:
                return
            descriptors += received
            *requests, waiting = (waiting + data).split(b"\0")
            for request in requests:
                verb, *arguments = request.decode().split("\n")
                if verb == "release":
                    self._released.add(int(arguments[0]))
                else:
                    self._answer(arguments, descriptors.pop(0))
            self._bury()

    def _answer(self, arguments: list[str], descriptor: int) -> None:
        raise NotImplementedError

    def _fork(self, descriptor: int, run: Callable[[socket.socket], None]) -> int:
        """Fork a child that runs with the attached socket, and leaves without any exit handler, finally or flush."""
        pid = os.fork()
        if pid:
            os.close(descriptor)
            self._children.add(pid)
            return pid
        try:
            _die_with_parent()
            run(socket.socket(fileno=descriptor))
        finally:
            os._exit(0)
        raise AssertionError

    def end(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _bury(self) -> None:
        """Reap released processes that have ended. Taking a process with torch apart takes milliseconds: no waiting."""
        for pid in list(self._released):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._released.discard(pid)
                self._children.discard(pid)


class First(Server):
    """Forks a process for each assignment."""

    def __init__(self, control: socket.socket, shell: NotebookShell) -> None:
        super().__init__(control)
        self._shell = shell

    def _answer(self, arguments: list[str], descriptor: int) -> None:
        checks_file, *modules = arguments

        def run(control: socket.socket) -> None:
            self._control.close()
            try:
                tests = HiddenTests.load(Path(checks_file))
            except (AuthorError, OSError) as error:
                control.sendall(pack(["failed", str(error)]))
                return
            _import(modules, tests)
            server = ForAssignment(control, tests, Watch(tests.problems.values()), self._shell)
            gc.freeze()
            control.sendall(pack(["ready", os.getpid()]))
            try:
                server.serve()
            finally:
                server.end()

        self._fork(descriptor, run)


class ForAssignment(Server):
    """Forks a process for each submission of one assignment."""

    def __init__(self, control: socket.socket, tests: HiddenTests, watch: Watch, shell: NotebookShell) -> None:
        super().__init__(control)
        self._tests, self._watch, self._shell = tests, watch, shell

    def _answer(self, arguments: list[str], descriptor: int) -> None:
        def run(channel: socket.socket) -> None:
            from grader.child import main as run_submission

            run_submission(channel, self._tests, self._shell, self._watch)
            channel.shutdown(socket.SHUT_WR)

        try:
            reply = ["forked", self._fork(descriptor, run)]
        except OSError as error:  # the machine has no room for one more process
            os.close(descriptor)
            reply = ["failed", str(error)]
        self._control.sendall(pack(reply))


def _import(modules: list[str], tests: HiddenTests) -> None:
    """Import what the notebooks of an assignment import, and what its problems forbid, before anybody pays for it."""
    forbidden = {name.rpartition(".")[0] for problem in tests.problems.values() for name in problem.forbidden}
    for module in [*modules, *sorted(forbidden)]:
        # One that is missing here fails in the notebook too, where the student can read it.
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the grader's to handle


if __name__ == "__main__":
    import grader.child  # noqa: F401  # before the first fork: a confined child can no longer read it

    main()
