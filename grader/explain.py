"""Everything about one check of one notebook, for a teacher who has to answer "why did I lose this point?"."""

from __future__ import annotations

import difflib
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel, ConfigDict

from grader import recording, reproduce
from grader.checks import AuthorError, Check
from grader.grade import grade, too_large
from grader.job import Job
from grader.material import Material
from grader.observation import ObservationError, encode, plain
from grader.outputs import safe_text
from grader.reproduce import Facts, differences, needed, readable, short, statements
from grader.sandbox import CheckRun, Sandbox
from grader.submission import Submission

# Of a sentence; values have a bound of their own.
_LONGEST = 1000

NOTICE = "For teachers: this shows the hidden test and the expected answer, whatever the course reveals to students."


class Call(BaseModel):
    """A call that the check makes, with the inputs that the reference got, and both results."""

    call: str
    expected: str
    observed: str


class Explained(BaseModel):
    """The misconception behind a wrong answer, and what it gives for this check."""

    name: str
    message: str
    lecture: str
    sure: bool
    output: str
    same: bool


class Explanation(BaseModel):
    """All of it. Texts are short forms for a person; `script` has every number.

    message:    what the student was told.
    calls:      the first calls of `count`; results of both sides, of which the student's may be missing.
    difference: a line for each place that differs by more than a rounding; the check's own tolerance may be wider.
    reproduces: the script was run in the sandbox, and showed the same difference. None: it was not run, for the check
                itself came to no result.
    """

    model_config = ConfigDict(frozen=True)

    notice: str = NOTICE
    assignment: str
    submission: str
    problem: str
    check: str
    title: str
    hint: str
    points: float
    score: float
    verdict: str
    message: str
    source: str
    seed: int
    count: int
    calls: tuple[Call, ...]
    expected: str
    observed: str
    difference: tuple[str, ...]
    misconception: Explained | None = None
    script: str
    reproduces: bool | None


def explain(submission: Submission, name: str, material: Material, sandbox: Sandbox) -> Explanation:
    """Explain the check `name`, or "problem::name", of a submission. AuthorError names the nearest if there is none."""
    check = _find(material, name)
    problem = grade(submission, material, sandbox).problem(check.problem)
    assert problem is not None
    result = next(one for one in problem.checks if one.name == check.name)

    sources = tuple(source for _, source in submission.cells)
    theirs, mine = _recorded(material, check, (sources, material.reference_cells), sandbox)
    reference = material.references(sandbox)[check.name]
    expected = _facts(check, reference)
    observed = _observed(check, theirs, reference)
    told = None
    if problem.diagnosis and result.score < result.points:
        overlay = material.overlays(sandbox)[problem.diagnosis.misconception]
        output = _facts(check, overlay.runs[check.name])
        told = Explained(
            name=problem.diagnosis.misconception,
            message=problem.diagnosis.message,
            lecture=problem.diagnosis.lecture,
            sure=problem.diagnosis.sure,
            output=_short(output),
            same=not differences(_plain(observed), _plain(output)),
        )
    lines = _difference(observed, expected)
    facts = Facts(material.seed(check.name), material.seed(f"given/{check.given}"), expected)
    script, reproduces = "", None
    if sources:
        about = f"{submission.name}: {check.problem}, check {check.name}"
        verdict = f"{result.verdict.value}. {result.message}"
        wanted = observed.printed if isinstance(observed, _Nothing) else "\n".join(lines) or "no difference"
        script, reproduces = _script(material, check, sources, sandbox, about, verdict, facts, wanted)
    return Explanation(
        assignment=material.name,
        submission=submission.name,
        problem=check.problem,
        check=check.name,
        title=check.title,
        hint=check.hint,
        points=result.points,
        score=result.score,
        verdict=result.verdict.value,
        message=result.message,
        source=reproduce.check_source(material.tests, check),
        seed=facts.seed,
        count=int(_value(mine).get("count", 0)),
        calls=_calls(_value(mine), _value(theirs)),
        expected=_short(expected),
        observed=_short(observed),
        difference=tuple(lines),
        misconception=told,
        script=script,
        reproduces=reproduces,
    )


def _find(material: Material, name: str) -> Check:
    problem, _, last = name.rpartition("::")
    check = material.tests.checks.get(last)
    if check is not None and problem in ("", check.problem):
        return check
    known = [f"{one.problem}::{one.name}" for one in material.tests.checks.values()]
    inside = [one for one in known if one.partition("::")[0] == last] or difflib.get_close_matches(
        last, material.tests.checks, n=3
    )
    there = ", ".join(inside or known)
    raise AuthorError(f"{material.tests.path} has no check {name!r}. There is {there}")


def _recorded(
    material: Material, check: Check, notebooks: tuple[tuple[str, ...], ...], sandbox: Sandbox
) -> list[CheckRun]:
    """The check's run on each notebook's cells, with the calls that it made. In the sandbox, like every run."""
    position = list(material.tests.checks).index(check.name)
    runs = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "checks.py"
        file.write_text(recording.checks_file(material.tests, check.name), encoding="utf-8")
        for cells in notebooks:
            job = material.job(cells)
            # The checks before it run, too: an implementation may remember their calls.
            job = replace(job, runs=job.runs[: position + 1])
            runs.append(sandbox.run(job, file, material.imports).checks[position])
    return runs


def _value(run: CheckRun) -> dict[str, Any]:
    """What a recording holds. It comes from the student's process, so it may be anything."""
    try:
        value = run.value if run.status == "observed" else {}
    except ObservationError:
        value = {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class _Nothing:
    """There is no observation: `why`, and what the script prints then, if it comes to an end."""

    why: str
    printed: str | None = None


def _observed(check: Check, run: CheckRun, reference: CheckRun) -> Any:
    value = _value(run)
    if "observed" in value:
        if too_large(check, encode(value["observed"]), reference):
            return _Nothing("far more was returned than was asked for")
        return _after(check, value["observed"])
    if "raised" in value:
        raised = f"raised {_text(value['raised'])}"
        return _Nothing(raised, raised)
    return _Nothing(run.status.replace("_", " ") + (f": {run.fault.message}" if run.fault else ""))


def _facts(check: Check, run: CheckRun) -> Any:
    """What is compared: the observation, after the check's `after`."""
    if run.status != "observed":
        fault = f" {run.fault.name}" if run.fault else ""
        return _Nothing(f"{run.status.replace('_', ' ')}{fault}")
    return _after(check, run.value)


def _after(check: Check, value: Any) -> Any:
    try:
        return value if check.after is None else plain(check.after(value))
    except Exception as error:  # it is written for what the reference gives
        name = type(error).__name__
        return _Nothing(f"{short(value)}, for which `after` fails: {name}: {error}", f"raised {name}")


def _plain(value: Any) -> Any:
    return value.why if isinstance(value, _Nothing) else readable(value)


def _short(value: Any) -> str:
    return _text(value.why) if isinstance(value, _Nothing) else short(value)


def _text(value: Any) -> str:
    return safe_text(value)[:_LONGEST]


def _difference(observed: Any, expected: Any) -> list[str]:
    if isinstance(observed, _Nothing):
        return [_text(observed.why)]
    return [_text(line) for line in differences(readable(observed), readable(expected))]


def _calls(mine: dict[str, Any], theirs: dict[str, Any]) -> tuple[Call, ...]:
    """Side by side. The inputs are the reference's: what a student's process says that it was asked proves nothing."""
    other = theirs.get("calls")
    pairs = itertools.zip_longest(mine.get("calls", []), other if isinstance(other, list) else [])
    return tuple(
        Call(call=_call(ours), expected=_result(ours), observed=_result(one)) for ours, one in pairs if ours is not None
    )


def _call(noted: dict[str, Any]) -> str:
    arguments = [*map(short, noted["args"]), *(f"{key}={short(value)}" for key, value in noted["kwargs"].items())]
    return f"{noted['name']}({', '.join(arguments)})"


def _result(noted: Any) -> str:
    if not isinstance(noted, dict):
        return "not called"
    return short(noted["result"]) if "result" in noted else f"raised {_text(noted.get('raised', 'something'))}"


def _script(
    material: Material,
    check: Check,
    sources: tuple[str, ...],
    sandbox: Sandbox,
    about: str,
    verdict: str,
    facts: Facts,
    wanted: str | None,
) -> tuple[str, bool | None]:
    """The script, and whether it shows the same. It is short if that is enough: the check alone, else with the earlier
    checks of the problem, whose calls an implementation may remember, else with all of the student's code."""
    job = material.job(sources)
    left_out = {*job.skip, *job.tests}
    cells = [source for position, source in enumerate(sources) if position not in left_out]
    all_of_it = [one for cell in cells for one in statements(cell)]
    scripts: list[str] = []
    part = needed(all_of_it, [check.problem, *_asked_for(material, check)])
    earlier = _earlier(material, check)
    for code, before in ((part, ()), (part, earlier), (all_of_it, earlier)):
        scripts.append(reproduce.script(about, verdict, code, material.tests, check, replace(facts, earlier=before)))
        if wanted is None:
            return scripts[-1], None
        if wanted in _run(scripts[-1], job, material, sandbox, check):
            return scripts[-1], True
    return scripts[0], False


def _earlier(material: Material, check: Check) -> tuple[tuple[str, int], ...]:
    """The checks of the problem that run before this one, with their seeds."""
    names = [one.name for one in material.tests.problems[check.problem].checks if not one.given]
    return tuple((name, material.seed(name)) for name in itertools.takewhile(lambda name: name != check.name, names))


def _asked_for(material: Material, check: Check) -> set[str]:
    """The names that the check, or one of its helpers, may ask the implementation for."""
    source = material.tests.path.read_text(encoding="utf-8")
    parts = needed(statements(source), [check.name])
    return {problem for problem in material.tests.problems if any(f".{problem}" in part.source for part in parts)}


def _run(script: str, job: Job, material: Material, sandbox: Sandbox, check: Check) -> str:
    seconds = job.limits.cell_seconds + (check.seconds or job.limits.check_seconds)
    alone = replace(
        job, cells=(script,), runs=(), skip=(), tests=(), limits=replace(job.limits, cell_seconds=seconds), given={}
    )
    cell = sandbox.run(alone, material.tests.path, material.imports).cells.get(0)
    outputs = cell.outputs if cell else ()
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")
