"""What a grader can't go below, and how far above it the engine is. In a process of its own, which prints JSON:

engine.py bare FOLDER JOBS    every submission under FOLDER in a bare fork, JOBS at a time
engine.py engine FOLDER       seconds a submission: by the engine, by a bare fork, by an empty fork, for confinement

A bare fork executes the same cells and checks as the engine does, and nothing else: it is not confined, it has no time
limit, nothing is compared, and nothing is written.
"""

from __future__ import annotations

import gc
import io
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from grader.course import load_course
from grader.grade import grade
from grader.material import Material
from grader.sandbox import Sandbox
from grader.submission import Submission

ASSIGNMENT = "lecture05_batch_and_momentum"


def bare(folder: Path, jobs: int) -> dict[str, float]:
    material, submissions = _class(folder)
    started = time.perf_counter()
    for position, submission in enumerate(submissions):
        if position >= jobs:
            os.wait()
        _fork(lambda submission=submission: _execute(submission, material))
    for _ in range(min(jobs, len(submissions))):
        os.wait()
    return {"seconds": time.perf_counter() - started}


def engine(folder: Path) -> dict[str, list[float]]:
    """Each submission in each way, one after the other: what slows the machine down hits all of them."""
    material, submissions = _class(folder)
    found: dict[str, list[float]] = {"engine": [], "bare": [], "empty": []}
    with Sandbox(private=(material.course.root,)) as sandbox:
        material.references(sandbox)
        material.overlays(sandbox)
        grade(submissions[0], material, sandbox)  # starts what is started once
        for submission in submissions:
            found["engine"].append(_seconds(lambda submission=submission: grade(submission, material, sandbox)))
            found["bare"].append(_seconds(lambda submission=submission: _wait(_execute, submission, material)))
            found["empty"].append(_seconds(lambda: _wait(lambda: None)))
        found["confinement"] = _confinement(material, sandbox, times=min(200, 10 * len(submissions)))
    return found


def _confinement(material: Material, confined: Sandbox, times: int) -> list[float]:
    """Of empty notebooks in turn, one confined and one not: the difference."""
    job = replace(material.job(("pass",)), runs=())
    found = []
    with Sandbox(confined=False) as trusting:

        def run(sandbox: Sandbox) -> float:
            return _seconds(lambda: sandbox.run(job, material.tests.path, material.imports))

        for number in range(times + 10):
            took = run(confined) - run(trusting)
            if number >= 10:  # the first ones start the fork servers and fill caches
                found.append(took)
    return found


def _class(folder: Path) -> tuple[Material, list[Submission]]:
    """The submissions are read, and all that they import is imported, before any watch starts."""
    material = Material(load_course(folder), ASSIGNMENT)
    submissions = [Submission.read(path) for path in sorted(folder.glob(f"submitted/*/{ASSIGNMENT}/*.ipynb"))]
    _warm_up()
    _ = material.tests, material.pictures
    gc.collect()
    gc.freeze()  # the pages of what is there stay shared
    return material, submissions


def _warm_up() -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import torch

    torch.set_num_threads(1)
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1).step()
    plt.figure().canvas.draw()
    plt.close("all")


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _wait(action: Callable[..., object], *arguments: object) -> None:
    os.waitpid(_fork(lambda: action(*arguments)), 0)


def _fork(action: Callable[[], object]) -> int:
    if pid := os.fork():
        return pid
    try:
        action()
    finally:
        os._exit(0)


def _execute(submission: Submission, material: Material) -> None:
    sys.stdout = sys.stderr = io.StringIO()
    namespace: dict[str, object] = {"__name__": "__main__"}
    for _, source in submission.cells:
        if source.strip() not in material.pictures:
            _attempt(lambda source=source: exec(compile(source, "cell", "exec"), namespace))
    student = type("Student", (), {"__getattr__": lambda _, name: namespace[name]})()
    for check in material.tests.checks.values():
        _attempt(lambda check=check: check.observe(student, np.random.default_rng(material.seed(check.name))))


def _attempt(action: Callable[[], object]) -> None:
    try:
        action()
    except Exception:
        return


if __name__ == "__main__":
    what, folder, *rest = sys.argv[1:]
    print(json.dumps(bare(Path(folder), int(rest[0])) if what == "bare" else engine(Path(folder))))
