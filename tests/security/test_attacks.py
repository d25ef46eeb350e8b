"""Hostile notebooks: each fails, touches nothing, and the honest notebook that comes next gets all of its points."""

import platform
import re

import changing
import escaping
import pytest
import reading
import returning
import tiny_course
import using
from attack import SECRET, Attack
from world import RecordingSandbox, World

from grader.grade import grade
from grader.report import Report
from grader.sandbox import Execution
from grader.submission import Submission

ATTACKS: list[Attack] = [
    *reading.ATTACKS,
    *changing.ATTACKS,
    *using.ATTACKS,
    *escaping.ATTACKS,
    *returning.ATTACKS,
]
FULL = 105.0 + SECRET
# An attack may make the grader hold what a process is allowed to send, and a little more.
MOST_MEMORY = 600 * 2**20


def params(attacks: list[Attack]) -> list[object]:
    def marks(attack: Attack) -> list[pytest.MarkDecorator]:
        native = platform.machine() == "x86_64" or not any(
            "call(" in cell or "fromhex" in cell for cell in attack.cells
        )
        return [] if native else [pytest.mark.skip(reason="its numbers or its code are those of x86-64")]

    return [pytest.param(attack, id=attack.name, marks=marks(attack)) for attack in attacks]


def submit(sandbox: RecordingSandbox, world: World, sources: list[str]) -> Report:
    sandbox.executions.clear()
    submission = Submission.of("tiny.ipynb", tiny_course.notebook(*sources))
    return grade(submission, world.material, sandbox)


def honest(world: World) -> list[str]:
    return tiny_course.cells(f"def secret():\n    return '{world.canaries['expected']}'")


def own_cells(report: Report, attack: Attack) -> set[str]:
    """What became of the attack's own cells, which stand after the first."""
    cells = [cell for cell in report.cells if 2 <= cell.cell <= len(attack.cells) + 1]
    refused = [cell for cell in cells if re.search(r"raised PermissionError|\[Errno (1|13|38)\]", cell.message)]
    return {cell.status for cell in cells} | ({"refused"} if refused else set()) or {"ran"}


def found(world: World, report: Report, executions: list[Execution]) -> list[str]:
    """The canaries in a report, and in everything that came back from a process."""
    told = repr([report, report.outputs, [(run.cells, run.mentions, run.overlays, run.killed) for run in executions]])
    checks = [check for run in executions for check in run.checks.values()]
    told += repr([(check.used, check.changed, check.fault) for check in checks])
    return [
        place
        for place, canary in world.canaries.items()
        if canary in told or any(canary.encode() in check.data for check in checks)
    ]


def peak_memory() -> int:
    with open("/proc/self/status") as facts:
        return next(int(line.split()[1]) * 1024 for line in facts if line.startswith("VmHWM"))


def forget_peak_memory() -> int:
    with open("/proc/self/clear_refs", "w") as control:
        control.write("5")
    return peak_memory()


@pytest.mark.parametrize("attack", params(ATTACKS))
def test_it_fails_and_costs_nobody_else(attack: Attack, world: World, confined: RecordingSandbox) -> None:
    world.settle()
    memory = forget_peak_memory()

    report = submit(confined, world, attack.sources(world.known))

    assert found(world, report, confined.executions) == []
    assert world.changes() == []
    assert report.score == attack.earns
    ends = own_cells(report, attack)
    # On a slow machine, time is up before the other limit is reached: stopped it is either way.
    assert attack.ends in ("", *ends) or (attack.ends == "killed" and "timed out" in ends)
    assert peak_memory() - memory < MOST_MEMORY
    after = submit(confined, world, honest(world))
    assert after.score == FULL
    assert not after.cells and not after.notes


@pytest.mark.parametrize("attack", params([attack for attack in ATTACKS if attack.steals]))
@pytest.mark.xdist_group("open door")
def test_without_a_sandbox_it_would_steal(attack: Attack, world: World, open_door: RecordingSandbox) -> None:
    report = submit(open_door, world, attack.sources(world.known))
    assert attack.steals in found(world, report, open_door.executions)
    if attack.steals == "expected":
        assert report.score == attack.earns + SECRET


@pytest.mark.parametrize("attack", params([attack for attack in ATTACKS if attack.leaves]))
@pytest.mark.xdist_group("open door")
def test_without_a_sandbox_it_would_leave_a_trace(attack: Attack, world: World, open_door: RecordingSandbox) -> None:
    world.settle()
    try:
        submit(open_door, world, attack.sources(world.known))
        assert world.changes()
    finally:
        world.mend()


def test_the_names_of_the_attacks_differ() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names) >= 60
