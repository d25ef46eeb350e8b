"""Submissions of the tiny course that are copies of each other, and a class that is not."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import nbformat
import tiny_course

OWN = {
    "centered": """\
def centered(x):
    # each column by itself
    result = x.copy()
    for column in range(x.shape[1]):
        total = 0.0
        for row in range(x.shape[0]):
            total += float(x[row, column])
        mean = total / max(1, x.shape[0])
        result[:, column] = [value - mean for value in x[:, column]]
    return result.astype(x.dtype)""",
    "Average": """\
class Average:
    def __init__(self):
        self.history = {}
        self.turn = 0

    def add(self, value):
        self.history[self.turn] = float(value)
        self.turn += 1
        return sum(self.history[key] for key in sorted(self.history)) / len(self.history)""",
    "largest": """\
def largest(x):
    order = sorted(range(len(x)), key=lambda place: (-x[place], place))
    return int(order[0])""",
}
"""Answers that nobody else in these tests writes."""

DISGUISED = {
    "centered": '''\
def centered(array):
    """Takes the mean away."""
    out = array.copy()

    for j in range(array.shape[1]):
        s = 0.0   # the sum
        for i in range(array.shape[0]):
            s += float(array[i, j])
        m = s / max(1, array.shape[0])
        out[:, j] = [
            v - m
            for v in array[:, j]
        ]
    return out.astype(array.dtype)''',
    "Average": """\
class Average:
    def add(self, number):
        self.seen[self.n] = float(number)
        self.n += 1
        return sum(self.seen[k] for k in sorted(self.seen)) / len(self.seen)

    def __init__(self):
        # nothing yet
        self.seen = {}
        self.n = 0""",
    "largest": """\
def largest(numbers):
    ranking = sorted(range(len(numbers)), key=lambda i: (-numbers[i], i))
    return int(ranking[0])""",
}
"""The same with other names, comments and spaces, and the methods in another order."""


def write(root: Path, submitted: Mapping[str, tuple[str, ...]]) -> Path:
    """The tiny course with these notebooks in submitted/, each a tuple of cells."""
    tiny_course.write(root)
    for student, cells in submitted.items():
        hand_in(root, student, nbformat.writes(tiny_course.notebook(*cells)))
    return root


def hand_in(root: Path, student: str, text: str) -> None:
    folder = root / "submitted" / student / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.ipynb").write_text(text, encoding="utf-8")


def cells(**answers: str) -> tuple[str, ...]:
    """The cells of a notebook with these answers, and no others."""
    return tiny_course.IMPORTS, *answers.values()


def different(number: int) -> str:
    """An answer to `centered` that no other number gives."""
    chance = random.Random(number)
    names = ["abs", "sqrt", "exp", "log", "sin", "cos", "tanh", "square", "cumsum", "sort", "floor", "sign"]
    lines = [
        f"    y = np.{chance.choice(names)}(y) {chance.choice('+-*')} {chance.randrange(100)}.{number} * x.{one}()"
        for one in chance.sample(["min", "max", "sum", "std", "var", "mean", "ptp", "copy", "ravel", "all"], 6)
    ]
    return "\n".join(["def centered(x):", "    y = x", *lines, "    return y"])


def copies(root: Path) -> Path:
    """A class of ten in which two are copies."""
    others = {f"student{number:02}": cells(centered=different(number)) for number in range(10, 18)}
    return write(root, {"student01": cells(**OWN), "student02": cells(**DISGUISED), **others})
