"""The pictures of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

_PEER, _OURS, _LIMIT = "#b0aca4", "#2f6fb3", "#e0a33e"
_INK, _FAINT = "#222222", "#666666"
_STYLE = {"font.size": 10, "font.family": "DejaVu Sans", "text.color": _INK, "axes.edgecolor": "#cccccc"}


def draw_rates(results: dict[str, Any], path: Path) -> None:
    """Submissions a minute, a panel for each size of class; a bar's label says how many times stock nbgrader it is."""
    sizes = sorted({row["submissions"] for row in results["rows"]})
    panels = [[row for row in results["rows"] if row["submissions"] == size] for size in sizes]
    heights = [len(rows) for rows in panels]
    lowest = min(row["per_minute"] for row in results["rows"])
    highest = max(row["per_minute"] for row in results["rows"])
    with plt.rc_context(_STYLE):
        figure, all_axes = plt.subplots(
            len(sizes),
            1,
            figsize=(9.5, 1.5 + 0.36 * sum(heights) + 0.5 * len(sizes)),
            gridspec_kw={"height_ratios": heights},
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        for axes, rows, size in zip(all_axes[:, 0], panels, sizes, strict=True):
            axes.set_title(f"{size} submissions", loc="left", fontweight="bold", fontsize=11)
            for position, row in enumerate(rows):
                hatch = None if row["feedback"] else "////"
                axes.barh(position, row["per_minute"], color=_colour(row["name"]), hatch=hatch, edgecolor="white", lw=0)
                axes.text(row["per_minute"] * 1.06, position, _label(row), va="center", fontsize=9)
            axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
            axes.tick_params(axis="y", length=0)
            axes.set_xscale("log")
            axes.set_xlim(lowest / 2, highest * 6)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.grid(axis="x", color="#e6e6e6")
            axes.set_axisbelow(True)
        all_axes[-1, 0].set_xlabel("submissions a minute, logarithmic; in brackets: times stock nbgrader")
        machine = results["machine"]
        figure.suptitle(
            f"Grading {results['assignment']}, {machine['cores']} cores", x=0.01, ha="left", fontsize=13, weight="bold"
        )
        kinds = [Patch(color=_PEER, label="other autograders"), Patch(color=_OURS, label="ours")]
        kinds += [
            Patch(color=_LIMIT, label="the limit: bare forks"),
            Patch(facecolor="#dddddd", edgecolor="white", hatch="////", label="without feedback pages"),
        ]
        figure.legend(handles=kinds, loc="outside lower left", ncols=4, frameon=False, fontsize=9, handlelength=1.2)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _colour(name: str) -> str:
    if name.startswith("bare fork"):
        return _LIMIT
    return _PEER if "stock" in name or name.startswith("otter") else _OURS


def _name(row: dict[str, Any]) -> str:
    measured = row["measured_on"]
    return row["name"] if measured == row["submissions"] else f"{row['name']} (from {measured})"


def _label(row: dict[str, Any]) -> str:
    rate = f"{row['per_minute']:,.1f}" if row["per_minute"] < 100 else f"{row['per_minute']:,.0f}"
    times = row["times_stock"]
    if times is None:
        return rate
    return f"{rate}   ({times:.1f}×)" if times < 20 else f"{rate}   ({times:.0f}×)"


def draw_progress(results: dict[str, Any], path: Path) -> None:
    """How many submissions were done at which time, and the memory meanwhile."""
    done, memory = results["done_at"], results["memory"]
    count, total = results["submissions"], results["seconds"]
    with plt.rc_context(_STYLE):
        figure, (above, below) = plt.subplots(2, 1, figsize=(9.5, 6), sharex=True, layout="constrained")
        above.plot(done["seconds"], done["submissions"], color=_OURS, lw=2)
        above.plot(
            [done["seconds"][0], done["seconds"][-1]],
            [done["submissions"][0], count],
            color=_FAINT,
            lw=1,
            ls=":",
            label="as many in every second",
        )
        above.set_ylabel("submissions graded")
        above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        above.legend(frameon=False, loc="upper left")
        above.set_title(
            f"grader autograde, {count:,} submissions: second half {results['second_over_first'] - 1:+.1%} in time",
            loc="left",
            fontweight="bold",
        )
        below.fill_between([at for at, _ in memory], [amount for _, amount in memory], color=_OURS, alpha=0.25, lw=0)
        below.plot([at for at, _ in memory], [amount for _, amount in memory], color=_OURS, lw=1)
        below.set_ylabel("memory of all processes, MiB (PSS)")
        below.set_xlabel("seconds since the start")
        below.set_ylim(bottom=0)
        below.set_xlim(0, total)
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color="#eeeeee")
            axes.set_axisbelow(True)
        figure.savefig(path, dpi=150)
        plt.close(figure)
