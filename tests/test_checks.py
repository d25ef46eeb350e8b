"""What an author of hidden tests writes, and what an author is told who writes it wrong."""

import pytest
import tiny_course
from commands import run

from grader import Problem, alternative, at_least, check, exact, misconception
from grader.checks import Alternative, AuthorError, Check, HiddenTests, Misconception, marked
from grader.compare import Close


@pytest.fixture
def load(tmp_path):
    """Loads a checks.py with the given text."""

    def run(text: str) -> HiddenTests:
        path = tmp_path / "tiny" / "checks.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return HiddenTests.load(path)

    return run


HEADER = "from grader import Problem, check\n"
CHECK = '\n@check("{problem}", points={points}, hint="think")\ndef {name}(student, rng):\n    """It works."""\n'


def one(problem="f", points=1, name="works"):
    return CHECK.format(problem=problem, points=points, name=name)


def the_mark(function, kind):
    ((mark, _),) = marked({"it": function}, kind)
    return mark


def test_a_check_is_made_of_its_function():
    @check("f", points=2, hint="  Think\n  again. ", compare=exact(), after=len, cost=3)
    def it_works(student, rng):
        """It works,
        always.
        """
        return student.f(rng)

    mark = the_mark(it_works, Check)
    assert (mark.name, mark.problem, mark.title) == ("it_works", "f", "It works, always.")
    assert (mark.points, mark.hint, mark.cost, mark.after) == (2.0, "Think again.", 3, len)
    assert mark.compare == exact()
    assert mark.observe is it_works


def test_a_check_compares_with_a_tolerance_unless_told_otherwise():
    @check("f", points=1, hint="h")
    def works(student, rng):
        """It works."""

    assert the_mark(works, Check).compare == Close()


@pytest.mark.parametrize("points", [0, -1])
def test_a_check_without_points_is_refused(points):
    with pytest.raises(AuthorError, match="give it more than 0"):
        check("f", points=points, hint="h")


def test_a_check_without_a_hint_is_refused():
    with pytest.raises(AuthorError, match="no hint: say which idea to look at again"):
        check("f", points=1, hint="  ")


def test_a_check_without_a_docstring_is_refused():
    with pytest.raises(AuthorError, match="works has no docstring: write the sentence that the student reads"):

        @check("f", points=1, hint="h")
        def works(student, rng):
            pass


def test_a_misconception_is_made_of_a_function_or_a_class():
    @misconception("f", "You add\n   the gradient.", lecture="Lecture 5", same_as="climbs")
    def adds(x):
        return x

    mark = the_mark(adds, Misconception)
    assert mark == Misconception("adds", "f", "You add the gradient.", "Lecture 5", ("climbs",))
    assert adds(3) == 3


def test_a_subclass_of_a_misconception_is_none_itself():
    @misconception("F", "Wrong.")
    class Wrong:
        pass

    class Better(Wrong):
        pass

    assert [mark.name for mark, _ in marked({"Wrong": Wrong, "Better": Better}, Misconception)] == ["Wrong"]


def test_an_alternative_is_no_misconception():
    @alternative("f")
    def other(x):
        return x

    assert the_mark(other, Alternative) == Alternative("other", "f")
    assert marked({"other": other}, Misconception) == []


def test_one_forbidden_name_may_be_written_without_its_comma():
    assert Problem("f", forbidden="torch.softmax").forbidden == ("torch.softmax",)


def test_problems_stand_in_the_order_of_their_checks(load):
    tests = load(HEADER + one("g", name="first") + one("f", name="second") + one("g", name="third"))
    assert list(tests.problems) == ["g", "f"]
    assert [check.name for check in tests.problems["g"].checks] == ["first", "third"]
    assert list(tests.checks) == ["first", "third", "second"]


def test_a_problem_may_be_declared_with_what_it_forbids(load):
    declared = 'PROBLEMS = (Problem("f", bonus=True, forbidden=("a.b",), operators=("c::d",)),)\n'
    problem = load(HEADER + declared + one("f", points=2)).problems["f"]
    assert (problem.bonus, problem.forbidden, problem.operators, problem.points) == (True, ("a.b",), ("c::d",), 2)


def test_the_tiny_course_is_worth_a_hundred_points_and_a_bonus(tiny):
    assert (tiny.points, tiny.bonus_points) == (100, 5)
    assert [problem.name for problem in tiny.tests.problems.values()] == ["centered", "softmax", "Average", "largest"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "no check found: decorate a function with @check"),
        (HEADER + 'PROBLEMS = (Problem("g"),)\n' + one("f"), "PROBLEMS names 'g', but no check tests it"),
        (HEADER + one(points=0), "a check of 'f' is worth 0 points: give it more than 0"),
        ("import no_such_module", "can't be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "can't be imported: SyntaxError"),
        ("raise SystemExit", "can't be imported: SystemExit"),
        (HEADER + one("f") + one("g"), "two functions are named works: rename one"),
        (HEADER + 'PROBLEMS = (Problem("f"), Problem("f"))\n' + one("f"), "PROBLEMS names 'f' twice"),
    ],
)
def test_a_file_that_can_not_be_used_is_named_with_the_reason(load, tmp_path, text, message):
    with pytest.raises(AuthorError) as error:
        load(text)
    assert str(error.value).startswith(str(tmp_path / "tiny" / "checks.py"))
    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AuthorError, match=r"checks\.py is missing: write the hidden tests there"):
        HiddenTests.load(tmp_path / "checks.py")


def test_torch_is_imported_when_a_hidden_test_first_uses_it(load, tmp_path):
    tests = load(f"import torch\n{HEADER}{one()}    return torch.ones(2).sum()\n")
    program = f"""
import sys
from pathlib import Path
from grader.checks import HiddenTests

(check,) = HiddenTests.load(Path({str(tests.path)!r})).checks.values()
print("torch" in sys.modules, check.observe(None, None).item(), "torch" in sys.modules)
"""
    assert run(tmp_path, "python", "-c", program).stdout == "False 2.0 True\n"


def test_the_seed_of_a_check_changes_with_the_course_the_assignment_and_the_check_only(tmp_path):
    def seeds(folder, **changed):
        material = tiny_course.material(tiny_course.write(tmp_path / folder, **changed))
        return {name: material.seed(name) for name in material.tests.checks}

    first = seeds("first")
    assert len(set(first.values())) == 13
    assert seeds("again", checks=tiny_course.CHECKS + "\n# a comment\n") == first
    other = seeds("other", course=tiny_course.replaced(tiny_course.COURSE, "seed: 7", "seed: 8"))
    assert not set(other.values()) & set(first.values())


def test_the_digest_of_the_material_changes_with_everything_that_a_score_depends_on(tmp_path):
    def digest(**changed):
        return tiny_course.material(tiny_course.write(tmp_path, **changed)).digest

    same = digest()
    assert digest() == same
    changed = [
        digest(**{part: text + "\n# changed\n"})
        for part, text in [
            ("solution", tiny_course.SOLUTION),
            ("checks", tiny_course.CHECKS),
            ("misconceptions", tiny_course.MISCONCEPTIONS),
            ("alternatives", tiny_course.ALTERNATIVES),
        ]
    ]
    for old, new in [("seed: 7", "seed: 8"), ("differences", "full"), ("cell_seconds: 5", "cell_seconds: 6")]:
        changed.append(digest(course=tiny_course.replaced(tiny_course.COURSE, old, new)))
    assert len({same, *changed}) == 1 + len(changed)
    assert digest(course=tiny_course.replaced(tiny_course.COURSE, "Tiny problems", "A new title")) == same


def test_a_bound_is_written_as_a_comparison():
    assert at_least(0.9).agree(0.95, 0.99)
