"""From what a check observed to its verdict. Pure: values in, a CheckResult out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

from grader.checks import Check
from grader.compare import Close, Difference
from grader.observation import ObservationError, decode, plain
from grader.outputs import safe_text
from grader.report import CheckResult, Verdict
from grader.sandbox import CheckRun, Fault

Reveal = Literal["hints", "differences", "full"]

_UNUSABLE = Difference("what was returned can't be used")

# Whatever the reference needs, a few lines more are always right.
_FREE_LINES = 200

# Comparisons that are remembered, and of what size: some tens of MB at most.
_REMEMBERED, _REMEMBERED_BYTES = 4096, 2**14


def judge(check: Check, run: CheckRun, reference: CheckRun, reveal: Reveal) -> CheckResult:
    """The result of one check."""
    verdict, message, case = _verdict(check, run, reference, reveal)
    passed = verdict is Verdict.PASSED
    return CheckResult(
        name=check.name,
        title=check.title,
        verdict=verdict,
        points=check.points,
        score=check.points if passed else 0.0,
        message=safe_text(message),
        hint="" if passed else check.hint,
        case=safe_text(case),
    )


def forbidden(check: Check, used: Iterable[str]) -> CheckResult:
    """The result of a check whose problem was solved with what it forbids."""
    names = list(used)
    # A function's name tells a student more than an operator's.
    told = [name for name in names if "::" not in name] or names
    return CheckResult(
        name=check.name,
        title=check.title,
        verdict=Verdict.FORBIDDEN,
        points=check.points,
        score=0.0,
        message=f"uses {', '.join(told)}: the point of this problem is to build it yourself",
        hint=check.hint,
    )


def _verdict(check: Check, run: CheckRun, reference: CheckRun, reveal: Reveal) -> tuple[Verdict, str, str]:
    """The verdict, what to tell, and the case that it is about."""
    if run.status != "observed":
        return *_fault(check, run), ""
    try:
        found = difference(check, run, reference)
    except ObservationError as error:
        return Verdict.WRONG, str(error), ""
    if found:
        return Verdict.WRONG, _message(found, reveal), found.where
    changed = [name for name in run.changed if name not in reference.changed]
    if changed:
        return Verdict.WRONG, f"the input {changed[0]} was changed in place", ""
    if too_long(check, run, reference):
        return (
            Verdict.WRONG,
            f"right, but it executes {run.lines:,} lines of Python where {reference.lines:,} are enough: "
            "let array operations do the loops",
            "",
        )
    return Verdict.PASSED, "", ""


def _fault(check: Check, run: CheckRun) -> tuple[Verdict, str]:
    """The verdict on a check that observed nothing, and what to tell."""
    fault = run.fault or Fault("", "")
    match run.status:
        case "not_defined":
            return Verdict.NOT_ATTEMPTED, fault.message
        case "not_attempted":
            return Verdict.NOT_ATTEMPTED, f"{check.problem} still raises NotImplementedError"
        case "timed_out":
            return Verdict.TIMED_OUT, fault.message
        case "unobservable":
            return Verdict.WRONG, fault.message
        case "raised":
            where = f" at line {fault.line} of your cell" if fault.line else ""
            return Verdict.RAISED, f"raised {fault.name}{where}" + (f": {fault.message}" if fault.message else "")
        case "not_reached":
            return Verdict.TIMED_OUT, f"not reached: {fault.message or 'the notebook ended before it'}"
        case _:
            return Verdict.RAISED, fault.message


def too_long(check: Check, run: CheckRun, reference: CheckRun) -> bool:
    """Whether a run executed more lines of Python than the check allows."""
    return check.cost is not None and run.lines > check.cost * reference.lines + _FREE_LINES


def compared(check: Check, observed: Any) -> Any:
    """What of an observation is compared. Raises whatever the author's `after` does."""
    return observed if check.after is None else plain(check.after(observed))


def difference(check: Check, run: CheckRun, other: CheckRun) -> Difference | None:
    """How what was observed in `run` differs from what `other` gave, in the sense of the check.

    Raises ObservationError if a run holds no observation, and whatever the check's `after` does on that of `other`.
    """
    if run.data == other.data:
        return None  # most right answers, and no reason to look closer
    if max(len(run.data), len(other.data)) <= _REMEMBERED_BYTES:
        return _remembered(check, run.data, other.data)
    return _difference(check, run.value, other.value)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(check: Check, observed: bytes, expected: bytes) -> Difference | None:
    """Many students are right in one way, and make the same few mistakes."""
    return _difference(check, decode(observed), decode(expected))


def _difference(check: Check, observed: Any, expected: Any) -> Difference | None:
    wanted = compared(check, expected)
    try:
        return check.compare.difference(compared(check, observed), wanted)
    except Exception:
        # Not even of the kind that the check can work with: say what kind it is instead.
        with contextlib.suppress(Exception):
            return Close().difference(observed, expected) or _UNUSABLE
        return _UNUSABLE


def _message(found: Difference, reveal: Reveal) -> str:
    parts = [found.fact if reveal == "hints" else found.detail or found.fact]
    if reveal == "full" and found.values:
        parts.append(found.values)
    where = f"{found.where}: " if found.where else ""
    return where + "; ".join(parts)
