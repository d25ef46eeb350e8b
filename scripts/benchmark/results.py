"""What is told of the measurements: the table with its caption, the aims, and all of it as JSON."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmark.classes import ASSIGNMENT
from benchmark.rows import DASK, DOOR, ONE, STOCK, TWO, Row

# What must be known to read the figures. The second and the third are about peers only.
CAPTION = """\
Grading and feedback pages. Where there were several runs, in turn with the others, it is the median, and "between" is
the fastest and the slowest. Every run starts without results of before: no gradebook entries, no autograded notebooks,
no feedback, no receipts. What the reference and the known mistakes give is kept from the assignment's first run, which
has a row of its own. nbgrader makes feedback pages in a second command; where our autograde has made them, their time
is within. The bare fork executes the student's code and the hidden tests one after the other and writes nothing.
MiB is the peak of the memory of the whole process tree (PSS)."""
CAPTION_OF_PEERS = """\
Stock nbgrader and otter run the public tests. Ours run the hidden tests, too, compare and diagnose, and do not draw the
lesson's own pictures again: "no pictures" is stock nbgrader on notebooks without them. otter writes neither pages nor a
gradebook: it and the bare fork are compared with nbgrader's grading only. "× stock" is how many times stock nbgrader's
submissions a minute, feedback pages included; "× alone" compares the grading alone."""
CAPTION_OF_ESTIMATES = """\
The peers take each notebook in a process of its own, one after the other, so their time grows with the number:
"from {small}" was not measured on more, it is the time for {small}, multiplied."""

out = Console(highlight=False)
out.width = max(out.width, 130)  # a figure that is cut off is none


@dataclass
class Results:
    """What a run has measured.

    sizes:         how many submissions the classes have, the smaller first; `peer_sizes` are those the peers graded.
    rows:          (way to grade, size) -> its row.
    engine:        milliseconds a submission, and ratios: see scripts/benchmark/engine.py.
    left_out:      what could not be measured on this machine, and why.
    peer_versions: package -> version in the peers' environment.
    """

    sizes: tuple[int, ...]
    peer_sizes: tuple[int, ...]
    rows: dict[tuple[str, int], Row] = field(default_factory=dict)
    engine: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    peer_versions: dict[str, str] = field(default_factory=dict)

    def of_size(self, size: int) -> list[Row]:
        """The slowest first."""
        return sorted((row for row in self.rows.values() if row.submissions == size), key=lambda row: row.per_minute)

    def rate(self, name: str, other: str, size: int) -> float | None:
        """How many times the rate of another way; nothing unless both were measured."""
        rows = self.rows.get((name, size)), self.rows.get((other, size))
        return rows[0].per_minute / rows[1].per_minute if rows[0] and rows[1] else None


def print_results(results: Results) -> None:
    out.print(f"\n{platform.platform()}, {cores()} cores, Python {platform.python_version()}")
    if results.peer_versions:
        out.print("Peers: " + ", ".join(f"{name} {version}" for name, version in results.peer_versions.items()))
    print_table(results)
    out.print(f"{caption_of(results)}\n")
    print_engine(results.engine)
    print_aims(results)
    for line in results.left_out:
        out.print(f"Left out: {line}")


def cores() -> int:
    return len(os.sched_getaffinity(0))


def print_table(results: Results) -> None:
    for size in results.sizes:
        stock = results.rows.get((STOCK, size))
        table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
        table.title = f"{size} submissions of {ASSIGNMENT}"
        table.add_column("", no_wrap=True)
        for column in (
            "grading s",
            "feedback s",
            "all s",
            "between",
            "a minute",
            "× stock",
            "× alone",
            "MiB",
        ):
            table.add_column(column, justify="right", no_wrap=True)
        for row in results.of_size(size):
            low, high = row.spread
            table.add_row(
                f"{row.name} (from {row.measured})" if row.measured else row.name,
                told(row.grading_seconds),
                told_feedback(row),
                told(row.seconds),
                f"{told(low)} to {told(high)}" if len(row.runs) > 1 else "",
                told(row.per_minute),
                told(row.times(stock)) if row.pages else "",
                told(row.times_grading(stock)),
                f"{row.peak:.0f}" if row.peak else "unknown",
            )
        out.print(table)


def told_feedback(row: Row) -> str:
    if row.feedback_seconds is not None:
        return told(row.feedback_seconds)
    return "within" if row.pages else "none"


def told(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.1f}" if figure < 100 else f"{figure:,.0f}"


def caption_of(results: Results) -> str:
    parts = [CAPTION]
    if results.peer_sizes:
        parts.append(CAPTION_OF_PEERS)
        if results.peer_sizes != results.sizes:
            parts.append(CAPTION_OF_ESTIMATES.format(small=results.sizes[0]))
    return " ".join(parts).replace("\n", " ")


def print_engine(figures: dict[str, float]) -> None:
    out.print("The engine alone, without gradebook and pages; milliseconds a submission, medians:")
    for name, what in (
        ("engine_ms", "engine"),
        ("bare_ms", "bare fork and the student's code"),
        ("fork_ms", "bare fork that does nothing"),
        ("overhead_ms", "what the engine takes more than a bare fork and the student's code"),
        ("confinement_ms", "of that, confinement"),
    ):
        out.print(f"{figures[name]:9.1f}  {what}")


def aims(results: Results) -> list[dict[str, Any]]:
    """What we want to reach, and what was measured. Only what both sides of were measured."""
    small, large = results.sizes[0], results.sizes[-1]
    found = []

    def add(what: str, figure: float | None, aim: float, *, at_most: bool = False) -> None:
        if figure is not None:
            met = figure <= aim if at_most else figure >= aim
            found.append({"what": what, "figure": figure, "aim": aim, "at_most": at_most, "met": met})

    for size in results.sizes:
        add(f"{TWO} over stock nbgrader, feedback included, {size} submissions", results.rate(TWO, STOCK, size), 100)
    door, stock = results.rows.get((DOOR, small)), results.rows.get((STOCK, small))
    if door and stock:
        name = f"nbgrader autograde with our step over stock nbgrader, grading alone, {small} submissions"
        add(name, door.times_grading(stock), 15)
    name = "engine over a bare fork and the student's code"
    add(name, results.engine["engine_over_bare"], 3, at_most=True)
    add(f"second job: --jobs 2 over --jobs 1, {large} submissions", results.rate(TWO, ONE, large), 1.8)
    add(f"Dask with two workers over --jobs 2, {large} submissions", results.rate(DASK, TWO, large), 0.9)
    return found


def print_aims(results: Results) -> None:
    out.print("\nAims:")
    for aim in aims(results):
        bound = f"at {'most' if aim['at_most'] else 'least'} {aim['aim']:g}"
        out.print(f"{aim['figure']:9.2f}  {aim['what']} ({bound}: {'met' if aim['met'] else 'missed'})")
    beyond = results.engine["beyond_own_code_over_fork"]
    out.print(f"{beyond:9.2f}  engine less the student's own code, over a bare fork that does nothing (no aim)")


def as_json(results: Results) -> dict[str, Any]:
    rows = []
    for size in results.sizes:
        stock = results.rows.get((STOCK, size))
        rows += [
            {
                "name": row.name,
                "submissions": size,
                "measured_on": row.measured or size,
                "seconds": row.seconds,
                "seconds_of_each_run": [run.seconds for run in row.runs],
                "grading_seconds": row.grading_seconds,
                "feedback_seconds": row.feedback_seconds,
                "feedback": row.pages,
                "per_minute": row.per_minute,
                "times_stock": row.times(stock),
                "times_stock_grading_alone": row.times_grading(stock),
                "peak_memory_mib": row.peak or None,
            }
            for row in results.of_size(size)
        ]
    return {
        "assignment": ASSIGNMENT,
        "machine": {"system": platform.platform(), "cores": cores(), "python": platform.python_version()},
        "peers": results.peer_versions,
        "caption": caption_of(results),
        "left_out": results.left_out,
        "rows": rows,
        "engine": results.engine,
        "aims": aims(results),
    }
