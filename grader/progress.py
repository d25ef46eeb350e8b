"""How far a run is: a bar on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

# Seconds between two lines in a log.
_BETWEEN = 10.0


class RunProgress:
    """The progress of a run over `total` submissions, written to `console`. A context manager.

    counted: what is counted beside them.
    """

    def __init__(
        self, console: Console, total: int, counted: str = "checks", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._total, self._counted, self._clock = console, total, counted, clock
        self._done = 0
        self._first = self._told = clock()
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        self._bar.stop()

    def advance(self, counts: Mapping[str, int]) -> None:
        """One more is done; `counts` are those of all so far: verdict -> checks, for one."""
        self._done += 1
        if self._done == 1:  # what came before was getting ready
            self._first = self._clock()
        self._bar.update(self._task, completed=self._done, description=self._pace(counts))
        if not self._console.is_terminal and (self._clock() >= self._told + _BETWEEN or self._done == self._total):
            self._told = self._clock()
            self._console.print(f"{self._done:,} of {self._total:,} graded, {self._pace(counts)}", soft_wrap=True)

    def _pace(self, counts: Mapping[str, int]) -> str:
        shown = ", ".join(f"{count:,} {name}" for name, count in Counter(counts).most_common())
        told = f"{self._counted}: {shown or 'none'}"
        if self._done == 1:
            return told
        each = (self._clock() - self._first) / (self._done - 1)
        left = timedelta(seconds=round(each * (self._total - self._done)))
        return f"{60 / max(each, 1e-6):,.0f} a minute, {left} left; {told}"
