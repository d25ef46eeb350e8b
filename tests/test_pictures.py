"""Pictures of wrong answers: the right kind, no more of the answer than may be seen, small, and the same each time."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from test_judge import made_check, reference

from grader import at_least, same_set, up_to_sign
from grader.grade import grade
from grader.observation import encode, plain
from grader.pages import checks_table, report_page
from grader.pictures import figure, picture_of
from grader.report import Picture, ProblemResult, Report, Verdict
from grader.sandbox import CheckRun

RANDOM = np.random.default_rng(0)
SERIES = np.linspace(0.0, 1.0, 20)
MATRIX = RANDOM.normal(size=(4, 6))
CIRCLE = np.stack([np.cos(6 * SERIES), np.sin(6 * SERIES)], axis=1)

ZIGZAG = np.tile([[0.0, 0.0], [1.0, 2.0]], (6, 1))
LINES = np.stack([SERIES, SERIES**2, SERIES**3], axis=1)


def drawn(observed, expected, reveal="full", **changed) -> Picture | None:
    run = CheckRun("observed", data=encode(plain(observed)))
    return picture_of(made_check(**changed), run, reference(plain(expected)), reveal)


def but(array, *place, value=5):
    """The same with one number off."""
    other = array.copy()
    other[place] = value
    return other


@pytest.mark.parametrize(
    ("observed", "expected", "kind"),
    [
        (but(SERIES, 3), SERIES, "curve"),
        (but(SERIES, 3).tolist(), SERIES.tolist(), "curve"),
        (torch.tensor(but(SERIES, 3)), torch.tensor(SERIES), "curve"),
        (but(MATRIX, 1, 2), MATRIX, "map"),
        ({"small": 1, "large": but(MATRIX, 1, 2)}, {"small": 1, "large": MATRIX}, "map"),
        ((MATRIX, but(MATRIX, 1, 2)), (MATRIX, MATRIX), "map"),
        (MATRIX < 0, MATRIX > 0, "map"),
        (but(CIRCLE, 4, 1), CIRCLE, "path"),
        (list(but(CIRCLE, 4, 1)), list(CIRCLE), "path"),
        (RANDOM.normal(size=(20, 2)), RANDOM.normal(size=(20, 2)), "map"),
        (list(but(LINES, 4, 1)), list(LINES), "curve"),
        (np.zeros((2, 3, 4, 5)), RANDOM.normal(size=(2, 3, 4, 5)), "map"),
    ],
    ids=[
        "series",
        "list of numbers",
        "tensor",
        "matrix",
        "case",
        "tuple",
        "mask",
        "path",
        "list of points",
        "points",
        "list of vectors",
        "four dimensions",
    ],
)
def test_what_is_drawn_as_what(observed, expected, kind):
    assert drawn(observed, expected).kind == kind


@pytest.mark.parametrize(
    ("observed", "expected", "changed"),
    [
        (1.0, 2.0, {}),
        (np.zeros(3), np.ones(3), {}),
        (SERIES[:9], SERIES, {}),
        ("a", "b", {}),
        (None, MATRIX, {}),
        (MATRIX, MATRIX, {}),
        (MATRIX + 1e-12, MATRIX, {}),
        (MATRIX.astype(np.float32), MATRIX, {}),
        (MATRIX * 1j, MATRIX * 2j, {}),
        (np.array([None] * 20), SERIES, {}),
        ([10**400] * 20, SERIES.tolist(), {}),
        ({}, {"case": MATRIX}, {}),
        (but(SERIES, 3), SERIES, {"compare": same_set()}),
        (1.0, 2.0, {"compare": at_least(3.0)}),
        (SERIES, SERIES + 1, {"after": lambda x: x.no_such_attribute}),
        (-MATRIX, MATRIX, {"compare": up_to_sign()}),
        (list(ZIGZAG + 1), list(ZIGZAG), {}),
    ],
    ids=[
        "number",
        "few",
        "another length",
        "texts",
        "none",
        "the same",
        "a rounding away",
        "another dtype",
        "complex",
        "objects",
        "beyond floats",
        "no case",
        "a set",
        "a bound",
        "after fails",
        "up to sign",
        "a list that goes to and fro",
    ],
)
def test_nothing_is_drawn_where_there_is_nothing_to_see(observed, expected, changed):
    assert drawn(observed, expected, **changed) is None


def test_an_exception_has_no_picture():
    assert picture_of(made_check(), CheckRun("raised"), reference(MATRIX), "full") is None


def test_what_is_compared_is_what_is_drawn():
    picture = drawn(but(SERIES, 3), SERIES, after=lambda x: 2 * x)
    assert picture.expected[0].endswith(" 2")


# The reveal policy


@pytest.mark.parametrize("expected", [SERIES, MATRIX, CIRCLE], ids=["curve", "map", "path"])
def test_the_expected_numbers_are_seen_where_all_is_revealed_and_nowhere_else(expected):
    observed = but(expected, *np.zeros(expected.ndim, int), value=7)
    full, differences, hints = (drawn(observed, expected, reveal) for reveal in ("full", "differences", "hints"))
    assert full.expected
    assert "".join(differences.off).count("1") == "".join(full.off).count("1") == 1
    assert differences.expected == hints.expected == hints.off == ()
    assert hints.observed == full.observed
    for picture, words in ((full, 2), (differences, 1), (hints, 0)):
        page = figure(picture)
        assert ("Expected" in page) + ("Off:" in page) == words


@pytest.mark.parametrize(
    "expected", [MATRIX > 0, (MATRIX > 0).astype(int), np.sign(MATRIX)], ids=["bool", "int", "two"]
)
def test_where_a_mask_is_off_would_tell_all_of_it(expected):
    observed = but(expected, 0, 0, value=1 - expected[0, 0])
    picture = drawn(observed, expected, "differences")
    assert picture.off == picture.expected == ()
    assert drawn(observed, expected, "full").off


# Small, whole, and alike


@pytest.mark.parametrize("shape", [(1000,), (300, 200), (500, 3), (3, 500), (5, 40, 40)], ids=str)
@pytest.mark.parametrize("where", [0, -1], ids=["first", "last"])
def test_a_large_array_is_thinned_and_says_so_and_what_is_off_stays(shape, where):
    expected = RANDOM.normal(size=shape)
    picture = drawn(but(expected, *[where] * len(shape), value=99.0), expected)
    assert sum(len(row.split()) for row in picture.observed) <= 256
    assert "1" in "".join(picture.off)
    assert "of every" in picture.part
    assert "of every" in re.search("<figcaption>(.*)</figcaption>", figure(picture))[1]
    assert len(picture.model_dump_json()) < 8000
    assert len(figure(picture)) < 25_000


def test_numbers_that_are_not_finite_are_gaps():
    observed = but(but(SERIES, 3, value=np.nan), 7, value=np.inf)
    picture = drawn(observed, SERIES)
    assert [i for i, value in enumerate(picture.observed[0].split()) if value in ("nan", "inf")] == [3, 7]
    again = Picture.model_validate_json(picture.model_dump_json())
    assert again == picture
    assert "not a finite number" in figure(again)
    assert "nan" not in figure(again) and "inf" not in re.sub("aria-label=.*?>", "", figure(again)).replace(
        "finite", ""
    )


@pytest.mark.parametrize("constant", [0.0, 3.0, -1e30, 1e-300])
@pytest.mark.parametrize("shape", [(20,), (4, 4)], ids=str)
def test_constant_and_extreme_numbers_can_be_drawn(shape, constant):
    picture = drawn(np.full(shape, constant), np.full(shape, 1.0))
    page = figure(picture)
    numbers = [
        float(one) for one in re.findall(r"(?<=[ML ])-?\d[\d.e+-]*", " ".join(re.findall(r' d="([^"]*)"', page)))
    ]
    assert all(0 <= number <= 600 for number in numbers)


def test_a_picture_is_the_same_each_time():
    pages = {figure(drawn(but(MATRIX, 1, 1), MATRIX)) for _ in range(3)}
    assert len(pages) == 1


class Parts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_a_picture_says_in_words_what_it_shows():
    parts = Parts()
    parts.feed(figure(drawn(but(MATRIX, 1, 1, value=9), MATRIX)))
    (svg,) = [attributes for tag, attributes in parts.found if tag == "svg"]
    assert svg["role"] == "img"
    assert re.fullmatch(
        r"Map of 4 rows and 6 columns\. Yours: .* to 9\. Expected: .*\. Off: 1 of 24 numbers", svg["aria-label"]
    )
    assert {tag for tag, _ in parts.found} <= {"figure", "svg", "g", "text", "rect", "path", "figcaption", "span"}


# In a report


def test_one_picture_of_each_problem_stands_in_report_and_page(graded):
    report = graded(
        centered="def centered(x):\n    return x.copy()", softmax="def softmax(z):\n    return z - z.mean()"
    )
    for problem, kind in (("centered", "map"), ("softmax", "map")):
        pictures = [check.picture for check in report.problem(problem).checks if check.picture]
        assert [picture.kind for picture in pictures] == [kind]
        assert checks_table(report.problem(problem)).count("<svg") == 1
    assert report_page(report, "Tiny").count("<svg") == 2
    assert Report.model_validate_json(report.text()).problems == report.problems


def test_right_answers_have_none(graded):
    report = graded()
    assert all(check.picture is None for problem in report.problems for check in problem.checks)
    assert "<svg" not in report_page(report, "Tiny")


def test_the_smallest_case_that_fails_stands_before_what_is_wrong(graded):
    report = graded(centered="def centered(x):\n    return x - x.mean() * (len(x) > 2)")
    check = next(check for check in report.problem("centered").checks if check.name == "each_column")
    assert check.case == "2 rows"
    assert check.message.startswith("2 rows: differs by")
    page = checks_table(report.problem("centered"))
    assert re.search(r'For 2 rows:</span> <span class="grader-message">differs by', page)


@pytest.mark.parametrize("reveal", ["hints", "differences", "full"])
def test_the_course_decides_what_a_page_shows_of_the_answer(tmp_path, sandbox, reveal):
    import tiny_course

    course = tiny_course.replaced(tiny_course.COURSE, "feedback: differences", f"feedback: {reveal}")
    material = tiny_course.material(tiny_course.write(tmp_path, course=course))
    report = grade(tiny_course.submission(centered="def centered(x):\n    return x + 100"), material, sandbox)
    page = checks_table(report.problem("centered"))
    assert ("expected:" in page) == (reveal == "full")
    assert ("you gave" in page) == (reveal == "full")
    assert ("where it is off" in page) == (reveal == "differences")
    assert ("differs by up to" in page) == (reveal != "hints")
    assert "<svg" in page


def test_a_report_of_wrong_answers_stays_small():
    expected = RANDOM.normal(size=(100, 100))
    picture = drawn(expected + 1, expected)
    checks = [check.model_copy(update={"picture": picture}) for check in (made_result(number) for number in range(14))]
    problems = tuple(ProblemResult(name=f"p{number}", bonus=False, checks=(one,)) for number, one in enumerate(checks))
    facts = {"course": "c", "assignment": "a", "submission": "s", "digest": "0", "score": 0, "points": 100}
    assert len(Report(**facts, bonus_points=0, problems=problems).text()) < 100_000


def made_result(number: int):
    from test_report import result

    return result(Verdict.WRONG, name=f"check{number}")
