"""Pictures of wrong answers: which numbers a picture shows, and the picture itself, as SVG.

A right answer has none. A picture holds a few hundred numbers: larger arrays are thinned, and it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from grader.checks import Check
from grader.compare import Close, UpToSign
from grader.judge import Reveal, compared
from grader.report import Picture
from grader.sandbox import CheckRun

# Rows of numbers; None where one is not finite.
Numbers = tuple[tuple[float | None, ...], ...]

# Rows and columns of a map; points of a curve or path, of all lines together; lines of a picture.
_SIDE, _POINTS, _LINES = 16, 240, 4
# A list of fewer numbers is read sooner than a curve of them.
_LEAST = 8
# Shades between nothing and the largest number.
_SHADES = 8


def picture_of(check: Check, run: CheckRun, reference: CheckRun, reveal: Reveal) -> Picture | None:
    """A picture of the first part of a wrong answer that can be drawn, and None if there is no such part."""
    close = check.compare.close if isinstance(check.compare, UpToSign) else check.compare
    if run.status != "observed" or not isinstance(close, Close):
        return None
    try:
        got, wanted = compared(check, run.value), compared(check, reference.value)
        found = check.compare.difference(got, wanted)
        path = found.path if found else ()
        if found is None:
            return None
        for depth in range(len(path) + 1):
            drawn = _drawn(got, wanted, close, reveal)
            if drawn is not None or depth == len(path):
                return drawn
            got, wanted = got[path[depth]], wanted[path[depth]]
    except Exception:  # the student's value may be anything: then there is nothing to look at
        return None
    return None


def _drawn(got: Any, wanted: Any, close: Close, reveal: Reveal) -> Picture | None:
    vectors = isinstance(wanted, list)
    if vectors:
        got, wanted = _stacked(got), _stacked(wanted)
    if not isinstance(wanted, np.ndarray) or not isinstance(got, np.ndarray) or got.shape != wanted.shape:
        return None
    if got.dtype.kind not in "biuf" or wanted.dtype.kind not in "biuf" or not wanted.ndim:
        return None
    if vectors and wanted.ndim == 2 and not _is_smooth(wanted):
        return None  # several things in turn, say: no line leads from one to the next
    wrong = close.wrong(got, wanted)
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    part = []
    if wanted.ndim > 2:
        part.append(f"the slice [{', '.join(map(str, first[:-2]))}]")
        got, wanted, wrong, first = got[first[:-2]], wanted[first[:-2]], wrong[first[:-2]], first[-2:]
    if wanted.ndim == 1:
        kind, got, wanted, wrong, first = "curve", got[None], wanted[None], wrong[None], (0, *first)
    elif wanted.shape[1] == 2 and _is_smooth(wanted):
        kind, got, wanted, wrong, first = "path", got.T, wanted.T, wrong.T, first[::-1]
    elif vectors and wanted.shape[1] <= _LINES:
        kind, got, wanted, wrong, first = "curve", got.T, wanted.T, wrong.T, first[::-1]
    else:
        kind = "map"
    least = 6 if kind == "map" else _LEAST
    if wanted.size < least or min(wanted.shape) < (2 if kind == "map" else 1):
        return None
    columns = _SIDE if kind == "map" else _POINTS // len(wanted)
    for axis, most, name in ((0, _SIDE, "row"), (1, columns, "column" if kind == "map" else "value")):
        step = -(-wanted.shape[axis] // most)
        if step > 1:
            kept = np.arange(first[axis] % step, wanted.shape[axis], step)
            got, wanted, wrong = (array.take(kept, axis) for array in (got, wanted, wrong))
            part.append(f"one {name} of every {step}")
    # Where only two values can be, or a whole number is nearly right, to say where it is off is to tell the answer.
    tells = wanted.dtype.kind in "biu" or len(np.unique(wanted)) <= 2
    return Picture(
        kind=kind,
        part=", ".join(part),
        observed=_written(got),
        expected=_written(wanted) if reveal == "full" else (),
        off=_written(wrong) if reveal == "full" or (reveal == "differences" and not tells) else (),
    )


def _stacked(value: Any) -> Any:
    """A list of numbers as a series, and one of vectors of one length as a matrix."""
    items = list(value) if isinstance(value, np.ndarray) else value
    if not isinstance(items, list) or not items:
        return None
    if all(isinstance(item, (int, float)) or (isinstance(item, np.ndarray) and item.ndim == 0) for item in items):
        return np.array([float(item) for item in items])
    if all(isinstance(item, np.ndarray) and item.ndim == 1 and item.shape == items[0].shape for item in items):
        return np.stack([np.asarray(item) for item in items])
    return None


def _is_smooth(wanted: np.ndarray) -> bool:
    """Whether the rows of a matrix follow one another, each near the last: points on a way, not just points."""
    if len(wanted) < _LEAST or wanted.dtype.kind != "f" or not np.isfinite(wanted).all():
        return False
    steps = np.linalg.norm(np.diff(wanted, axis=0), axis=1)
    extent = float(np.linalg.norm(np.ptp(wanted, axis=0)))
    return extent > 0 and float(np.median(steps)) < extent / 4


def _written(array: np.ndarray) -> tuple[str, ...]:
    return tuple(" ".join(f"{value:.4g}" for value in row) for row in np.asarray(array, dtype=np.float64).tolist())


# Drawing


@dataclass(frozen=True)
class _Panels:
    """The numbers of a picture."""

    kind: str
    observed: Numbers
    expected: Numbers
    off: tuple[tuple[bool, ...], ...]

    @classmethod
    def of(cls, picture: Picture) -> _Panels:
        off = tuple(tuple(one == "1" for one in row.split()) for row in picture.off)
        return cls(picture.kind, _read(picture.observed), _read(picture.expected), off)


def _read(rows: Sequence[str]) -> Numbers:
    numbers = ((float(one) for one in row.split()) for row in rows)
    return tuple(tuple(one if math.isfinite(one) else None for one in row) for row in numbers)


def figure(picture: Picture) -> Markup:
    """A picture for a page: an SVG that says in words what it shows, and a caption. Styles: templates/macros.html."""
    panels = _Panels.of(picture)
    body, width, height = (_map if picture.kind == "map" else _lines)(panels)
    part = [f"Shown: {picture.part}"] if picture.part else []
    return Markup(
        '<figure class="grader-picture"><svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}'
        "</svg><figcaption>{}</figcaption></figure>"
    ).format(width, height, width, height, ". ".join([*_gist(panels), *part]), Markup(body), _caption(panels, part))


def _gist(panels: _Panels) -> list[str]:
    rows, columns = len(panels.observed), len(panels.observed[0])
    what = {
        "map": f"Map of {rows} rows and {columns} columns",
        "curve": f"{'Curve' if rows == 1 else f'{rows} curves'} of {columns} values",
        "path": f"Path of {columns} points",
    }[panels.kind]
    told = [what, f"Yours: {_extent(panels.observed)}"]
    if panels.expected:
        told.append(f"Expected: {_extent(panels.expected)}")
    if panels.off:
        told.append(f"Off: {sum(map(sum, panels.off))} of {rows * columns} numbers")
    return told


def _caption(panels: _Panels, part: Sequence[str]) -> Markup:
    parts: list[str] = []
    if panels.kind != "map":
        parts.append(Markup('<span class="mine">— yours</span>'))
        parts += [Markup('<span class="theirs">╌ expected</span>')] if panels.expected else []
        parts += [Markup('<span class="off">○ where it is off</span>')] if panels.off else []
        parts += ["■ the start"] if panels.kind == "path" else []
    if any(value is None for row in panels.observed for value in row):
        parts.append("Gaps: not a finite number")
    return Markup(" &nbsp; ").join([*parts, *part])


def _finite(*many: Numbers) -> list[float]:
    return [value for numbers in many for row in numbers for value in row if value is not None] or [0.0]


def _extent(*numbers: Numbers) -> str:
    values = _finite(*numbers)
    return f"{_short(min(values))} to {_short(max(values))}"


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _map(panels: _Panels) -> tuple[str, int, int]:
    rows, columns = len(panels.observed), len(panels.observed[0])
    side = max(7, min(24, 168 // max(rows, columns)))
    titled: list[tuple[str, str]] = []
    # One scale for both, or they could not be compared.
    shown = [panels.observed, *([panels.expected] if panels.expected else [])]
    largest = max(map(abs, _finite(*shown))) or 1.0
    titled.append((f"yours: {_extent(panels.observed)}", _cells(panels.observed, side, largest)))
    if panels.expected:
        titled.append((f"expected: {_extent(panels.expected)}", _cells(panels.expected, side, largest)))
        gaps = tuple(
            tuple(None if a is None or b is None else a - b for a, b in zip(mine, theirs, strict=True))
            for mine, theirs in zip(panels.observed, panels.expected, strict=True)
        )
        most = max(map(abs, _finite(gaps)))
        titled.append((f"difference: up to {_short(most)}", _cells(gaps, side, most or 1.0)))
    elif panels.off:
        wrong = [(row, column) for row in range(rows) for column in range(columns) if panels.off[row][column]]
        titled.append(("where it is off", f'<path class="off" d="{_squares(wrong, side)}"/>'))
    wide = max(columns * side, 170)
    body = [
        f'<g transform="translate({number * (wide + 24)} 0)"><text x="0" y="13">{title}</text>'
        f'<g transform="translate(0 22)"><rect class="frame" width="{columns * side}" height="{rows * side}"/>{cells}'
        "</g></g>"
        for number, (title, cells) in enumerate(titled)
    ]
    return "".join(body), len(titled) * (wide + 24) - 24, rows * side + 23


def _cells(numbers: Numbers, side: int, largest: float) -> str:
    """The cells of a matrix, shaded by size; numbers below zero in another colour."""
    shades: dict[int, list[tuple[int, int]]] = {}
    for row, values in enumerate(numbers):
        for column, value in enumerate(values):
            shade = 0 if value is None else round(_SHADES * value / largest)
            # Small, and still not nothing.
            shade = shade or (0 if not value else 1 if value > 0 else -1)
            if shade:
                shades.setdefault(shade, []).append((row, column))
    return "".join(
        f'<path class="{"plus" if shade > 0 else "minus"}" opacity="{abs(shade) / _SHADES:g}" d="{squares}"/>'
        for shade, squares in ((shade, _squares(places, side)) for shade, places in sorted(shades.items()))
    )


def _squares(places: Sequence[tuple[int, int]], side: int) -> str:
    return "".join(f"M{column * side} {row * side}h{side}v{side}h-{side}z" for row, column in places)


def _lines(panels: _Panels) -> tuple[str, int, int]:
    width, height = (220, 220) if panels.kind == "path" else (440, 170)
    left, right, top, bottom = 56, 12, 10, 22
    shown = [panels.observed, *([panels.expected] if panels.expected else [])]
    count = len(panels.observed[0])
    index = tuple(float(i) for i in range(count))
    xs = [numbers[0] for numbers in shown] if panels.kind == "path" else [index]
    ys = [row for numbers in shown for row in (numbers[1:] if panels.kind == "path" else numbers)]
    x, x_low, x_high = _scale(_finite(tuple(xs)), left, width - right)
    y, y_low, y_high = _scale(_finite(tuple(ys)), height - bottom, top)
    body = [
        f'<path class="frame" d="M{left} {top}V{height - bottom}H{width - right}"/>'
        f'<text x="{left - 6}" y="{top + 9}" text-anchor="end">{_short(y_high)}</text>'
        f'<text x="{left - 6}" y="{height - bottom}" text-anchor="end">{_short(y_low)}</text>'
        f'<text x="{left}" y="{height - 6}">{_short(x_low)}</text>'
        f'<text x="{width - right}" y="{height - 6}" text-anchor="end">{_short(x_high)}</text>'
    ]
    for numbers, kind in reversed(list(zip(shown, ("mine", "theirs"), strict=False))):
        for points in _tracks(numbers, panels.kind, index):
            marks = [None if a is None or b is None else (x(a), y(b)) for a, b in points]
            body.append(f'<path class="{kind}" d="{_track(marks)}"/>')
            if kind == "mine" and panels.kind == "path" and marks[0]:
                body.append(
                    f'<rect class="start" x="{marks[0][0] - 3:g}" y="{marks[0][1] - 3:g}" width="6" height="6"/>'
                )
    for number, points in enumerate(_tracks(panels.observed, panels.kind, index)):
        rows = panels.off if panels.kind == "path" else panels.off[number : number + 1]
        for place, (a, b) in enumerate(points):
            if a is not None and b is not None and any(row[place] for row in rows):
                body.append(f'<circle class="off" cx="{x(a):g}" cy="{y(b):g}" r="3.5"/>')
    return "".join(body), width, height


def _scale(values: Sequence[float], start: int, end: int) -> tuple[Any, float, float]:
    """From numbers to places between `start` and `end`, rounded to a tenth."""
    low, high = min(values), max(values)
    size = (high - low) or 1.0
    return (lambda value: round(start + (end - start) * ((value - low) / size), 1)), low, high


def _tracks(numbers: Numbers, kind: str, index: tuple[float, ...]) -> Iterator[list[tuple[float | None, float | None]]]:
    """The points of each line."""
    pairs = [(numbers[0], numbers[1])] if kind == "path" else [(index, row) for row in numbers]
    for across, up in pairs:
        yield list(zip(across, up, strict=True))


def _track(marks: Sequence[tuple[float, float] | None]) -> str:
    """A line through the points, with a gap where one is missing; a point alone is a dot."""
    parts, pen = [], "M"
    for mark in marks:
        if mark is None:
            pen = "M"
            continue
        parts.append(f"{pen}{mark[0]:g} {mark[1]:g}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return "".join(parts)
