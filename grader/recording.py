"""A check that also tells how it called the implementation: what `grader explain` runs in the sandbox.

The engine knows nothing of it: to the sandbox it is one more checks.py, whose check observes the calls as well.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from grader.checks import HiddenTests, check
from grader.observation import plain

# A check that trains a model calls thousands of times, with all of the data: nobody reads that.
_CALLS, _BYTES = 20, 2**20

_CHECKS_FILE = """\
from grader.recording import recorded

globals().update(recorded({file!r}, {name!r}))
"""


def checks_file(tests: HiddenTests, name: str) -> str:
    """The source of a checks.py that holds all of `tests`, with the check `name` recorded."""
    return _CHECKS_FILE.format(file=str(tests.path), name=name)


def recorded(file: str, name: str) -> dict[str, Callable[..., Any]]:
    """The checks of a checks.py; the one called `name` observes {calls, count, observed or raised}."""
    checks = HiddenTests.load(Path(file)).checks
    original = checks[name]

    def observe(student: Any, rng: Any, *given: Any) -> dict[str, Any]:
        recorder = Recorder(student)
        try:
            found = {"observed": original.observe(recorder, rng, *given)}
        except Exception as error:
            found = {"raised": type(error).__name__}
        return {"calls": recorder.calls, "count": recorder.count, **found}

    observe.__name__, observe.__doc__ = name, original.title
    mark = check(
        original.problem, points=original.points, hint=original.hint, seconds=original.seconds, given=original.given
    )
    return {**{one.name: one.observe for one in checks.values()}, name: mark(observe)}


class Recorder:
    """Stands between a check and the implementation, and notes the calls that the check itself makes."""

    def __init__(self, student: Any) -> None:
        self._student = student
        self._room = _BYTES
        self._inside = False
        self.calls: list[dict[str, Any]] = []
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._student, name)
        if inspect.isclass(value):
            value = self._class(value)
        elif callable(value):
            value = self._noted(value, name)
        vars(self)[name] = value  # the same the next time: a check may ask whether something is one of a class
        return value

    def _noted(self, function: Callable[..., Any], name: str, skip: int = 0) -> Callable[..., Any]:
        """`function`, noted as a call of `name` without its first `skip` arguments."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self.count += 1
            noted: dict[str, Any] = {}
            if len(self.calls) < _CALLS:
                # Before the call: the implementation may change what it is given.
                noted = {"name": name, "args": [self._copy(one) for one in args[skip:]]}
                noted["kwargs"] = {key: self._copy(one) for key, one in kwargs.items()}
                self.calls.append(noted)
            self._inside = True
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                noted["raised"] = type(error).__name__
                raise
            finally:
                self._inside = False
            if noted:
                noted["result"] = self._copy(result)
            return result

        return call

    def _class(self, kind: type) -> type:
        """The class with its methods noted: those that a notebook can have written, and not a library's."""
        home = kind.__module__
        methods = {
            name: self._noted(value, f"{kind.__name__}.{name}" if name != "__init__" else kind.__name__, skip=1)
            for base in reversed(kind.__mro__)
            if base.__module__ == home
            for name, value in vars(base).items()
            if inspect.isfunction(value)
        }
        methods.setdefault("__init__", self._noted(kind.__init__, kind.__name__, skip=1))  # type: ignore[misc]
        try:
            return type(kind)(
                kind.__name__, (kind,), {**methods, "__module__": home, "__qualname__": kind.__qualname__}
            )
        except Exception:  # a class that can't be extended is watched less, and tested all the same
            return kind

    def _copy(self, value: Any) -> Any:
        """A copy for the record, or what kind of thing it is where it is no plain data, or too much of it."""
        size = getattr(value, "nbytes", 0)
        if size > self._room:
            return _known_as(f"{type(value).__name__} of shape {tuple(value.shape)}")
        self._room -= size
        try:
            plain(value)
            return _copied(value)
        except Exception as error:
            return _known_as(f"{type(value).__name__}: {error}")


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.copy()
    if hasattr(value, "detach"):
        return value.detach().clone()
    return _known_as(f"function {value.__name__}") if inspect.isfunction(value) else value


def _known_as(name: str) -> Any:
    """Something of which an observation keeps nothing but this name."""
    return type(name, (), {})()
