"""Names what is wrong with an answer and is no mistake in the maths: how it uses the notebook, its sizes, its input.

Pure: values in, sentences out. A wrong sentence is worse than none, so each needs a loss of points that fits it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from grader.checks import Problem
from grader.execution import CheckRun, Code, Execution
from grader.judge import difference
from grader.observation import ObservationError
from grader.report import CheckResult, Verdict
from grader.submission import Submission

_LOST = (Verdict.WRONG, Verdict.RAISED, Verdict.TIMED_OUT, Verdict.NOT_ATTEMPTED)
_UNDEFINED = re.compile(r"name '(\w{1,60})' is not defined")
_SHAPES = ("ValueError", "RuntimeError", "IndexError")
_ABOUT_SHAPES = re.compile(
    r"broadcast|not aligned|shapes? |size mismatch|size of tensor|must match|cannot reshape|invalid for input of size"
    r"|mismatch in its core dimension|dimension mismatch|could not be multiplied"
)
_BEYOND = re.compile(r"index (\d+) is out of bounds for (?:axis|dimension) \d+ with size (\d+)")
# How each sentence about a student begins, and what a class is told of all that begin so.
_OF_A_CLASS = {
    "It calls your ": "calls another problem's function, which loses points itself",
    "It prints ": "prints the answer and returns nothing",
    "It reads ": "reads variables of the notebook in place of its arguments",
    "The size ": "has a size written into it, and works for that size only",
    "It changes ": "changes its input",
    "It returns a view ": "returns a view of its input",
    "It uses ": "uses what a cell was to make that failed",
    "Its cell needs ": "depends on the order in which cells are run",
}
# A longer line was written by no student, and patterns take long on it.
_LONGEST = 300
_NUMBER = re.compile(r"\d{1,7}")
_INSTEAD = re.compile(r"(?:shape \(([\d, ]*)\)|(\d+) items?) instead of (?:\(([\d, ]*)\)|(\d+))")


def habits(
    problem: Problem,
    results: Sequence[CheckResult],
    runs: Mapping[str, CheckRun],
    references: Mapping[str, CheckRun],
    code: Code,
    reference_code: Code,
    failing: Collection[str],
) -> Iterator[str]:
    """What is to be said of a problem that lost points. failing: the names of all problems that did."""
    lost = [result for result in results if result.verdict in _LOST]
    tried = [result for result in lost if result.verdict is not Verdict.NOT_ATTEMPTED]
    for name in code.calls:
        if lost and name in failing:
            yield f"It calls your `{name}`, which loses points itself: mend that first."
    if code.prints and any(_gave_nothing(runs[result.name]) for result in tried):
        yield "It prints its answer and returns nothing: end it with `return`."
    if tried:
        yield from _leaning(code, reference_code)
    sizes = set(code.sizes) - set(reference_code.sizes)
    if size := next(filter(None, (_fixed(problem, one, runs, references, sizes) for one in tried)), 0):
        yield f"The size {size} is written into it: it works for inputs of that size only. Take sizes from the input."
    changed = _new("changed", tried, runs, references)
    for name in changed:
        yield f"It changes its input `{name}`: whoever calls it still needs that. Work on a copy."
    for name in _new("shared", tried, runs, references):
        if name not in changed:
            yield f"It returns a view of its input `{name}`: when one changes, so does the other. Return a copy."


def of_a_class(habit: str) -> str:
    """What many students' sentences, which name their own variables and cells, have in common."""
    return next((told for beginning, told in _OF_A_CLASS.items() if habit.startswith(beginning)), "")


def _new(
    fact: str, tried: Sequence[CheckResult], runs: Mapping[str, CheckRun], references: Mapping[str, CheckRun]
) -> list[str]:
    """The arguments to which something happens, in a check that loses points, that the reference does not do."""
    found = {
        name: None
        for result in tried
        for name in getattr(runs[result.name], fact)
        if name not in getattr(references[result.name], fact)
    }
    return list(found)


def _gave_nothing(run: CheckRun) -> bool:
    if run.status == "raised":
        return run.fault is not None and "NoneType" in run.fault.message
    try:
        return run.status == "observed" and _holds_none(run.value)
    except ObservationError:
        return False


def _holds_none(value: object) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(_holds_none, items))


def _leaning(code: Code, reference: Code) -> Iterator[str]:
    """Reads a variable of the notebook, and better evidence: never looks at an argument that it should."""
    unread = [name for name in code.unread if name not in reference.unread]
    arrays = [name for name in code.arrays if name not in reference.arrays]
    numbers = [name for name in code.numbers if name not in reference.numbers] if unread else []
    names = [*arrays, *numbers]
    if not names:
        return
    told = _and(names)
    if unread:
        yield (
            f"It reads {told} of the notebook, and never looks at its argument {_and(unread)}: "
            "a function should use what it is given."
        )
    else:
        yield (
            f"It reads {told} of the notebook, which {'stays' if len(names) == 1 else 'stay'} the same whatever "
            "the function is given: compute it inside, or take it as an argument."
        )


def _and(names: Sequence[str]) -> str:
    shown = [f"`{name}`" for name in names[:3]]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _fixed(
    problem: Problem,
    result: CheckResult,
    runs: Mapping[str, CheckRun],
    references: Mapping[str, CheckRun],
    sizes: Collection[int],
) -> int:
    """The size written into the code that shows in what went wrong in this check, or 0."""
    run = runs[result.name]
    if not sizes:
        return 0
    if run.status == "raised" and run.fault is not None and run.fault.name in _SHAPES:
        message = run.fault.message
        if beyond := _BEYOND.search(message):
            index, size = int(beyond[1]), int(beyond[2])
            return next((one for one in sorted(sizes) if index == size < one), 0)
        if _ABOUT_SHAPES.search(message):
            return next((int(one) for one in _NUMBER.findall(message) if int(one) in sizes), 0)
    if run.status == "observed":
        check = next(check for check in problem.checks if check.name == result.name)
        try:
            found = difference(check, run, references[result.name])
        except ObservationError:
            return 0
        if found and (told := _INSTEAD.search(found.detail)):
            got, wanted = ([int(one) for one in _NUMBER.findall(f"{told[i]} {told[i + 1]}")] for i in (1, 3))
            if len(got) == len(wanted):
                return next((a for a, b in zip(got, wanted, strict=True) if a != b and a in sizes), 0)
    return 0


def order_of_cells(
    problem: str,
    results: Sequence[CheckResult],
    runs: Mapping[str, CheckRun],
    submission: Submission,
    execution: Execution,
) -> Iterator[str]:
    """A name that is missing because the cell that makes it failed, or comes later."""
    faults = (runs[result.name] for result in results if result.verdict in _LOST)
    for run in faults:
        if run.status == "raised" and run.fault is not None and run.fault.name == "NameError":
            if undefined := _UNDEFINED.search(run.fault.message):
                makers = _makers(undefined[1], submission)
                if makers and all(_failed(index, execution) for index in makers):
                    number = submission.cells[makers[-1]][0] + 1
                    yield f"It uses `{undefined[1]}`, which cell {number} was to make: that cell did not run through."
            return
        if run.status == "not_defined":
            own = [index for index, (_, source) in enumerate(submission.cells) if _defines(source, problem)]
            ran = execution.cells.get(own[-1]) if own else None
            if ran is not None and ran.fault is not None and ran.fault.name == "NameError":
                undefined = _UNDEFINED.search(ran.fault.message)
                makers = _makers(undefined[1], submission) if undefined else []
                if undefined and makers and makers[0] > own[-1]:
                    number = submission.cells[makers[0]][0] + 1
                    yield (
                        f"Its cell needs `{undefined[1]}`, which only cell {number} makes, further down: "
                        "restart the notebook and run all of it before you hand it in."
                    )
            return


def _failed(index: int, execution: Execution) -> bool:
    ran = execution.cells.get(index)
    return ran is not None and ran.status != "ok"


def _makers(name: str, submission: Submission) -> list[int]:
    """The cells that give a name a value or define it, at their top level."""
    return [index for index, (_, source) in enumerate(submission.cells) if _binds(source, name)]


def _defines(source: str, name: str) -> bool:
    return any(re.match(rf"(?:async +)?(?:def|class) +{name}\b", line) for line in _lines(source, name))


def _binds(source: str, name: str) -> bool:
    bound = re.compile(
        rf"(?:async +)?(?:def|class) +{name}\b|(?:import|from) .*\b{name}\b|for .*\b{name}\b.* in |with .* as {name}\b"
        rf"|(?:\w+ *[,=] *)*{name} *(?:,[\w ,]*)?(?::[^=]*)?=(?!=)"
    )
    return any(bound.match(line) for line in _lines(source, name))


def _lines(source: str, name: str) -> Iterator[str]:
    """The lines that may be about a name, of a length that people write."""
    if name in source:
        yield from (line for line in source.splitlines() if name in line and len(line) < _LONGEST)
