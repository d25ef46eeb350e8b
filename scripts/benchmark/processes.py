"""Commands with a stop watch, and the memory of all the processes that they start."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

# Looking may take this share of one core: the kernel walks through all pages of a process to add them up.
_SHARE = 0.02
_OFTEN = 0.25


class CommandFailed(Exception):
    """The message is the command and the last of what it said."""


@dataclass(frozen=True)
class Measured:
    """What a command took.

    memory: (seconds since its start, MiB) of the whole process tree. A page that several processes share counts once
            (proportional set size).
    """

    seconds: float
    memory: tuple[tuple[float, float], ...]
    output: str

    @property
    def peak(self) -> float:
        return max((amount for _, amount in self.memory), default=0.0)


def measure(
    folder: Path, command: Sequence[str | Path], *, often: float = _OFTEN, beside: Sequence[int] = ()
) -> Measured:
    """Run a command in `folder`, with the programs of its environment first on PATH. It must end well.

    often:  look at memory every so many seconds.
    beside: processes whose trees' memory counts, too.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # as it comes
    environment["PATH"] = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryFile("w+") as said:  # a pipe would fill up while nobody reads
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
        with _Memory([process.pid, *beside], started, often) as memory:
            code = process.wait()
            seconds = time.perf_counter() - started
        said.seek(0)
        output = said.read()
    if code:
        raise CommandFailed(f"{' '.join(map(str, command))} in {folder} ended with {code}:\n{output[-3000:]}")
    return Measured(seconds, tuple(memory.samples), output)


class _Memory(threading.Thread):
    """Adds up the memory of process trees until it is left. A context manager."""

    def __init__(self, roots: Sequence[int], since: float, often: float) -> None:
        super().__init__(daemon=True)
        self._roots, self._since, self._often = roots, since, often
        self._over = threading.Event()
        self.samples: list[tuple[float, float]] = []

    def __enter__(self) -> _Memory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            before = time.thread_time()
            amount = sum(_pss(pid) for root in self._roots for pid in _tree(root))
            if amount:
                self.samples.append((time.perf_counter() - self._since, amount))
            pause = max(self._often, (time.thread_time() - before) / _SHARE)


def _tree(root: int) -> list[int]:
    try:
        return [root, *(process.pid for process in psutil.Process(root).children(recursive=True))]
    except psutil.Error:
        return []


def _pss(pid: int) -> float:
    """A process's proportional set size, MiB. Nothing of one that has just ended."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
