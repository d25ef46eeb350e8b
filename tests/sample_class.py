"""The sample class: notebooks as students really hand them in, each with the score that it must get, and why.

A `Desk` is where a student works: the students' notebook of one assignment, the right answers, and the mistakes and
other right ways that the assignment's authors wrote down. A `SampleSubmission` says who hands in what, and what the
grader has to say to it. `write_course` makes a course folder to grade them in, `write_submitted` hands them in, and
`write_download` packs them as a learning management system does.
"""

from __future__ import annotations

import ast
import copy
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grader.build import source_notebook
from grader.checks import HiddenTests
from grader.course import load_course
from grader.material import Material

ROOT = Path(__file__).resolve().parents[1]

LECTURE05 = "lecture05_batch_and_momentum"
LECTURE07 = "lecture07_normalization"

# What hangs is stopped soon: the class is graded in a minute, and what is right takes a fraction of this.
SHORT_LIMITS = {"cell_seconds": 3, "check_seconds": 3, "memory_mb": 512}

EVERY_PROBLEM = "every_problem"
"""In `SampleSubmission.loses`: all that is not named there beside it."""


class Desk:
    """One assignment as a student has it in front of them, with all that can be written into it."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.name = material.name
        self.tests: HiddenTests = material.tests
        release = material.course.folder("release") / self.name / f"{self.name}.ipynb"
        self._untouched = nbformat.read(release, as_version=4)
        self._right = {
            cell.metadata.nbgrader.grade_id: re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", cell.source)
            for cell in source_notebook(material).cells
            if "nbgrader" in cell.metadata
        }

    def untouched(self) -> NotebookNode:
        return copy.deepcopy(self._untouched)

    def number_of(self, cell: str) -> int:
        """Which cell of the students' notebook has this grade_id, counted from 1."""
        return 1 + self._untouched.cells.index(cell_of(self._untouched, cell))

    def right(self, cell: str) -> str:
        """The right content of the cell with this grade_id."""
        return self._right[cell]

    def solved(self, names: str = "", *, only: Sequence[str] = (), essay: bool = True, **sources: str) -> NotebookNode:
        """The notebook with every problem solved, or `only` some.

        names:   misconceptions and alternatives that are written in place of the right answers, apart by spaces.
        sources: problem=what is written in its cell.
        essay:   whether the question that is answered in words has an answer.
        """
        written = dict(self._right)
        for name in names.split():
            problem, source = self.answer(name)
            written[problem] = source
        written.update(sources)
        notebook = self.untouched()
        for cell in notebook.cells:
            facts = cell.metadata.get("nbgrader", {})
            if not facts.get("solution") or (only and facts["grade_id"] not in only):
                continue
            if facts["grade"]:
                cell.source = "Because each batch looks a little different." if essay else cell.source
            else:
                cell.source = written[facts["grade_id"]]
        return notebook

    def answer(self, name: str) -> tuple[str, str]:
        """(problem, source) of a misconception or an alternative, in a form that stands alone in a notebook's cell."""
        for file in ("misconceptions.py", "alternatives.py"):
            written = _Written((self.material.hidden_folder / file).read_text(encoding="utf-8"))
            if name in written.problems:
                return written.problems[name], written.alone(name, self._right)
        raise LookupError(f"tests/hidden/{self.name} has no misconception or alternative {name!r}")

    def answers(self, file: str) -> list[tuple[str, str]]:
        """`answer` for each that is written in misconceptions.py or alternatives.py."""
        written = _Written((self.material.hidden_folder / file).read_text(encoding="utf-8"))
        return [(problem, written.alone(name, self._right)) for name, problem in written.problems.items()]


class _Written:
    """A misconceptions.py or alternatives.py, read and not run."""

    def __init__(self, source: str) -> None:
        self._imports: list[ast.stmt] = []
        self._named: dict[str, ast.stmt] = {}
        self._lessons: set[str] = set()  # names that stand for the solution as a whole
        self._lent: set[str] = set()  # names that are taken from it
        self.problems: dict[str, str] = {}
        for node in ast.parse(source).body:
            if isinstance(node, ast.ImportFrom) and node.module == "solutions":
                self._lessons |= {one.asname or one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("solutions."):
                self._lent |= {one.name for one in node.names}
            elif isinstance(node, ast.Import | ast.ImportFrom):
                if getattr(node, "module", "") != "grader":
                    self._imports.append(node)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                self._named[node.name] = node
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") in ("misconception", "alternative"):
                        self.problems[node.name] = ast.literal_eval(mark.args[0])
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._named[node.targets[0].id] = node

    def alone(self, name: str, right: Mapping[str, str]) -> str:
        """The definition under its problem's name, after all that it needs. What it takes from the solution comes
        along as `right_...`: a notebook's own definition of that name is the one that is written here."""
        lent: dict[str, None] = {}
        body = [ast.unparse(node) for node in self._needed(name)]
        for position, text in enumerate(body):
            tree = ast.parse(text)
            renaming = _Renaming(self._lessons, self._lent, name, self.problems[name])
            body[position] = ast.unparse(ast.fix_missing_locations(renaming.visit(tree)))
            lent.update(dict.fromkeys(renaming.lent))
        taken = [re.sub(rf"^(def|class) {one}\b", rf"\1 right_{one}", right[one], flags=re.M) for one in lent]
        imports = "\n".join(map(ast.unparse, self._imports))
        return "\n\n\n".join([imports, *taken, *body])

    def _needed(self, name: str) -> Iterator[ast.stmt]:
        """The definition of `name`, after those that it uses, without their marks."""
        found: dict[str, ast.stmt] = {}

        def add(one: str) -> None:
            node = copy.deepcopy(self._named[one])
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                node.decorator_list = []
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and part.id in self._named and part.id != one and part.id not in found:
                    add(part.id)
            found.setdefault(one, node)

        add(name)
        yield from found.values()


class _Renaming(ast.NodeTransformer):
    def __init__(self, lessons: set[str], lent: set[str], old: str, new: str) -> None:
        self._lessons, self._names, self._old, self._new = lessons, lent, old, new
        self.lent: list[str] = []

    def _lend(self, name: str, node: ast.Name | ast.Attribute) -> ast.Name:
        self.lent.append(name)
        return ast.Name(f"right_{name}", node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in self._lessons:
            return self._lend(node.attr, node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self._names:
            return self._lend(node.id, node)
        node.id = self._new if node.id == self._old else node.id
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self._new if node.name == self._old else node.name
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._new if node.name == self._old else node.name
        return self.generic_visit(node)


Make = Callable[[Desk], bytes]


def lost(how: str, *names: str) -> dict[str, str]:
    """These checks or problems, all lost in the same way. A string may hold several names."""
    return dict.fromkeys(" ".join(names).split(), how)


@dataclass(frozen=True)
class SampleSubmission:
    """What one student hands in, and what has to come of it.

    about:     what it is, in a few words.
    make:      the bytes of the file.
    loses:     check, or problem for all of its checks, or EVERY_PROBLEM -> how its "verdict: message" begins.
               What is not named here is passed. {cell} is the number of the problem's cell.
    diagnosed: problem -> the misconception that the report names.
    cells:     parts of what the report says of cells that did not run through.
    notes:     parts of what the report says of the notebook as a whole.
    essay:     whether there is an answer in words, for a person to read.
    after_due: when it is handed in, from the due date.
    forfeits:  the share of the score that being late costs.
    file:      what the student called the file, where {name} is the assignment's name.
    """

    student: str
    about: str
    make: Make
    loses: Mapping[str, str] = field(default_factory=dict)
    diagnosed: Mapping[str, str] = field(default_factory=dict)
    cells: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    essay: bool = True
    after_due: timedelta = timedelta(days=-1)
    forfeits: float = 0.0
    file: str = "{name}.ipynb"

    def lost(self, desk: Desk) -> dict[str, str]:
        """check -> how its "verdict: message" begins, for every check that is not passed."""
        known = {EVERY_PROBLEM, *desk.tests.problems, *desk.tests.checks}
        if unknown := self.loses.keys() - known:
            raise LookupError(f"{self.student} loses {sorted(unknown)}, which is no check or problem")
        found = {}
        for check in desk.tests.checks.values():
            for name in (check.name, check.problem, EVERY_PROBLEM):
                if name in self.loses:
                    found[check.name] = self.loses[name].replace("{cell}", str(desk.number_of(check.problem)))
                    break
        return found

    def points(self, desk: Desk, *, bonus: bool) -> float:
        """The points of the problems that are bonus, or of those that are not, before any penalty."""
        lost = self.lost(desk)
        checks = [check for check in desk.tests.checks.values() if desk.tests.problems[check.problem].bonus == bonus]
        return sum(check.points for check in checks if check.name not in lost)

    def score(self, desk: Desk) -> float:
        return self.points(desk, bonus=False) + self.points(desk, bonus=True)

    def penalty(self, desk: Desk) -> float:
        return self.score(desk) * self.forfeits

    def handed_in(self, due: datetime) -> datetime:
        return due + self.after_due


def saved(notebook: NotebookNode) -> bytes:
    return (nbformat.writes(notebook) + "\n").encode()


def solved(names: str = "", *, only: Sequence[str] = (), essay: bool = True, **sources: str) -> Make:
    """A solved notebook, as `Desk.solved` makes it."""
    return lambda desk: saved(desk.solved(names, only=only, essay=essay, **sources))


def edited(edit: Callable[[NotebookNode], object]) -> Make:
    """A solved notebook after `edit` has changed it."""

    def make(desk: Desk) -> bytes:
        notebook = desk.solved()
        edit(notebook)
        return saved(notebook)

    return make


def with_first(source: str, problem: str) -> Make:
    """A solved notebook where the student tried something out in the cell of `problem`, above the right answer."""
    return lambda desk: saved(desk.solved(**{problem: f"{source}\n\n{desk.right(problem)}"}))


def with_cell(source: str) -> Make:
    """A solved notebook with a cell of the student's own after the lesson's first code cell."""

    def insert(notebook: NotebookNode) -> None:
        first = next(index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        notebook.cells.insert(first + 1, nbformat.v4.new_code_cell(source, id="mine"))

    return edited(insert)


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name)


# ---------------------------------------------------------------- what happens to notebooks


def without_cells(*names: str) -> Callable[[NotebookNode], None]:
    def delete(notebook: NotebookNode) -> None:
        notebook.cells = [
            cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") not in names
        ]

    return delete


def copied_before_it_was_right(notebook: NotebookNode) -> None:
    """The student copied the cell, metadata and all, and put right the lower copy."""
    right = cell_of(notebook, "momentum_step")
    wrong = copy.deepcopy(right)
    wrong.id = "copy"
    wrong.source = right.source.replace("theta + movement, movement", "movement")
    notebook.cells.insert(notebook.cells.index(right), wrong)


def split_and_shuffled(notebook: NotebookNode) -> None:
    """The solutions stand at the end, the last one first, and one of them is spread over two cells."""
    step = cell_of(notebook, "momentum_step")
    step.source = step.source.replace("return theta + movement, movement", "return moved(theta, movement)")
    more = nbformat.v4.new_code_cell("def moved(theta, movement):\n    return theta + movement, movement", id="more")
    solutions = [cell for cell in notebook.cells if is_solution(cell) and cell.cell_type == "code"]
    notebook.cells = [*(cell for cell in notebook.cells if cell not in solutions), *reversed(solutions), more]


def is_solution(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def _foreign(notebook: NotebookNode) -> dict:
    """The notebook as an editor leaves it that knows neither nbgrader nor cell ids."""
    plain = json.loads(nbformat.writes(notebook))
    for cell in plain["cells"]:
        cell.pop("id", None)
        cell["metadata"] = {"colab": {"base_uri": "https://editor.example/"}}
    plain["metadata"] = {"accelerator": "GPU", "language_info": {"name": "python"}}
    return plain


def in_another_editor(desk: Desk) -> bytes:
    return json.dumps({**_foreign(desk.solved()), "nbformat": 4, "nbformat_minor": 0}).encode()


def in_format_4_2(desk: Desk) -> bytes:
    """nbgrader's metadata are there, cell ids are not: those came with format 4.5."""
    plain = json.loads(nbformat.writes(desk.solved()))
    for cell in plain["cells"]:
        del cell["id"]
    return json.dumps({**plain, "nbformat_minor": 2}).encode()


def in_format_3(desk: Desk) -> bytes:
    cells = []
    for cell in _foreign(desk.solved())["cells"]:
        source = cell.pop("source")
        if cell["cell_type"] == "code":
            cell.update(input=source, prompt_number=None, language="python", outputs=[], collapsed=False)
            del cell["execution_count"]
        else:
            cell["source"] = source
        cells.append(cell)
    worksheets = [{"cells": cells, "metadata": {}}]
    return json.dumps({"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": worksheets}).encode()


def with_a_byte_order_mark(desk: Desk) -> bytes:
    return b"\xef\xbb\xbf" + saved(desk.solved()).replace(b"\n", b"\r\n")


def cut_short(desk: Desk) -> bytes:
    whole = saved(desk.solved())
    return whole[: len(whole) // 2]


def with_decorations(notebook: NotebookNode) -> None:
    """Nothing of it may run on a page that somebody else opens."""
    notebook.cells[0].source += (
        '\n\n<script>document.title = "markdown"</script> <img src="x" onerror="alert(1)">'
        '\n\n<a href="javascript:alert(2)">link</a> <a href="data:text/html,hello">data</a>'
    )
    notebook.cells.insert(1, nbformat.v4.new_raw_cell("<script>document.title = 'raw'</script>", id="raw"))
    page = "from IPython.display import HTML\nHTML(\"<b>bold</b><script>document.title = 'output'</script>\")"
    notebook.cells.insert(2, nbformat.v4.new_code_cell(page, id="html"))
    answer = next(cell for cell in notebook.cells if is_solution(cell) and cell.cell_type == "markdown")
    answer.source = "Noise <script>document.title = 'answer'</script> shakes theta out of a canyon."


# ---------------------------------------------------------------- lecture 5

# What students try out in the cell of an answer, above it.
FOREVER = "n_left = 5\nwhile n_left != 0:\n    n_left = n_left - 2"
STUBBORN = "while True:\n    try:\n        sum(range(1000))\n    except:\n        pass"
GREEDY = "pile = []\nwhile True:\n    pile.append(np.ones(1_000_000))"

COUNTS_DOWN_TO_ZERO = """\
def updates_per_epoch(n_examples, batch_size):
    updates = 0
    while n_examples != 0:
        n_examples = n_examples - batch_size
        updates = updates + 1
    return updates"""

STUBBORN_LOSS = """\
def flatness(loss, theta, radius, unit_offsets):
    while radius == 0:
        try:
            sum(range(1000))
        except:
            pass
    return np.mean([loss(theta + sign * radius * u) for u in unit_offsets for sign in (1, -1)]) - loss(theta)"""

RENAMED_STEP = """\
def momentum_update(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement - learning_rate * gradient
    return theta + movement, movement"""

PRINTS_THE_ANSWER = """\
def flatness(loss, theta, radius, unit_offsets):
    around = [loss(theta + sign * radius * u) for u in unit_offsets for sign in (1, -1)]
    print(np.mean(around) - loss(theta))"""

FORGETS_TO_SUM = """\
def gradient_noise(example_gradients, batch_size):
    n = len(example_gradients)
    return example_gradients.var(axis=0) / batch_size * (n - batch_size) / (n - 1)"""

GIVES_A_LIST = """\
def movement_as_weighted_sum(gradients, learning_rate, momentum):
    age = np.arange(len(gradients))[::-1]
    return np.tensordot(-learning_rate * momentum**age, gradients, axes=1).tolist()"""

HOUSEKEEPING = """\
%matplotlib inline
!pip install torch
%pip install numpy
files = !ls
%timeit -q -n1 -r1 sum(range(10))
len?
exit()"""

FLOOD = """\
print("epoch 1: loss 0.5  " * 5_000_000)
for epoch in range(50_000):
    print("epoch", epoch, "loss", 0.5)"""

FIRST_HALF05 = "updates_per_epoch minibatches sgd_epochs compare_batches gradient_noise".split()
SECOND_HALF05 = "flatness momentum_step movement_as_weighted_sum Momentum nesterov_step".split()
STILL_STUB = {name: f"not attempted: {name} still raises NotImplementedError" for name in SECOND_HALF05}

CLASS05: tuple[SampleSubmission, ...] = (
    SampleSubmission("student01", "everything right", solved()),
    SampleSubmission(
        "student02",
        "right, written in another way",
        solved(
            """
            with_ceil with_shuffled_indices with_a_copied_array counting_batch_by_batch over_all_batches
            rise_by_rise with_python_loops with_einsum InPlace in_two_strides
            """
        ),
    ),
    SampleSubmission(
        "student03",
        "right, in a third way",
        solved(
            """
            with_numpy_ceil with_shuffled_copies with_one_stream_of_batches with_tiled_batches from_the_covariance
            with_mirrored_offsets with_copies_changed_in_place with_broadcasting ThroughData in_copies
            """
        ),
    ),
    SampleSubmission(
        "student04",
        "right in a fourth way, no bonus, no essay",
        lambda desk: saved(
            desk.solved(
                "with_remainder card_by_card with_loops without_naming_the_movement",
                only=[problem for problem in desk.tests.problems if problem != "nesterov_step"],
            )
        ),
        loses=lost(STILL_STUB["nesterov_step"], "nesterov_step"),
        essay=False,
    ),
    SampleSubmission(
        "student05",
        "adds the gradient, and turns the powers round",
        solved("adds_the_gradient powers_reversed ClimbsTheLoss"),
        loses=lost(
            "wrong: ",
            """
            first_step_is_gradient_descent last_movement_is_carried_on no_momentum_is_gradient_descent
            path_of_several_steps shape_and_dtype_are_kept weight_of_each_past_gradient parameters_of_any_shape
            no_momentum_keeps_the_newest long_history_in_one_operation Momentum
            """,
        ),
        diagnosed={
            "momentum_step": "adds_the_gradient",
            "movement_as_weighted_sum": "powers_reversed",
            "Momentum": "ClimbsTheLoss",
        },
    ),
    SampleSubmission(
        "student06",
        "forgets left-over examples, shuffles x and y apart",
        solved("counts_full_batches_only shuffles_apart deals_only_once every_batch_counts_as_full"),
        loses=lost(
            "wrong: ",
            """
            left_over_examples_make_a_batch batch_larger_than_the_data x_and_y_stay_together
            every_epoch_is_dealt_anew short_last_batch_counts_its_examples a_batch_holds_no_more_than_the_data
            """,
        ),
        diagnosed={
            "updates_per_epoch": "counts_full_batches_only",
            "minibatches": "shuffles_apart",
            "sgd_epochs": "deals_only_once",
            "compare_batches": "every_batch_counts_as_full",
        },
    ),
    SampleSubmission(
        "student07",
        "drops the last batch, sums for means",
        solved("drops_the_last_batch sums_the_gradients updates_on_both_axes"),
        loses=lost(
            "wrong: ",
            """
            batches_are_full_but_the_last x_and_y_stay_together examples_keep_shape_and_dtype
            the_data_stay_as_they_were one_batch_makes_one_update every_batch_makes_an_update
            every_epoch_is_dealt_anew a_doubled_batch_makes_the_same_step history_keeps_the_dtype
            second_axis_counts_examples short_last_batch_counts_its_examples a_batch_holds_no_more_than_the_data
            """,
        )
        | lost("wrong: 5 examples, batches of 2: 4 items instead of 5", "every_example_once"),
        diagnosed={
            "minibatches": "drops_the_last_batch",
            "sgd_epochs": "sums_the_gradients",
            "compare_batches": "updates_on_both_axes",
        },
    ),
    SampleSubmission(
        "student08",
        "draws with replacement, looks to one side only",
        solved("draws_with_replacement with_replacement one_side_only"),
        loses=lost(
            "wrong: ",
            """
            every_example_once x_and_y_stay_together noise_against_batch_size full_batch_makes_no_noise
            a_common_gradient_is_no_noise noise_is_quadratic_in_the_gradient rise_around_any_point a_slope_is_flat
            rise_against_radius
            """,
        ),
        diagnosed={
            "minibatches": "draws_with_replacement",
            "gradient_noise": "with_replacement",
            "flatness": "one_side_only",
        },
    ),
    SampleSubmission(
        "student09",
        "a seed of its own, a history of one array",
        solved("seeds_its_own_generator history_of_one_array not_centred both_sides_added"),
        loses=lost(
            "wrong: ",
            """
            any_example_can_come_first any_two_can_share_a_batch an_equal_seed_gives_equal_batches
            one_batch_makes_one_update every_batch_makes_an_update every_epoch_is_dealt_anew
            a_doubled_batch_makes_the_same_step history_keeps_the_dtype gradient_noise flatness
            """,
        ),
        diagnosed={
            "minibatches": "seeds_its_own_generator",
            "sgd_epochs": "history_of_one_array",
            "gradient_noise": "not_centred",
            "flatness": "both_sides_added",
        },
    ),
    SampleSubmission(
        "student10",
        "torch's momentum for the lecture's, and a loop over time",
        solved("LearningRateOutside movement_without_learning_rate step_by_step does_not_look_ahead"),
        loses=lost(
            "wrong: ",
            "momentum_step learning_rate_is_cut saved_and_loaded nesterov_step_in_motion nesterov_path",
        )
        | lost("wrong: right, but it executes", "long_history_in_one_operation"),
        diagnosed={
            "momentum_step": "movement_without_learning_rate",
            "movement_as_weighted_sum": "step_by_step",
            "Momentum": "LearningRateOutside",
            "nesterov_step": "does_not_look_ahead",
        },
    ),
    SampleSubmission(
        "student11",
        "a moving average for momentum",
        solved("moving_average moving_average_of_gradients AveragesTheGradient"),
        loses=lost(
            "wrong: ",
            """
            first_step_is_gradient_descent last_movement_is_carried_on path_of_several_steps
            shape_and_dtype_are_kept movement_after_one_step weight_of_each_past_gradient parameters_of_any_shape
            long_history_in_one_operation Momentum
            """,
        ),
        diagnosed={
            "momentum_step": "moving_average",
            "movement_as_weighted_sum": "moving_average_of_gradients",
            "Momentum": "AveragesTheGradient",
        },
    ),
    SampleSubmission(
        "student12",
        "right numbers of the wrong type",
        solved("returns_a_float history_in_float64 always_float64 TracksTheGraph"),
        loses=lost("raised: raised TypeError: 'float' object cannot be", "the_number_can_be_counted_with")
        | lost("wrong: float64 instead of float32", "history_keeps_the_dtype")
        | lost("wrong: float32, result 1 of 2: float64 instead of float32", "shape_and_dtype_are_kept")
        | lost("wrong: tracked: ", "nothing_is_tracked"),
        diagnosed={
            "updates_per_epoch": "returns_a_float",
            "sgd_epochs": "history_in_float64",
            "momentum_step": "always_float64",
            "Momentum": "TracksTheGraph",
        },
    ),
    SampleSubmission(
        "student13",
        "changes what it is given",
        solved("shuffles_in_place changes_its_arguments ScalesTheGradient moves_its_arguments"),
        loses=lost("wrong: the input x was changed in place", "minibatches")
        | lost("wrong: x: ", "the_data_stay_as_they_were")
        | lost("wrong: the input theta was changed in place", "momentum_step", "nesterov_step")
        | lost("wrong: result 1 of 9: ", "path_of_several_steps", "nesterov_path")
        | lost("wrong: ", "step_with_a_closure", "gradients_are_only_read"),
        diagnosed={
            "minibatches": "shuffles_in_place",
            "momentum_step": "changes_its_arguments",
            "Momentum": "ScalesTheGradient",
            "nesterov_step": "moves_its_arguments",
        },
    ),
    SampleSubmission(
        "student14",
        "half finished",
        solved(only=FIRST_HALF05),
        loses=STILL_STUB,
        essay=False,
    ),
    SampleSubmission(
        "student15",
        "untouched",
        lambda desk: saved(desk.untouched()),
        loses=lost("not attempted: ", EVERY_PROBLEM) | STILL_STUB,
        essay=False,
    ),
    SampleSubmission(
        "student16",
        "a syntax error in one cell",
        solved(flatness="def flatness(loss, theta, radius, unit_offsets)\n    return 0.0"),
        loses=lost(
            "not attempted: flatness is not defined: its cell (number {cell}) raised SyntaxError at line 1", "flatness"
        ),
        cells=("SyntaxError at line 1: expected ':'", "name 'flatness' is not defined"),
    ),
    SampleSubmission(
        "student17",
        "an endless loop in a cell, above the answer",
        with_first(FOREVER, "updates_per_epoch"),
        # The right answer to compare_batches calls updates_per_epoch, which its cell never reached.
        loses=lost(
            "not attempted: updates_per_epoch is not defined: its cell (number {cell}) stopped", "updates_per_epoch"
        )
        | lost("raised: raised NameError at line", "compare_batches"),
        cells=(
            "stopped after 3 s of computing: is there an endless loop?",
            "name 'updates_per_epoch'",
            "name 'updates_per_epoch'",
        ),
    ),
    SampleSubmission(
        "student18",
        "an endless loop for some arguments",
        solved("counting_batch_by_batch", updates_per_epoch=COUNTS_DOWN_TO_ZERO),
        loses=lost(
            "timed out: stopped after 3 s of computing: is there an endless loop?",
            "left_over_examples_make_a_batch",
            "batch_larger_than_the_data",
        ),
        cells=("stopped after 3 s",),
    ),
    SampleSubmission(
        "student19",
        "an endless loop that swallows the interrupt, in a cell and in a check",
        solved(flatness=STUBBORN_LOSS, nesterov_step=f"{STUBBORN}\n\ndef nesterov_step(): ..."),
        loses=lost("timed out: did not stop when its time was up, and was killed", "rise_against_radius")
        | lost("not attempted: nesterov_step is not defined: its cell (number {cell}) did not stop", "nesterov_step"),
        cells=("did not stop when its time was up, and was killed", "name 'nesterov_step' is not defined"),
        notes=("Did not stop when its time was up, and was killed.",),
    ),
    SampleSubmission(
        "student20",
        "allocates without end",
        with_first(GREEDY, "gradient_noise"),
        loses=lost(
            "not attempted: gradient_noise is not defined: its cell (number {cell}) raised MemoryError",
            "gradient_noise",
        ),
        cells=("MemoryError at line 3", "name 'gradient_noise' is not defined"),
    ),
    SampleSubmission("student21", "prints 100 MB", with_cell(FLOOD)),
    SampleSubmission(
        "student22",
        "deleted cells",
        edited(without_cells("gradient_noise", "test_sgd_epochs", "test_Momentum", "why_noise")),
        loses=lost("not attempted: gradient_noise is not defined", "gradient_noise"),
        cells=("name 'gradient_noise' is not defined",),
        essay=False,
    ),
    SampleSubmission("student23", "a copied cell, right in the lower copy", edited(copied_before_it_was_right)),
    SampleSubmission(
        "student24",
        "split cells, the answers below the tests",
        edited(split_and_shuffled),
        cells=tuple(f"name '{name}' is not defined" for name in (*FIRST_HALF05, *SECOND_HALF05)),
    ),
    SampleSubmission(
        "student25",
        "a renamed function",
        solved(momentum_step=RENAMED_STEP),
        loses=lost("not attempted: momentum_step is not defined: was it renamed to momentum_update?", "momentum_step"),
        cells=("name 'momentum_step' is not defined",),
    ),
    SampleSubmission(
        "student26",
        "prints the answer and returns None",
        solved(flatness=PRINTS_THE_ANSWER),
        loses=lost("wrong: to the rim: None instead of a number: is a return missing?", "rise_in_a_bowl")
        | lost("wrong: ", "flatness"),
        cells=("TypeError at line 6",),
    ),
    SampleSubmission(
        "student27",
        "wrong shape",
        solved(gradient_noise=FORGETS_TO_SUM),
        loses=lost("wrong: two examples, one parameter: shape (1,) instead of", "noise_of_single_examples")
        | lost("wrong: ", "gradient_noise"),
        cells=("Sum over the parameters: the answer is a single number.",),
    ),
    SampleSubmission(
        "student28",
        "a list for an array",
        solved(movement_as_weighted_sum=GIVES_A_LIST),
        loses=lost("wrong: a list or tuple instead of a NumPy array", "movement_as_weighted_sum")
        | lost("wrong: one push, the rest zero: a list or tuple instead", "weight_of_each_past_gradient")
        | lost("wrong: vectors: a list or tuple instead of a NumPy array", "parameters_of_any_shape"),
    ),
    SampleSubmission("student29", "magics and shell commands", with_cell(HOUSEKEEPING)),
    SampleSubmission(
        "student30",
        "ends its own process, twice",
        lambda desk: saved(
            desk.solved(
                flatness=f"import os\nos._exit(0)\n\n{desk.right('flatness')}",
                nesterov_step=f"import ctypes\nctypes.string_at(0)\n\n{desk.right('nesterov_step')}",
            )
        ),
        loses=lost("not attempted: flatness is not defined: its cell (number {cell}) ended the process", "flatness")
        | lost("not attempted: nesterov_step is not defined: its cell (number {cell}) ended", "nesterov_step"),
        cells=("ended the process", "name 'flatness'", "ended the process", "name 'nesterov_step'"),
        notes=("Ended the process",),
    ),
    SampleSubmission(
        "student31",
        "uses torch's own optimizer",
        solved(Momentum="class Momentum(torch.optim.SGD):\n    pass"),
        loses=lost("forbidden: uses torch.optim.SGD", "Momentum"),
        cells=("With lr = 0 the gradient no longer pushes",),
    ),
    SampleSubmission("student32", "saved by another editor, all metadata lost", in_another_editor),
    SampleSubmission("student33", "notebook format 4.2", in_format_4_2),
    SampleSubmission("student34", "notebook format 3, with worksheets", in_format_3),
    SampleSubmission("student35", "a byte order mark and Windows line ends", with_a_byte_order_mark),
    SampleSubmission(
        "student36",
        "a PDF under a notebook's name",
        lambda desk: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
        loses=lost("not attempted: The file is not a notebook (it is not JSON", EVERY_PROBLEM),
        notes=("The file is not a notebook (it is not JSON",),
        essay=False,
    ),
    SampleSubmission(
        "student37",
        "half a file: the upload broke off",
        cut_short,
        loses=lost("not attempted: The file is not a notebook (it is not JSON", EVERY_PROBLEM),
        notes=("The file is not a notebook (it is not JSON",),
        essay=False,
    ),
    SampleSubmission(
        "student38",
        "an empty file",
        lambda desk: b"",
        loses=lost("not attempted: The file is empty. Save the notebook, and hand it in again.", EVERY_PROBLEM),
        notes=("The file is empty.",),
        essay=False,
    ),
    SampleSubmission(
        "student39",
        "a file name with spaces and non-ASCII letters",
        solved(),
        file="{name} (最終版, déjà vu).ipynb",
    ),
    SampleSubmission("student40", "ten minutes late: within the grace", solved(), after_due=timedelta(minutes=10)),
    SampleSubmission("student41", "25 hours late", solved(), after_due=timedelta(hours=25), forfeits=0.2),
    SampleSubmission(
        "student42",
        "half of it a week late",
        solved(only=FIRST_HALF05),
        loses=STILL_STUB,
        essay=False,
        after_due=timedelta(days=7),
        forfeits=1.0,
    ),
    SampleSubmission("student43", "scripts in markdown and in outputs", edited(with_decorations)),
    SampleSubmission(
        "student44",
        "waits for the keyboard",
        with_first('threshold = float(input("threshold: "))', "gradient_noise"),
        loses=lost(
            "not attempted: gradient_noise is not defined: its cell (number {cell}) raised RuntimeError",
            "gradient_noise",
        ),
        cells=("input() is not available while grading", "name 'gradient_noise' is not defined"),
    ),
)

# ---------------------------------------------------------------- lecture 7

WRITES_OVER_THE_BATCH = """\
def batch_norm_forward(z, gamma, beta, eps=1e-5):
    z -= z.mean(axis=0)
    sigma = np.sqrt(z.var(axis=0) + eps)
    z /= sigma
    return gamma * z + beta, (z, gamma, sigma)"""

FIRST_HALF07 = "feature_normalize smoothness batch_norm_forward batch_norm_backward update_running_statistics".split()
SECOND_HALF07 = "BatchNorm1d BatchNorm2d layer_norm instance_norm group_norm fold_batch_norm batch_size_effect".split()

CLASS07: tuple[SampleSubmission, ...] = (
    SampleSubmission("student01", "everything right", solved()),
    SampleSubmission(
        "student02",
        "right, written in another way",
        solved(
            """
            column_by_column from_singular_values feature_by_feature along_the_graph a_step_towards_the_batch
            WithStepsOfItsOwn FromScratch vector_by_vector picture_by_picture group_by_group output_by_output
            chosen_by_index
            """
        ),
    ),
    SampleSubmission(
        "student03",
        "right, in a third way",
        solved(
            """
            constant_relative_to_its_size from_the_library_s_condition_number transposed with_the_jacobian WithVarMean
            ChannelsFirst in_double_precision_inside on_flattened_pixels with_a_membership_matrix
            with_a_diagonal_matrix sorted_by_random_keys
            """
        ),
    ),
    SampleSubmission(
        "student04",
        "statistics of the wrong data, momentum the wrong way round",
        solved(
            """
            test_set_by_its_own_statistics bias_left_out unbiased_variance statistics_taken_as_constants
            momentum_swapped BatchStatisticsInEval
            """
        ),
        loses=lost(
            "wrong: ",
            """
            the_test_set_is_measured_with_the_training_ruler a_constant_feature_is_only_shifted
            a_small_unit_does_not_matter normalized_features_keep_single_precision
            condition_numbers_of_the_surface the_bias_is_part_of_the_surface a_normalization_may_make_things_worse
            batch_norm_forward
            gradient_for_z shifting_the_batch_changes_nothing stretching_the_batch_changes_little
            backward_keeps_single_precision
            update_running_statistics
            evaluation_uses_the_running_statistics
            """,
        )
        | lost(
            "wrong: a batch of one: nan where a finite number is expected", "a_feature_without_variance_becomes_beta"
        )
        # BatchNorm2d is built on this student's BatchNorm1d, and has its mistake.
        | lost("wrong: ", "evaluation_of_single_pictures"),
        diagnosed={
            "feature_normalize": "test_set_by_its_own_statistics",
            "smoothness": "bias_left_out",
            "batch_norm_forward": "unbiased_variance",
            "batch_norm_backward": "statistics_taken_as_constants",
            "update_running_statistics": "momentum_swapped",
            "BatchNorm1d": "BatchStatisticsInEval",
            "BatchNorm2d": "PicturesOfTheBatchInEval",
        },
    ),
    SampleSubmission(
        "student05",
        "the wrong axis, here and there",
        solved(
            """
            normalizes_over_features biased_running_variance RunningStatisticsInTheGraph over_all_pictures
            one_gamma_for_a_group bias_forgotten
            """
        ),
        loses=lost(
            "wrong: ",
            """
            batch_norm_forward
            the_running_variance_moves extreme_momentum the_statistics_after_many_batches
            running_statistics_keep_single_precision
            running_statistics_stay_outside_the_graph
            each_channel_of_each_picture_by_itself gamma_and_beta_belong_to_channels instance_norm_can_be_trained
            gamma_and_beta_are_not_shared_in_a_group one_group_or_as_many_as_channels pictures_in_any_memory_layout
            group_norm_can_be_trained
            a_linear_layer_is_folded a_convolution_is_folded eps_is_folded_in folding_keeps_single_precision
            """,
        ),
        diagnosed={
            "batch_norm_forward": "normalizes_over_features",
            "update_running_statistics": "biased_running_variance",
            "BatchNorm1d": "RunningStatisticsInTheGraph",
            "instance_norm": "over_all_pictures",
            "group_norm": "one_gamma_for_a_group",
            "fold_batch_norm": "bias_forgotten",
        },
    ),
    SampleSubmission(
        "student06",
        "half finished",
        solved(only=FIRST_HALF07),
        loses={name: f"not attempted: {name} still raises NotImplementedError" for name in SECOND_HALF07},
        essay=False,
    ),
    SampleSubmission(
        "student07",
        "untouched",
        lambda desk: saved(desk.untouched()),
        loses=lost("not attempted: ", EVERY_PROBLEM),
        essay=False,
    ),
    SampleSubmission(
        "student08",
        "torch's own layers",
        solved(
            BatchNorm1d="class BatchNorm1d(nn.BatchNorm1d):\n    pass",
            layer_norm=(
                "def layer_norm(x, gamma, beta, eps=1e-5):\n"
                "    return torch.nn.functional.layer_norm(x, x.shape[-1:], gamma, beta, eps)"
            ),
        ),
        # The right BatchNorm2d is built on BatchNorm1d: here, on torch's.
        loses=lost("forbidden: uses ", "BatchNorm1d BatchNorm2d layer_norm"),
    ),
    SampleSubmission(
        "student09",
        "writes over the batch",
        solved("NormalizesInPlace", batch_norm_forward=WRITES_OVER_THE_BATCH),
        loses=lost("wrong: the input z was changed in place", "batch_norm_forward")
        | lost("wrong: the batch afterwards: ", "training_uses_the_batch")
        | lost(
            "raised: raised RuntimeError: one of the variables needed for gradient computation",
            "gradients_flow_through_the_statistics gradients_flow_through_the_statistics_of_channels",
        ),
        diagnosed={"BatchNorm1d": "NormalizesInPlace"},
    ),
    SampleSubmission(
        "student10",
        "saved by another editor, two days late",
        in_another_editor,
        after_due=timedelta(hours=47),
        forfeits=0.2,
    ),
    SampleSubmission(
        "student11",
        "not a notebook: a word processor's file",
        lambda desk: b"PK\x03\x04" + bytes(range(256)),
        loses=lost("not attempted: The file is not a notebook (it is not JSON", EVERY_PROBLEM),
        notes=("The file is not a notebook (it is not JSON",),
        essay=False,
    ),
    SampleSubmission("student12", "everything right, a name with an apostrophe", solved(), file="{name} (l'été).ipynb"),
)

CLASSES: Mapping[str, tuple[SampleSubmission, ...]] = {LECTURE05: CLASS05, LECTURE07: CLASS07}

# ---------------------------------------------------------------- where they are graded


def write_course(root: Path, *, limits: Mapping[str, float] = SHORT_LIMITS) -> Path:
    """The real course in a folder of its own, with other limits: nothing done there touches the teacher's."""
    root.mkdir(parents=True, exist_ok=True)
    course = (ROOT / "course.yaml").read_text(encoding="utf-8")
    for name, value in limits.items():
        course, count = re.subn(rf"^(  {name}:) \S+", rf"\1 {value}", course, flags=re.M)
        if count != 1:
            raise LookupError(f"course.yaml names {name} {count} times")
    (root / "course.yaml").write_text(course, encoding="utf-8")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    for part in ("solutions", "tests/hidden", "assignments"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return root


def write_submitted(desk: Desk, samples: Iterable[SampleSubmission]) -> None:
    """Hand in: submitted/STUDENT/ASSIGNMENT/FILE with its timestamp, as nbgrader's collectors leave it."""
    for sample in samples:
        folder = desk.material.course.folder("submitted") / sample.student / desk.name
        folder.mkdir(parents=True)
        (folder / sample.file.format(name=desk.name)).write_bytes(sample.make(desk))
        moment = sample.handed_in(desk.material.assignment.due).astimezone(UTC)
        (folder / "timestamp.txt").write_text(f"{moment:%Y-%m-%d %H:%M:%S} UTC")


def write_download(folder: Path, desk: Desk, samples: Sequence[SampleSubmission]) -> Path:
    """downloaded/ASSIGNMENT/archive below `folder`: Blackboard's zip file, and two notebooks that came by e-mail.

    The first student handed in an untouched notebook before the one that counts.
    """
    archive = folder / "downloaded" / desk.name / "archive"
    archive.mkdir(parents=True)
    title, due = desk.material.assignment.title, desk.material.assignment.due
    *by_upload, last, very_last = samples
    with zipfile.ZipFile(archive / f"gradebook_{title} (all).zip", "w", zipfile.ZIP_DEFLATED) as download:

        def add(sample: SampleSubmission, moment: datetime, content: bytes) -> None:
            attempt = f"{title}_{sample.student}_attempt_{moment:%Y-%m-%d-%H-%M-%S}"
            download.writestr(f"{attempt}.txt", f"Name: {sample.student}\nAssignment: {title}\n")
            download.writestr(f"{attempt}_{sample.file.format(name=desk.name)}", content)

        add(samples[0], due - timedelta(days=3), saved(desk.untouched()))
        for sample in by_upload:
            add(sample, sample.handed_in(due), sample.make(desk))
    for sample in (last, very_last):
        (archive / f"{sample.student}_{sample.file.format(name=desk.name)}").write_bytes(sample.make(desk))
    return archive


def desk_of(root: Path, assignment: str) -> Desk:
    """A desk in the course that lies in `root`."""
    return Desk(Material(load_course(root), assignment))
