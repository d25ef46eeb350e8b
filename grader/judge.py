"""From what a check observed to its verdict. Pure: values in, a CheckResult out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from grader.checks import Check
from grader.compare import Close, Difference
from grader.material import Reference
from grader.observation import ObservationError, decode
from grader.report import CheckResult, Verdict
from grader.sandbox import CheckRun, Fault

Reveal = Literal["hints", "differences", "full"]

# Whatever the reference needs, a few lines more are always right.
_FREE_LINES = 200


def judge(check: Check, run: CheckRun, reference: Reference, reveal: Reveal) -> CheckResult:
    """The result of one check."""
    verdict, message = _verdict(check, run, reference, reveal)
    passed = verdict is Verdict.PASSED
    return CheckResult(
        name=check.name,
        title=check.title,
        verdict=verdict,
        points=check.points,
        score=check.points if passed else 0.0,
        message=message,
        hint="" if passed else check.hint,
    )


def forbidden(check: Check, used: Iterable[str]) -> CheckResult:
    """The result of a check whose problem was solved with what it forbids."""
    return CheckResult(
        name=check.name,
        title=check.title,
        verdict=Verdict.FORBIDDEN,
        points=check.points,
        score=0.0,
        message=f"uses {', '.join(used)}: the point of this problem is to build it yourself",
        hint=check.hint,
    )


def _verdict(check: Check, run: CheckRun, reference: Reference, reveal: Reveal) -> tuple[Verdict, str]:
    fault = run.fault or Fault("", "")
    match run.status:
        case "observed":
            return _compared(check, run, reference, reveal)
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
            return Verdict.TIMED_OUT, f"not reached: {fault.message or 'the notebook ended too often before it'}"
        case _:
            return Verdict.RAISED, fault.message


def _compared(check: Check, run: CheckRun, reference: Reference, reveal: Reveal) -> tuple[Verdict, str]:
    try:
        found = difference(check, decode(run.data), reference.value)
    except ObservationError as error:
        return Verdict.WRONG, str(error)
    if found:
        return Verdict.WRONG, _message(found, reveal)
    changed = [name for name in run.changed if name not in reference.changed]
    if changed:
        return Verdict.WRONG, f"the input {changed[0]} was changed in place"
    if check.cost is not None and run.lines > check.cost * reference.lines + _FREE_LINES:
        return Verdict.WRONG, (
            f"right, but it executes {run.lines:,} lines of Python where {reference.lines:,} are enough: "
            "let array operations do the loops"
        )
    return Verdict.PASSED, ""


def difference(check: Check, observed: Any, expected: Any) -> Difference | None:
    """How `observed` differs from `expected` in the sense of the check; both may be from anywhere."""
    if check.after is None:
        return check.compare.difference(observed, expected)
    wanted = check.after(expected)
    try:
        return check.compare.difference(check.after(observed), wanted)
    except Exception:
        # Not even of the kind that the check can work with: say what kind it is instead.
        return Close().difference(observed, expected) or Difference("what was returned can't be used")


def _message(found: Difference, reveal: Reveal) -> str:
    parts = [found.fact]
    if reveal != "hints" and found.detail:
        parts = [found.detail if found.fact.startswith("the value") else f"{found.fact}: {found.detail}"]
    if reveal == "full" and found.values:
        parts.append(found.values)
    where = f"{found.where}: " if found.where else ""
    return where + "; ".join(parts)
