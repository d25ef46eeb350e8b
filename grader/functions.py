"""What the code of a student's function tells, apart from what it computes. Runs in the sandbox."""

from __future__ import annotations

import ast
import dis
import linecache
from collections.abc import Collection, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch

from grader.execution import Code
from grader.shell import is_cell, syntax_tree

# Calls and methods whose numbers are sizes.
_SIZED = frozenset(
    "range arange zeros ones empty full eye identity reshape view expand broadcast_to tile repeat linspace "
    "rand randn normal new_zeros new_ones".split()
)
# Functions read of one problem: its helpers, and theirs.
_MOST = 50


def code_of(name: str, namespace: Mapping[str, Any], problems: Collection[str]) -> Code:
    """What the code of a problem, and of the notebook's functions that it calls, does beside the maths.

    problems: the names of all problems; one that is called is named, and not looked into.
    """
    found = _Found(name, namespace, problems)
    found.look_at(namespace.get(name))
    return found.code()


class _Found:
    def __init__(self, name: str, namespace: Mapping[str, Any], problems: Collection[str]) -> None:
        self._name, self._namespace, self._problems = name, namespace, problems
        self._seen: set[int] = set()
        self._read: dict[str, None] = {}
        self._written: set[str] = set()
        self._sizes: set[int] = set()
        self._unread: list[str] = []
        self._prints = False

    def look_at(self, root: Any) -> None:
        if type(root) is FunctionType and is_cell(root.__code__.co_filename):
            self._unread = _unread(root.__code__)
            self._prints = _only_prints(root.__code__)
        waiting = [*_functions(root)]
        while waiting and len(self._seen) < _MOST:
            code = waiting.pop(0).__code__
            if id(code) in self._seen or not is_cell(code.co_filename):
                continue
            self._seen.add(id(code))
            self._sizes |= _sizes(code)
            for name in self._globals(code):
                if name not in self._problems:
                    waiting += _functions(self._namespace.get(name))

    def _globals(self, code: CodeType) -> list[str]:
        """The notebook's names that a function reads, those of its inner functions included."""
        found = []
        for part in _parts(code):
            if not any(name in self._namespace for name in part.co_names):
                continue  # spelled out, the instructions take far longer
            for step in dis.get_instructions(part):
                if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                    self._written.add(step.argval)
                elif step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval in self._namespace:
                    found.append(step.argval)
        self._read |= dict.fromkeys(found)
        return found

    def code(self) -> Code:
        values = {name: self._namespace[name] for name in self._read if name not in self._written}
        return Code(
            arrays=tuple(name for name, value in values.items() if _is_array(value) and not name.isupper()),
            numbers=tuple(name for name, value in values.items() if type(value) in (int, float) and not name.isupper()),
            calls=tuple(name for name in self._read if name in self._problems and name != self._name),
            sizes=tuple(sorted(self._sizes)),
            unread=tuple(self._unread),
            prints=self._prints,
        )


def _is_array(value: Any) -> bool:
    return type(value) in (np.ndarray, torch.Tensor)


def _functions(value: Any) -> Iterator[FunctionType]:
    """A function, or the methods of a class."""
    if type(value) is FunctionType:
        yield value
    elif type(value) is type or isinstance(value, type):
        for item in list(vars(value).values()):
            inner = item.fget if type(item) is property else getattr(item, "__func__", item)
            if type(inner) is FunctionType:
                yield inner


def _parts(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from _parts(constant)


def _unread(code: CodeType) -> list[str]:
    """The parameters that a function never looks at."""
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if "locals" in code.co_names or "vars" in code.co_names:
        return []
    read = set(code.co_cellvars)
    for step in dis.get_instructions(code):
        if "LOAD_FAST" in step.opname:
            read.update([step.argval] if isinstance(step.argval, str) else step.argval)
    return [name for name in names if name not in read and not name.startswith("_")]


def _only_prints(code: CodeType) -> bool:
    """Whether a function prints, and never returns anything."""
    if "print" not in code.co_names or code.co_flags & 0x2A0:  # a generator or a coroutine
        return False
    before: Any = None
    for step in dis.get_instructions(code):
        if step.opname == "RETURN_CONST" and step.argval is not None:
            return False
        if step.opname == "RETURN_VALUE" and (before.opname != "LOAD_CONST" or before.argval is not None):
            return False
        before = step
    return True


def _sizes(code: CodeType) -> set[int]:
    """The sizes that are written as numbers in a function: of `range(3)`, `np.zeros((3, 4))`, `x[:3]`."""
    numbers = {number for part in _parts(code) for number in part.co_consts if _is_size(number)}
    tuples = any(type(constant) is tuple for part in _parts(code) for constant in part.co_consts)
    if not numbers and not tuples:
        return set()
    tree = syntax_tree("".join(linecache.getlines(code.co_filename)))
    found: set[int] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.FunctionDef) and _first_line(node) == code.co_firstlineno:
            for inner in ast.walk(node):
                found.update(_sizes_in(inner))
    return found


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _sizes_in(node: ast.AST) -> Iterator[int]:
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        values = list(node.args) if name in _SIZED else []
    elif isinstance(node, ast.Slice):
        values = [node.upper] if node.upper is not None else []
    else:
        return
    for value in values:
        for item in value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]:
            if isinstance(item, ast.Constant) and isinstance(item.value, int) and _is_size(item.value):
                yield item.value


def _is_size(value: Any) -> bool:
    return type(value) is int and 2 <= value <= 10**6
