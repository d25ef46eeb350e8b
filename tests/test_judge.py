"""Verdicts: each with the sentence that a student reads, and no more of the answer than the course reveals."""

import re

import numpy as np
import pytest
import tiny_course
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from grader import at_least, check, close, exact, same_distribution, same_set, up_to_sign
from grader.checks import Check, marked
from grader.grade import grade
from grader.judge import forbidden, judge
from grader.material import Material
from grader.observation import encode, plain
from grader.report import Verdict
from grader.sandbox import CheckRun, Fault, Sandbox


def made_check(**changed) -> Check:
    @check("solve", points=3, hint="Think again.", **changed)
    def works(student, rng):
        """It works."""

    ((mark, _),) = marked({"works": works}, Check)
    return mark


def reference(value, **facts) -> CheckRun:
    return CheckRun("observed", data=encode(value), **facts)


def judged(observed, expected, reveal="differences", **changed):
    run = CheckRun("observed", data=encode(plain(observed)))
    return judge(made_check(**changed), run, reference(plain(expected)), reveal)


# Every verdict


def test_a_right_answer_passes_with_all_its_points_and_no_hint():
    result = judged(1.5, 1.5)
    assert (result.verdict, result.score, result.points) == (Verdict.PASSED, 3, 3)
    assert (result.message, result.hint, result.title) == ("", "", "It works.")


def test_a_wrong_answer_gets_nothing_but_the_difference_and_the_hint():
    result = judged(1.5, 2.5)
    assert (result.verdict, result.score) == (Verdict.WRONG, 0)
    assert (result.message, result.hint) == ("differs by up to 1", "Think again.")


@pytest.mark.parametrize(
    ("run", "verdict", "message"),
    [
        (
            CheckRun("not_defined", fault=Fault("", "solve is not defined")),
            Verdict.NOT_ATTEMPTED,
            "solve is not defined",
        ),
        (
            CheckRun("not_attempted", fault=Fault("", "")),
            Verdict.NOT_ATTEMPTED,
            "solve still raises NotImplementedError",
        ),
        (CheckRun("timed_out", fault=Fault("", "stopped after 1 s")), Verdict.TIMED_OUT, "stopped after 1 s"),
        (CheckRun("unobservable", fault=Fault("", "a sparse tensor")), Verdict.WRONG, "a sparse tensor"),
        (
            CheckRun("raised", fault=Fault("ValueError", "bad", 7)),
            Verdict.RAISED,
            "raised ValueError at line 7 of your cell: bad",
        ),
        (
            CheckRun("raised", fault=Fault("ValueError", "", 7)),
            Verdict.RAISED,
            "raised ValueError at line 7 of your cell",
        ),
        (CheckRun("raised", fault=Fault("ValueError", "bad")), Verdict.RAISED, "raised ValueError: bad"),
        (CheckRun("killed", fault=Fault("", "ended the process")), Verdict.RAISED, "ended the process"),
        (
            CheckRun("not_reached", fault=Fault("", "the notebook used up its 60 s")),
            Verdict.TIMED_OUT,
            "not reached: the notebook used up its 60 s",
        ),
        (CheckRun("not_reached"), Verdict.TIMED_OUT, "not reached: the notebook ended before it"),
        (CheckRun("observed", data=b"\xc1"), Verdict.WRONG, "not an observation: FormatError: "),
    ],
    ids=lambda value: value.status if isinstance(value, CheckRun) else "",
)
def test_every_other_end_of_a_check_has_its_verdict_and_message(run, verdict, message):
    result = judge(made_check(), run, reference(1.0), "differences")
    assert (result.verdict, result.message, result.score) == (verdict, message, 0)


def test_what_is_forbidden_is_named():
    result = forbidden(made_check(), ["torch.optim.SGD", "torch.softmax"])
    assert (result.verdict, result.score) == (Verdict.FORBIDDEN, 0)
    assert result.message == "uses torch.optim.SGD, torch.softmax: the point of this problem is to build it yourself"


def test_a_right_answer_that_changes_its_input_is_wrong_unless_the_reference_does_so_too():
    run = CheckRun("observed", data=encode(1.0), changed=("theta",))
    result = judge(made_check(), run, reference(1.0), "hints")
    assert (result.verdict, result.message) == (Verdict.WRONG, "the input theta was changed in place")
    assert judge(made_check(), run, reference(1.0, changed=("theta",)), "hints").verdict is Verdict.PASSED


def test_a_right_answer_may_cost_a_few_lines_more_but_not_many_times_as_many():
    best = reference(1.0, lines=1000)
    bound = made_check(cost=2)
    near = CheckRun("observed", data=encode(1.0), lines=2200)
    assert judge(bound, near, best, "hints").verdict is Verdict.PASSED
    far = CheckRun("observed", data=encode(1.0), lines=2201)
    result = judge(bound, far, best, "hints")
    assert result.verdict is Verdict.WRONG
    assert result.message == (
        "right, but it executes 2,201 lines of Python where 1,000 are enough: let array operations do the loops"
    )
    assert judge(made_check(), far, best, "hints").verdict is Verdict.PASSED


def test_a_fact_can_be_computed_of_both_observations_before_they_are_compared():
    assert judged([3, 1, 2], [1, 2, 3], after=sorted).verdict is Verdict.PASSED
    assert judged([3, 1], [1, 2, 3], after=sorted).message == "2 items instead of 3"


@pytest.mark.parametrize(
    ("observed", "message"),
    [
        (7, "a number instead of a list or tuple"),
        (None, "None instead of a list or tuple: is a return missing?"),
        ([1, "a", None], "result 2 of 3: a string instead of a number"),
    ],
)
def test_an_observation_that_no_fact_can_be_computed_of_is_told_what_it_is(observed, message):
    assert judged(observed, [1, 2, 3], after=sorted).message == message


# What is revealed

ARRAY = np.array([[0.1234, 5.6789], [2.5, 3.5]])


@pytest.mark.parametrize(
    ("observed", "expected", "hints", "differences", "full"),
    [
        (1.31, 1.0, "the value differs", "differs by up to 0.31", "differs by up to 0.31; you gave 1.31, expected 1"),
        (
            np.zeros(5),
            np.zeros((3, 5)),
            "the shape is wrong",
            "shape (5,) instead of (3, 5)",
            "shape (5,) instead of (3, 5)",
        ),
        (
            np.zeros(2),
            np.zeros(2, "f4"),
            "the dtype is wrong",
            "float64 instead of float32",
            "float64 instead of float32",
        ),
        ([1], [1, 2], "the number of items is wrong", "1 item instead of 2", "1 item instead of 2"),
        (
            "a",
            "b",
            "the answer differs",
            "the answer differs: got 'a'",
            "the answer differs: got 'a'; you gave 'a', expected 'b'",
        ),
        (
            ARRAY + np.array([[0, 1], [0, 0]]),
            ARRAY,
            "the values differ",
            "differs by up to 1; first at index (0, 1) (1 of 4 values)",
            "differs by up to 1; first at index (0, 1) (1 of 4 values); "
            "you gave [[0.1234 6.6789] [2.5 3.5 ]], expected [[0.1234 5.6789] [2.5 3.5 ]]",
        ),
        (
            {"case 1": 1.0},
            {"case 1": 2.0},
            "case 1: the value differs",
            "case 1: differs by up to 1",
            "case 1: differs by up to 1; you gave 1, expected 2",
        ),
        (
            np.nan,
            1.0,
            "nan where a finite number is expected",
            "nan where a finite number is expected",
            "nan where a finite number is expected; you gave nan, expected 1",
        ),
        (None, 1.0, *["None instead of a number: is a return missing?"] * 3),
    ],
    ids=["number", "shape", "dtype", "length", "string", "array", "case", "nan", "None"],
)
def test_feedback_reveals_what_the_course_says(observed, expected, hints, differences, full):
    assert judged(observed, expected, "hints").message == hints
    assert judged(observed, expected, "differences").message == differences
    assert judged(observed, expected, "full").message == full


COMPARISONS = [close(), exact(), up_to_sign(), same_set(close()), same_distribution(), close(dtype=False)]


@pytest.mark.parametrize("how", COMPARISONS, ids=lambda how: type(how).__name__)
@pytest.mark.parametrize("reveal", ["hints", "differences"])
@given(
    expected=arrays.arrays("float64", (6,), elements=st.floats(1.1, 9.9e5, allow_subnormal=False)),
    factors=arrays.arrays("float64", (6,), elements=st.floats(2, 20)),
    kind=st.sampled_from(["array", "list", "number", "dict", "text"]),
)
@settings(deadline=None)
def test_no_expected_value_is_in_a_message_before_the_course_reveals_all(how, reveal, expected, factors, kind):
    observed = expected * factors + 0.1
    gaps = {f"{gap:.4g}" for gap in observed - expected}
    if kind == "number" and how in COMPARISONS[:3]:
        observed, expected = float(observed[0]), np.array(expected[0])
    elif kind == "list":
        observed, expected = observed.tolist(), expected.tolist()
    elif kind == "dict" and how in COMPARISONS[:3]:
        observed, expected = {"case": observed}, {"case": expected}
    elif kind == "text" and how in COMPARISONS[:3]:
        observed, expected = "an answer", repr(expected.tolist())
    result = judged(observed, expected, reveal, compare=how)
    if result.verdict is Verdict.PASSED:
        return  # samples of six numbers may well be of one distribution
    numbers = re.findall(r"\d+\.\d+(?:e\+\d+)?", repr(plain(expected)).replace("\\n", " "))
    secrets = {f"{float(number):.4g}" for number in numbers} | set(numbers)
    assume(not secrets & gaps)
    told = set(re.findall(r"\d+\.\d+(?:e\+\d+)?", result.message))
    assert not {secret for secret in secrets if "." in secret} & told


def test_the_bound_of_a_check_is_no_secret_but_what_the_reference_reached_is():
    message = judged(0.5, 0.987, "differences", compare=at_least(0.9)).message
    assert message == "0.5: at least 0.9 is needed"


# In a whole submission


@pytest.mark.parametrize(
    ("answer", "verdict", "message"),
    [
        ("def centered(x):\n    return x", Verdict.WRONG, "differs by up to"),
        ("def centered(x):\n    x - x.mean(0)", Verdict.WRONG, "None instead of a NumPy array: is a return missing?"),
        (
            "def centered(x):\n    return (x - x.mean(0)).tolist()",
            Verdict.WRONG,
            "a list or tuple instead of a NumPy array",
        ),
        (
            "def centered(x):\n    return torch.tensor(x - x.mean(0))",
            Verdict.WRONG,
            "a torch tensor instead of a NumPy array",
        ),
        ("def centered(x):\n    return (x - x.mean(0))[0]", Verdict.WRONG, "shape (1,) instead of (3, 1)"),
        (
            "def centered(x):\n    return x + np.nan",
            Verdict.WRONG,
            "nan where a finite number is expected: first at index (0, 0)",
        ),
        ("def centered(x):\n    x -= x.mean(0)\n    return x", Verdict.WRONG, "the input x was changed in place"),
        ("def centered(x):\n    return (row for row in x)", Verdict.WRONG, "a generator instead of a NumPy array"),
        (
            "def centered(x):\n    y = x.T\n    return y @ x.T.T.T",
            Verdict.RAISED,
            "raised ValueError at line 3 of your cell: matmul: ",
        ),
        (
            "def centered():\n    return 1",
            Verdict.RAISED,
            "raised TypeError: centered() takes 0 positional arguments but 1 was given",
        ),
        ("centered = 7", Verdict.RAISED, "raised TypeError: 'int' object is not callable"),
        (
            "def centered(x):\n    raise NotImplementedError()",
            Verdict.NOT_ATTEMPTED,
            "centered still raises NotImplementedError",
        ),
        (
            "def centred(x):\n    return x - x.mean(0)",
            Verdict.NOT_ATTEMPTED,
            "centered is not defined: was it renamed to centred?",
        ),
        ("def my_own(x):\n    return x - x.mean(0)", Verdict.NOT_ATTEMPTED, "centered is not defined: was it renamed?"),
        (
            "x = 1 / 0\ndef centered(x):\n    return x",
            Verdict.NOT_ATTEMPTED,
            "centered is not defined: its cell (number 2) raised ZeroDivisionError at line 1",
        ),
        (
            "def centered(x):\n    return x -",
            Verdict.NOT_ATTEMPTED,
            "centered is not defined: its cell (number 2) raised SyntaxError at line 2",
        ),
        ("", Verdict.NOT_ATTEMPTED, "centered is not defined: was it renamed?"),
    ],
)
def test_a_student_reads_what_happened(graded, answer, verdict, message):
    report = graded(centered=answer)
    first = report.problem("centered").checks[0]
    assert first.verdict is verdict
    assert first.message.startswith(message)
    assert report.score <= 105 - 10
    assert report.problem("softmax").score == 40


def test_half_a_problem_gets_half_its_points(graded):
    report = graded(centered="def centered(x):\n    return x - x.mean()")
    assert [check.score for check in report.problem("centered").checks] == [10, 0, 0, 0]
    assert report.problem("centered").score == 10
    assert report.score == 105 - 30


def test_a_loop_costs_the_check_that_bounds_it_and_no_other(graded):
    loop = """
def centered(x):
    y = x.copy()
    for i in range(len(x)):
        for j in range(x.shape[1]):
            y[i, j] -= x[:, j].mean()
    return y
"""
    report = graded(centered=loop)
    failed = [check for check in report.problem("centered").checks if check.verdict is not Verdict.PASSED]
    assert [check.name for check in failed] == ["no_loop_over_numbers"]
    assert re.fullmatch(
        r"right, but it executes [\d,]+ lines of Python where [\d,]+ are enough: let array operations do the loops",
        failed[0].message,
    )


def test_the_lines_of_python_are_the_same_each_time(tiny, sandbox):
    job = tiny.job(tuple(tiny_course.cells()))
    position = list(tiny.tests.checks).index("no_loop_over_numbers")
    counts = {sandbox.run(job, tiny.tests.path, tiny.imports).checks[position].lines for _ in range(3)}
    assert len(counts) == 1
    assert counts != {0}


def test_functions_are_found_in_whatever_cell_they_stand(graded, tiny, sandbox):
    whole = "\n\n".join([tiny_course.IMPORTS, *tiny_course.ANSWERS.values()])
    assert grade(tiny_course.Submission.of("tiny.ipynb", tiny_course.notebook(whole)), tiny, sandbox).score == 105
    backwards = [tiny_course.IMPORTS, *reversed(tiny_course.ANSWERS.values()), "# a cell of notes"]
    assert grade(tiny_course.Submission.of("tiny.ipynb", tiny_course.notebook(*backwards)), tiny, sandbox).score == 105


def test_the_last_definition_counts(graded):
    assert graded("def centered(x):\n    return 0").score == 105


def test_a_submission_that_can_not_be_read_scores_nothing_and_says_why(tiny, sandbox):
    broken = tiny_course.Submission("tiny.ipynb", "0" * 64, fault="The file is empty.")
    report = grade(broken, tiny, sandbox)
    assert (report.score, report.points, report.notes) == (0, 100, ("The file is empty.",))
    checks = [check for problem in report.problems for check in problem.checks]
    assert {(check.verdict, check.message) for check in checks} == {(Verdict.NOT_ATTEMPTED, "The file is empty.")}


def test_a_notebook_without_code_scores_nothing(tiny, sandbox):
    report = grade(tiny_course.Submission.of("tiny.ipynb", tiny_course.notebook()), tiny, sandbox)
    assert report.score == 0
    assert report.problem("softmax").checks[0].message == "softmax is not defined: was it renamed?"


def test_the_bonus_comes_on_top(graded):
    assert graded().score == 105
    report = graded(largest="def largest(x):\n    return 0", centered="def centered(x):\n    return None")
    assert (report.score, report.points, report.bonus_points) == (60, 100, 5)


def test_cells_that_failed_are_told_with_their_number_and_line(graded):
    report = graded("import no_such_module", "x = 1\ny = x / 0")
    assert [(cell.cell, cell.status, cell.message) for cell in report.cells] == [
        (1, "raised", "raised ModuleNotFoundError at line 1: No module named 'no_such_module'"),
        (2, "raised", "raised ZeroDivisionError at line 2: division by zero"),
    ]


def test_a_cell_that_waits_for_its_solution_is_no_fault_of_the_notebook(graded):
    assert graded("raise NotImplementedError()").cells == ()


# The same submission, the same report

MISTAKES = {
    "centered": "def centered(x):\n    return x - x.mean() + 1e-3 * np.random.normal(size=x.shape)",
    "softmax": "def softmax(z):\n    raise ValueError(object())",
    "Average": """
import random
class Average:
    def add(self, value):
        return value * random.random() * float(torch.rand(1))
""",
    "largest": "def largest(x):\n    return {'b', 'a', 'c', 'd', 'e'}.pop()",
}


@pytest.mark.slow
def test_the_same_submission_gets_the_same_report_byte_for_byte_in_any_sandbox(tmp_path, tiny, sandbox, graded):
    submissions = [tiny_course.submission(), tiny_course.submission("print('x')\n1 / 0", **MISTAKES)]
    first = [grade(one, tiny, sandbox).model_dump_json() for one in submissions]
    graded("import numpy as np\nnp.random.seed(9)")
    assert [grade(one, tiny, sandbox).model_dump_json() for one in reversed(submissions)] == first[::-1]
    elsewhere = tiny_course.material(tiny_course.write(tmp_path))  # the same course, another folder, nothing cached
    with Sandbox() as another:
        assert [grade(one, elsewhere, another).model_dump_json() for one in submissions] == first


def test_the_seed_of_the_course_changes_the_numbers_and_no_right_answer(tmp_path, tiny, sandbox):
    other = Material(tiny.course.model_copy(update={"seed": 8}), tiny.name)
    answers = {"centered": "def centered(x):\n    return x - x.mean()"}
    ours = grade(tiny_course.submission(**answers), tiny, sandbox).problem("centered").checks[1]
    theirs = grade(tiny_course.submission(**answers), other, sandbox).problem("centered").checks[1]
    assert ours.message != theirs.message
    assert grade(tiny_course.submission(), other, sandbox).score == 105


def test_what_feedback_reveals_changes_the_receipts_and_no_observation(tmp_path, sandbox):
    course = tiny_course.material(tiny_course.write(tmp_path)).course
    one, other = (
        Material(course.model_copy(update={"feedback": feedback}), tiny_course.NAME) for feedback in ("hints", "full")
    )
    assert one.digest != other.digest
    kept = one.references(sandbox), one.overlays(sandbox)
    cached = sorted((tmp_path / "build" / "cache").iterdir())
    assert len(cached) == 2
    nothing_runs: Sandbox = None
    assert (other.references(nothing_runs), other.overlays(nothing_runs)) == kept
    assert sorted((tmp_path / "build" / "cache").iterdir()) == cached
