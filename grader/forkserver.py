"""The processes that submissions are forked from.

The first has imported numpy, torch and matplotlib once. It is started fresh, so it inherits nothing of the grader's
memory. For each assignment it forks one that has also imported that assignment's checks and libraries, and that one
forks for each submission: none ever sees another assignment's checks. Neither reads a submission: the forked child gets
its job on a channel of its own.

Requests come on a socket, which is standard input of the first; they have other sockets attached:

    assignment CHECKS_FILE [MODULE...]   to the first: the attached socket is the new process's own. What answers.py
                                         gives to checks follows there, and it answers: ["ready", pid] or
                                         ["failed", message]
    submission                           to an assignment's: attached are the child's channel and its bell (see
                                         grader.wire.Outbox); ["forked", pid]
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
from types import ModuleType
from typing import Any

from grader.checks import AuthorError, HiddenTests
from grader.child import Child, seed_everything
from grader.confine import prepare
from grader.forbidden import Watch, noted
from grader.observation import decode
from grader.shell import NotebookShell
from grader.wire import pack, receive

_REQUEST = 65536
# torch's attention imports it when it first sees a mask: half a second, with SymPy. Lessons on it compare with torch's.
_ATTENTIONS_OWN = "torch.fx.experimental.symbolic_shapes"
_LIBC = ctypes.CDLL(None)


# What nearly every notebook does: the first time, libraries import, allocate and look up what they then keep.
_WARM_UP = (
    """
import numpy as np
import torch
import matplotlib.pyplot as plt
rng = np.random.default_rng(0)
a, b = rng.normal(size=(4, 4)), rng.permutation(4)
print(a @ a, a[b > 1].mean(axis=0), np.exp(a).sum(), np.linalg.solve(a, a), np.argsort(a), f"{a[0, 0]:.3f}")
np.testing.assert_allclose(a, a.copy(), err_msg="equal")
np.testing.assert_array_equal(b, b)
np.sqrt(np.maximum(a, 0)), np.where(a > 0, a, 0), np.einsum("ij,jk", a, a), np.concatenate([a, a]), np.zeros(3).tolist()
""",
    """
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
    torch.nn.Flatten(), torch.nn.Dropout(0.1), torch.nn.Linear(8, 4), torch.nn.LayerNorm(4), torch.nn.Tanh(),
)
for kind in (torch.optim.SGD, torch.optim.Adam):
    optimizer = kind(model.parameters(), lr=0.1)
    for x, y in torch.utils.data.DataLoader([(torch.randn(1, 4, 4), 0)] * 4, batch_size=2, shuffle=True):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
with torch.no_grad():
    model.eval()(x).softmax(dim=1).argmax(dim=1).tolist(), loss.item(), torch.from_numpy(a).float() @ torch.eye(4)
x = torch.tensor([1.0, 2.0], requires_grad=True)
(torch.exp(x).sqrt() * x ** 2 / x - x).sum().backward()
torch.testing.assert_close(x, x.clone())
torch.stack([x, x]).mean(), torch.cat([x, x]).var(), torch.arange(4).reshape(2, 2).T, torch.where(x > 1, x, 0 * x)
x
""",
    "raise ValueError('warm')",
    "figure, axes = plt.subplots()\naxes.plot([1, 2], label='warm')\naxes.legend()\nplt.show()",
)


def _preload() -> NotebookShell:
    """Import and warm up what nearly every notebook touches, so that no submission pays for it."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for name in np.__all__:  # NumPy imports some of its parts when they are first asked for
        getattr(np, name)
    shell = NotebookShell.instance()
    shell.run_line_magic("matplotlib", "inline")
    _spare_imports(torch)
    with noted(set()):  # torch looks up each operator when the first one is watched
        for cell in _WARM_UP:
            shell.run(cell, 100_000)
    shell.reset()
    shell.execution_count = 1
    # What a notebook draws without a seed, it draws each time.
    seed_everything(0)
    return shell


class _Compiler(ModuleType):
    """Stands for torch's compiler until somebody compiles: importing it takes 2 s, with SymPy.

    Every optimizer asks it to stay away, which it does by itself as long as nothing is compiled.
    """

    @staticmethod
    def disable(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
        return function

    @staticmethod
    def graph_break() -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # who looks at every module there is
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _spare_imports(torch: ModuleType) -> None:
    """Spare the start two seconds of imports for what does not happen here.

    torch's own parts are set aside, by names that it may change: then they are imported as ever.
    """
    compiler = "torch._dynamo"
    torch._dynamo = sys.modules[compiler] = _Compiler(compiler)  # type: ignore[attr-defined]
    torch.testing._comparison._HAS_DTENSOR = False  # tensors that are spread over machines


def main() -> None:
    control = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the grader's to handle
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
    """Answers requests by forking, until whoever asks hangs up. Its children end with it.

    attached: how many sockets come with a request.
    """

    attached: int

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
                    sockets = [socket.socket(fileno=descriptors.pop(0)) for _ in range(self.attached)]
                    self._answer(arguments, sockets)
                    for attached in sockets:
                        attached.close()
            self._bury()

    def _answer(self, arguments: list[str], sockets: list[socket.socket]) -> None:
        raise NotImplementedError

    def _fork(self, run: Callable[[], None]) -> int:
        """Fork a child that leaves without any exit handler, finally or flush."""
        pid = os.fork()
        if pid:
            self._children.add(pid)
            return pid
        try:
            _die_with_parent()
            run()
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

    attached = 1

    def __init__(self, control: socket.socket, shell: NotebookShell) -> None:
        super().__init__(control)
        self._shell = shell

    def _answer(self, arguments: list[str], sockets: list[socket.socket]) -> None:
        checks_file, *modules = arguments
        (control,) = sockets

        def run() -> None:
            self._control.close()
            try:
                given = {name: decode(data) for name, data in receive(control).items()}
                tests = HiddenTests.load(Path(checks_file))
            except (AuthorError, OSError) as error:
                control.sendall(pack(["failed", str(error)]))
                return
            _import(modules, tests)
            server = ForAssignment(control, Child(tests, given, Watch(tests.problems.values()), self._shell))
            gc.collect()
            gc.freeze()
            control.sendall(pack(["ready", os.getpid()]))
            try:
                server.serve()
            finally:
                server.end()

        self._fork(run)


class ForAssignment(Server):
    """Forks a process for each submission of one assignment."""

    attached = 2

    def __init__(self, control: socket.socket, child: Child) -> None:
        super().__init__(control)
        self._child = child

    def _answer(self, arguments: list[str], sockets: list[socket.socket]) -> None:
        try:
            reply = ["forked", self._fork(lambda: self._child.run(*sockets))]
        except OSError as error:  # the machine has no room for one more process
            reply = ["failed", str(error)]
        self._control.sendall(pack(reply))


def _import(modules: list[str], tests: HiddenTests) -> None:
    """Import what the notebooks of an assignment import, and what its problems forbid, before anybody pays for it."""
    forbidden = {name for problem in tests.problems.values() for name in problem.forbidden}
    late = [_ATTENTIONS_OWN] if "torch.nn.Transformer" in forbidden else []
    for module in [*modules, *sorted({name.rpartition(".")[0] for name in forbidden}), *late]:
        # One that is missing here fails in the notebook too, where the student can read it.
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    main()
