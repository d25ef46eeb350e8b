"""One assignment's material: the solution script, the hidden tests, and what the reference and the mistakes give."""

from __future__ import annotations

import ast
import hashlib
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jupytext
import msgpack
from nbformat import NotebookNode

from grader.checks import Alternative, AuthorError, Check, HiddenTests, Misconception, must_not_redefine
from grader.confine import Limits
from grader.course import Course
from grader.execution import Code
from grader.job import Job, Run
from grader.observation import Opaque, encode, plain
from grader.sandbox import CheckRun, Execution, Fault, Sandbox

_OVERLAY_FILES = ("misconceptions.py", "alternatives.py")
# Cells with these keys in their metadata use the solution; they are no part of it.
_NOT_SOLUTION = ("tests", "picture")


class Material:
    """The material of one assignment of a course, and the observations made of it, computed once and kept."""

    def __init__(self, course: Course, name: str) -> None:
        self.course = course
        self.assignment = course.assignment(name)
        self.name = self.assignment.name
        self.solution_file = course.root / "solutions" / f"{self.name}.py"
        self.hidden_folder = course.root / "tests" / "hidden" / self.name
        if not self.solution_file.is_file():
            raise AuthorError(f"{self.solution_file} is missing: the assignment's lesson and solution belong there")

    @cached_property
    def tests(self) -> HiddenTests:
        return HiddenTests.load(self.hidden_folder / "checks.py").with_answers()

    @cached_property
    def solution(self) -> NotebookNode:
        """The solution script as a notebook, with the cell metadata as written."""
        try:
            return jupytext.read(self.solution_file)
        except Exception as error:
            raise AuthorError(f"{self.solution_file} can't be read as a percent script: {error}") from error

    @property
    def points(self) -> float:
        return sum(problem.points for problem in self.tests.problems.values() if not problem.bonus)

    @property
    def bonus_points(self) -> float:
        return sum(problem.points for problem in self.tests.problems.values() if problem.bonus)

    @property
    def limits(self) -> Limits:
        return Limits(**self.course.limits.model_dump())

    @cached_property
    def given(self) -> dict[str, bytes]:
        """What answers.py gives to checks, encoded as it travels."""
        file = self.tests.answers_file
        try:
            made = {
                name: plain(value) for name, value in self.tests.given(lambda name: self.seed(f"given/{name}")).items()
            }
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise AuthorError(f"{file} fails on what is given to checks: {told}") from error
        for name, value in made.items():
            if not isinstance(value, list):
                raise AuthorError(f"{file}: {name!r} gives no tuple or list of arguments")
            if kind := _opaque(value):
                raise AuthorError(f"{file}: {name!r} gives a {kind}: give arrays and other plain data")
        return {name: encode(value) for name, value in made.items()}

    def seed(self, name: str) -> int:
        """The seed of a check: it changes with the course's seed and with nothing else."""
        text = f"{self.course.seed}/{self.name}/{name}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")

    def _run_of(self, check: Check, overlay: str = "") -> Run:
        return Run(check.name, self.seed(check.name), check.seconds or self.limits.check_seconds, overlay)

    def job(self, cells: tuple[str, ...], only: str = "") -> Job:
        """The job that runs every check on a notebook's cells, or those of one problem.

        The lesson's own pictures are not drawn again.
        """
        runs = tuple(self._run_of(check) for problem in self.tests.problems_named(only) for check in problem.checks)
        skip = tuple(position for position, cell in enumerate(cells) if cell.strip() in self.pictures)
        tests = tuple(position for position, cell in enumerate(cells) if cell.strip() in self.public_tests)
        own = (cell for cell in cells if cell.strip() not in self.lesson)
        suspect = self._forbidden is not None and any(self._forbidden.search(cell) for cell in own)
        return Job(
            cells=cells, runs=runs, limits=self.limits, skip=skip, tests=tests, suspect=suspect, given=self.given
        )

    @cached_property
    def lesson(self) -> frozenset[str]:
        """Sources of the cells that students are given as they are."""
        return frozenset(cell.source.strip() for cell in self.solution.cells if "problem" not in cell.metadata)

    @cached_property
    def _forbidden(self) -> re.Pattern[str] | None:
        """Finds the last part of any forbidden name: where none occurs, the source needs no closer look."""
        names = {name.rpartition(".")[2] for problem in self.tests.problems.values() for name in problem.forbidden}
        return re.compile(rf"\b({'|'.join(map(re.escape, sorted(names)))})\b") if names else None

    @cached_property
    def digest(self) -> str:
        """Changes when anything changes that a report depends on, other than the submission."""
        return hashlib.sha256(f"{self._digest_of_observations}/{self.course.feedback}".encode()).hexdigest()

    @cached_property
    def _digest_of_observations(self) -> str:
        """Changes when anything changes that an observation depends on: not so with what feedback reveals."""
        digest = hashlib.sha256()
        files = [self.solution_file, self.hidden_folder / "checks.py", *self._overlay_files]
        files += [self.tests.answers_file] if self.tests.answers_file.is_file() else []
        _add(digest, files)
        facts = [self.course.seed, self.course.limits.model_dump_json(), surroundings()]
        digest.update(repr(facts).encode())
        return digest.hexdigest()

    @property
    def files(self) -> list[Path]:
        """All that marking reads of the course's folder beside course.yaml: observations too, if they are made."""
        hidden = (path for path in self.hidden_folder.rglob("*") if "__pycache__" not in path.parts)
        observations = map(self._cache_file, ("references", "overlays"))
        return [self.solution_file, *sorted(path for path in (*hidden, *observations) if path.is_file())]

    @property
    def _overlay_files(self) -> list[Path]:
        return [path for path in (self.hidden_folder / name for name in _OVERLAY_FILES) if path.is_file()]

    @cached_property
    def reference_cells(self) -> tuple[str, ...]:
        return tuple(
            cell.source
            for cell in self.solution.cells
            if cell.cell_type == "code" and not any(key in cell.metadata for key in _NOT_SOLUTION)
        )

    @cached_property
    def pictures(self) -> frozenset[str]:
        """Sources of the cells that only draw. They take most of a notebook's time and are worth no point."""
        return frozenset(cell.source.strip() for cell in self.solution.cells if "picture" in cell.metadata)

    @cached_property
    def public_tests(self) -> frozenset[str]:
        """Sources of the cells in which students test their work."""
        return frozenset(cell.source.strip() for cell in self.solution.cells if "tests" in cell.metadata)

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """The modules that the lesson imports."""
        trees = [_tree(cell) for cell in self.reference_cells]
        nodes = [node for tree in trees for node in ast.walk(tree)]
        plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        return tuple(sorted(plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}))

    def references(self, sandbox: Sandbox) -> Mapping[str, CheckRun]:
        """What the reference solution gives for each check. Raises AuthorError if it fails one."""
        if "_references" not in vars(self):
            execution = self._cached("references", lambda: self._run(sandbox, self.job(self.reference_cells)))
            self._references = self._read_references(execution)
            self._code = execution.code
        return self._references

    def code(self, sandbox: Sandbox, problem: str) -> Code:
        """What the reference's own code does beside the maths."""
        self.references(sandbox)
        return self._code.get(problem, Code())

    def _read_references(self, execution: Execution) -> dict[str, CheckRun]:
        found = {}
        for position, (name, check) in enumerate(self.tests.checks.items()):
            run = execution.checks[position]
            if run.status != "observed":
                raise AuthorError(
                    f"{self.tests.path}: check {name} can't be used: the reference {check.problem} "
                    f"{_told(run)}. Mend the check or solutions/{self.name}.py"
                )
            self._must_be_usable(check, run.value)
            found[name] = run
        return found

    def _must_be_usable(self, check: Check, value: Any) -> None:
        """Raise AuthorError unless answers can be compared with `value`."""
        try:
            facts = value if check.after is None else plain(check.after(value))
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise AuthorError(
                f"{self.tests.path}: check {check.name}: `after` fails on the reference: {told}"
            ) from error
        if kind := _opaque(facts):
            raise AuthorError(
                f"{self.tests.path}: check {check.name} observes a {kind}, and any other would pass for it: "
                "return arrays, tensors, numbers, strings, or lists and dicts of them"
            )

    def overlays(self, sandbox: Sandbox) -> Mapping[str, Overlay]:
        """The misconceptions and alternatives, with what each gives for the checks of its problem."""
        if "_overlays" not in vars(self):
            catalogue_and_runs = self._cached("overlays", lambda: self._run_overlays(sandbox))
            self._overlays = self._read_overlays(catalogue_and_runs)
        return self._overlays

    def misconceptions(self, sandbox: Sandbox, problem: str) -> list[Overlay]:
        return [
            overlay
            for overlay in self.overlays(sandbox).values()
            if isinstance(overlay.made, Misconception) and overlay.made.problem == problem
        ]

    def _run_overlays(self, sandbox: Sandbox) -> Execution:
        sources = tuple(path.read_text(encoding="utf-8") for path in self._overlay_files)
        if not sources:
            return Execution()
        for path in self._overlay_files:
            must_not_redefine(path)
        base = replace(self.job(self.reference_cells), overlays=sources, module=self.name, runs=())
        # First what there is, then all of it: the runs have to name the overlays.
        first = self._run(sandbox, base)
        catalogue = first.overlays
        if not catalogue:
            names = " or ".join(str(path) for path in self._overlay_files)
            why = first.overlay_fault or first.killed or "no function in it is decorated"
            raise AuthorError(f"{names} can't be used: {why}")
        runs = tuple(self._run_of(check, facts["name"]) for _, facts in catalogue for check in self._checks_of(facts))
        return self._run(sandbox, replace(base, runs=runs))

    def _checks_of(self, facts: dict[str, Any]) -> tuple[Check, ...]:
        if facts["problem"] not in self.tests.problems:
            raise AuthorError(
                f"{self.hidden_folder}: {facts['name']} is about {facts['problem']!r}, which no check tests"
            )
        return self.tests.problems[facts["problem"]].checks

    def _read_overlays(self, execution: Execution) -> dict[str, Overlay]:
        found: dict[str, Overlay] = {}
        position = 0
        for kind, facts in execution.overlays:
            made: Misconception | Alternative
            if kind == "Misconception":
                made = Misconception(**{**facts, "same_as": tuple(facts["same_as"])})
            else:
                made = Alternative(**facts)
            runs = {}
            for check in self._checks_of(facts):
                runs[check.name] = execution.checks[position]
                position += 1
            found[made.name] = Overlay(made, runs)
        return found

    def _run(self, sandbox: Sandbox, job: Job) -> Execution:
        # Hundreds of runs in one process: the author's material gets the time that they need together.
        seconds = job.limits.submission_seconds + sum(run.seconds for run in job.runs)
        longer = replace(job, limits=replace(job.limits, submission_seconds=seconds))
        return sandbox.run(longer, self.tests.path, self.imports)

    def _cache_file(self, part: str) -> Path:
        key = self._digest_of_observations[:24]
        return self.course.root / "build" / "cache" / f"{self.name}-{part}-{key}.msgpack"

    def _cached(self, part: str, make: Any) -> Execution:
        file = self._cache_file(part)
        try:
            return _unpack_execution(file.read_bytes())
        except (OSError, ValueError, TypeError, LookupError):
            execution: Execution = make()
            file.parent.mkdir(parents=True, exist_ok=True)
            for old in file.parent.glob(f"{self.name}-{part}-*"):
                old.unlink(missing_ok=True)
            partial = file.with_suffix(".partial")
            partial.write_bytes(_pack_execution(execution))
            partial.replace(file)
            return execution


@dataclass(frozen=True)
class Overlay:
    """A misconception or an alternative, and what became of each check of its problem."""

    made: Misconception | Alternative
    runs: Mapping[str, CheckRun]


def surroundings() -> dict[str, str]:
    """What scores depend on beside the course, by name: versions, and the digest of the grader's sources."""
    sources = hashlib.sha256()
    _add(sources, sorted(Path(__file__).parent.glob("*.py")))
    return {
        "the grader": sources.hexdigest()[:12],
        "Python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "torch")},
    }


def _add(digest: hashlib._Hash, files: Iterable[Path]) -> None:
    for file in files:
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())


def _opaque(value: Any) -> str:
    """The type of the first part that is no plain data, or nothing."""
    if isinstance(value, Opaque):
        return value.type_name
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next(filter(None, map(_opaque, items)), "")


def _tree(cell: str) -> ast.Module:
    """A cell's syntax tree; empty for a cell with magics, whose imports are then paid by each notebook."""
    try:
        return ast.parse(cell)
    except SyntaxError:
        return ast.Module([], [])


def _told(run: CheckRun) -> str:
    fault = run.fault or Fault("", "")
    return f"gave '{run.status}' {fault.name} {fault.message}".strip()


def _pack_execution(execution: Execution) -> bytes:
    checks = {
        position: [
            run.status,
            run.data,
            run.used,
            run.changed,
            run.lines,
            None if run.fault is None else [run.fault.name, run.fault.message, run.fault.line],
            run.shared,
        ]
        for position, run in execution.checks.items()
    }
    return bytes(
        msgpack.packb([checks, execution.overlays, {name: asdict(one) for name, one in execution.code.items()}])
    )


def _unpack_execution(data: bytes) -> Execution:
    checks, overlays, code = msgpack.unpackb(data, strict_map_key=False)
    return Execution(
        checks={
            position: CheckRun(
                status, body, tuple(used), tuple(changed), lines, Fault(*fault) if fault else None, tuple(shared)
            )
            for position, (status, body, used, changed, lines, fault, shared) in checks.items()
        },
        overlays=overlays,
        code={name: Code(**_with_tuples(facts)) for name, facts in code.items()},
    )


def _with_tuples(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
