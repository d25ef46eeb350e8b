"""The way of a submission: run it in the sandbox, compare, diagnose, report."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from grader.checks import Check, Problem
from grader.diagnose import diagnose
from grader.execution import Code
from grader.habits import habits, order_of_cells
from grader.judge import Reveal, forbidden, judge
from grader.material import Material
from grader.outputs import gist, safe_text
from grader.pictures import picture_of
from grader.report import CellResult, CheckResult, ProblemResult, Report, Verdict
from grader.sandbox import CheckRun, Execution, Fault, Sandbox
from grader.submission import Submission

# A name that is longer was renamed to nothing like it, and looking for likeness takes ever longer.
_LONGEST_NAME, _MOST_NAMES = 60, 300
# An author's `after` is written for what the reference gives: it is not run on anything of another order.
_LARGER, _LARGER_BYTES = 16, 2**20

UNCONFINED = "Graded without a sandbox (course.yaml says sandbox: off)."


def grade(submission: Submission, material: Material, sandbox: Sandbox, only: str = "") -> Report:
    """Grade one submission. Whatever is wrong with it is in the report; only course faults raise (AuthorError).

    only: a problem; the report is then about that one alone.
    """
    problems = material.tests.problems_named(only)
    if submission.fault:
        return _report(submission, material, Execution(), _unreadable(problems, submission.fault), [submission.fault])
    sources = tuple(source for _, source in submission.cells)
    execution = sandbox.run(material.job(sources, only), material.tests.path, material.imports)
    notes = [] if sandbox.confined else [UNCONFINED]
    if execution.killed:
        notes.append(f"{execution.killed[0].upper()}{execution.killed[1:]}.")
    results = _results(problems, submission, material, sandbox, execution)
    return _report(submission, material, execution, results, notes)


def too_large(check: Check, data: bytes, reference: CheckRun) -> bool:
    """Whether an observation is too large to be given to the check's `after`."""
    return check.after is not None and len(data) > _LARGER * len(reference.data) + _LARGER_BYTES


def _results(
    problems: Sequence[Problem], submission: Submission, material: Material, sandbox: Sandbox, execution: Execution
) -> tuple[ProblemResult, ...]:
    references = material.references(sandbox)
    runs = {}
    for position, check in enumerate(check for problem in problems for check in problem.checks):
        name, run = check.name, execution.checks[position]
        if too_large(check, run.data, references[name]):
            run = CheckRun("unobservable", fault=Fault("", "far more was returned than was asked for"))
        if run.status == "not_defined" and run.fault is not None:
            told = _why_not_defined(run.fault.message, submission, execution)
            run = replace(run, fault=replace(run.fault, message=told))
        runs[name] = run
    results = []
    for problem in problems:
        mentioned = execution.mentions.get(problem.name, ())
        checks = []
        for check in problem.checks:
            run = runs[check.name]
            used = sorted({*mentioned, *run.used}) if problem.forbidden or problem.operators else []
            if used and run.status not in ("not_attempted", "not_defined"):
                checks.append(forbidden(check, used))
            else:
                checks.append(judge(check, run, references[check.name], material.course.feedback))
        checks = _with_picture(problem, checks, runs, references, material.course.feedback)
        results.append(_with_diagnosis(problem, checks, runs, material, sandbox))
    return _with_habits(problems, results, runs, submission, material, sandbox, execution)


def _with_picture(
    problem: Problem,
    results: list[CheckResult],
    runs: Mapping[str, CheckRun],
    references: Mapping[str, CheckRun],
    reveal: Reveal,
) -> list[CheckResult]:
    """One picture for a problem, of the first wrong answer that there is something to see of."""
    for position, (check, result) in enumerate(zip(problem.checks, results, strict=True)):
        if result.verdict is Verdict.WRONG:
            picture = picture_of(check, runs[check.name], references[check.name], reveal)
            if picture is not None:
                shown = result.model_copy(update={"picture": picture})
                return [*results[:position], shown, *results[position + 1 :]]
    return results


def _with_diagnosis(
    problem: Problem, checks: list[CheckResult], runs: dict[str, CheckRun], material: Material, sandbox: Sandbox
) -> ProblemResult:
    failed = [result.name for result in checks if result.verdict in (Verdict.WRONG, Verdict.RAISED, Verdict.TIMED_OUT)]
    found = None
    if failed:
        found = diagnose(
            problem, runs, failed, material.misconceptions(sandbox, problem.name), material.references(sandbox)
        )
    return ProblemResult(name=problem.name, bonus=problem.bonus, checks=tuple(checks), diagnosis=found)


def _with_habits(
    problems: Sequence[Problem],
    results: Sequence[ProblemResult],
    runs: Mapping[str, CheckRun],
    submission: Submission,
    material: Material,
    sandbox: Sandbox,
    execution: Execution,
) -> tuple[ProblemResult, ...]:
    failing = {result.name for result in results if result.score < result.points}
    told = []
    for problem, result in zip(problems, results, strict=True):
        if result.name in failing and not (result.diagnosis and result.diagnosis.sure):
            code, reference = execution.code.get(problem.name, Code()), material.code(sandbox, problem.name)
            found = [
                *habits(problem, result.checks, runs, material.references(sandbox), code, reference, failing),
                *order_of_cells(problem.name, result.checks, runs, submission, execution),
            ]
            result = result.model_copy(update={"habits": tuple(map(safe_text, found))})
        told.append(result)
    return tuple(told)


def _unreadable(problems: Sequence[Problem], fault: str) -> tuple[ProblemResult, ...]:
    return tuple(
        ProblemResult(
            name=problem.name,
            bonus=problem.bonus,
            checks=tuple(
                CheckResult(
                    name=check.name,
                    title=check.title,
                    verdict=Verdict.NOT_ATTEMPTED,
                    points=check.points,
                    score=0.0,
                    message=fault,
                )
                for check in problem.checks
            ),
        )
        for problem in problems
    )


def _report(
    submission: Submission,
    material: Material,
    execution: Execution,
    problems: tuple[ProblemResult, ...],
    notes: Iterable[str],
) -> Report:
    positions = [position for position, _ in submission.cells]
    cells = []
    for index, run in sorted(execution.cells.items()):
        if run.status != "ok" and run.fault is not None and run.fault.name != "NotImplementedError":
            line = f" at line {run.fault.line}" if run.fault.line else ""
            told = (
                f"raised {run.fault.name}{line}: {gist(run.fault.message)}"
                if run.status == "raised"
                else run.fault.message
            )
            cells.append(CellResult(cell=positions[index] + 1, status=run.status.replace("_", " "), message=told))
    return Report(
        course=material.course.id,
        assignment=material.name,
        submission=submission.name,
        digest=submission.digest,
        score=sum(problem.score for problem in problems),
        points=material.points,
        bonus_points=material.bonus_points,
        problems=problems,
        cells=tuple(cells),
        notes=tuple(notes),
        outputs={positions[index]: list(run.outputs) for index, run in execution.cells.items()},
        usage=execution.usage if execution.usage.seconds else None,
    )


def _why_not_defined(name: str, submission: Submission, execution: Execution) -> str:
    """What a student should look at when a name is missing: the cell that failed, or the name it has now."""
    defined = {}
    for index, (position, source) in enumerate(submission.cells):
        for found in re.findall(r"^(?:async\s+)?(?:def|class)\s+(\w+)", source, re.MULTILINE):
            defined[found] = index, position
    if name in defined:
        index, position = defined[name]
        run = execution.cells.get(index)
        if run is not None and run.fault is not None and run.status != "ok":
            line = f" at line {run.fault.line}" if run.fault.line else ""
            told = f"raised {run.fault.name}{line}" if run.status == "raised" else run.fault.message
            return f"{name} is not defined: its cell (number {position + 1}) {told}"
    others = [other for other in defined if other != name and len(other) <= _LONGEST_NAME][:_MOST_NAMES]
    near = difflib.get_close_matches(name[:_LONGEST_NAME], others, n=1, cutoff=0.6)
    return f"{name} is not defined: was it renamed{f' to {near[0]}' if near else ''}?"
