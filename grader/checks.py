"""What an author of hidden tests writes: checks, problems and misconceptions."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

import numpy as np

from grader.compare import Close, Comparison

_MARK = "__grader__"

F = TypeVar("F", bound=Callable[..., Any])


class AuthorError(Exception):
    """A mistake in course material: the message says which file and what to do."""


@dataclass(frozen=True, eq=False)
class Check:
    """One hidden test. It observes an implementation and asserts nothing.

    `observe(student, rng, *given)` calls the implementation and returns plain data: arrays, tensors, numbers,
    strings, booleans, None, or lists, tuples and dicts of them. `after` is applied to what was observed,
    in the trusted process, before it is compared with what the reference gave. `given` and `answer` are names
    in answers.py, which no student's process sees: what makes the further arguments, and what `after` will be.
    """

    name: str
    problem: str
    title: str
    points: float
    hint: str
    compare: Comparison
    after: Callable[[Any], Any] | None
    cost: float | None
    seconds: float | None
    given: str
    answer: str
    observe: Callable[[Any, Any], Any] = field(repr=False)


@dataclass(frozen=True)
class Problem:
    """One graded function or class.

    `forbidden` names what a solution may not use, as full dotted names (`torch.nn.functional.batch_norm`);
    `operators` the torch operators that may not be seen at run time (`aten::native_batch_norm`).
    The points of a bonus problem come on top of the assignment's total.
    """

    name: str
    bonus: bool = False
    forbidden: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    def __post_init__(self) -> None:
        for name in ("forbidden", "operators"):
            if isinstance(getattr(self, name), str):  # a tuple of one that lost its comma
                object.__setattr__(self, name, (getattr(self, name),))
        for name in self.forbidden:
            if name.startswith("torch.ops."):
                operator = "::".join(name.split(".")[2:])
                raise AuthorError(f"{self.name!r} forbids {name}: name it among `operators`, as {operator}")

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)


@dataclass(frozen=True)
class Misconception:
    """A mistake that students really make: an implementation of `problem`, and what to tell the student."""

    name: str
    problem: str
    message: str
    lecture: str
    same_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """A right implementation of `problem` that is not the reference's: the tests must accept it."""

    name: str
    problem: str


def check(
    problem: str,
    *,
    points: float,
    hint: str,
    compare: Comparison | None = None,
    after: Callable[[Any], Any] | str | None = None,
    cost: float | None = None,
    seconds: float | None = None,
    given: str = "",
) -> Callable[[F], F]:
    """Mark a function `(student, rng, *given) -> observation` as a hidden test of `problem`.

    Its docstring is the sentence that the student reads. `student` holds the functions and classes of the
    notebook; `rng` is a `numpy.random.Generator`, seeded alike for the reference and for the student (so are
    `random`, `numpy.random` and `torch`). Put small inputs first: the first difference is the one shown.

    points:  what it is worth, > 0.
    hint:    points to the idea, does not give the answer.
    compare: how observation and reference must agree; `close()` unless given.
    after:   applied to both observations in the trusted process before they are compared. Compute facts
             there rather than in the check: what the check returns comes from the student's process.
             A name is that of a function in answers.py, beside checks.py: one that knows an answer, such as
             the labels of hidden images. The student's process never sees that file.
    given:   the name of a function `(rng) -> tuple` in answers.py. What it returns, arrays and other plain data,
             are further arguments of the check. For inputs whose making would tell the answer.
    cost:    the student's code may execute at most this many times the lines of Python that the reference
             executes, libraries' lines included and a few hundred free (a loop over pixels where an array
             operation does it). Deterministic: not a time.
    seconds: how long it may compute, where the course's `check_seconds` is not enough (a model is trained, say).
    """
    if points <= 0:
        raise AuthorError(f"a check of {problem!r} is worth {points} points: give it more than 0")
    if seconds is not None and seconds <= 0:
        raise AuthorError(f"a check of {problem!r} may run {seconds} seconds: give it more than 0")
    if not hint.strip():
        raise AuthorError(f"a check of {problem!r} has no hint: say which idea to look at again")

    def mark(function: F) -> F:
        if not (function.__doc__ or "").strip():
            raise AuthorError(f"check {function.__name__} has no docstring: write the sentence that the student reads")
        made = Check(
            name=function.__name__,
            problem=problem,
            title=" ".join(inspect.getdoc(function).split()),  # type: ignore[union-attr]
            points=float(points),
            hint=" ".join(hint.split()),
            compare=compare or Close(),
            after=None if isinstance(after, str) else after,
            cost=cost,
            seconds=seconds,
            given=given,
            answer=after if isinstance(after, str) else "",
            observe=function,
        )
        setattr(function, _MARK, made)
        return function

    return mark


def each(fact: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An `after` for an observation {case: value}: `fact` of every value."""
    return lambda cases: {case: fact(value) for case, value in cases.items()}


def misconception(
    problem: str, message: str, *, lecture: str = "", same_as: str | tuple[str, ...] = ()
) -> Callable[[F], F]:
    """Mark a function or class as a wrong implementation of `problem` that students really hand in.

    message: what to tell the student: what the code does, and why that is wrong.
    lecture: where to read again, such as "Lecture 5, Momentum".
    same_as: names of other misconceptions of this problem that no test can tell from this one.
    """

    def mark(implementation: F) -> F:
        made = Misconception(
            name=implementation.__name__,
            problem=problem,
            message=" ".join(message.split()),
            lecture=lecture,
            same_as=(same_as,) if isinstance(same_as, str) else tuple(same_as),
        )
        setattr(implementation, _MARK, made)
        return implementation

    return mark


def alternative(problem: str) -> Callable[[F], F]:
    """Mark a function or class as a right implementation of `problem`, unlike the reference: it must get full marks."""

    def mark(implementation: F) -> F:
        setattr(implementation, _MARK, Alternative(implementation.__name__, problem))
        return implementation

    return mark


def marked(namespace: Mapping[str, Any], kind: type) -> list[tuple[Any, Any]]:
    """The (mark, function or class) pairs of `kind` in a module's namespace, in the order written."""
    found = []
    for value in list(namespace.values()):
        mark = getattr(value, "__dict__", {}).get(_MARK)
        if isinstance(mark, kind):
            found.append((mark, value))
    return found


@dataclass(frozen=True)
class HiddenTests:
    """The checks of one assignment, by problem, in the order of the file."""

    path: Path
    problems: Mapping[str, Problem]

    @property
    def checks(self) -> dict[str, Check]:
        return {check.name: check for problem in self.problems.values() for check in problem.checks}

    def problems_named(self, only: str = "") -> tuple[Problem, ...]:
        """All problems, or the one of that name. Raises AuthorError if there is none."""
        if not only:
            return tuple(self.problems.values())
        if only not in self.problems:
            raise AuthorError(f"{self.path} has no problem {only!r}. There are {', '.join(self.problems)}")
        return (self.problems[only],)

    @property
    def answers_file(self) -> Path:
        return self.path.with_name("answers.py")

    def with_answers(self) -> HiddenTests:
        """These tests, with each `after` that stands in answers.py. For the trusted process only."""
        names = {name for check in self.checks.values() for name in (check.answer, check.given) if name}
        if not names:
            return self
        module = _import_file(self.answers_file)
        for name in names:
            if not callable(getattr(module, name, None)):
                raise AuthorError(f"{self.answers_file} has no function {name!r}, which a check asks for: write it")

        def resolved(check: Check) -> Check:
            return replace(check, after=getattr(module, check.answer)) if check.answer else check

        problems = {
            name: replace(problem, checks=tuple(map(resolved, problem.checks)))
            for name, problem in self.problems.items()
        }
        return replace(self, problems=MappingProxyType(problems))

    def given(self, seed: Callable[[str], int]) -> dict[str, Any]:
        """What answers.py gives to checks, by name; `seed` tells each its seed."""
        names = sorted({check.given for check in self.checks.values() if check.given})
        if not names:
            return {}
        module = _import_file(self.answers_file)
        return {name: getattr(module, name)(np.random.default_rng(seed(name))) for name in names}

    @classmethod
    def load(cls, path: Path) -> HiddenTests:
        """Import a checks.py. Raises AuthorError with the file's name if it can't be used."""
        module = _import_file(path)
        must_not_redefine(path)
        checks = [mark for mark, _ in marked(vars(module), Check)]
        problems_declared = getattr(module, "PROBLEMS", ())
        if name := _twice(problem.name for problem in problems_declared):
            raise AuthorError(f"{path}: PROBLEMS names {name!r} twice: keep one")
        declared = {problem.name: problem for problem in problems_declared}
        names = list(dict.fromkeys(check.problem for check in checks))
        for name in declared:
            if name not in names:
                raise AuthorError(f"{path}: PROBLEMS names {name!r}, but no check tests it")
        problems = {}
        for name in names:
            base = declared.get(name, Problem(name))
            problems[name] = Problem(
                name,
                bonus=base.bonus,
                forbidden=tuple(base.forbidden),
                operators=tuple(base.operators),
                checks=tuple(check for check in checks if check.problem == name),
            )
        if not problems:
            raise AuthorError(f"{path}: no check found: decorate a function with @check(...)")
        return cls(path, MappingProxyType(problems))


def _import_file(path: Path) -> ModuleType:
    """Import a file as it is now: Python's own cache goes by size and second, and an author saves more often."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise AuthorError(f"{path} is missing: write the hidden tests there") from error
    module = ModuleType(f"hidden_{path.parent.name}_{path.stem}")
    module.__file__ = str(path)
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import_later}
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except AuthorError as error:
        raise AuthorError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:
        raise AuthorError(f"{path} can't be imported: {type(error).__name__}: {error}") from error
    return module


class _Torch:
    """torch, imported when it is used: outside the sandbox few tests use it, and it takes two seconds."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("torch"), name)


def _import_later(name: str, *arguments: Any, **named: Any) -> Any:
    """`__import__` of the hidden tests: what `import torch` gives does not import it yet."""
    if name == "torch" and name not in sys.modules and not any(arguments[2:3]):
        return _Torch()
    return __import__(name, *arguments, **named)


def must_not_redefine(path: Path) -> None:
    """Raise AuthorError if a file defines a name twice: the second would silently replace the first."""
    try:
        body = ast.parse(path.read_bytes()).body
    except SyntaxError:
        return  # whoever imports it tells that better
    if name := _twice(node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))):
        raise AuthorError(f"{path}: two functions are named {name}: rename one")


def _twice(names: Iterable[str]) -> str:
    """The first name that occurs a second time, or nothing."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
