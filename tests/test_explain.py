"""`grader explain`: a teacher sees everything about one check, and a script shows it without the grader."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import tiny_course
from sample_class import ROOT, Desk
from typer.testing import CliRunner

from grader.checks import AuthorError
from grader.cli import app
from grader.course import load_course
from grader.explain import NOTICE, Explanation, explain
from grader.material import Material
from grader.observation import Opaque, Tensor
from grader.reproduce import differences, literal, needed, plain, short, statements
from grader.submission import Submission

CHECKS = (
    tiny_course.CHECKS
    + '''

def spread(values):
    return float(np.max(values) - np.min(values))


FACTOR = 3.0


def stretched(values):
    return FACTOR * np.asarray(values)


@check("largest", points=1, after=spread, given="points_of_the_hidden_set", hint="Which set?")
def of_a_hidden_set(student, rng, points):
    """The largest of a hidden set."""
    return stretched(points) * student.largest(points)


ROUGHLY = exact(dtype=False)


@check("largest", points=1, after="known_answer", compare=ROUGHLY, hint="Which answer?")
def against_a_known_answer(student, rng):
    """The answer is known elsewhere."""
    return student.largest(np.arange(3.0))
'''
)

ANSWERS = """\
import numpy as np

SECRET = 2


def points_of_the_hidden_set(rng):
    return (rng.normal(size=5),)


def known_answer(place):
    return int(place) == SECRET
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    short = tiny_course.replaced(tiny_course.COURSE, "check_seconds: 5", "check_seconds: 1")
    root = tiny_course.write(tmp_path_factory.mktemp("explained"), checks=CHECKS, course=short)
    (root / "tests" / "hidden" / "tiny" / "answers.py").write_text(ANSWERS)
    return tiny_course.material(root)


@pytest.fixture
def explained(material, sandbox):
    def run(check: str, *before: str, **answers: str) -> Explanation:
        return explain(tiny_course.submission(*before, **answers), check, material, sandbox)

    return run


def run_alone(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in a fresh process that can't import the grader."""
    (folder / "script.py").write_text(script, encoding="utf-8")
    start = "import runpy, sys; sys.modules['grader'] = None; runpy.run_path('script.py', run_name='__main__')"
    return subprocess.run([sys.executable, "-I", "-c", start], cwd=folder, capture_output=True, text=True, check=False)


# ---------------------------------------------------------------- what is shown


def test_everything_about_a_wrong_answer(explained, tmp_path):
    found = explained("each_column", centered="def centered(x):\n    return x - x.mean()")
    assert (found.problem, found.verdict, found.score, found.points) == ("centered", "wrong", 0, 20)
    assert found.message.startswith("2 rows: differs by up to ")  # as the student was told: without the values
    assert found.notice == NOTICE
    assert found.source.startswith('@check("centered", points=20, hint=')
    assert "student.centered(rng.normal" in found.source
    first, second = found.calls
    assert first.call.startswith("centered(array([[")
    assert found.count == 2
    assert first.expected in found.expected
    assert second.observed in found.observed
    assert [line.partition(":")[0] for line in found.difference] == ["result['2 rows']", "result['5 rows']"]
    told = found.misconception
    assert (told.name, told.sure, told.same) == ("one_mean_for_all", True, True)
    assert told.output == found.observed

    done = run_alone(found.script, tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == list(found.difference)
    assert found.reproduces is True


def test_the_inputs_are_the_references_whatever_the_student_did_to_them(explained):
    found = explained("one_column", centered="def centered(x):\n    x[:] = 7.0\n    return x")
    assert "7." not in found.calls[0].call
    assert found.calls[0].observed == found.observed
    assert "7." in found.observed


def test_calls_of_methods_are_shown_and_what_an_object_remembers_of_earlier_checks(explained, tmp_path):
    add = "def add(self, v):\n        self.all.append(v)\n        return np.mean(self.all)"
    shared = f"class Average:\n    all = []\n\n    {add}"
    found = explained("of_several_numbers", Average=shared)
    assert [call.call.partition("(")[0] for call in found.calls] == ["Average"] + 5 * ["Average.add"]
    assert found.calls[1].expected != found.calls[1].observed  # of_one_number added 4.0 before
    assert run_alone(found.script, tmp_path).stdout.splitlines() == list(found.difference)


def test_a_right_answer_has_no_difference(explained, tmp_path):
    found = explained("large_numbers")
    assert (found.verdict, found.difference, found.misconception) == ("passed", (), None)
    assert found.calls[0].call == "softmax(tensor([[1000., 1001.,  999.]], dtype=float32))"
    assert run_alone(found.script, tmp_path).stdout == "no difference\n"


def test_an_exception_is_raised_in_the_script_too(explained, tmp_path):
    found = explained("one_column", centered="def centered(x):\n    raise KeyError('[bold]no')")
    assert found.verdict == "raised"
    assert found.difference == ("raised KeyError",)
    assert found.calls[0].observed == "raised KeyError"
    done = run_alone(found.script, tmp_path)
    assert done.stdout == "raised KeyError\n"
    assert "in centered" in done.stderr
    assert found.reproduces is True


def test_a_function_that_is_missing_and_a_check_that_hangs_are_explained_as_far_as_they_go(explained):
    missing = explained("one_column", centered="")
    assert missing.verdict == "not attempted"
    assert missing.calls[0].observed == "not called"
    assert missing.observed.startswith("not defined")
    endless = explained("in_the_middle", largest="def largest(x):\n    while True: pass")
    assert endless.verdict == "timed out"
    assert endless.expected == "1"
    assert endless.observed.startswith("timed out: stopped after 1 s")
    assert endless.reproduces is None


def test_the_script_knows_what_stands_in_answers_py(explained, tmp_path):
    last = "def largest(x):\n    return len(x) - 1"
    found = explained("of_a_hidden_set", largest=last)
    assert len(found.difference) == 1
    assert run_alone(found.script, tmp_path).stdout.splitlines() == list(found.difference)
    found = explained("against_a_known_answer", largest="def largest(x):\n    return 0")
    assert found.difference == ("result: differs, by up to 1: False instead of True",)
    assert run_alone(found.script, tmp_path).stdout.splitlines() == list(found.difference)


def test_what_after_can_not_work_with_is_told(explained, tmp_path):
    found = explained("against_a_known_answer", largest="def largest(x):\n    return 'first'")
    assert found.verdict == "wrong"
    assert found.observed.startswith("'first', for which `after` fails: ValueError: ")
    assert found.reproduces is True
    assert run_alone(found.script, tmp_path).stdout == "raised ValueError\n"


def test_the_script_holds_of_the_notebook_what_the_function_needs(explained, tmp_path):
    found = explained(
        "one_column",
        "%matplotlib inline\nfrom __future__ import annotations\nshift = 1.0\nassert False",
        "def plain(x):\n    return x + shift\n\ndef unneeded(x):\n    return 0",
        "shift = 2.0\n!ls",
        centered="def centered(x: Nothing):\n    return plain(x)",
    )
    assert "unneeded" not in found.script
    assert "assert False" not in found.script
    assert "shift = 2.0" in found.script
    assert run_alone(found.script, tmp_path).stdout.splitlines() == list(found.difference)


def test_what_a_student_says_of_the_calls_can_not_mislead(explained):
    """A notebook that reaches for the record gets its own results wrong, and the inputs stay the reference's."""
    evil = (
        "def centered(x):\n    import sys\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in list(frame.f_locals.values()):\n"
        "            if type(value).__name__ == 'Recorder':\n"
        "                value.calls[:] = [{'name': '\\x1b[2J', 'args': 7, 'kwargs': None}, 5]\n"
        "        frame = frame.f_back\n    return x"
    )
    found = explained("one_column", centered=evil)
    assert found.calls[0].call.startswith("centered(array([[")
    assert found.calls[0].observed.startswith("raised ")
    assert "\x1b" not in found.model_dump_json()


def test_a_check_can_be_named_with_its_problem_and_others_are_offered(explained):
    assert explained("largest::below_zero").check == "below_zero"
    with pytest.raises(AuthorError, match=r"has no check 'below_zeros'. There is below_zero$"):
        explained("below_zeros")
    with pytest.raises(
        AuthorError, match="There is Average::of_one_number, Average::of_several_numbers, Average::two_"
    ):
        explained("Average")
    with pytest.raises(AuthorError, match="has no check 'softmax::below_zero'"):
        explained("softmax::below_zero")


def test_a_file_that_is_no_notebook_is_explained(material, sandbox, tmp_path):
    (tmp_path / "x.ipynb").write_text("no notebook")
    found = explain(Submission.read(tmp_path / "x.ipynb"), "one_column", material, sandbox)
    assert "The file is not a notebook" in found.message
    assert found.script == ""
    assert found.reproduces is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("assignment", "mistake", "check"),
    [
        ("lecture06_learning_rate", "no_bias_correction", "adam_first_update"),
        ("lecture10_self_attention", "PackedKeyFirst", "self_attention_with_pytorchs_weights"),
    ],
    ids=["a function of arrays", "a module of torch"],
)
def test_a_mistake_in_a_real_assignment_is_shown_by_its_script(sandbox, tmp_path, assignment, mistake, check):
    material = Material(load_course(ROOT), assignment)
    submission = Submission.of("mistaken.ipynb", Desk(material).solved(mistake))
    found = explain(submission, check, material, sandbox)
    assert (found.misconception.name, found.misconception.same, found.reproduces) == (mistake, True, True)
    assert run_alone(found.script, tmp_path).stdout.splitlines() == list(found.difference) != []


# ---------------------------------------------------------------- the command


@pytest.mark.slow
def test_the_command_tells_a_person_and_a_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_course.write(tmp_path))
    notebook = tmp_path / "tiny" / "[red]a.ipynb"
    notebook.parent.mkdir()
    wrong = "def centered(x):\n    return x - x.mean() + 0 * len('[bold]\\x1b[2J')"
    nbformat.write(tiny_course.notebook(*tiny_course.cells(centered=wrong)), notebook)

    def run(*arguments) -> str:
        result = CliRunner().invoke(app, ["explain", str(notebook), *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.stdout

    text = run("each_column", "--script", tmp_path / "s.py")
    assert text.startswith(NOTICE)
    for part in ("[red]a.ipynb", "The check", "Expected", "Observed", "Difference", "Misconception one_mean_for_all"):
        assert part in text
    assert "Run in the sandbox, it shows the same." in text
    found = json.loads(run("each_column", "--json"))
    assert found["script"] == (tmp_path / "s.py").read_text()


# ---------------------------------------------------------------- its parts


def test_statements_that_a_name_needs():
    source = "import a\nimport b\nx = a.f()\nx[0] = b\ndef f(y):\n    return x + y + z\n\ndef g():\n    y = 1\n"
    assert [one.source for one in needed(statements(source), ["f"])] == [
        "import a", "import b", "x = a.f()", "x[0] = b", "def f(y):\n    return x + y + z",
    ]  # fmt: skip
    assert statements("def f(:") == []
    assert [one.source for one in needed(statements("from m import *\nx = 1"), ["x"])] == ["from m import *", "x = 1"]


@pytest.mark.parametrize(
    "value",
    [
        np.array([1.5, np.nan, -np.inf]),
        np.zeros((0, 3), dtype=np.float32),
        np.arange(6000, dtype=np.int16).reshape(2, 3000),
        np.array([[True, False]]),
        np.array(2 + 1j),
        {"a": [1, None, "x'\n"], 3: [float("inf"), True]},
    ],
    ids=["not finite", "empty", "large", "booleans", "a number", "nested"],
)
def test_a_literal_is_the_value(value):
    again = eval(literal(value), {"array": np.array, "inf": np.inf, "nan": np.nan})
    assert differences(again, value) == []
    if isinstance(value, np.ndarray):
        assert (again.dtype, again.shape) == (value.dtype, value.shape)


@pytest.mark.parametrize(
    ("got", "want", "told"),
    [
        (
            np.array([1.0, 2.0]),
            np.array([1.0, 2.5]),
            "1 of 2 values differ, by up to 0.5, first at [1]: 2 instead of 2.5",
        ),
        (np.zeros(2), np.zeros(3), "shape (2,) instead of (3,)"),
        (np.zeros(2), np.zeros(2, dtype=np.float32), "float64 instead of float32"),
        (1, 2, "differs, by up to 1: 1 instead of 2"),
        (1.9 + 1e-9, 1.9, "differs, by up to 1e-09: 1.900000001 instead of 1.9"),
        ([1], [1, 2], "1 items instead of 2"),
        (None, 2, "None instead of 2"),
        ("<generator>", [1], "'<generator>' instead of [1]"),
    ],
    ids=["values", "shape", "dtype", "number", "near number", "length", "nothing", "type"],
)
def test_a_difference_is_told_in_a_line(got, want, told):
    assert differences(got, want) == [f"result: {told}"]


def test_integers_differ_however_large_they_are():
    assert differences(2**60, 2**60 + 1) == [
        "result: differs, by up to 0: 1152921504606846976 instead of 1152921504606846977"
    ]
    assert differences(2**70, 2**70) == []
    assert differences(2**70, 1)


def test_rounding_is_no_difference():
    assert differences(0.1 + 0.2, 0.3) == []
    assert differences({"a": [np.float32(0.1) * 3]}, {"a": [np.float32(0.3)]}) == []
    assert differences({"a": 1}, {"b": 1}) == ["result['b'] is missing", "result['a'] does not belong there"]


def test_values_are_shown_short_and_without_control_characters():
    tensor = np.arange(3.0).view(Tensor)
    tensor.torch_dtype = "bfloat16"
    assert short(tensor) == "tensor([0., 1., 2.], dtype=bfloat16)"
    assert "shape=(500, 500)" in short(np.zeros((500, 500)))
    assert len(short("x" * 10_000)) < 2100
    assert "\x1b" not in short(Opaque("\x1b[2J"))
    assert plain((np.float64(1), {1: (2,)})) == [1, {1: [2]}]
