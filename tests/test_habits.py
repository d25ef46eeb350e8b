"""Mistakes that are not about the maths are named, and right answers and other mistakes get no such sentence."""

import pytest
import tiny_course
from sample_class import LECTURE05, LECTURE07, ROOT, Desk

from grader.checks import Alternative
from grader.course import load_course
from grader.execution import Code
from grader.grade import grade
from grader.habits import habits as habits_of
from grader.habits import of_a_class
from grader.judge import judge
from grader.material import Material
from grader.report import Verdict
from grader.submission import Submission, code_cells


def habits(graded, problem: str, *before: str, **answers: str) -> str:
    told = graded(*before, **answers).problem(problem).habits
    assert all(map(of_a_class, told)), "the class report tells it, too"
    return " ".join(told)


def test_a_variable_of_the_notebook_instead_of_the_argument(graded):
    told = habits(
        graded,
        "centered",
        "import numpy as np\ndata = np.array([[1.0], [5.0], [7.0]])",
        centered="def centered(x):\n    return data - data.mean(axis=0)",
    )
    assert told == (
        "It reads `data` of the notebook, and never looks at its argument `x`: a function should use what it is given."
    )


def test_a_number_of_the_notebook_beside_the_argument(graded):
    answer = "def centered(x):\n    return x - mean"
    before = "import numpy as np\nmean = np.array([0.5])"
    told = habits(graded, "centered", before, centered=answer)
    assert told.startswith("It reads `mean` of the notebook, which stays the same")
    assert habits(graded, "centered", "mean = 0.5", centered=answer) == "", "might be a constant that is meant"
    constant = answer.replace("mean", "MEAN")
    assert habits(graded, "centered", before.replace("mean", "MEAN"), centered=constant) == ""


def test_through_a_helper_it_is_found_as_well(graded):
    helper = "import numpy as np\nrows = np.zeros((2, 1))\ndef middle():\n    return rows.mean(axis=0)"
    told = habits(graded, "centered", helper, centered="def centered(x):\n    return x - middle()")
    assert told.startswith("It reads `rows` of the notebook")


def test_a_library_an_attribute_and_a_local_of_that_name_are_no_variable_of_the_notebook(graded):
    before = "import numpy as np\nmean = np.zeros(3)"
    told = habits(graded, "centered", before, centered="def centered(x):\n    return x + x.mean(axis=0)")
    assert told == ""
    told = habits(graded, "centered", before, centered="def centered(x):\n    mean = x.mean()\n    return x + mean")
    assert told == ""


@pytest.mark.parametrize(
    "answer",
    [
        "def centered(x):\n    result = np.zeros((3, 1))\n    result[:] = x - x.mean(axis=0)\n    return result",
        "def centered(x):\n    return x - np.ones((1, 3)) * x.mean(axis=0).reshape(3)",
        "def centered(x):\n    return np.array([x[i] - x.mean(axis=0) for i in range(3)])",
    ],
    ids=["zeros", "reshape", "range"],
)
def test_the_size_of_the_example_written_into_it(graded, answer):
    assert "The size 3 is written into it" in habits(graded, "centered", centered=answer)


def test_a_number_that_is_no_size_is_not_taken_for_one(graded):
    for answer in (
        "def centered(x):\n    return (x ** 3) @ x",
        "def centered(x):\n    return 3 * x - x.mean(axis=0)",
        "def centered(x):\n    return x + np.zeros((x.shape[0] + 3, 1))",
    ):
        assert habits(graded, "centered", centered=answer) == ""


def test_its_input_is_changed_while_the_answer_is_wrong_too(graded):
    told = habits(graded, "centered", centered="def centered(x):\n    x += x.mean(axis=0)\n    return x")
    assert told == "It changes its input `x`: whoever calls it still needs that. Work on a copy."


KEEPS = '''
@check("centered", points=20, hint="Each column has a mean of its own.")
def each_column(student, rng):
    """What comes back stays, whatever happens to what came in."""
    x = np.zeros((2, 2))
    result = student.centered(x)
    x += 1
    return result
'''


def test_a_view_of_its_input(tmp_path, sandbox):
    before, _, after = tiny_course.CHECKS.partition('@check("centered", points=20')
    checks = before + KEEPS.lstrip() + "\n\n" + after[after.index('@check("centered", points=5') :]
    material = tiny_course.material(tiny_course.write(tmp_path, checks=checks))

    def told(answer: str) -> tuple[str, ...]:
        return grade(tiny_course.submission(centered=answer), material, sandbox).problem("centered").habits

    view = "def centered(x):\n    return x[:] if not x.any() else x - x.mean(axis=0)"
    assert told(view) == ("It returns a view of its input `x`: when one changes, so does the other. Return a copy.",)
    assert told(view.replace("x[:]", "x[:].copy()")) == ()


def test_it_prints_instead_of_returning(graded):
    told = habits(graded, "centered", centered="def centered(x):\n    print(x - x.mean(axis=0))")
    assert told == "It prints its answer and returns nothing: end it with `return`."
    assert habits(graded, "centered", centered="def centered(x):\n    x - x.mean(axis=0)") == ""
    both = "def centered(x):\n    print(x)\n    return x"
    assert habits(graded, "centered", centered=both) == ""


def test_a_cell_that_failed_was_to_make_what_it_uses(graded):
    told = habits(
        graded, "centered", "1 / 0\nshift = 0", centered="def centered(x):\n    return x - x.mean(axis=0) + shift"
    )
    assert told == "It uses `shift`, which cell 1 was to make: that cell did not run through."


def test_a_cell_further_down_makes_what_its_cell_needs(tiny, sandbox):
    centered = "def centered(x, axis=rows):\n    return x - x.mean(axis=axis)"
    cells = [*tiny_course.cells(centered=centered), "rows = 0"]
    report = grade(Submission.of("tiny.ipynb", tiny_course.notebook(*cells)), tiny, sandbox)
    (told,) = report.problem("centered").habits
    assert told.startswith(f"Its cell needs `rows`, which only cell {len(cells)} makes, further down")


def test_it_calls_another_problem_that_fails_itself(graded):
    answers = {
        "centered": "def centered(x):\n    return x",
        "softmax": "def softmax(z):\n    return torch.exp(torch.from_numpy(centered(z.numpy())))",
    }
    told = habits(graded, "softmax", **answers)
    assert told == "It calls your `centered`, which loses points itself: mend that first."
    assert habits(graded, "softmax", softmax=answers["softmax"]) == "", "that one is right"


def test_an_attribute_named_as_a_problem_is_no_call(graded):
    answers = {"centered": "def centered(x):\n    return x", "largest": "def largest(x):\n    return x.centered()"}
    assert habits(graded, "largest", **answers) == ""


def test_full_marks_have_nothing_beside_them(graded):
    report = graded("x_all = np.zeros(3) if False else None")
    assert all(problem.habits == () for problem in report.problems)


def test_a_sure_diagnosis_is_enough(graded):
    told = graded(centered="def centered(x):\n    x -= x.mean(axis=0)\n    return x").problem("centered")
    assert told.diagnosis.sure
    assert told.habits == ()


def test_a_class_that_answers_anything_costs_nothing(graded):
    hostile = (
        "class Odd(type):\n    def __getattribute__(cls, name):\n        raise RuntimeError('no')\n"
        "class Average(metaclass=Odd):\n    pass"
    )
    report = graded(Average=hostile)
    assert report.score == 85
    assert report.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("assignment", [LECTURE05, LECTURE07])
def test_no_right_solution_has_one_even_if_its_checks_were_lost(sandbox, assignment):
    """What its code shows must not do as a reason: each alternative is looked at as if it had lost every point."""
    material = Material(load_course(ROOT), assignment)
    desk, references = Desk(material), material.references(sandbox)
    waiting: dict[str, list[str]] = {}
    for overlay in material.overlays(sandbox).values():
        if isinstance(overlay.made, Alternative):
            waiting.setdefault(overlay.made.problem, []).append(overlay.made.name)
    assert waiting
    while any(waiting.values()):  # one of each problem at a time
        names = [names.pop() for names in waiting.values() if names]
        notebook = desk.solved(" ".join(names))
        report = grade(Submission.of("x.ipynb", notebook), material, sandbox)
        assert report.score == material.points + material.bonus_points
        assert [problem.habits for problem in report.problems if problem.habits] == []
        execution = sandbox.run(
            material.job(tuple(source for _, source in code_cells(notebook))), material.tests.path, material.imports
        )
        runs = {name: execution.checks[position] for position, name in enumerate(material.tests.checks)}
        for problem in material.tests.problems.values():
            lost = [
                judge(check, runs[check.name], references[check.name], "full").model_copy(
                    update={"verdict": Verdict.WRONG}
                )
                for check in problem.checks
            ]
            code, own = execution.code.get(problem.name, Code()), material.code(sandbox, problem.name)
            assert list(habits_of(problem, lost, runs, references, code, own, failing=())) == []
