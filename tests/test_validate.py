"""`grader validate`: the hidden tests are tested, and every fault of an author is named."""

import pytest
import tiny_course

from grader.build import build
from grader.validate import validate


@pytest.fixture
def validated(tmp_path, sandbox):
    """Validates the tiny course with some files replaced, its release freshly built."""

    def run(**changed: str):
        material = tiny_course.material(tiny_course.write(tmp_path, **changed))
        build(material, material.course.folder("release"))
        return validate(material, sandbox)

    return run


def changed(part: str, old: str, new: str) -> dict[str, str]:
    return {part: tiny_course.replaced(getattr(tiny_course, part.upper()), old, new)}


def test_a_good_assignment_is_valid(validated):
    found = validated()
    assert found.faults == []
    assert found.valid
    assert (found.problems, found.checks, found.points, found.bonus_points) == (4, 13, 100, 5)
    assert (found.reference, found.stub) == (105, 0)
    assert found.caught == found.diagnosed == found.misconceptions == 12
    assert found.accepted == found.alternatives == 3


CATCHES_NOTHING = '''

@check("largest", points=1, hint="Think.")
def of_one(student, rng):
    """Of one number, that one."""
    return student.largest(np.array([7.0])) * 0
'''
RIGHT_AFTER_ALL = """

@misconception("centered", "You use numpy's mean.")
def uses_numpy(x):
    return x - np.mean(x, axis=0)
"""


def test_a_misconception_that_no_check_catches_is_named(validated):
    found = validated(misconceptions=tiny_course.MISCONCEPTIONS + RIGHT_AFTER_ALL)
    assert found.faults == ["misconception uses_numpy of centered loses no points: no check catches it"]
    assert (found.caught, found.misconceptions, found.valid) == (12, 13, False)


def test_a_check_that_catches_nothing_is_named(validated):
    found = validated(checks=tiny_course.CHECKS + CATCHES_NOTHING)
    assert found.faults == ["check of_one catches no misconception: drop it, or write the mistake that it is for"]


def test_an_alternative_that_loses_is_named_with_the_reason(validated):
    found = validated(**changed("alternatives", ".astype(x.dtype)", ""))
    assert found.faults == [
        "alternative with_a_matrix is right, but loses check the_dtype_stays: float64 instead of float32"
    ]
    assert (found.accepted, found.alternatives) == (2, 3)


def test_points_that_are_not_a_hundred_are_named(validated):
    found = validated(**changed("checks", '"centered", points=20', '"centered", points=21'))
    assert found.faults == ["the checks are worth 101 points without the bonus: make it 100"]


def test_a_problem_with_too_few_checks_is_named(validated):
    checks = tiny_course.replaced(tiny_course.CHECKS, 'check("largest", points=1', 'check("Average", points=1')
    checks = tiny_course.replaced(checks, '"Average", points=10', '"Average", points=9')
    checks = tiny_course.replaced(
        checks, "student.largest(np.array([-4.0, -9.0, -3.0, -5.0]))", "student.Average().add(-4.0)"
    )
    assert "largest has 2 checks: write 3 or more" in validated(checks=checks).faults


def test_a_stub_that_scores_is_named(validated):
    old = "    ### BEGIN SOLUTION\n    return int(np.argmax(x))\n"
    found = validated(**changed("solution", old, "    return int(np.argmax(x))\n    ### BEGIN SOLUTION\n"))
    assert found.faults == ["the stub of largest scores 5 points"]
    assert found.stub == 5


def test_a_release_that_is_out_of_date_is_named(tmp_path, sandbox):
    material = tiny_course.material(tiny_course.write(tmp_path))
    assert validate(material, sandbox).faults == ["assignments/tiny is out of date: run grader build tiny"]


def test_a_cell_of_the_solution_that_fails_is_named(validated):
    faults = validated(solution=tiny_course.SOLUTION + "\n# %%\n1 / 0\n").faults
    assert len(faults) == 2
    assert faults[0].startswith("cell 11 of the solution ")
    assert faults[1].startswith("cell 11 of the stub notebook ")
    assert "ZeroDivisionError" in faults[0]


def test_a_public_test_that_the_reference_fails_is_named(validated):
    (fault,) = validated(**changed("solution", "== 1\n", "== 2\n")).faults
    assert fault.startswith("cell 10 of the solution ")
    assert "AssertionError" in fault


@pytest.mark.parametrize(
    ("part", "old", "new", "message"),
    [
        (
            "checks",
            "return student.centered(rng.normal(size=(3, 1)))",
            "return student.centered('text')",
            "check one_column can't be used: the reference centered gave 'raised' AttributeError",
        ),
        (
            "checks",
            "return student.centered(rng.normal(size=(3, 1)))",
            "return 1 / 0",
            "ZeroDivisionError division by zero. Mend the check or solutions/tiny.py",
        ),
        (
            "checks",
            "return student.centered(rng.normal(size=(3, 1)))",
            "return {1, 2}",
            "check one_column observes a set, and any other would pass for it: return arrays,",
        ),
        (
            "checks",
            "return student.centered(rng.normal(size=(3, 1)))",
            "return [0, print]",
            "check one_column observes a builtin_function_or_method, and any other would pass for it: return arrays,",
        ),
        (
            "checks",
            '"Average", points=5, hint="The',
            '"Average", points=5, after=len, hint="The',
            "check of_one_number: `after` fails on the reference: TypeError: object of type 'float' has no len()",
        ),
        (
            "checks",
            'check("largest", points=1',
            'check("smallest", points=1',
            "solutions/tiny.py: no cell for smallest, though checks test smallest",
        ),
        ("checks", "def below_zero", "def in_the_middle", "two functions are named in_the_middle: rename one"),
        (
            "misconceptions",
            '"largest", "You return the last',
            '"smallest", "You return the last',
            "the_last_one is about 'smallest', which no check tests",
        ),
        (
            "misconceptions",
            "import torch",
            "import no_such_module",
            "can't be used: ModuleNotFoundError: No module named 'no_such_module' (line 2)",
        ),
        ("misconceptions", "x / x.mean(axis=0)", "x / (x.mean(axis=0)", "can't be used: SyntaxError"),
        (
            "misconceptions",
            "def divides_by_the_mean",
            "def one_mean_for_all",
            "two functions are named one_mean_for_all: rename one",
        ),
        (
            "alternatives",
            "def with_a_matrix",
            "def one_mean_for_all",
            "two of them are named one_mean_for_all: rename one",
        ),
    ],
)
def test_material_that_can_not_be_used_is_named(tmp_path, sandbox, part, old, new, message):
    material = tiny_course.material(tiny_course.write(tmp_path, **changed(part, old, new)))
    found = validate(material, sandbox)
    assert not found.valid
    assert message in found.faults[-1]


@pytest.mark.parametrize("text", ["", "def f(:", "# %%\nx = (\n", "no script at all \0"])
def test_a_solution_that_is_none_is_named(tmp_path, sandbox, text):
    material = tiny_course.material(tiny_course.write(tmp_path, solution=text))
    faults = validate(material, sandbox).faults
    assert str(material.solution_file) in faults[-1]


def test_an_assignment_needs_no_misconceptions_to_be_graded_but_to_be_valid(tmp_path, sandbox):
    material = tiny_course.material(tiny_course.write(tmp_path))
    for name in ("misconceptions", "alternatives"):
        (material.hidden_folder / f"{name}.py").unlink()
    build(material, material.course.folder("release"))
    found = validate(material, sandbox)
    assert found.reference == 105
    assert len(found.faults) == 13
    assert all("catches no misconception" in fault for fault in found.faults)


def test_a_sandbox_limit_that_the_reference_needs_more_than_is_named(tmp_path, sandbox):
    course = tiny_course.replaced(tiny_course.COURSE, "check_seconds: 5", "check_seconds: 0.5")
    loop = "    ### BEGIN SOLUTION\n    while len(x) == 300:\n        pass\n    return x"
    solution = tiny_course.replaced(tiny_course.SOLUTION, "    ### BEGIN SOLUTION\n    return x", loop)
    material = tiny_course.material(tiny_course.write(tmp_path, course=course, solution=solution))
    build(material, material.course.folder("release"))
    assert "check no_loop_over_numbers can't be used: the reference centered gave 'timed_out'" in str(
        validate(material, sandbox).faults
    )


def test_a_misconception_that_is_caught_but_not_diagnosed_is_named(validated):
    """It raises something else each time, which explains nothing."""
    mistake = """

@misconception("largest", "You return an object of your own.")
def returns_an_object(x):
    return object()


@misconception("largest", "You return another object of your own.")
def returns_another_object(x):
    return object()
"""
    found = validated(misconceptions=tiny_course.MISCONCEPTIONS + mistake)
    assert found.undiagnosed == ["returns_another_object"]
    assert found.diagnosed == found.misconceptions - 1
