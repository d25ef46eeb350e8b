"""The process that has imported numpy, torch and matplotlib once, and forks for each submission.

It is started fresh, so it inherits nothing of the grader's memory. It never reads a submission: the forked child gets
its job on a channel of its own. Requests come on standard input, a socket:

    fork CHECKS_FILE [MODULE...]  ->  ["forked", pid] or ["failed", message]
        with the child's channel attached; the modules are what the assignment's notebooks import
    release PID                   no reply: the process is ending and may be reaped; until then its number is its own

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
from pathlib import Path
from typing import Any

from grader.checks import AuthorError, HiddenTests
from grader.confine import prepare
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
    server = ForkServer(control, shell)
    try:
        server.serve()
    finally:
        server.end()


class ForkServer:
    """Forks a process for each request, until the grader hangs up."""

    def __init__(self, control: socket.socket, shell: NotebookShell) -> None:
        self._control = control
        self._shell = shell
        self._tests: dict[str, HiddenTests] = {}
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
                verb, argument, *modules = request.decode().split("\n")
                if verb == "release":
                    self._released.add(int(argument))
                else:
                    self._control.sendall(pack(self._fork(Path(argument), modules, descriptors.pop(0))))
            self._bury()

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

    def _fork(self, checks_file: Path, modules: list[str], descriptor: int) -> list[Any]:
        try:
            if str(checks_file) not in self._tests:
                self._tests[str(checks_file)] = HiddenTests.load(checks_file)
                _import(modules, self._tests[str(checks_file)])
            pid = _fork(descriptor, self._tests[str(checks_file)], self._shell)
        except (AuthorError, OSError) as error:
            return ["failed", str(error)]
        finally:
            os.close(descriptor)
        self._children.add(pid)
        return ["forked", pid]


def _import(modules: list[str], tests: HiddenTests) -> None:
    """Import what the notebooks of an assignment import, and what its problems forbid, before anybody pays for it."""
    forbidden = {name.rpartition(".")[0] for problem in tests.problems.values() for name in problem.forbidden}
    for module in [*modules, *sorted(forbidden)]:
        # One that is missing here fails in the notebook too, where the student can read it.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.freeze()


def _fork(descriptor: int, tests: HiddenTests, shell: NotebookShell) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        from grader.child import main as run_submission

        _die_with_parent()
        channel = socket.socket(fileno=descriptor)
        run_submission(channel, tests, shell)
        channel.shutdown(socket.SHUT_WR)
    finally:
        os._exit(0)  # no exit handler, finally or flush of a forked process runs
    raise AssertionError


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the grader's to handle


if __name__ == "__main__":
    import grader.child  # noqa: F401  # before the first fork: a confined child can no longer read it

    main()
