"""Tests the hidden tests: reference all, stub nothing, every mistake loses, every check earns its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nbformat import NotebookNode
from pydantic import BaseModel, computed_field

from grader.build import outdated, source_notebook
from grader.checks import Alternative, AuthorError, Check, Misconception
from grader.diagnose import diagnose
from grader.grade import grade
from grader.judge import judge
from grader.material import Material, Overlay
from grader.report import Report, Verdict
from grader.sandbox import CheckRun, Sandbox
from grader.submission import Submission, code_cells, read_notebook


class Validation(BaseModel):
    """What `grader validate` found for one assignment. It is valid if there are no `faults`."""

    assignment: str
    problems: int = 0
    checks: int = 0
    misconceptions: int = 0
    alternatives: int = 0
    points: float = 0
    bonus_points: float = 0
    reference: float = 0
    stub: float = 0
    caught: int = 0
    diagnosed: int = 0
    undiagnosed: list[str] = []
    accepted: int = 0
    faults: list[str] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def valid(self) -> bool:
        return not self.faults


def validate(material: Material, sandbox: Sandbox) -> Validation:
    """Validate one assignment's material. Never raises for a fault in it: the fault is in the result."""
    found = Validation(assignment=material.name)
    try:
        _validate(material, sandbox, found)
    except AuthorError as error:
        found.faults.append(str(error))
    return found


def _validate(material: Material, sandbox: Sandbox, found: Validation) -> None:
    tests = material.tests
    found.problems, found.checks = len(tests.problems), len(tests.checks)
    found.points, found.bonus_points = material.points, material.bonus_points
    if found.points != 100:
        found.faults.append(f"the checks are worth {found.points:g} points without the bonus: make it 100")
    for problem in tests.problems.values():
        if len(problem.checks) < 3:
            found.faults.append(f"{problem.name} has {len(problem.checks)} checks: write 3 or more")
    source = source_notebook(material)
    reference = grade(Submission.of("reference", source), material, sandbox)
    found.reference = reference.score
    found.faults += [f"the reference fails check {name}: {message}" for name, message in _failed(reference)]
    found.faults += _cell_faults(material, sandbox, "solution", source)
    _validate_stub(material, sandbox, found)
    _validate_overlays(material, sandbox, found)


def _validate_stub(material: Material, sandbox: Sandbox, found: Validation) -> None:
    if outdated(material):
        found.faults.append(f"assignments/{material.name} is out of date: run grader build {material.name}")
    path = material.course.folder("release") / material.name / f"{material.name}.ipynb"
    if not path.is_file():
        return
    notebook = read_notebook(path)
    stub = grade(Submission.of("stub", notebook), material, sandbox)
    found.stub = stub.score
    for problem in stub.problems:
        if problem.score:
            found.faults.append(f"the stub of {problem.name} scores {problem.score:g} points")
    found.faults += _cell_faults(material, sandbox, "stub notebook", notebook)


def _cell_faults(material: Material, sandbox: Sandbox, what: str, notebook: NotebookNode) -> Iterator[str]:
    """The cells that do not run, pictures included. A stub may raise NotImplementedError, and only that."""
    cells = code_cells(notebook)
    job = replace(material.job(tuple(source for _, source in cells)), skip=(), runs=())
    execution = sandbox.run(job, material.tests.path, material.imports)
    for index, (position, _) in enumerate(cells):
        run = execution.cells.get(index)
        if run is None or (run.fault is not None and run.fault.name != "NotImplementedError"):
            told = "did not run" if run is None or run.fault is None else f"{run.fault.name} {run.fault.message}"
            yield f"cell {position + 1} of the {what} does not run through: {told.strip()}"


def _failed(report: Report) -> Iterator[tuple[str, str]]:
    for problem in report.problems:
        for check in problem.checks:
            if check.verdict is not Verdict.PASSED:
                yield check.name, f"{check.verdict.value}: {check.message}"


def _validate_overlays(material: Material, sandbox: Sandbox, found: Validation) -> None:
    references = material.references(sandbox)
    overlays = material.overlays(sandbox)
    catching: set[str] = set()
    for name, overlay in overlays.items():
        checks = material.tests.problems[overlay.made.problem].checks
        failed = [check.name for check in checks if not _passes(check, overlay.runs[check.name], references)]
        if isinstance(overlay.made, Alternative):
            found.alternatives += 1
            found.accepted += not failed
            for check in failed:
                told = judge(material.tests.checks[check], overlay.runs[check], references[check], "full")
                found.faults.append(f"alternative {name} is right, but loses check {check}: {told.message}")
            continue
        found.misconceptions += 1
        found.caught += bool(failed)
        catching.update(failed)
        if failed and _diagnosed(material, sandbox, overlay, failed):
            found.diagnosed += 1
        elif failed:
            found.undiagnosed.append(name)
        else:
            found.faults.append(f"misconception {name} of {overlay.made.problem} loses no points: no check catches it")
    for check in material.tests.checks:
        if check not in catching:
            found.faults.append(f"check {check} catches no misconception: drop it, or write the mistake that it is for")


def _passes(check: Check, run: CheckRun, references: Mapping[str, CheckRun]) -> bool:
    result = judge(check, run, references[check.name], "hints")
    return result.verdict is Verdict.PASSED


def _diagnosed(material: Material, sandbox: Sandbox, overlay: Overlay, failed: list[str]) -> bool:
    """Whether a submission with this misconception is told so, or told one that the author declared alike."""
    made = overlay.made
    assert isinstance(made, Misconception)
    problem = material.tests.problems[made.problem]
    others = material.misconceptions(sandbox, made.problem)
    diagnosis = diagnose(problem, overlay.runs, failed, others, material.references(sandbox))
    if diagnosis is None:
        return False
    alike = {made.name, *made.same_as}
    alike |= {o.made.name for o in others if isinstance(o.made, Misconception) and made.name in o.made.same_as}
    return diagnosis.misconception in alike
