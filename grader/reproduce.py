"""A script that shows, without the grader, what a check observed: for an appeal, and for whoever wants to debug it.

It holds the student's code, the check, its seed and the expected values. Everything here is text: nothing is run.
"""

from __future__ import annotations

import ast
import base64
import inspect
import re
import symtable
import textwrap
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grader.checks import Check, HiddenTests
from grader.observation import Opaque, Tensor
from grader.outputs import safe_text

# Larger arrays are packed: nobody reads their numbers.
_READABLE = 2000
_ITEMS = 30
_MAGIC = re.compile(r"^\s*[%!?]", re.MULTILINE)

_EACH = """\
def each(fact):
    return lambda cases: {case: fact(value) for case, value in cases.items()}
"""

_EARLIER = """\
    for earlier, seed in zip(earlier_tests(), {seeds}):
        seed_everything(seed)
        try:
            earlier(student, np.random.default_rng(seed))
        except Exception:
            pass
"""

_SCRIPT = """\
# {about}
# What the grader said: {verdict}
#
# This script needs numpy, and torch or scikit-learn where the code below imports them, and nothing of the grader.
# It runs a student's code, with all that you may do: read it first.

{student}


# ---------------------------------------------------------------- the hidden test


def what_differs(student):
    import random
    import sys

    import numpy as np

{parts}

    def seed_everything(seed):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(seed)

{earlier}    check, after = hidden_test()
    given = {given}
    seed_everything({seed})
    try:
        observed = after(plain(check(student, np.random.default_rng({seed}), *given)))
    except Exception as error:
        print(f"raised {{type(error).__name__}}")
        raise
    return differences(plain(observed), expected())


print("\\n".join(what_differs(__import__("types").SimpleNamespace(**globals()))) or "no difference")
"""


# These two are part of the script, and of the grader, which so tells the same differences.


def plain(value):  # type: ignore[no-untyped-def]
    """Tensors as arrays, tuples as lists, and of anything else the name of its type."""
    if hasattr(value, "detach"):
        value = value.detach()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    if isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, complex, str, np.ndarray)):
        return value
    return f"<{type(value).__name__}>"


def differences(got, want, where="result"):  # type: ignore[no-untyped-def]
    """A line for each place where two results differ by more than a rounding."""
    if isinstance(got, dict) and isinstance(want, dict):
        lines = [f"{where}[{key!r}] is missing" for key in want if key not in got]
        lines += [f"{where}[{key!r}] does not belong there" for key in got if key not in want]
        for key in want:
            lines += differences(got[key], want[key], f"{where}[{key!r}]") if key in got else []
        return lines
    if isinstance(got, list) and isinstance(want, list):
        if len(got) != len(want):
            return [f"{where}: {len(got)} items instead of {len(want)}"]
        return [
            line
            for index, (left, right) in enumerate(zip(got, want))  # noqa: B905
            for line in differences(left, right, f"{where}[{index}]")
        ]
    numbers = (bool, int, float, complex, np.ndarray)
    if isinstance(got, numbers) and isinstance(want, numbers):
        left, right = np.asarray(got), np.asarray(want)
        if left.shape != right.shape:
            return [f"{where}: shape {left.shape} instead of {right.shape}"]
        if left.dtype != right.dtype and left.ndim:
            return [f"{where}: {left.dtype} instead of {right.dtype}"]
        if left.dtype.kind == "O" or right.dtype.kind == "O":  # an integer beyond 64 bits
            return [] if got == want else [f"{where}: {got!r:.200} instead of {want!r:.200}"]
        with np.errstate(all="ignore"):
            gap = np.abs(left.astype(complex) - right.astype(complex))
            near = np.zeros(left.shape, dtype=bool)
            if right.dtype.kind in "fc":
                near = gap <= 100 * np.finfo(right.dtype).eps * np.maximum(1.0, np.abs(right))
        wrong = ~((left == right) | ((left != left) & (right != right)) | near)
        if not np.any(wrong):
            return []
        first = tuple(int(index) for index in np.argwhere(wrong)[0]) if left.ndim else ()
        place = f", first at {list(first)}" if first else ""
        many = f"{int(np.sum(wrong))} of {left.size} values differ" if left.ndim else "differs"

        def shown(digits):  # type: ignore[no-untyped-def]
            return [f"{one[first]:.{digits}g}" if one.dtype.kind in "fc" else f"{one[first]}" for one in (left, right)]

        mine, theirs = next((both for both in map(shown, range(6, 18)) if both[0] != both[1]), shown(6))
        return [f"{where}: {many}, by up to {np.max(gap[wrong]):.4g}{place}: {mine} instead of {theirs}"]
    return [] if type(got) is type(want) and got == want else [f"{where}: {got!r:.200} instead of {want!r:.200}"]


def readable(value: Any) -> Any:
    """Plain data from a sandbox as `plain` would have made it there."""
    if isinstance(value, Opaque):
        return f"<{value.type_name}>"
    if isinstance(value, Tensor):
        return value.view(np.ndarray)
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    return [readable(item) for item in value] if isinstance(value, list) else value


# The parts of a source that a name needs


@dataclass(frozen=True)
class Statement:
    """A statement at the top of a module or a notebook, with the names that it gives and takes."""

    source: str
    gives: frozenset[str]
    takes: frozenset[str]
    tree: ast.stmt


def statements(source: str) -> list[Statement]:
    """Of a module, or of a notebook's cell, whose magics are left out. Empty if it is no Python."""
    text = _MAGIC.sub(lambda found: "#" + found[0], source)
    try:
        return [_statement(text, tree) for tree in ast.parse(text).body]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _statement(text: str, tree: ast.stmt) -> Statement:
    source = ast.get_source_segment(text, tree) or ""
    if decorators := getattr(tree, "decorator_list", []):
        source = "\n".join(text.splitlines()[decorators[0].lineno - 1 : tree.end_lineno])
    gives, takes = set(), set()
    tables = [symtable.symtable(source, "statement", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if table.get_type() == "module" or symbol.is_global():
                takes |= {symbol.get_name()} if symbol.is_referenced() else set()
                gives |= {symbol.get_name()} if symbol.is_assigned() or symbol.is_imported() else set()
    if not isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        for node in ast.walk(tree):  # x[0] = 1 and x.y = 1 change x
            if isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
                gives |= {inner.id for inner in ast.walk(node.value) if isinstance(inner, ast.Name)}
    if isinstance(tree, ast.ImportFrom) and (tree.names[0].name == "*" or tree.module == "__future__"):
        gives.add("*")  # who knows what
    return Statement(source, frozenset(gives), frozenset(takes), tree)


def needed(among: Sequence[Statement], names: Iterable[str]) -> list[Statement]:
    """The statements that give `names`, and what those take, in their order."""
    wanted = {*names, "*"}
    chosen: set[int] = set()
    while found := {index for index, one in enumerate(among) if index not in chosen and one.gives & wanted}:
        chosen |= found
        wanted = wanted.union(*(among[index].takes for index in found))
    return [among[index] for index in sorted(chosen)]


# Writing


def script(
    about: str, verdict: str, student: Sequence[Statement], tests: HiddenTests, check: Check, facts: Facts
) -> str:
    """The script, as text."""
    given, parts = "()", [_hidden_test(tests, check)]
    if check.answer:
        parts.append(_scope("answer", tests.answers_file, check.answer))
    if check.given:
        parts.append(_scope("answers", tests.answers_file, check.given))
        given = f"plain(answers()(np.random.default_rng({facts.given_seed})))"
    earlier = ""
    if facts.earlier:
        parts.append(_scope("earlier_tests", tests.path, f"[{', '.join(name for name, _ in facts.earlier)}]"))
        earlier = _EARLIER.format(seeds=[seed for _, seed in facts.earlier])
    parts.append(f"def expected():\n    from numpy import array, inf, nan\n\n    return {literal(facts.expected)}")
    parts += [_source(plain), _source(differences)]
    code = [one.source for one in sorted(student, key=lambda one: not one.source.startswith("from __future__"))]
    return _SCRIPT.format(
        about=" ".join(safe_text(about).split()),
        verdict=" ".join(safe_text(verdict).split()),
        student="\n\n".join(code) or "# Nothing of the student's code is needed, or none of it could be read.",
        parts=textwrap.indent("\n\n".join(parts), "    "),
        earlier=earlier,
        given=given,
        seed=facts.seed,
    )


@dataclass(frozen=True)
class Facts:
    """What a script has to know beside the sources: the seeds, what the reference gives after `after`, and the checks
    that run before this one, with their seeds."""

    seed: int
    given_seed: int
    expected: Any
    earlier: tuple[tuple[str, int], ...] = ()


def check_source(tests: HiddenTests, check: Check) -> str:
    """A check as its author wrote it, with its decorator."""
    return next(one.source for one in statements(tests.path.read_text(encoding="utf-8")) if check.name in one.gives)


def _hidden_test(tests: HiddenTests, check: Check) -> str:
    """A function that gives the check, without its decorator, and its `after`. Its helpers are its own."""
    source = tests.path.read_text(encoding="utf-8")
    tree = next(one.tree for one in statements(source) if check.name in one.gives)
    after = "lambda value: value"
    for decorator in getattr(tree, "decorator_list", []):
        for keyword in getattr(decorator, "keywords", []):
            if keyword.arg == "after":
                after = "answer()" if check.answer else ast.get_source_segment(source, keyword.value) or after
    return _scope("hidden_test", tests.path, check.name, after)


def _scope(name: str, file: Path, *results: str) -> str:
    """A function `name` that returns `results`, with the parts of a module that they need inside it."""
    taken = {other for result in results for one in statements(result) for other in one.takes}
    among = [_without_grader(one) for one in statements(file.read_text(encoding="utf-8"))]
    chosen = needed([one for one in among if one is not None], taken)
    parts = [_indentable(one) for one in chosen]
    if "each" in taken.union(*(one.takes for one in chosen)):
        parts.insert(0, _EACH)
    body = "\n\n".join([*parts, f"return {', '.join(results)}"])
    return f"def {name}():\n{textwrap.indent(body, '    ')}"


def _without_grader(part: Statement) -> Statement | None:
    """A statement of a hidden test, without the decorator `check` and what that one needs."""
    tree = part.tree
    if isinstance(tree, ast.ImportFrom) and tree.module == "grader":
        return None
    if isinstance(tree, ast.FunctionDef) and any(map(_is_check, tree.decorator_list)):
        tree.decorator_list = [one for one in tree.decorator_list if not _is_check(one)]
        return statements(ast.unparse(tree))[0]
    return part


def _indentable(part: Statement) -> str:
    """The source, unless an indent would change a text in it."""
    texts = (node.value for node in ast.walk(part.tree) if isinstance(node, ast.Constant))
    long = any(isinstance(text, str) and "\n" in text for text in texts)
    return ast.unparse(part.tree) if long else part.source


def _is_check(decorator: ast.expr) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(function, ast.Name) and function.id == "check"


def _source(function: Any) -> str:
    return inspect.getsource(function).replace("  # type: ignore[no-untyped-def]", "").replace("  # noqa: B905", "")


def literal(value: Any) -> str:
    """Plain data as Python would write it, where numpy's `array`, `inf` and `nan` are at hand."""
    if isinstance(value, np.ndarray):
        return _array(np.asarray(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return f"<{value.type_name}>" if isinstance(value, Opaque) else repr(value)


def _array(array: np.ndarray) -> str:
    if array.size > _READABLE:
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes())).decode()
        unpacked = f"__import__('zlib').decompress(__import__('base64').b64decode('{packed}'))"
        return f"__import__('numpy').frombuffer({unpacked}, '{array.dtype}').reshape({array.shape})"
    shape = f".reshape({array.shape})" if 0 in array.shape else ""
    return f"array({array.tolist()!r}, dtype='{array.dtype}'){shape}"


def short(value: Any, longest: int = 2000) -> str:
    """Plain data for a person to read: arrays cut in the middle, and text without control characters."""
    text = safe_text(_short(value))
    return text if len(text) <= longest else f"{text[:longest]} ..."


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        kind = "tensor" if isinstance(value, Tensor) else "array"
        dtype = value.torch_dtype if isinstance(value, Tensor) else value.dtype
        numbers = np.array2string(np.asarray(value), precision=6, threshold=60, separator=", ")
        if not value.ndim:
            return numbers
        note = f", dtype={dtype}" if str(dtype) not in ("float64", "int64") else ""
        return f"{kind}({numbers}{note})" if value.size <= 60 else f"{kind}({numbers}, shape={value.shape}{note})"
    if isinstance(value, dict):
        parts = [f"{key!r}: {_short(item)}" for key, item in value.items()]
        return "{" + ", ".join(_cut(parts)) + "}"
    return "[" + ", ".join(_cut(list(map(_short, value)))) + "]" if isinstance(value, list) else literal(value)


def _cut(parts: list[str]) -> list[str]:
    return parts if len(parts) <= _ITEMS else [*parts[:_ITEMS], f"... {len(parts) - _ITEMS} more"]
