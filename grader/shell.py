"""An IPython shell that runs a notebook's cells and keeps their outputs as nbformat would."""

from __future__ import annotations

import ast
import base64
import copy
import inspect
import io
import itertools
import linecache
import sys
import traceback
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

Output = dict[str, Any]

_MIME_TYPES = ("text/plain", "text/html", "image/png", "image/jpeg")

NO_SHELL = "Shell commands are not run while grading.\n"
_PROCESS_MAGICS = "sx system sc bash sh script perl ruby cmd pip conda mamba micromamba uv pypy python2 python3".split()


class CellOutputs:
    """The outputs of one cell, cut off after `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.items: list[Output] = []
        self._room = limit

    def add(self, output: Output, size: int) -> None:
        if self._room <= 0:
            return
        if size > self._room:
            output = {"output_type": "stream", "name": "stdout", "text": "[output left out: it is too large]\n"}
            size = self._room
        self._room -= size
        self.items.append(output)

    def write(self, name: str, text: str) -> None:
        if not text or self._room <= 0:
            return
        if len(text) >= self._room:
            text = text[: self._room] + "\n[the rest of the output was cut off]\n"
            self._room = 0
        self._room -= len(text)
        last = self.items[-1] if self.items else None
        if last is not None and last["output_type"] == "stream" and last["name"] == name:
            last["parts"].append(text)
        else:
            self.items.append({"output_type": "stream", "name": name, "parts": [text]})

    def finished(self) -> list[Output]:
        """The outputs as nbformat has them."""
        return [
            {"output_type": "stream", "name": item["name"], "text": "".join(item["parts"])} if "parts" in item else item
            for item in self.items
        ]


class _Stream(io.TextIOBase):
    encoding = "utf-8"

    def __init__(self, name: str, shell: NotebookShell) -> None:
        self.name = name
        self._shell = shell

    def write(self, text: str) -> int:
        self._shell.outputs.write(self.name, str(text))
        return len(text)

    def writable(self) -> bool:
        return True


class _Publisher(DisplayPublisher):
    shell: NotebookShell

    def publish(self, data: Any, metadata: Any = None, source: Any = None, **_: Any) -> None:
        self.shell.add_display("display_data", data, metadata or {})

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.items.clear()


class _Hook(DisplayHook):
    shell: NotebookShell

    def write_output_prompt(self) -> None: ...

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self.shell.add_display("execute_result", format_dict, md_dict or {})

    def finish_displayhook(self) -> None: ...


class _Compiler(CachingCompiler):
    def ast_parse(self, source: str, filename: str = "<unknown>", symbol: str = "exec") -> ast.AST:
        return syntax_tree(source) or super().ast_parse(source, filename, symbol)


class NotebookShell(InteractiveShell):
    """Runs cells as a notebook kernel would, without a kernel: no history file, no terminal, no commands.

    IPython would parse or compile a cell four times before it runs, which takes longer than most cells: here it is
    parsed once and compiled once.
    """

    outputs: CellOutputs
    compiler_class = _Compiler
    display_pub_class = _Publisher
    displayhook_class = _Hook

    def __init__(self, **kwargs: Any) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        self.outputs = CellOutputs(0)
        super().__init__(config=config, **kwargs)
        formatter: Any = self.display_formatter
        formatter.active_types = list(formatter.formatters)
        self._refuse_processes()

    def _refuse_processes(self) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            sys.stdout.write(NO_SHELL)

        for kind in ("line", "cell"):
            for name in _PROCESS_MAGICS:
                self.magics_manager.register_function(refuse, kind, name)
        self.system = refuse  # type: ignore[method-assign]

    def transform_cell(self, raw_cell: str) -> str:
        """Look for magics only where there may be some: plain Python has none."""
        return raw_cell if syntax_tree(raw_cell) else super().transform_cell(raw_cell)

    def transform_ast(self, node: Any) -> Any:
        """A tree is kept: whoever changes it gets one of its own."""
        return super().transform_ast(copy.deepcopy(node) if self.ast_transformers else node)

    def should_run_async(self, raw_cell: str, *, transformed_cell: Any = None, **facts: Any) -> bool:
        """Only a cell with one of these words may have something to wait for."""
        if "await" not in transformed_cell and "async" not in transformed_cell:
            return False
        return super().should_run_async(raw_cell, transformed_cell=transformed_cell, **facts)

    async def run_ast_nodes(
        self,
        nodelist: list[ast.stmt],
        cell_name: str,
        interactivity: str = "last_expr",
        compiler: Any = compile,
        result: Any = None,
    ) -> Any:
        """Compile the statements of a cell together, but for a last expression, which is shown."""
        if interactivity == "last_expr" and len(nodelist) > 2:
            end = len(nodelist) - isinstance(nodelist[-1], ast.Expr)
            try:
                with compiler.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
                    code = compiler(ast.Module(nodelist[:end], []), cell_name, "exec")
            except Exception:  # a `return` at the top, say: one by one, what stands before it runs
                return await super().run_ast_nodes(nodelist, cell_name, interactivity, compiler, result)
            if await self.run_code(code, result, async_=bool(code.co_flags & inspect.CO_COROUTINE)):
                return True
            nodelist = nodelist[end:]
        return await super().run_ast_nodes(nodelist, cell_name, interactivity, compiler, result)

    def enable_gui(self, gui: Any = None) -> None:
        """Figures are drawn inline; there is no window."""

    def getoutput(self, *_: Any, **__: Any) -> list[str]:
        sys.stdout.write(NO_SHELL)
        return []

    def ask_exit(self) -> None:
        """`exit` in a notebook ends nothing here: the next cell runs."""

    def add_display(self, output_type: str, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        kept: dict[str, str] = {}
        for mime in _MIME_TYPES:
            value = data.get(mime)
            if isinstance(value, bytes):
                value = base64.b64encode(value).decode()
            if isinstance(value, str):
                kept[mime] = value
        output: Output = {"output_type": output_type, "data": kept, "metadata": {}}
        if output_type == "execute_result":
            output["execution_count"] = self.displayhook.prompt_count
        self.outputs.add(output, sum(map(len, kept.values())))

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        """Keep IPython's own reports (a usage error of a magic, say) as text."""
        self.outputs.write("stderr", "\n".join(stb) + "\n")

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """IPython's coloured report takes 50 ms. `run` writes a plain one."""

    showsyntaxerror = showtraceback

    def _format_exception_for_storage(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """IPython formats each exception once more, for a history that nobody reads here: another 50 ms."""
        return {}

    def run(self, source: str, limit: int) -> tuple[BaseException | None, list[Output]]:
        """Run one cell. Returns what it raised, if anything, and its outputs."""
        self.outputs = CellOutputs(limit)
        saved = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Stream("stdout", self), _Stream("stderr", self)
        try:
            result = self.run_cell(source, store_history=True)
            error = result.error_before_exec or result.error_in_exec
        finally:
            sys.stdout, sys.stderr = saved
        if error is not None:
            self.outputs.add(error_output(error), 1000)
        return error, self.outputs.finished()

    def silently(self, action: Callable[[], Any]) -> Any:
        """Call `action` with everything it prints or shows thrown away."""
        self.outputs = CellOutputs(0)
        saved = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Stream("stdout", self), _Stream("stderr", self)
        try:
            return action()
        finally:
            sys.stdout, sys.stderr = saved


@lru_cache(maxsize=256)
def syntax_tree(cell: str) -> ast.Module | None:
    """The tree of a cell that is Python as it stands: a magic, a shell escape or a help request is a syntax error.

    It is shared: do not change it.
    """
    try:
        # Top-level await is a notebook's own, and no magic.
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return cast(ast.Module, compile(cell, "cell", "exec", flags, dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def error_output(error: BaseException) -> Output:
    name, text = type(error).__name__, describe_error(error)
    return {
        "output_type": "error",
        "ename": name,
        "evalue": text,
        "traceback": [*_frames(error), f"{name}: {text}"],
    }


def describe_error(error: BaseException) -> str:
    """The message of an exception, bounded. A hostile __str__ gives an empty one."""
    try:
        return str(error.msg if isinstance(error, SyntaxError) else error)[:500]
    except Exception:
        return ""


def is_cell(filename: str) -> bool:
    """Whether code in a file of this name stands in a cell of the notebook."""
    return filename.startswith("<ipython-input") or "ipykernel_" in filename


def _cell_frames(error: BaseException) -> list[tuple[types.CodeType, int]]:
    """The notebook's own frames that were running, and their lines. traceback would read the libraries' sources."""
    frames = itertools.islice(traceback.walk_tb(error.__traceback__), 200)
    return [(frame.f_code, line) for frame, line in frames if is_cell(frame.f_code.co_filename)]


def cell_line(error: BaseException) -> int | None:
    """The innermost line of the notebook's own code that was running when `error` was raised."""
    if isinstance(error, SyntaxError) and not error.__traceback__:
        return error.lineno
    lines = [line for _, line in _cell_frames(error)]
    if lines:
        return lines[-1]
    return error.lineno if isinstance(error, SyntaxError) else None


def _frames(error: BaseException) -> list[str]:
    if isinstance(error, SyntaxError):
        shown = [f"line {error.lineno}", f"    {(error.text or '').rstrip()[:200]}"]
        if error.offset and error.offset < 200:
            shown.append("    " + " " * (error.offset - 1) + "^")
        return shown
    lines = []
    for code, line in _cell_frames(error)[-40:]:
        lines.append(f"line {line}, in {code.co_name}")
        lines.append(f"    {linecache.getline(code.co_filename, line).strip()[:200]}")
    return lines
