"""Many submissions in one run, one in four hostile: nothing may leak, and no honest one may lose a point.

make soak                                           2,000 submissions
python tests/security/soak.py --submissions 200     fewer
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import changing
import escaping
import reading
import returning
import tiny_course
import using
from attack import SECRET, Attack
from world import RecordingSandbox, World

from grader.grade import grade
from grader.submission import Submission

ATTACKS: Sequence[Attack] = [
    *reading.ATTACKS,
    *changing.ATTACKS,
    *using.ATTACKS,
    *escaping.ATTACKS,
    *returning.ATTACKS,
]
HOSTILE = 4  # one in so many
FULL = 105.0 + SECRET
# What the first submissions leave in caches and free lists is no leak.
_WARM = 0.2
_GROWTH = 1.05


@dataclass(frozen=True)
class Usage:
    """What grading holds at one moment. Memory is resident, in bytes."""

    grader_memory: int
    servers_memory: int
    descriptors: int
    servers_descriptors: int
    threads: int
    processes: int
    files: int
    shared_memory: int

    @classmethod
    def now(cls, world: World, servers: Sequence[int]) -> Usage:
        gc.collect()
        return cls(
            grader_memory=_resident(os.getpid()),
            servers_memory=sum(map(_resident, servers)),
            descriptors=len(os.listdir("/proc/self/fd")),
            servers_descriptors=sum(len(os.listdir(f"/proc/{server}/fd")) for server in servers),
            threads=len(os.listdir("/proc/self/task")),
            processes=sum(len(_children(server)) for server in servers),
            files=sum(1 for _ in world.scratch.rglob("*")),  # where all temporary files of grading go
            shared_memory=len(os.listdir("/dev/shm")) + sum(map(_lines, ("shm", "sem", "msg"))),
        )


@dataclass
class Soaked:
    """What a run showed. It held if there are no `faults`."""

    honest: int = 0
    hostile: int = 0
    seconds: float = 0.0
    first: Usage | None = None
    last: Usage | None = None
    faults: list[str] = field(default_factory=list)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _lines(kind: str) -> int:
    try:
        return len(Path(f"/proc/sysvipc/{kind}").read_text().splitlines()) - 1
    except FileNotFoundError:
        return 0


def order(submissions: int) -> Iterator[Attack | None]:
    """Which of the submissions are which attack; the others are honest. The same at each run."""
    shuffled = random.Random(0)
    hostile: list[Attack] = []
    for number in range(submissions):
        if number % HOSTILE != HOSTILE - 1:
            yield None
            continue
        hostile = hostile or shuffled.sample(list(ATTACKS), len(ATTACKS))
        yield hostile.pop()


def soak(submissions: int, world: World, sandbox: RecordingSandbox) -> Soaked:
    """Grade them one after the other, and look at what is left."""
    found = Soaked()
    honest = tiny_course.cells(f"def secret():\n    return '{world.canaries['expected']}'")
    started = time.monotonic()
    for number, attack in enumerate(order(submissions)):
        sources = honest if attack is None else attack.sources(world.known)
        report = grade(Submission.of("tiny.ipynb", tiny_course.notebook(*sources)), world.material, sandbox)
        sandbox.executions.clear()
        name = "an honest submission" if attack is None else attack.name
        earns = FULL if attack is None else attack.earns
        if report.score != earns:
            found.faults.append(f"submission {number}, {name}: {report.score:g} points instead of {earns:g}")
        found.honest += attack is None
        found.hostile += attack is not None
        if number == int(_WARM * submissions):
            found.first = Usage.now(world, sandbox.servers)
    grade(
        Submission.of("tiny.ipynb", tiny_course.notebook(*honest)), world.material, sandbox
    )  # buries the last but one
    found.last = Usage.now(world, sandbox.servers)
    found.seconds = time.monotonic() - started
    assert found.first is not None
    for one in fields(Usage):
        before, after = getattr(found.first, one.name), getattr(found.last, one.name)
        # Ended processes wait to be reaped for as long as taking them apart takes: a few at any moment.
        most = before * _GROWTH if one.name.endswith("memory") else before + (3 if one.name == "processes" else 0)
        if after > most:
            found.faults.append(f"{one.name}: {before:,} after a fifth of the run, {after:,} at its end")
    if changes := world.changes():
        found.faults += changes
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--submissions", type=int, default=2000)
    world = World()
    try:
        with world.sandbox() as sandbox:
            world.settle()
            found = soak(arguments.parse_args().submissions, world, sandbox)
    finally:
        world.close()
    print(f"{found.honest} honest submissions, {found.hostile} hostile, in {found.seconds:.0f} s")
    for one in fields(Usage):
        print(f"{one.name:20} {getattr(found.first, one.name):>14,} {getattr(found.last, one.name):>14,}")
    for fault in found.faults:
        print(fault, file=sys.stderr)
    sys.exit(bool(found.faults))


if __name__ == "__main__":
    main()
