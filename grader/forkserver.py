"""The process that has imported numpy, torch and matplotlib once, and forks for each submission.

It is started fresh, so it inherits nothing of the grader's memory. It never reads a submission: the forked child gets
its job on a channel of its own. Requests come on standard input, a socket:

    fork CHECKS_FILE [MODULE...]  ->  ["forked", pid] or ["failed", message]
        one field a line, with the child's channel attached; the modules are what the assignment's notebook imports
    reap PID                      ->  ["reaped", wait status, user + system seconds]
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
import tempfile
from pathlib import Path
from typing import Any

from grader.checks import AuthorError, HiddenTests
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
    tests: dict[str, HiddenTests] = {}
    children: set[int] = set()
    with tempfile.TemporaryDirectory(prefix="grader-") as home:
        for name in ("HOME", "IPYTHONDIR", "MPLCONFIGDIR", "TMPDIR"):
            os.environ[name] = home
        shell = _preload()
        # A notebook imports Python's libraries, not the folder that the grader happens to lie in.
        sys.path[:] = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix, "/usr/lib"))]
        os.chdir(home)
        gc.collect()
        gc.freeze()
        control.sendall(pack(["ready", os.getpid()]))
        try:
            _serve(control, shell, tests, children)
        finally:
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _serve(control: socket.socket, shell: NotebookShell, tests: dict[str, HiddenTests], children: set[int]) -> None:
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, _REQUEST, 1)
        if not data:
            return
        verb, argument, *modules = data.decode().split("\n")
        reply: list[Any]
        if verb == "reap":
            pid = int(argument)
            _, status, usage = os.wait4(pid, 0)
            children.discard(pid)
            reply = ["reaped", status, usage.ru_utime + usage.ru_stime]
        else:
            try:
                if argument not in tests:
                    tests[argument] = HiddenTests.load(Path(argument))
                    _import(modules, tests[argument])
                pid = _fork(descriptors[0], control, tests[argument], shell)
                children.add(pid)
                reply = ["forked", pid]
            except (AuthorError, OSError) as error:
                reply = ["failed", str(error)]
            os.close(descriptors[0])
        control.sendall(pack(reply))


def _import(modules: list[str], tests: HiddenTests) -> None:
    """Import what the notebooks of an assignment import, and what its problems forbid, before anybody pays for it."""
    forbidden = {name.rpartition(".")[0] for problem in tests.problems.values() for name in problem.forbidden}
    for module in [*modules, *sorted(forbidden)]:
        # One that is missing here fails in the notebook too, where the student can read it.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.freeze()


def _fork(descriptor: int, control: socket.socket, tests: HiddenTests, shell: NotebookShell) -> int:
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
    # Loaded before the first fork: a confined child can no longer read them.
    import landlockpy  # noqa: F401
    import pyseccomp  # noqa: F401

    import grader.child  # noqa: F401

    main()
