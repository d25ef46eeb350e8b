"""Processes of this machine that mark submissions, each with a core of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from grader.checks import AuthorError
from grader.marking import Handed, Marked, Marker
from grader.sandbox import SandboxError

# What a worker has at hand: one submission that it marks and one to go on with.
_AHEAD = 2


@dataclass(frozen=True)
class Failed:
    """A submission that could not be marked, and why."""

    student: str
    reason: str


@dataclass
class _Worker:
    """A process, our end of its pipe, and what it has been given and has not given back."""

    make: Callable[[], Marker]
    process: multiprocessing.process.BaseProcess
    channel: Connection
    given: deque[Handed] = field(default_factory=deque)

    def give(self, handed: Handed) -> None:
        self.given.append(handed)
        with contextlib.suppress(OSError):  # it has ended: that shows when its answer is waited for
            self.channel.send(handed)


class Workers:
    """Forked processes that mark submissions. A context manager: they end with it.

    makers: one for each process, called in it.
    """

    def __init__(self, makers: Iterable[Callable[[], Marker]]) -> None:
        self._workers: list[_Worker] = []
        self._again: deque[Handed] = deque()
        self._suspects: set[str] = set()
        for make in makers:
            self._start(make)

    def _start(self, make: Callable[[], Marker]) -> None:
        # Forked, it shares what this process has loaded: torch, the hidden tests, what the reference gives.
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        not_theirs = [ours, *(worker.channel for worker in self._workers)]
        process = context.Process(target=_work, args=(theirs, not_theirs, make), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(make, process, ours))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.channel.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

    def run(self, submissions: Iterable[Handed]) -> Iterator[Marked | Failed]:
        """Mark them all, in any order. A submission that ends the process that marks it, twice, is given up."""
        coming = iter(submissions)
        while True:
            for worker in self._workers:
                while len(worker.given) < _AHEAD:
                    one = self._again.popleft() if self._again else next(coming, None)
                    if one is None:
                        break
                    worker.give(one)
            busy = {worker.channel: worker for worker in self._workers if worker.given}
            if not busy:
                return
            for channel in wait(list(busy)):
                worker = busy[channel]  # type: ignore[index]
                try:
                    answer = worker.channel.recv()
                except (EOFError, OSError):
                    yield from self._bury(worker)
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                worker.given.popleft()
                yield answer

    def _bury(self, worker: _Worker) -> Iterator[Failed]:
        """A process has ended in the midst of its work: another does that. What has ended two is given up."""
        worker.channel.close()
        worker.process.join()
        self._workers.remove(worker)
        at, *rest = worker.given
        self._again += rest
        if at.student in self._suspects:
            yield Failed(at.student, "grading it ended the process that graded it")
        else:
            self._suspects.add(at.student)
            self._again.append(at)
        self._start(worker.make)


def _work(channel: Connection, not_ours: list[Connection], make: Callable[[], Marker]) -> None:
    """Mark what comes until nothing comes any more, or whoever sends it is gone."""
    for other in not_ours:
        other.close()  # while one of us held it open, another would not notice that the sender is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the sender's to handle
    submissions: queue.SimpleQueue[Handed] = queue.SimpleQueue()

    def listen() -> None:
        # Aside, so that the sender never waits for us while we wait for it.
        try:
            while True:
                submissions.put(channel.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    try:
        marker = make()
        while True:
            channel.send(marked(marker, submissions.get()))
    except BaseException as error:  # a course fault, or a machine that can't confine: the sender's to tell
        channel.send(error)


def marked(marker: Marker, handed: Handed) -> Marked | Failed:
    """Mark one submission; a fault of our own costs only that one."""
    try:
        return marker.mark(handed)
    except (AuthorError, SandboxError):
        raise
    except Exception as error:
        return Failed(handed.student, f"{type(error).__name__}: {error}")
