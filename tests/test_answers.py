"""answers.py: what a check is given, and what knows an answer, far from the student's process."""

import pytest
import tiny_course

from grader.checks import AuthorError
from grader.grade import grade
from grader.report import Verdict
from grader.sandbox import Sandbox

CHECK = '''

@check("largest", points=5, given="hidden_rows", after="share_right", compare=at_least(0.9), hint="Look closely.")
def hidden_rows_are_understood(student, rng, rows):
    """Of rows that nobody has seen, nine in ten are understood."""
    return [student.largest(row) for row in rows]
'''
ANSWERS = """\
import numpy as np

PLACES = np.arange(20) % 4  # a secret: where the largest number of each hidden row stands


def hidden_rows(rng):
    rows = rng.uniform(0, 1, size=(20, 4))
    rows[np.arange(20), PLACES] = 2
    return (rows,)


def share_right(found):
    return float(np.mean(np.array(found) == PLACES))
"""


@pytest.fixture
def material(tmp_path):
    checks = tiny_course.replaced(tiny_course.CHECKS, "import Problem, check", "import Problem, at_least, check")
    root = tiny_course.write(tmp_path, checks=checks + CHECK)
    (root / "tests" / "hidden" / "tiny" / "answers.py").write_text(ANSWERS)
    return tiny_course.material(root)


def result(report):
    (found,) = [check for check in report.problem("largest").checks if check.name == "hidden_rows_are_understood"]
    return found


def test_what_is_given_reaches_the_check_and_what_is_returned_is_judged_outside(material, sandbox):
    assert result(grade(tiny_course.submission(), material, sandbox)).verdict is Verdict.PASSED
    wrong = result(grade(tiny_course.submission(largest="def largest(x):\n    return 0"), material, sandbox))
    assert (wrong.verdict, wrong.message) == (Verdict.WRONG, "0.25: at least 0.9 is needed")


def test_the_same_is_given_every_time_whatever_an_answer_did_to_it(material, sandbox):
    spoils = "def largest(x):\n    place = int(np.argmax(x))\n    x[:] = 0\n    return place"
    changed = result(grade(tiny_course.submission(largest=spoils), material, sandbox))
    assert changed.message == "the input x was changed in place"
    assert result(grade(tiny_course.submission(), material, sandbox)).verdict is Verdict.PASSED
    assert material.given == tiny_course.material(material.course.root).given


def test_the_student_s_process_holds_no_answer(material, sandbox):
    look = f"""
import gc, sys
found = [name for name in sys.modules if "answers" in name]
held = [one for one in gc.get_objects() if isinstance(one, dict)]
found += [name for name in ("PLACES", "share_right") for one in held if name in one]
try:
    found.append(open({str(material.tests.answers_file)!r}).read())
except OSError:
    pass
def largest(x):
    raise ValueError(str(found))
"""
    report = grade(tiny_course.submission(largest=look), material, sandbox)
    assert result(report).message == "raised ValueError at line 11 of your cell: []"


def test_a_change_of_the_answers_grades_everything_anew(material):
    before = material.digest
    material.tests.answers_file.write_text(ANSWERS.replace("% 4", "% 3"))
    assert tiny_course.material(material.course.root).digest != before


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (None, r"answers\.py is missing"),
        ("x = 1 +", r"answers\.py can't be imported: SyntaxError"),
        ("share_right = len", r"answers\.py has no function 'hidden_rows', which a check asks for: write it"),
        (ANSWERS.replace("return (rows,)", "return 1 / 0"), r"answers\.py fails on what is given to checks: ZeroDiv"),
        (ANSWERS.replace("return (rows,)", "return rows[0, 0]"), r"'hidden_rows' gives no tuple or list"),
        (ANSWERS.replace("return (rows,)", "return (object(),)"), r"'hidden_rows' gives a object"),
    ],
)
def test_answers_that_can_not_be_used_are_named(material, sandbox: Sandbox, answers, message):
    if answers is None:
        material.tests.answers_file.unlink()
    else:
        material.tests.answers_file.write_text(answers)
    fresh = tiny_course.material(material.course.root)
    with pytest.raises(AuthorError, match=message):
        grade(tiny_course.submission(), fresh, sandbox)
