"""Finds forbidden library functions: by name in the source a problem reaches, and by operator at run time."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from grader.checks import Problem
from grader.shell import syntax_tree

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Source:
    """The top-level names of a notebook: what defines each, and how libraries were imported.

    Read in the sandbox, before any cell runs: parsing hostile text may fail in any way, and there it harms nobody.
    """

    def __init__(self, cells: Iterable[str]) -> None:
        self._definitions: dict[str, list[ast.stmt]] = {}
        self._aliases: dict[str, str] = {}
        for cell in cells:
            tree = syntax_tree(cell)
            for statement in tree.body if tree else ():
                self._note(statement)

    def _note(self, statement: ast.stmt) -> None:
        """What a top-level statement binds. The last binding of a name is what the functions will find."""
        if isinstance(statement, (ast.Expr, ast.Assert)):
            return
        for name in defined(statement):
            self._definitions.setdefault(name, []).append(statement)
            self._aliases.pop(name, None)
        if not isinstance(statement, _SCOPES):
            self._aliases.update(imported(statement))
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            # `F = torch.nn.functional` imports as much as an import does.
            dotted, _ = _dotted(statement.value, self._aliases)
            if dotted:
                self._aliases[statement.targets[0].id] = dotted

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
                aliases = {**self._aliases, **imported(definition)}
                for node in ast.walk(definition):
                    dotted, root = _dotted(node, aliases)
                    if root and root not in local:
                        waiting.append(root)
                        if _canonical(dotted) in wanted:
                            found.add(wanted[_canonical(dotted)])
        return sorted(found)


def imported(statement: ast.stmt) -> dict[str, str]:
    """The full dotted names of what the imports in a statement bind."""
    aliases = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            aliases.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and node.module:
            aliases.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return aliases


def _dotted(node: ast.AST, aliases: dict[str, str]) -> tuple[str, str]:
    """The full dotted name of an expression such as `F.batch_norm`, and the name that it starts with."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return "", ""
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)]), node.id


def defined(statement: ast.stmt) -> list[str]:
    """The names that a top-level statement binds, imports aside."""
    if isinstance(statement, _SCOPES):
        return [statement.name]
    nodes = list(ast.walk(statement))
    stored = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return stored + [node.name for node in nodes if isinstance(node, _SCOPES)]


def _locals(definition: ast.AST) -> set[str]:
    """Names that a function sets itself: another cell's variable of the same name is none of its business."""
    if not isinstance(definition, _SCOPES):
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
        owner, name = _owner(dotted)
        target = getattr(owner, name, None)
        if isinstance(target, type):
            owner, name, target = target, "__init__", target.__init__  # type: ignore[misc]
        if callable(target):
            with contextlib.suppress(TypeError, AttributeError):  # parts of an extension type can't be replaced
                setattr(owner, name, self._noting(dotted, target))

    def _noting(self, dotted: str, function: Any) -> Any:
        # Without functools.wraps, which would leave the way round it in __wrapped__.
        def noting(*args: Any, **kwargs: Any) -> Any:
            if self._used is not None:
                self._used.add(dotted)
            return function(*args, **kwargs)

        noting.__name__, noting.__doc__ = getattr(function, "__name__", dotted), getattr(function, "__doc__", None)
        with contextlib.suppress(TypeError, ValueError):  # scikit-learn reads the signatures of its estimators
            noting.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return noting

    @contextlib.contextmanager
    def during(self, problem: Problem) -> Iterator[set[str]]:
        """Collect into the yielded set what is used of the problem's forbidden names and operators."""
        used: set[str] = set()
        self._used = used
        try:
            with noted(used) if problem.operators else contextlib.nullcontext():
                yield used
        finally:
            self._used = None
            used &= {*problem.forbidden, *problem.operators}


def _owner(dotted: str) -> tuple[Any, str]:
    """The module or class that holds a dotted name, and the last part of the name."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            owner: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:-1]:
            owner = getattr(owner, part, None)
        return owner, parts[-1]
    return None, parts[-1]


@contextlib.contextmanager
def noted(used: set[str]) -> Iterator[None]:
    """Add to `used` the operators that run in the block."""
    called, dispatched = _modes()
    with called(used), dispatched(used):
        yield


@functools.cache
def _modes() -> tuple[type, type]:
    """Note the operators that run: those that are called and then fall into parts, and those that torch dispatches."""
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class Called(TorchFunctionMode):
        def __init__(self, used: set[str]) -> None:
            super().__init__()
            self._used = used

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self._used.add(_operator(func))
            return func(*args, **(kwargs or {}))

    class Dispatched(TorchDispatchMode):
        def __init__(self, used: set[str]) -> None:
            super().__init__()
            self._used = used
            self._seen: set[Any] = set()

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # to keep torch's compiler away would take longer than most operators

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self._seen.add(func)
            return func(*args, **(kwargs or {}))

        def __exit__(self, *error: Any) -> None:
            super().__exit__(*error)
            self._used |= {func._schema.name for func in self._seen}

    return Called, Dispatched


@functools.cache
def _operator(function: Any) -> str:
    """The name of the operator that a function of torch's calls: torch.rnn_tanh and torch.ops.aten.rnn_tanh alike."""
    schema = getattr(function, "_schema", None)
    return str(getattr(function, "_qualified_op_name", "") or getattr(schema, "name", "")) or (
        f"aten::{getattr(function, '__name__', '')}"
    )
