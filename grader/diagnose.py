"""Finds the misconception whose observations a student's wrong answer equals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grader.checks import Check, Misconception, Problem
from grader.judge import difference, too_long
from grader.material import Overlay
from grader.observation import ObservationError
from grader.report import Diagnosis
from grader.sandbox import CheckRun


def diagnose(
    problem: Problem,
    runs: Mapping[str, CheckRun],
    failed: Sequence[str],
    misconceptions: Sequence[Overlay],
    references: Mapping[str, CheckRun],
) -> Diagnosis | None:
    """The misconception that explains the failed checks best, or None.

    It is sure if it gives what the student gave in every check of the problem, right or wrong. Otherwise it must
    explain at least half of the failed checks by equal wrong values: an exception alone proves little.
    """
    best: tuple[bool, int, int] | None = None
    chosen: Overlay | None = None
    for overlay in misconceptions:
        same = {
            check.name
            for check in problem.checks
            if _same(check, runs[check.name], overlay.runs[check.name], references[check.name])
        }
        explained = [name for name in failed if name in same]
        by_value = [name for name in explained if runs[name].status == "observed"]
        sure = len(same) == len(problem.checks)
        if not explained or not (sure or (by_value and 2 * len(explained) >= len(failed))):
            continue
        rank = (sure, len(explained), len(same))
        if best is None or rank > best:
            best, chosen = rank, overlay
    if chosen is None or best is None or not isinstance(chosen.made, Misconception):
        return None
    made = chosen.made
    return Diagnosis(misconception=made.name, message=made.message, lecture=made.lecture, sure=best[0])


def _same(check: Check, run: CheckRun, other: CheckRun, reference: CheckRun) -> bool:
    """Whether a misconception does in this check what the student did: the same result, at a cost that counts alike."""
    if run.status != other.status:
        return False
    if run.status != "observed":
        mine, theirs = run.fault, other.fault
        return run.status == "raised" and mine is not None and theirs is not None and mine.name == theirs.name
    if set(run.changed) != set(other.changed):
        return False
    untouched = set(run.changed) <= set(reference.changed)  # else that is what the student is told, whatever it cost
    if untouched and too_long(check, run, reference) != too_long(check, other, reference):
        return False
    try:
        return difference(check, run, other) is None
    except ObservationError:
        return False
    except Exception:  # `after` works on the reference's value; a misconception's may be anything
        return run.data == other.data
