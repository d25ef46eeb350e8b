"""Building: the students' notebook comes from the solution script and the checks, the same each time."""

import json

import nbformat
import pytest
import tiny_course

from grader.build import build, outdated, source_notebook
from grader.checks import AuthorError


@pytest.fixture
def course(tmp_path):
    """Writes the tiny course with some files replaced, and gives its material."""

    def write(**changed):
        return tiny_course.material(tiny_course.write(tmp_path, **changed))

    return write


def released(material):
    path = build(material, material.course.folder("release"))
    return nbformat.read(path, as_version=4)


def nbgrader(notebook):
    return {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


# What students get


def test_the_release_has_the_lesson_and_the_public_tests_but_no_solution(course):
    notebook = released(course())
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "Three functions and a class." in text
    assert "assert centered(" in text
    assert "BEGIN SOLUTION" not in text
    assert "x.mean(axis=0)" not in text
    assert text.count("raise NotImplementedError()") == 4


def test_hidden_tests_and_misconceptions_are_not_in_it(course):
    material = course()
    text = (build(material, material.course.folder("release"))).read_text()
    assert "rng" not in text
    assert "one mean of the whole array" not in text
    assert "Each column has a mean of its own" not in text


def test_each_problem_has_a_cell_to_solve_and_a_locked_one_with_the_points_of_its_checks(course):
    cells = nbgrader(released(course()))
    points = {name: cell.metadata.nbgrader.get("points") for name, cell in cells.items()}
    assert points == {
        "centered": None,
        "test_centered": 40,
        "softmax": None,
        "test_softmax": 40,
        "Average": None,
        "test_Average": 20,
        "largest": None,
        "test_largest": 0,  # a bonus comes on top
    }
    for name, cell in cells.items():
        assert cell.metadata.nbgrader.locked == cell.metadata.nbgrader.grade == name.startswith("test_")


def test_points_follow_the_checks(course):
    checks = tiny_course.replaced(tiny_course.CHECKS, '"centered", points=20', '"centered", points=23')
    assert nbgrader(released(course(checks=checks)))["test_centered"].metadata.nbgrader.points == 43


def test_an_answer_in_words_has_the_points_that_the_script_says(course):
    words = '\n# %% [markdown] answer="why" points=4\n# *Your answer here.*\n'
    cell = nbgrader(released(course(solution=tiny_course.SOLUTION + words)))["why"]
    assert cell.cell_type == "markdown"
    assert (cell.metadata.nbgrader.points, cell.metadata.nbgrader.grade) == (4, True)


def test_the_release_is_a_valid_notebook_with_no_outputs_and_a_kernel(course):
    notebook = released(course())
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(cell.get("outputs") for cell in notebook.cells)


# The same each time


def test_building_twice_gives_the_same_bytes(course):
    material = course()
    path = build(material, material.course.folder("release"))
    first = path.read_bytes()
    path.unlink()
    assert build(material, material.course.folder("release")).read_bytes() == first
    source = material.course.folder("source") / "tiny" / "tiny.ipynb"
    assert source_notebook(material) == nbformat.read(source, as_version=4)


def test_a_cell_keeps_its_id_when_another_is_put_in_front(course):
    def ids(solution):
        return {name: cell.id for name, cell in nbgrader(source_notebook(course(solution=solution))).items()}

    before = ids(tiny_course.SOLUTION)
    after = ids(tiny_course.replaced(tiny_course.SOLUTION, "# %%\nimport", "# %%\nx = 1\n\n# %%\nimport"))
    assert before == after
    assert len(set(before.values())) == 8


def test_what_is_up_to_date_is_not_written_again(course):
    material = course()
    path = build(material, material.course.folder("release"))
    stamp = path.stat().st_mtime_ns
    build(material, material.course.folder("release"))
    assert path.stat().st_mtime_ns == stamp


def test_a_release_is_out_of_date_when_its_script_or_its_points_change(course):
    material = course()
    assert outdated(material)
    build(material, material.course.folder("release"))
    assert not outdated(material)
    changed = tiny_course.replaced(tiny_course.SOLUTION, "Three functions", "3 functions")
    assert outdated(course(solution=changed))
    assert not outdated(course())
    checks = tiny_course.replaced(tiny_course.CHECKS, '"centered", points=20', '"centered", points=23')
    assert outdated(course(checks=checks))


def test_a_release_that_was_edited_by_hand_is_out_of_date(course):
    material = course()
    path = build(material, material.course.folder("release"))
    edited = json.loads(path.read_text())
    edited["cells"][0]["source"] = ["# Another title"]
    path.write_text(json.dumps(edited))
    assert outdated(material)


def test_a_change_of_the_solution_alone_does_not_change_the_release(course):
    build(material := course(), material.course.folder("release"))
    solved = tiny_course.replaced(tiny_course.SOLUTION, "return x - x.mean(axis=0)", "return x - np.mean(x, 0)")
    assert not outdated(course(solution=solved))


# What an author is told


TESTS_CELL = '# %% tests="largest"\nassert largest(np.array([1, 3, 2])) == 1\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('# %% tests="softmax"', '# %% tests="centered"', "two cells are tagged {'tests': 'centered'}: keep one"),
        ('# %% problem="softmax"', "# %%", "no cell for softmax, though checks test softmax"),
        (TESTS_CELL, "", "no cell for test_largest, though checks test largest"),
        ('tests="largest"', 'tests="smallest"', "tests='smallest', but no check tests that problem"),
        ('problem="largest"', 'problem="smallest"', "problem='smallest', but no check tests it"),
        ("def largest(", "def smallest(", "the cell of problem 'largest' does not define it"),
        ("    ### BEGIN SOLUTION\n    return int", "    return int", "the cell of 'largest' has no ### BEGIN SOLUTION"),
        (
            "return int(np.argmax(x))\n    ### END SOLUTION",
            "return int(np.argmax(x))",
            "the cell of 'largest' has no ### END SOLUTION",
        ),
        ("# %% [markdown]", '# %% [markdown] answer="why"', "answer='why' needs points=N, more than 0"),
    ],
)
def test_a_fault_in_the_script_is_named_with_its_file(course, old, new, message):
    material = course(solution=tiny_course.replaced(tiny_course.SOLUTION, old, new))
    with pytest.raises(AuthorError) as error:
        build(material, material.course.folder("release"))
    assert str(error.value) == f"{material.solution_file}: {message}"


def test_a_solution_in_a_cell_without_a_tag_is_no_release(course):
    solution = tiny_course.replaced(
        tiny_course.SOLUTION,
        '# %% problem="centered"',
        '# %%\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n\n# %% problem="centered"',
    )
    material = course(solution=solution)
    with pytest.raises(AuthorError, match="nbgrader can't make a notebook of it"):
        build(material, material.course.folder("release"))
    assert not (material.course.folder("release") / "tiny" / "tiny.ipynb").exists()


def test_a_script_that_is_missing_is_named(tmp_path):
    tiny_course.write(tmp_path)
    (tmp_path / "solutions" / "tiny.py").unlink()
    with pytest.raises(AuthorError, match="is missing: the assignment's lesson and solution belong there"):
        tiny_course.material(tmp_path)
