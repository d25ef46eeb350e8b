"""Finds forbidden library functions: by name in the source a problem reaches, and by operator at run time."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
from collections.abc import Iterable, Iterator
from typing import Any

from grader.checks import Problem


class Source:
    """The top-level names of a notebook: what defines each, and how libraries were imported.

    Read in the sandbox, before any cell runs: parsing hostile text may fail in any way, and there it harms nobody.
    """

    def __init__(self, cells: Iterable[str]) -> None:
        self._definitions: dict[str, list[ast.AST]] = {}
        self._aliases: dict[str, str] = {}
        for cell in cells:
            try:
                tree = ast.parse(cell)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            for node in ast.walk(tree):
                self._note_import(node)
            for statement in tree.body:
                for name in _defined(statement):
                    self._definitions.setdefault(name, []).append(statement)

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    self._aliases[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                self._aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def uses(self, problem: str, forbidden: Iterable[str]) -> list[str]:
        """The forbidden dotted names that `problem`'s definition, or a helper it reaches, mentions."""
        wanted = {_canonical(name): name for name in forbidden}
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [problem]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for definition in self._definitions.get(name, []):
                local = _locals(definition)
                for node in ast.walk(definition):
                    dotted, root = self._dotted(node)
                    if root and root not in local:
                        waiting.append(root)
                        if _canonical(dotted) in wanted:
                            found.add(wanted[_canonical(dotted)])
        return sorted(found)

    def _dotted(self, node: ast.AST) -> tuple[str, str]:
        """The full dotted name of an expression such as `F.batch_norm`, and the name that it starts with."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return "", ""
        return ".".join([self._aliases.get(node.id, node.id), *reversed(parts)]), node.id


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _locals(definition: ast.AST) -> set[str]:
    """Names that a function sets itself: another cell's variable of the same name is none of its business."""
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return set()
    nodes = list(ast.walk(definition))
    arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return arguments | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _canonical(dotted: str) -> str:
    """One spelling for what a library offers under several: torch.nn.modules.batchnorm.X is torch.nn.X."""
    parts = dotted.split(".")
    if parts[:1] == ["torch"] and "modules" in parts:
        parts = ["torch", "nn", parts[-1]]
    if parts[:2] == ["torch", "optim"]:
        parts = ["torch", "optim", parts[-1]]
    return ".".join(parts)


class Watch:
    """Notes the forbidden names and operators that are used while a check runs."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._used: set[str] | None = None
        for name in {name for problem in problems for name in problem.forbidden}:
            self._wrap(name)

    def _wrap(self, dotted: str) -> None:
        module_name, _, name = dotted.rpartition(".")
        try:
            owner = importlib.import_module(module_name)
            target = getattr(owner, name)
        except (ImportError, AttributeError):
            return  # only in the author's list: the name in the source is still found
        if isinstance(target, type):
            with contextlib.suppress(TypeError):  # an extension type's __init__ can't be replaced
                target.__init__ = self._noting(dotted, target.__init__)  # type: ignore[misc]
        else:
            setattr(owner, name, self._noting(dotted, target))

    def _noting(self, dotted: str, function: Any) -> Any:
        @functools.wraps(function)
        def noting(*args: Any, **kwargs: Any) -> Any:
            if self._used is not None:
                self._used.add(dotted)
            return function(*args, **kwargs)

        return noting

    @contextlib.contextmanager
    def during(self, problem: Problem) -> Iterator[set[str]]:
        """Collect into the yielded set what is used of the problem's forbidden names and operators."""
        used: set[str] = set()
        self._used = used
        try:
            with _operators(used) if problem.operators else contextlib.nullcontext():
                yield used
        finally:
            self._used = None
            used &= {*problem.forbidden, *problem.operators}


def _operators(used: set[str]) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Operators(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            used.add(func._schema.name)
            return func(*args, **(kwargs or {}))

    return Operators()
