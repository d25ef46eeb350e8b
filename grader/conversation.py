"""One submission's process, heard and watched: its messages as they come, and when it has had its time."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sized
from pathlib import Path
from typing import Any

from grader.confine import patience, waits
from grader.execution import CellRun, CheckRun, Code, Execution, Fault, SandboxError
from grader.job import Job
from grader.outputs import safe_output, safe_text
from grader.watch import DISK, FILES, THREADS, Watch, computed
from grader.wire import Inbox, pack

# A process that does not give in to an interrupt is killed this much later.
_GRACE = 2.0
# So often is looked at what a process says and uses, in seconds.
_LOOK = 0.25
# So often may it ring in a row and have nothing to say: each takes the grader's time.
_FALSE_ALARMS = 1000
# What a cell's output takes beside its text, which may have four bytes a character.
_OUTPUT_EXTRA = 100_000
# Far more than an assignment has.
_PROBLEMS = 1000
# Reasons to end the whole submission.
_ALL_USED = ("budget", "patience")
_CELL_STATUSES = ("ok", "raised", "timed_out")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")


class Budget:
    """The time that all processes of one submission have together: seconds of computing, and far more on the clock."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self.until = time.monotonic() + patience(seconds)


class Conversation:
    """Reads one process's messages, and decides when it has had its time."""

    def __init__(self, execution: Execution, positions: list[int], job: Job, budget: Budget) -> None:
        self._execution = execution
        self._positions = positions
        self._job = job
        self._budget = budget
        self._at: tuple[str, int] = ("cell", -1)
        self._confined = False
        self._done = False
        self._ran: set[int] = set()

    def hold(self, channel: socket.socket, bell: socket.socket, job: Job, pid: int) -> str:
        """Give the job, take messages until the end. Returns why it ended: "" if the process ended by itself.

        bell: a socket that becomes readable when the process wants to be heard, and hangs up when it has ended. Its
              messages wait in the channel until then: to be woken by each would take longer than to read them.
        """
        channel.settimeout(30)
        try:
            channel.sendall(pack(job.message()))
        except OSError:
            return ""
        channel.setblocking(False)
        watch = Watch(pid, Path(job.scratch), job.limits)
        try:
            return self._listen(channel, bell, job, watch, pid)
        finally:
            used = watch.usage()
            self._budget.left -= used.seconds
            self._execution.usage = self._execution.usage.and_then(used)

    def _listen(self, channel: socket.socket, bell: socket.socket, job: Job, watch: Watch, pid: int) -> str:
        inbox = Inbox()
        now = time.monotonic()
        look = now + _LOOK
        # The step that it is at began then, by the clock and by what it had computed.
        began, had = now, 0.0
        seconds = job.limits.cell_seconds
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        hung_up, wait, rung = False, _LOOK, 0
        while not self._done:
            if poll.poll(1000 * wait):
                hung_up = not bell.recv(2**16)
                rung += 1
            now = time.monotonic()
            try:
                data = channel.recv(2**20)  # all that waits: the kernel keeps less
            except BlockingIOError:
                if hung_up:
                    return ""
                if rung > _FALSE_ALARMS:
                    return "it broke the protocol (it rang, and had nothing to say)"
                wait = _LOOK
            except OSError:
                return ""
            else:
                if not data:
                    return ""
                wait, rung = 0.0, 0
                try:
                    for message in inbox.feed(data):
                        self._take(message)
                except SandboxError:
                    raise
                except Exception as error:  # whatever an untrusted message makes our code do
                    return f"it broke the protocol ({error})"
                kind, index = self._at
                seconds = job.runs[index].seconds if kind == "check" else job.limits.cell_seconds
                began, had = now, computed(pid)
            # Only once it was heard: what it does too much is told of the cell or check that it is at.
            if now > look:
                look = now + _LOOK
                if reason := watch.excess() or self._late(now, now - began, computed(pid), had, seconds):
                    return reason
        return ""

    def _late(self, now: float, took: float, has: float, had: float, seconds: float) -> str:
        """Why it has had its time, or nothing: it has computed for `has`, `had` of it before this step of `seconds`."""
        if has > self._budget.left:
            return "budget"
        if now > self._budget.until:
            return "patience"
        if has - had > seconds + _GRACE:
            return "time"
        return "wait" if took > patience(seconds) + _GRACE and waits(took, has - had) else ""

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
        elif name == "code" and len(execution.code) < _PROBLEMS:
            execution.code[_text(rest[0])] = _code(*rest[1:])
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
        seconds = self._job.limits.submission_seconds
        told = {
            "time": "did not stop when its time was up, and was killed",
            "memory": f"used more than {self._job.limits.memory_mb} MB of memory, and was killed",
            "threads": f"started more than {THREADS} threads, and was killed",
            "disk": f"wrote more than {DISK * self._job.limits.file_mb} MB or {FILES:,} files, and was killed",
            "wait": "waited for too long, and was killed",
            "budget": f"the notebook used up its {seconds:g} s of computing",
            "patience": f"the notebook took more than {patience(seconds):g} s, most of which it waited",
            "": "ended the process (a crash, or more memory or time than allowed)",
        }.get(reason, reason)
        fault = Fault("", told)
        if kind == "cell":
            self._execution.cells[max(index, 0)] = CellRun(
                "timed_out" if reason in ("time", "wait") else "killed", fault
            )
        elif self._positions[index] not in self._execution.checks:
            status = "timed_out" if reason in ("time", "wait", *_ALL_USED) else "killed"
            self._execution.checks[self._positions[index]] = CheckRun(status, fault=fault)
        self._execution.killed = told
        return ("budget", index) if reason in _ALL_USED else (kind, max(index, 0))


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
        data, used, changed, lines, shared = facts
        if not isinstance(data, bytes):
            raise ValueError("an observation that is no bytes")
        return CheckRun(status, data, _texts(used), _texts(changed), int(lines), shared=_texts(shared))
    if status == "raised":
        return CheckRun(status, fault=_fault(facts))
    _one_of(status, ("not_attempted", "not_defined", "timed_out", "unobservable"))
    return CheckRun(status, fault=_fault(["", facts[0], None]))


def _code(prints: Any, arrays: Any, numbers: Any, calls: Any, sizes: Any, unread: Any) -> Code:
    return Code(
        bool(prints), _texts(arrays), _texts(numbers), _texts(calls), tuple(map(int, sizes[:100])), _texts(unread)
    )


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(map(_text, values[:100]))


def _text(value: Any) -> str:
    return safe_text(value)[:100]
