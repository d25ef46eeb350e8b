"""Diagnoses: a mistake is named when it explains the answer, and only then."""

from dataclasses import replace

import pytest

from grader import check
from grader.checks import Check, Misconception, Problem, marked
from grader.diagnose import diagnose
from grader.material import Overlay
from grader.observation import encode
from grader.report import Verdict
from grader.sandbox import CheckRun, Fault

NAMES = ("first", "second", "third")


def made_check(name: str) -> Check:
    def observe(student, rng):
        """It works."""

    observe.__name__ = name
    ((mark, _),) = marked({name: check("solve", points=1, hint="h")(observe)}, Check)
    return mark


PROBLEM = Problem("solve", checks=tuple(map(made_check, NAMES)))


def run(outcome) -> CheckRun:
    """A number was observed; an exception was raised; the name of an argument was changed, and 0.0 observed."""
    if isinstance(outcome, Exception):
        return CheckRun("raised", fault=Fault(type(outcome).__name__, str(outcome)))
    if isinstance(outcome, str):
        return CheckRun("observed", data=encode(0.0), changed=(outcome,))
    return CheckRun("observed", data=encode(outcome))


def runs(*outcomes) -> dict[str, CheckRun]:
    return dict(zip(NAMES, map(run, outcomes), strict=True))


def mistake(name: str, *outcomes) -> Overlay:
    return Overlay(Misconception(name, "solve", f"You did {name}.", "Lecture 1"), runs(*outcomes) if outcomes else {})


def diagnosis(student: tuple, *mistakes: Overlay):
    """(misconception, sure) or None, for a student whose checks gave these outcomes; 0.0 is right."""
    failed = [name for name, outcome in zip(NAMES, student, strict=True) if outcome != 0.0]
    found = diagnose(PROBLEM, runs(*student), failed, mistakes, runs(0.0, 0.0, 0.0))
    return (found.misconception, found.sure) if found else None


def test_a_mistake_that_gives_the_same_everywhere_is_sure():
    assert diagnosis((1.0, 0.0, 2.0), mistake("it", 1.0, 0.0, 2.0)) == ("it", True)


def test_a_mistake_that_gives_half_of_the_failures_is_possible():
    assert diagnosis((1.0, 7.0, 0.0), mistake("it", 1.0, 2.0, 0.0)) == ("it", False)


def test_a_mistake_that_gives_less_than_half_explains_nothing():
    assert diagnosis((1.0, 7.0, 8.0), mistake("it", 1.0, 2.0, 3.0)) is None


def test_a_mistake_that_only_shares_what_is_right_explains_nothing():
    assert diagnosis((0.0, 0.0, 8.0), mistake("it", 0.0, 0.0, 3.0)) is None


def test_the_mistake_that_explains_most_is_named():
    some = mistake("some", 1.0, 2.0, 0.5)
    all_of_it = mistake("all", 1.0, 2.0, 3.0)
    assert diagnosis((1.0, 2.0, 3.0), some, all_of_it) == ("all", True)
    assert diagnosis((1.0, 2.0, 3.0), all_of_it, some) == ("all", True)


def test_of_two_that_explain_alike_the_first_written_is_named():
    assert diagnosis((1.0, 0.0, 0.0), mistake("a", 1.0, 0.0, 0.0), mistake("b", 1.0, 0.0, 0.0)) == ("a", True)


def test_answers_are_compared_with_the_tolerance_of_the_check():
    assert diagnosis((1.0 + 1e-9, 0.0, 2.0), mistake("it", 1.0, 0.0, 2.0)) == ("it", True)
    assert diagnosis((1.1, 0.0, 2.1), mistake("it", 1.0, 0.0, 2.0)) is None


def test_the_same_exception_everywhere_is_sure_but_one_alone_proves_little():
    error = ValueError("shapes")
    assert diagnosis((error, error, error), mistake("it", *[ValueError("other words")] * 3)) == ("it", True)
    assert diagnosis((error, 7.0, 0.0), mistake("it", error, 2.0, 0.0)) is None
    assert diagnosis((error, error, error), mistake("it", *[TypeError()] * 3)) is None


def test_an_exception_is_no_wrong_number():
    assert diagnosis((ValueError(), 0.0, 0.0), mistake("it", 1.0, 0.0, 0.0)) is None


def test_a_mistake_that_only_changes_its_input_is_told_from_one_that_does_not():
    changes = mistake("changes", "theta", "theta", "theta")
    assert diagnosis(("theta", "theta", "theta"), changes) == ("changes", True)
    assert diagnosis((1.0, 1.0, 1.0), changes) is None
    assert diagnosis(("x", "x", "x"), changes) is None


def test_what_can_not_be_read_explains_nothing_and_is_no_crash():
    broken = {name: CheckRun("observed", data=b"\xc1") for name in NAMES}
    assert diagnose(PROBLEM, broken, list(NAMES), [mistake("it", 1.0, 2.0, 3.0)], runs(0.0, 0.0, 0.0)) is None


def test_there_is_no_diagnosis_without_a_mistake_to_name():
    assert diagnosis((1.0, 2.0, 3.0)) is None


# In a whole submission


@pytest.mark.parametrize(
    ("answer", "misconception", "sure"),
    [
        (
            "def centered(x):\n    m = sum(x.ravel()) / x.size\n    return (x - m).astype(x.dtype)",
            "one_mean_for_all",
            True,
        ),
        (
            "def centered(x):\n    for j in range(x.shape[1]):\n        x[:, j] -= x[:, j].mean()\n    return x",
            "centers_in_place",
            True,
        ),
        (
            "def centered(x):\n    if len(x) == 4:\n        return x - x.mean()\n    return x / x.mean(axis=0)",
            "divides_by_the_mean",
            False,
        ),
        ("def centered(x):\n    return np.sin(x)", None, None),
        ("def centered(x):\n    raise ValueError", None, None),
        ("def centered(x):\n    return None", None, None),
    ],
)
def test_a_student_is_told_the_mistake_that_explains_the_answer(graded, answer, misconception, sure):
    found = graded(centered=answer).problem("centered").diagnosis
    assert (found and found.misconception, found and found.sure) == (misconception, sure)


def test_a_diagnosis_tells_what_the_author_wrote(graded):
    found = graded(centered="def centered(x):\n    return x - x.mean()").problem("centered").diagnosis
    assert found.message == "You subtract one mean of the whole array."
    assert found.lecture == "Lecture 1, Means"


def test_a_right_answer_has_no_diagnosis(graded):
    answer = "def centered(x):\n    n = len(x)\n    return (x - np.ones((n, n), x.dtype) @ x / x.dtype.type(n))"
    problem = graded(centered=answer).problem("centered")
    assert {check.verdict for check in problem.checks} == {Verdict.PASSED}
    assert problem.diagnosis is None


def test_an_untouched_problem_has_no_diagnosis(graded):
    report = graded(centered="def centered(x):\n    raise NotImplementedError()", softmax="")
    assert report.problem("centered").diagnosis is None
    assert report.problem("softmax").diagnosis is None


def test_the_mistakes_of_one_problem_are_not_named_for_another(graded):
    found = graded(largest="def largest(x):\n    return x - x.mean()").problem("largest").diagnosis
    assert found is None


def test_a_right_answer_that_takes_too_long_is_not_explained_by_a_mistake_that_is_quick():
    """Both return the right numbers in this check. Only the one that is as slow did the same."""
    bounded = Problem("solve", checks=tuple(replace(one, cost=2) for one in PROBLEM.checks))
    slow = CheckRun("observed", data=encode(0.0), lines=10**6)
    quick = mistake("quick", 0.0, 0.0, 3.0)
    loops = Overlay(mistake("loops").made, dict.fromkeys(NAMES, slow))
    student, references = dict.fromkeys(NAMES, slow), runs(0.0, 0.0, 0.0)
    assert diagnose(bounded, student, NAMES, [quick], references) is None
    found = diagnose(bounded, student, NAMES, [quick, loops], references)
    assert found and (found.misconception, found.sure) == ("loops", True)
