"""Forbidden functions: found by name wherever a problem's code reaches, and by operator when it runs."""

from textwrap import dedent

import pytest
import tiny_course

from grader.checks import AuthorError, Problem
from grader.forbidden import Source
from grader.grade import grade
from grader.report import Verdict

FORBIDDEN = ("torch.nn.functional.softmax", "torch.softmax", "torch.optim.SGD")


def uses(*cells: str) -> list[str]:
    return Source(map(dedent, cells)).uses("solve", FORBIDDEN)


# By name, in the source


@pytest.mark.parametrize(
    "cells",
    [
        ["import torch\ndef solve(z):\n    return torch.nn.functional.softmax(z)"],
        ["import torch.nn.functional as F\ndef solve(z):\n    return F.softmax(z)"],
        ["from torch.nn import functional\ndef solve(z):\n    return functional.softmax(z)"],
        ["from torch.nn import functional as F", "def solve(z):\n    return F.softmax(z)"],
        ["from torch.nn.functional import softmax\ndef solve(z):\n    return softmax(z)"],
        ["from torch.nn.functional import softmax as mine\ndef solve(z):\n    return mine(z)"],
        ["import torch as t\ndef solve(z):\n    return t.nn.functional.softmax(z)"],
        ["import torch\nF = torch.nn.functional\nmine = F.softmax\ndef solve(z):\n    return mine(z)"],
        ["def solve(z):\n    import torch.nn.functional as F\n    return F.softmax(z)"],
        ["def solve(z):\n    from torch.nn.functional import softmax\n    return softmax(z)"],
        ["import torch.nn.functional as F\nclass solve:\n    def forward(self, z):\n        return F.softmax(z)"],
        ["import torch.nn.functional as F\nclass solve:\n    f = staticmethod(F.softmax)"],
        ["import torch.nn.functional as F\nsolve = F.softmax"],
        ["import torch.nn.functional as F\nsolve = lambda z: F.softmax(z)"],
        ["import torch.nn.functional as F\nasync def solve(z):\n    return F.softmax(z)"],
        ["import torch.nn.functional as F\n@F.softmax\ndef solve(z):\n    return z"],
        ["import torch.nn.functional as F\ndef solve(z, f=F.softmax):\n    return f(z)"],
        ["import torch.nn.functional as F\nif True:\n    def helper(z):\n        return F.softmax(z)\nsolve = helper"],
        [
            "try:\n    import torch.nn.functional as F\nexcept ImportError:\n    F = None",
            "def solve(z):\n    return F.softmax(z)",
        ],
    ],
    ids=lambda cells: cells[0].replace("\n", "; ")[:70],
)
def test_a_forbidden_function_is_found_however_it_was_imported(cells):
    assert uses(*cells) == ["torch.nn.functional.softmax"]


def test_helpers_are_followed_as_far_as_they_go():
    found = uses(
        "import torch",
        "def third(z):\n    return torch.softmax(z, 1)",
        "def second(z):\n    return third(z)",
        "class First:\n    def run(self, z):\n        return second(z)",
        "def solve(z):\n    return First().run(z)",
    )
    assert found == ["torch.softmax"]


def test_two_functions_that_call_each_other_are_followed_once():
    assert uses("def solve(z):\n    return other(z)", "def other(z):\n    return solve(z)") == []


def test_a_class_is_found_under_every_name_that_torch_has_for_it():
    assert uses("import torch\ndef solve(p):\n    return torch.optim.sgd.SGD(p)") == ["torch.optim.SGD"]
    assert uses("from torch.optim import SGD\nclass solve(SGD):\n    pass") == ["torch.optim.SGD"]


def test_all_that_is_used_is_told_in_order():
    cell = (
        "import torch\ndef solve(z):\n    torch.softmax(z)\n    torch.optim.SGD(z)\n    torch.nn.functional.softmax(z)"
    )
    assert uses(cell) == ["torch.nn.functional.softmax", "torch.optim.SGD", "torch.softmax"]


@pytest.mark.parametrize(
    "cells",
    [
        ["import torch.nn.functional as F\ndef solve(z):\n    return z", "assert solve(1) == F.softmax(1)"],
        [
            "import torch.nn.functional as F\ndef check_it():\n    return F.softmax(solve(1))",
            "def solve(z):\n    return z",
        ],
        ["import torch.nn.functional as F\ndef solve(z):\n    # not F.softmax(z)\n    return z"],
        ['import torch.nn.functional as F\ndef solve(z):\n    """Like F.softmax(z)."""\n    return z'],
        ["import torch.nn.functional as F\ndef solve(z):\n    return 'torch.nn.functional.softmax'"],
        ["def solve(z):\n    softmax = z\n    return softmax", "from torch.nn.functional import softmax"],
        ["from torch.nn.functional import softmax", "def solve(softmax):\n    return softmax + 1"],
        ["def solve(z):\n    return z.softmax"],
        ["import torch\ndef solve(z):\n    return torch.log_softmax(z)"],
        ["def softmax(z):\n    return z", "def solve(z):\n    return softmax(z)"],
        [
            "def other():\n    from torch.nn.functional import softmax",
            "def softmax(z):\n    return z\ndef solve(z):\n    return softmax(z)",
        ],
        ["import numpy as torch\ndef solve(z):\n    return torch.softmax(z)"],
    ],
    ids=lambda cells: cells[0].replace("\n", "; ")[:70],
)
def test_what_only_looks_like_it_is_not_taken_for_it(cells):
    assert uses(*cells) == []


@pytest.mark.parametrize(
    "cell",
    ["def solve(:", "\0", "solve = " + "(" * 5000 + ")" * 5000, "solve = " + "-" * 100_000 + "1", "x = '\ud800'"],
    ids=["syntax error", "null", "deep", "very deep", "half a character"],
)
def test_a_cell_that_can_not_be_parsed_hides_no_other(cell):
    assert uses(cell, "import torch\ndef solve(z):\n    return torch.softmax(z)") == ["torch.softmax"]


# In a submission


def softmax_verdicts(report):
    return {check.verdict for check in report.problem("softmax").checks}


@pytest.mark.parametrize(
    ("answer", "used"),
    [
        (
            "def softmax(z):\n    return torch.nn.functional.softmax(z, dim=1)",
            "torch.nn.functional.softmax",
        ),
        (
            "F = torch.nn.functional\ndef softmax(z):\n    return F.softmax(z, dim=1)",
            "torch.nn.functional.softmax",
        ),
        # Only seen when it runs:
        ("def softmax(z):\n    return getattr(torch, 'soft' + 'max')(z, 1)", "torch.softmax"),
        ("def softmax(z):\n    return eval('torch.softmax')(z, 1)", "torch.softmax"),
        ("def softmax(z):\n    return z.softmax(1)", "aten::_softmax"),
        ("def softmax(z):\n    return torch.nn.Softmax(1)(z)", "torch.nn.functional.softmax"),
        ("def softmax(z):\n    return torch.ops.aten.softmax(z, 1)", "aten::_softmax"),
        ("def softmax(z):\n    return torch._softmax(z, 1, False)", "aten::_softmax"),
    ],
)
def test_a_solution_that_uses_what_is_forbidden_is_told_so_in_every_check(graded, answer, used):
    report = graded(softmax=answer)
    assert softmax_verdicts(report) == {Verdict.FORBIDDEN}
    assert report.score == 105 - 40
    assert {check.message for check in report.problem("softmax").checks} == {
        f"uses {used}: the point of this problem is to build it yourself"
    }


def test_keeping_the_function_before_it_is_watched_does_not_help(graded):
    cell = "import gc, torch\nkept = torch.softmax"
    report = graded(cell, softmax="def softmax(z):\n    return kept(z, 1)")
    assert softmax_verdicts(report) == {Verdict.FORBIDDEN}


def test_a_test_cell_may_use_it(graded):
    report = graded(
        softmax=tiny_course.ANSWERS["softmax"]
        + "\n\nassert torch.allclose(softmax(torch.eye(3)), torch.softmax(torch.eye(3), 1))"
    )
    assert report.score == 105
    assert not report.cells


def test_another_problem_may_use_it(graded):
    cell = "def centered(x):\n    torch.softmax(torch.zeros(1, 2), 1)\n    return x - x.mean(0)"
    assert graded(centered=cell).score == 105


def test_a_magic_in_the_cell_does_not_hide_it(graded):
    report = graded(softmax="%matplotlib inline\n!ls\ndef softmax(z):\n    return torch.softmax(z, 1)")
    assert softmax_verdicts(report) == {Verdict.FORBIDDEN}


def test_code_that_was_not_written_is_not_forbidden_but_not_attempted(graded):
    report = graded(
        softmax="def softmax(z):\n    # torch.softmax(z, 1) is not allowed\n    raise NotImplementedError()"
    )
    assert softmax_verdicts(report) == {Verdict.NOT_ATTEMPTED}


@pytest.mark.parametrize("forbidden", ["torch.no_such.thing", "no_such_module.f", "torch.Tensor.softmax", "torch"])
def test_an_author_may_forbid_what_this_version_does_not_have(tmp_path, sandbox, forbidden):
    checks = tiny_course.replaced(tiny_course.CHECKS, '"torch.softmax", ', f'"{forbidden}", ')
    material = tiny_course.material(tiny_course.write(tmp_path, checks=checks))
    answers = (
        {}
        if forbidden != "torch"
        else {"softmax": "def softmax(z):\n    z = np.exp(z - z.max())\n    return z / z.sum(1)[:, None]"}
    )
    report = grade(tiny_course.submission(**answers), material, sandbox)
    assert report.score == 105


def test_a_method_can_be_forbidden(tmp_path, sandbox):
    checks = tiny_course.replaced(tiny_course.CHECKS, '"torch.softmax", ', '"torch.Tensor.softmax", ')
    checks = tiny_course.replaced(checks, 'operators=("aten::_softmax",)', "operators=()")
    material = tiny_course.material(tiny_course.write(tmp_path, checks=checks))
    report = grade(tiny_course.submission(softmax="def softmax(z):\n    return z.softmax(1)"), material, sandbox)
    assert softmax_verdicts(report) == {Verdict.FORBIDDEN}


def test_an_estimator_that_is_forbidden_still_works_where_it_is_allowed(tmp_path, sandbox):
    """scikit-learn reads the signatures of its estimators, which the watch must not change."""
    checks = tiny_course.replaced(
        tiny_course.CHECKS, 'forbidden=("torch.softmax",', 'forbidden=("sklearn.linear_model.Ridge", "torch.softmax",'
    )
    material = tiny_course.material(tiny_course.write(tmp_path, checks=checks))
    look = "from sklearn.linear_model import Ridge\nRidge().fit(np.eye(2), np.ones(2))\nrepr(Ridge(alpha=2))"
    report = grade(tiny_course.submission(tiny_course.IMPORTS, look), material, sandbox)
    assert report.score == 105 and not report.cells
    cheat = (
        f"{look}\ndef softmax(z):\n    Ridge().fit(np.eye(2), np.ones(2))\n    return z.exp() / z.exp().sum(1)[:, None]"
    )
    report = grade(tiny_course.submission(tiny_course.IMPORTS, softmax=cheat), material, sandbox)
    assert {check.verdict for check in report.problem("softmax").checks} == {Verdict.FORBIDDEN}


def test_an_operator_is_not_forbidden_by_its_packet():
    with pytest.raises(AuthorError, match=r"name it among `operators`, as aten::softmax"):
        Problem("softmax", forbidden=("torch.ops.aten.softmax",))


@pytest.mark.parametrize(
    "call",
    [
        "torch.rnn_tanh(x, h, w, True, 1, 0.0, False, False, False)",
        "torch.ops.aten.rnn_tanh(x, h, w, True, 1, 0.0, False, False, False)",
        "torch.ops.aten.rnn_tanh.input(x, h, w, True, 1, 0.0, False, False, False)",
        "getattr(torch._C._VariableFunctions, 'rnn_' + 'tanh')(x, h, w, True, 1, 0.0, False, False, False)",
    ],
)
def test_an_operator_that_falls_into_parts_is_seen_when_it_is_called(tmp_path, sandbox, call):
    """torch dispatches addmm and tanh, as it does for a right answer."""
    checks = tiny_course.replaced(tiny_course.CHECKS, '("aten::_softmax",)', '("aten::rnn_tanh",)')
    material = tiny_course.material(tiny_course.write(tmp_path, checks=checks))
    answer = f"""
def softmax(z):
    x, h, w = torch.zeros(3, 1, 2), torch.zeros(1, 1, 2), [*torch.zeros(2, 2, 2), *torch.zeros(2, 2)]
    {call}
    return z.exp() / z.exp().sum(1)[:, None]
"""
    report = grade(tiny_course.submission(softmax=answer), material, sandbox)
    assert {check.verdict for check in report.problem("softmax").checks} == {Verdict.FORBIDDEN}
