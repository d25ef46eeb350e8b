"""A whole course of one small assignment: what the tests of the engine grade, validate and build.

It is real in every respect: course.yaml, a solution script, hidden tests, misconceptions and alternatives, and the
engine treats it as any other. `write` puts it into an empty folder; a test that wants a broken course changes a file.
"""

from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grader.course import load_course
from grader.material import Material
from grader.submission import Submission

NAME = "tiny"

COURSE = """\
id: tiny-course
title: A tiny course
timezone: Europe/Paris
seed: 7
feedback: differences
limits:
  cell_seconds: 5
  check_seconds: 5
  submission_seconds: 60
  memory_mb: 512
  output_kb: 64
  file_mb: 4
assignments:
  - name: tiny
    title: Tiny problems
    lectures: [1]
    due: 2027-03-26 23:59
    available: true
"""

SOLUTION = '''\
# %% [markdown]
# # Tiny problems
#
# Three functions and a class.

# %%
import numpy as np
import torch

# %% problem="centered"
def centered(x: np.ndarray) -> np.ndarray:
    """x without the mean of each column, shape (n, d)."""
    ### BEGIN SOLUTION
    return x - x.mean(axis=0)
    ### END SOLUTION


# %% tests="centered"
assert centered(np.array([[1.0], [3.0]])).tolist() == [[-1.0], [1.0]]

# %% problem="softmax"
def softmax(z: torch.Tensor) -> torch.Tensor:
    """The softmax of each row of z, shape (n, d)."""
    ### BEGIN SOLUTION
    e = torch.exp(z - z.amax(dim=1, keepdim=True))
    return e / e.sum(dim=1, keepdim=True)
    ### END SOLUTION


# %% tests="softmax"
assert torch.allclose(softmax(torch.zeros(1, 2)), torch.tensor([[0.5, 0.5]]))

# %% problem="Average"
class Average:
    """The mean of all the numbers that were added so far."""

    def __init__(self) -> None:
        self.values = []

    def add(self, value: float) -> float:
        ### BEGIN SOLUTION
        self.values.append(value)
        return sum(self.values) / len(self.values)
        ### END SOLUTION


# %% tests="Average"
assert Average().add(3.0) == 3.0

# %% problem="largest"
def largest(x: np.ndarray) -> int:
    """Where the largest number of x stands first."""
    ### BEGIN SOLUTION
    return int(np.argmax(x))
    ### END SOLUTION


# %% tests="largest"
assert largest(np.array([1, 3, 2])) == 1
'''

CHECKS = '''\
import numpy as np
import torch

from grader import Problem, check, exact

PROBLEMS = (
    Problem("softmax", forbidden=("torch.softmax", "torch.nn.functional.softmax"), operators=("aten::_softmax",)),
    Problem("largest", bonus=True),
)


@check("centered", points=10, hint="The mean of one column is one number.")
def one_column(student, rng):
    """A single column loses its mean."""
    return student.centered(rng.normal(size=(3, 1)))


@check("centered", points=20, hint="Each column has a mean of its own.")
def each_column(student, rng):
    """Each column loses its own mean."""
    return {f"{n} rows": student.centered(rng.normal(size=(n, 3)) + np.arange(3.0)) for n in (2, 5)}


@check("centered", points=5, hint="What type of number came in?")
def the_dtype_stays(student, rng):
    """float32 comes back as float32."""
    return student.centered(rng.normal(size=(4, 2)).astype(np.float32))


@check("centered", points=5, cost=3, hint="An array can be subtracted as a whole.")
def no_loop_over_numbers(student, rng):
    """A large array is centered without a loop over its numbers."""
    return student.centered(rng.normal(size=(300, 40)))


@check("softmax", points=10, hint="Exponentials first, then the sum.")
def small_numbers(student, rng):
    """The softmax of small numbers."""
    return student.softmax(torch.tensor(rng.normal(size=(1, 3)), dtype=torch.float32))


@check("softmax", points=20, hint="exp(1000) is too large for any float: what may be subtracted first?")
def large_numbers(student, rng):
    """Large numbers do not overflow."""
    return student.softmax(torch.tensor([[1000.0, 1001.0, 999.0]]))


@check("softmax", points=10, hint="Along which axis must it sum to one?")
def each_row_sums_to_one(student, rng):
    """Each row is a distribution of its own."""
    return student.softmax(torch.tensor(rng.normal(size=(4, 3)), dtype=torch.float32))


@check("Average", points=5, hint="The mean of one number is the number.")
def of_one_number(student, rng):
    """The average of one number is that number."""
    return student.Average().add(4.0)


@check("Average", points=10, hint="Sum over count.")
def of_several_numbers(student, rng):
    """The average follows what is added."""
    average = student.Average()
    return [average.add(float(value)) for value in rng.integers(100, size=5)]


@check("Average", points=5, hint="What belongs to the class, and what to one object?")
def two_averages_are_apart(student, rng):
    """Two averages know nothing of each other."""
    first, second = student.Average(), student.Average()
    first.add(100.0)
    return second.add(1.0)


@check("largest", points=2, compare=exact(), hint="np has a function for it.")
def in_the_middle(student, rng):
    """The largest stands in the middle."""
    return student.largest(np.array([1.0, 9.0, 4.0]))


@check("largest", points=2, compare=exact(), hint="The first of them counts.")
def of_equal_ones(student, rng):
    """Of equal ones, the first counts."""
    return student.largest(np.array([2.0, 5.0, 5.0]))


@check("largest", points=1, compare=exact(), hint="Does your search start at 0?")
def below_zero(student, rng):
    """All numbers may be negative."""
    return student.largest(np.array([-4.0, -9.0, -3.0, -5.0]))
'''

MISCONCEPTIONS = """\
import numpy as np
import torch

from grader import misconception
from solutions import tiny as lecture


@misconception("centered", "You subtract one mean of the whole array.", lecture="Lecture 1, Means")
def one_mean_for_all(x):
    return x - x.mean()


@misconception("centered", "You divide by the mean instead of subtracting it.", lecture="Lecture 1, Means")
def divides_by_the_mean(x):
    return x / x.mean(axis=0)


@misconception("centered", "You change the array that you are given.", lecture="Lecture 1, Arrays")
def centers_in_place(x):
    x -= x.mean(axis=0)
    return x


@misconception("centered", "You turn everything into float64.", lecture="Lecture 1, Arrays")
def always_float64(x):
    return lecture.centered(x.astype(np.float64))


@misconception("centered", "You loop over the numbers.", lecture="Lecture 1, Arrays")
def one_by_one(x):
    result = np.empty_like(x)
    mean = x.mean(axis=0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            result[i, j] = x[i, j] - mean[j]
    return result


@misconception("softmax", "You exponentiate large numbers as they are.", lecture="Lecture 1, Softmax")
def without_shift(z):
    return torch.exp(z) / torch.exp(z).sum(dim=1, keepdim=True)


@misconception("softmax", "You sum over the rows.", lecture="Lecture 1, Softmax")
def over_the_wrong_axis(z):
    e = torch.exp(z - z.amax())
    return e / e.sum(dim=0, keepdim=True)


@misconception("Average", "You divide by one more than you added.", lecture="Lecture 1, Means")
class CountsOneMore(lecture.Average):
    def add(self, value):
        self.values.append(value)
        return sum(self.values) / (len(self.values) + 1)


@misconception("Average", "Your list belongs to the class: all averages share it.", lecture="Lecture 1, Classes")
class SharesItsList:
    values = []

    def add(self, value):
        self.values.append(value)
        return sum(self.values) / len(self.values)


@misconception("largest", "You return the last of equal ones.", lecture="Lecture 1, Search")
def the_last_one(x):
    return int(len(x) - 1 - np.argmax(x[::-1]))


@misconception("largest", "Your search starts at 0: it never sees a negative number.", lecture="Lecture 1, Search")
def starts_at_zero(x):
    best, where = 0.0, 0
    for i, value in enumerate(x):
        if value > best:
            best, where = value, i
    return where


@misconception("largest", "You return the number, not where it stands.", lecture="Lecture 1, Search")
def the_number_itself(x):
    return float(x.max())
"""

ALTERNATIVES = """\
import numpy as np
import torch

from grader import alternative


@alternative("centered")
def with_a_matrix(x):
    n = len(x)
    return (np.eye(n) - np.ones((n, n)) / n).astype(x.dtype) @ x


@alternative("softmax")
def with_logsumexp(z):
    return torch.exp(z - torch.logsumexp(z, dim=1, keepdim=True))


@alternative("Average")
class WithRunningSum:
    def __init__(self):
        self.total, self.count = 0.0, 0

    def add(self, value):
        self.total, self.count = self.total + value, self.count + 1
        return self.total / self.count
"""

IMPORTS = "import numpy as np\nimport torch"

ANSWERS: Mapping[str, str] = {
    "centered": "def centered(x):\n    return x - np.mean(x, axis=0)",
    "softmax": "def softmax(z):\n    z = torch.exp(z - z.max())\n    return z / z.sum(1)[:, None]",
    "Average": (
        "class Average:\n    def __init__(self):\n        self.all = []\n\n"
        "    def add(self, value):\n        self.all.append(value)\n        return np.mean(self.all)"
    ),
    "largest": "def largest(x):\n    return np.argmax(x)",
}
"""A right answer to each problem, as a student may write it: worth 100 points and the bonus of 5."""


def write(root: Path, **changed: str) -> Path:
    """Put the course into `root`. `changed` replaces files: course, solution, checks, misconceptions, alternatives."""
    hidden = root / "tests" / "hidden" / NAME
    files = {
        "course": (root / "course.yaml", COURSE),
        "solution": (root / "solutions" / f"{NAME}.py", SOLUTION),
        "checks": (hidden / "checks.py", CHECKS),
        "misconceptions": (hidden / "misconceptions.py", MISCONCEPTIONS),
        "alternatives": (hidden / "alternatives.py", ALTERNATIVES),
    }
    assert changed.keys() <= files.keys()
    for part, (path, text) in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(part, text), encoding="utf-8")
    return root


def material(root: Path) -> Material:
    return Material(load_course(root), NAME)


def replaced(text: str, old: str, new: str) -> str:
    """`text` with `old` replaced, which must be in it: a test that changes nothing would prove nothing."""
    assert old in text
    return text.replace(old, new)


def cells(*before: str, **answers: str) -> list[str]:
    """The cells of a right notebook, with other answers to some problems, and with `before` in front."""
    assert answers.keys() <= ANSWERS.keys()
    return [*before, IMPORTS, *{**ANSWERS, **answers}.values()]


def notebook(*sources: str) -> NotebookNode:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    for position, cell in enumerate(made.cells):
        cell["id"] = f"cell{position}"  # nbformat would draw a random one
    return made


def submission(*before: str, **answers: str) -> Submission:
    return Submission.of("tiny.ipynb", notebook(*cells(*before, **answers)))
