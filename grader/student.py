"""The notebook's functions as a check sees them, and what is noticed while a check calls them. Runs in the sandbox."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from grader.observation import ObservationError


class NotDefined(Exception):
    """The notebook has no such function or class."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Student:
    """Gives a check the functions and classes of one implementation, by name.

    A function is wrapped: an array or tensor argument that it changes in place is noted in `changed`, and one whose
    memory a result shares in `shared`, if that result has changed by the end of the check.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self.changed: list[str] = []
        self._kept: list[tuple[str, Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        try:
            value = self._namespace[name]
        except KeyError:
            raise NotDefined(name) from None
        if inspect.isfunction(value):
            value = vars(self)[name] = self._watched(value)  # found at once the next time
        return value

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            before = [(place, value, _fingerprint(value)) for place, value in _arguments(args, kwargs)]
            if not before:
                return function(*args, **kwargs)

            def note() -> None:
                for place, value, fingerprint in before:
                    if _fingerprint(value) != fingerprint:
                        name = _name(function, place)
                        self.changed += [] if name in self.changed else [name]

            try:
                result = function(*args, **kwargs)
            finally:
                note()
            for one in result if type(result) in (tuple, list) else [result]:
                for place, value, _ in before:
                    if _is_array(one) and _share(one, value):
                        self._kept.append((_name(function, place), one, _fingerprint(one)))
            return _noted(result, note) if inspect.isgenerator(result) else result

        return call

    def shared(self) -> list[str]:
        """The arguments whose memory a result shares that is no longer what it was when it was returned."""
        names = [name for name, result, fingerprint in self._kept if _fingerprint(result) != fingerprint]
        return list(dict.fromkeys(names))


def _noted(items: Iterator[Any], note: Callable[[], None]) -> Iterator[Any]:
    """A generator runs when it is read: look again then."""
    try:
        yield from items
    finally:
        note()


_PLAIN = frozenset((type(None), bool, int, float, str, types.FunctionType))


def _arguments(args: Any, kwargs: Any) -> Iterator[tuple[int | str, Any]]:
    """The arguments that hold arrays or tensors, by place or name; lists, tuples and dicts are looked into."""
    for place, value in [*enumerate(args), *kwargs.items()]:
        if type(value) in _PLAIN:
            continue
        if _is_array(value):
            yield place, value
        elif isinstance(value, (list, tuple, dict)):
            items = value.values() if isinstance(value, dict) else value
            yield from ((place, item) for item in items if _is_array(item))


def _name(function: Callable[..., Any], place: int | str) -> str:
    if isinstance(place, str):
        return place
    try:
        return list(inspect.signature(function).parameters)[place]
    except (TypeError, ValueError, IndexError):
        return f"argument {place + 1}"


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, torch.Tensor))


def _share(result: Any, argument: Any) -> bool:
    """Whether a result lies in the memory of an argument."""
    if result is argument:
        return True
    if isinstance(result, np.ndarray):
        # What has no base has memory of its own.
        return result.base is not None and isinstance(argument, np.ndarray) and np.may_share_memory(result, argument)
    if not isinstance(argument, torch.Tensor) or not result.layout == argument.layout == torch.strided:
        return False
    return result.untyped_storage().data_ptr() == argument.untyped_storage().data_ptr() != 0


def _fingerprint(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        value = value.detach()
        if value.dtype.is_floating_point and value.element_size() == 2:
            value = value.float()
        value = value.numpy()
    return value.shape, value.tobytes()


class Lines:
    """Counts the lines of Python that run: a cost that does not depend on the machine or its load.

    What would hide lines from the count is noticed: another trace function, another thread, a frame set not to tell.
    """

    def __init__(self) -> None:
        self.count = 0
        self._counting = False
        self._hidden = ""

    def listen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Notice such calls: an audit hook, which Python lets no one take away."""
        if self._counting and event == "sys.settrace":
            started = threading.current_thread() is not threading.main_thread()
            self._hidden = "a thread was started" if started else "sys.settrace was called"

    def _trace(self, frame: Any, event: str, arg: Any) -> Any:
        self.count += 1
        if not frame.f_trace_lines:
            self._hidden = "f_trace_lines was set"
        return self._trace

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count from 0 what runs in the block. Raises ObservationError if something was hidden."""
        self.count, self._hidden = 0, ""
        sys.settrace(self._trace)
        threading.settrace(self._trace)  # a new thread begins with it, and is noticed
        self._counting = True
        try:
            yield
        finally:
            self._counting = False
            threading.settrace(None)
            sys.settrace(None)
        if self._hidden:
            raise ObservationError(f"{self._hidden} while the lines that run were counted: do without it")
