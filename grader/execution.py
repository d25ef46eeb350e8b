"""What became of one submission in its process: each cell, each check, and what ended it. Untrusted, but for usage."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from grader.observation import decode
from grader.report import Usage


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
    unobservable, killed, not_reached.

    changed: arguments that a function changed. shared: those whose memory a result shares that changed afterwards.
    """

    status: str
    data: bytes = b""
    used: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    lines: int = 0
    fault: Fault | None = None
    shared: tuple[str, ...] = ()

    @cached_property
    def value(self) -> Any:
        """The observation, decoded. Raises ObservationError if it is none."""
        return decode(self.data)


@dataclass(frozen=True)
class Code:
    """What the code of a problem, and of the notebook's functions that it calls, does beside the maths.

    prints:          it prints, and never returns anything.
    arrays, numbers: the notebook's variables that it reads. calls: the other problems that it calls.
    sizes:           written as numbers where a size belongs. unread: its parameters that it never looks at.
    """

    prints: bool = False
    arrays: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass
class Execution:
    """Everything that one submission's process reported, which is untrusted, and what it used, seen from outside."""

    cells: dict[int, CellRun] = field(default_factory=dict)
    checks: dict[int, CheckRun] = field(default_factory=dict)
    mentions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    code: dict[str, Code] = field(default_factory=dict)
    overlays: list[Any] = field(default_factory=list)
    overlay_fault: str = ""
    killed: str = ""
    usage: Usage = field(default_factory=Usage)
