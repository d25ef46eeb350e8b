"""The class report: right numbers, everybody named, and a page whatever the class is like."""

import csv
import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import tiny_course
from nbgrader.api import Gradebook
from scipy import stats
from small_class import (
    PRINTS,
    PROBLEMS,
    WHY,
    WHY_POINTS,
    Submitted,
    diagnosis,
    hand_in,
    ordinary_class,
    report,
    write_class,
)
from typer.testing import CliRunner

from grader.class_report import ClassReport, CourseReport, class_report, summarize
from grader.cli import app
from grader.course import CourseError, load_course
from grader.grade import UNCONFINED
from grader.grades import Grades, Person, read_grades
from grader.outputs import safe_cell
from grader.pages import class_page
from grader.publish import publish_class, publish_course
from grader.report import Usage, Verdict
from grader.reports import write_report

NAME = tiny_course.NAME

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's own


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """An ordinary class, of which two have not handed in. Shared: nobody changes it."""
    missing = {"student09": "", "student10": ""}
    return write_class(tmp_path_factory.mktemp("class"), ordinary_class(), missing=missing)


@pytest.fixture(scope="module")
def ordinary(course):
    return class_report(course, NAME)


def summary(course, submitted, **changed) -> ClassReport:
    """The report of a class that is only thought of."""
    graded = {student: one.graded(student) for student, one in submitted.items()}
    grades = Grades(dict.fromkeys(submitted, Person()), {NAME: {"all": 105.0}}, {NAME: graded})
    facts = {"reports": {student: one.report for student, one in submitted.items()}, "handed_in": set(submitted)}
    return summarize(course, course.assignment(NAME), **{"grades": grades, **facts, **changed})


def run(*arguments, code=0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def table(file) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


class Page(HTMLParser):
    """A page as a browser reads it: its tags, its links and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name == "href"]

    def handle_data(self, data):
        self.text += data


def page_of(course) -> Page:
    return Page(publish_class(course, NAME)[1].read_text(encoding="utf-8"))


# The gradebook


def test_a_few_queries_find_what_nbgrader_itself_says_of_every_submission(course):
    found = read_grades(course, NAME)
    with Gradebook(course.gradebook_url, course.id) as gradebook:
        submissions = gradebook.assignment_submissions(NAME)
        assert found.graded[NAME].keys() == {one.student_id for one in submissions}
        for one in submissions:
            mine = found.graded[NAME][one.student_id]
            assert (mine.score, mine.penalty) == (one.score, one.late_submission_penalty)
            assert mine.handed_in.replace(tzinfo=None) == one.timestamp
            assert any(cell.waiting for cell in mine.cells) == one.needs_manual_grade
        assert found.points(NAME) == gradebook.find_assignment(NAME).max_score
        assert found.students.keys() == {one.id for one in gradebook.students}


def test_a_gradebook_that_is_not_there_is_not_made(tmp_path):
    course = load_course(tiny_course.write(tmp_path))
    assert read_grades(course, NAME) == Grades()
    assert not (tmp_path / "gradebook.db").exists()


def test_a_gradebook_that_can_t_be_read_is_told_without_its_password(tmp_path):
    course = load_course(tiny_course.write(tmp_path))
    (tmp_path / "gradebook.db").write_text("no database " * 100)
    with pytest.raises(CourseError, match=r"gradebook\.db can't be read"):
        read_grades(course, NAME)
    assert "can't be read" in run("report", NAME, "--course", tmp_path, code=2)

    url = tiny_course.COURSE + "gradebook: nodb://teacher:secret@example.invalid/course\n"
    with pytest.raises(CourseError, match=re.escape("nodb://...@example.invalid")) as told:
        read_grades(load_course(tiny_course.write(tmp_path / "other", course=url)), NAME)
    assert "secret" not in str(told.value)


# Who


def test_everybody_is_in_the_report_once_with_what_became_of_them(ordinary):
    assert [one.student for one in ordinary.students] == [f"student{number:02}" for number in range(1, 11)]
    assert [one.student for one in ordinary.missing] == ["student09", "student10"]
    assert [one.student for one in ordinary.late] == ["student04"]
    assert [one.student for one in ordinary.waiting] == [
        "student02",
        "student04",
        "student05",
        "student06",
        "student08",
    ]
    noted = {one.student: one.notes for one in ordinary.students if one.notes}
    assert noted == {"student08": ("The process was ended.",)}
    late = ordinary.late[0]
    assert (late.seconds_late, late.score, late.penalty, late.final) == (30 * 3600, 85, 8, 77)


def test_scores_are_the_gradebook_s_and_shares_are_of_what_is_graded(ordinary):
    first, second, third = ordinary.students[:3]
    assert (first.score, first.possible, first.share) == (110, 105, 110 / 105)
    assert (second.score, second.possible, second.share) == (100, 100, 1)  # the answer in words still waits
    assert third.score == 100 - 25 + 5 + 2.5
    assert ordinary.points == 105
    finals = [one.final for one in ordinary.students if one.final is not None]
    assert len(finals) == 8
    assert ordinary.median.value == sorted(finals)[3] / 2 + sorted(finals)[4] / 2
    assert sum(ordinary.distribution) == 8


def test_an_extension_is_not_late_nor_is_the_grace(tmp_path):
    text = tiny_course.COURSE + "late: {grace_minutes: 15}\n"
    course = load_course(tiny_course.write(tmp_path, course=text))
    handed_in = {"in_the_grace": timedelta(minutes=15), "after_it": timedelta(minutes=16), "extended": timedelta(1)}
    submitted = {student: Submitted(late=late) for student, late in handed_in.items()}
    graded = {student: one.graded(student) for student, one in submitted.items()}
    graded["extended"] = replace(graded["extended"], extension=timedelta(days=1))
    made = summary(course, submitted, grades=Grades({}, {}, {NAME: graded}))
    assert [one.student for one in made.late] == ["after_it"]


def test_what_is_handed_in_and_not_graded_is_told(tmp_path):
    course = write_class(tmp_path, {"student01": Submitted()})
    hand_in(course, "student02")
    made = class_report(course, NAME)
    assert made.students[1].state == "not graded"
    assert [one.student for one in made.handed_in] == ["student01", "student02"]
    assert "1 submission is not graded yet" in page_of(course).text


def test_the_answers_in_words_are_counted(ordinary):
    (why,) = ordinary.written
    assert (why.cell, why.points, why.graded, why.waiting) == (WHY, WHY_POINTS, 3, 5)
    assert why.mean.value == 2.5


# What the class got wrong


def test_misconceptions_are_ranked_by_how_many_hold_them_sure_and_perhaps_apart(ordinary):
    first, second = ordinary.misconceptions
    assert (first.misconception, first.lecture) == ("one_mean_for_all", "Lecture 1, Means")
    assert (first.sure, first.perhaps) == (("student03", "student05"), ("student04",))
    assert (second.misconception, second.holders) == ("one_by_one", ("student02",))


def test_of_two_that_equally_many_hold_the_surer_comes_first(course):
    sure, perhaps = diagnosis("b_is_sure"), diagnosis("a_perhaps", sure=False)
    made = summary(
        course,
        {
            "student01": Submitted(report("each_column", diagnosed={"centered": perhaps})),
            "student02": Submitted(report("each_column", diagnosed={"centered": sure})),
        },
    )
    assert [one.misconception for one in made.misconceptions] == ["b_is_sure", "a_perhaps"]


def test_what_is_no_mistake_in_the_maths_is_ranked_whatever_names_it_is_about(course, ordinary):
    assert [(one.habit, one.holders, one.problems) for one in ordinary.habits] == [
        ("returns a view of its input", ("student06", "student08"), ("Average", "softmax")),
        ("prints the answer and returns nothing", ("student08",), ("softmax",)),
    ]
    text = page_of(course).text
    assert text.index("Beside the maths") < text.index("returns a view of its input") < text.index("To do\n\n")
    rows = table(course.folder("reports") / f"{NAME}-habits.csv")
    assert (rows[0]["students"], rows[0]["who"]) == ("2", "student06; student08")


def test_a_class_may_have_habits_and_no_misconception(course):
    made = summary(course, {"student01": Submitted(report("small_numbers", habits={"softmax": (PRINTS,)}))})
    text = Page(class_page(made, {})).text
    assert "prints the answer and returns nothing" in text
    assert "Sure:" not in text


def test_problems_and_checks_have_scipy_s_numbers(ordinary):
    """Of all but student07, who attempted nothing."""
    reports = [one.report for student, one in ordinary_class().items() if student != "student07"]
    assert ordinary.analysed == len(reports) == 7
    regular = [sum(problem.score for problem in one.problems if not problem.bonus) for one in reports]
    for position, problem in enumerate(ordinary.problems):
        scores = [one.problems[position].score for one in reports]
        rest = regular if problem.bonus else [total - score for total, score in zip(regular, scores, strict=True)]
        assert problem.difficulty.value == pytest.approx(sum(scores) / 7 / problem.points)
        assert problem.discrimination.value == pytest.approx(stats.pearsonr(scores, rest).statistic)
        for index, check in enumerate(problem.checks):
            results = [one.problems[position].checks[index] for one in reports]
            passed = [result.verdict is Verdict.PASSED for result in results]
            rest = [
                total - (0 if problem.bonus else result.score) for total, result in zip(regular, results, strict=True)
            ]
            assert check.passed == sum(passed)
            assert check.difficulty.value == sum(passed) / 7
            if 0 < sum(passed) < 7:
                expected = stats.pointbiserialr(passed, rest).statistic
                assert check.discrimination.value == pytest.approx(expected)
            else:
                assert (check.discrimination.value, check.discrimination.why) == (None, "all have the same score here")
    matrix = np.cov([[one.problems[position].score for one in reports] for position in range(3)])
    assert ordinary.reliability.value == pytest.approx(3 / 2 * (1 - np.trace(matrix) / matrix.sum()))


def test_who_is_wrong_for_no_known_reason_is_named(ordinary):
    unexplained = {problem.name: problem.unexplained for problem in ordinary.problems}
    assert unexplained["centered"] == ()
    assert unexplained["softmax"] == ("student05", "student08")  # and not student06, who left it as it was


def test_checks_that_nobody_or_everybody_passes_stand_out(course):
    submitted = {
        "student01": Submitted(report("large_numbers")),
        "student02": Submitted(report("large_numbers", "one_column")),
        "student03": Submitted(report("large_numbers", "small_numbers")),
    }
    made = summary(course, submitted)
    text = Page(class_page(made, {})).text
    nobody, everybody = text.index("Nobody passes"), text.index("Everybody passes")
    assert "large_numbers" in text[nobody:everybody]
    assert "each_column" in text[everybody:]


def test_a_check_that_the_better_ones_fail_stands_out(course):
    weak = Submitted(report("each_column", "small_numbers", "of_several_numbers"))
    strong = Submitted(report("the_dtype_stays"))
    made = summary(course, {"student01": weak, "student02": weak, "student03": strong, "student04": strong})
    text = Page(class_page(made, {})).text
    assert "the_dtype_stays" in text[text.index("Those who do well elsewhere fail here") :].split("How many of")[0]


# Time and memory


USED = {f"student{number:02}": Usage(seconds=0.5 * number, memory_mb=100 - number) for number in range(1, 9)}


def test_what_submissions_used_is_shown_against_the_limits_with_who_used_most(course):
    made = summary(course, ordinary_class(), usages=USED, page=lambda student: f"{student}.html")
    assert made.measured == 8
    assert (made.seconds.limit, made.memory_mb.limit) == (course.limits.submission_seconds, course.limits.memory_mb)
    assert (made.seconds.median.value, made.seconds.maximum.value) == (2.25, 4.0)
    assert made.seconds.ninetieth.value == pytest.approx(np.percentile([one.seconds for one in USED.values()], 90))
    assert made.seconds.most == ("student08", "student07", "student06", "student05", "student04")
    assert made.memory_mb.most[0] == "student01"
    markup = class_page(made, {})
    section = Page(markup[markup.index('<h2 id="used">') : markup.index('<h2 id="students">')])
    assert "4\xa0s" in section.text and "99\xa0MB" in section.text
    assert {"student08.html", "student01.html"} <= set(section.links)


def test_who_was_not_measured_is_left_out_of_it(course):
    made = summary(course, ordinary_class(), usages={"student02": USED["student02"], "student03": None})
    assert made.measured == 1
    assert made.seconds.maximum.value == 1.0
    assert made.seconds.most == ("student02",)


def test_a_class_that_was_graded_without_measuring_says_so(course, ordinary):
    assert ordinary.measured == 0
    assert ordinary.seconds.median.why == "there is no submission"
    assert "Not measured" in page_of(course).text
    assert {row["computing_seconds"] for row in table(course.folder("reports") / f"{NAME}.csv")} == {""}


@pytest.mark.parametrize("spoilt", ["", "{", '{"digest": "another submission", "usage": {"seconds": 9}}'])
def test_what_was_measured_of_a_submission_is_kept_and_only_of_that_one(tmp_path, spoilt):
    course = write_class(tmp_path, {"student01": Submitted(), "student02": Submitted()})
    for student in ("student01", "student02"):
        one = report().model_copy(update={"usage": USED[student]})
        write_report(course, NAME, student, one.text(), one.measured())
    _, page = publish_class(course, NAME)
    rows = table(page.with_suffix(".csv"))
    assert [(float(row["computing_seconds"]), float(row["memory_mb"])) for row in rows] == [(0.5, 99), (1, 98)]

    # Cut off, or of what the student had handed in before.
    (course.root / "build" / "usage" / NAME / "student01").write_text(spoilt)
    assert [one.usage for one in class_report(course, NAME).students] == [None, USED["student02"]]


# Whatever the class is like


def test_a_class_of_none_has_a_page_that_says_so(tmp_path):
    course = load_course(tiny_course.write(tmp_path))
    made = class_report(course, NAME)
    assert made.students == ()
    assert made.mean.why == made.reliability.why == "there is no submission"
    page = page_of(course)
    assert "There is nobody in this class yet" in page.text
    assert not (tmp_path / "gradebook.db").exists()


def test_a_class_that_has_not_handed_in_has_a_page_that_says_so(tmp_path):
    course = write_class(tmp_path, {}, missing={"student01": ""})
    page = page_of(course)
    assert "Nobody has handed anything in." in page.text
    assert "1 student has not handed in" in page.text


def test_a_class_of_one_has_scores_and_no_statistics_of_more(tmp_path):
    course = write_class(tmp_path, {"student01": Submitted(report("each_column"))})
    made = class_report(course, NAME)
    assert made.mean.value == made.median.value == 85
    assert made.standard_deviation.why == "it takes two submissions"
    assert made.reliability.why == "it takes 3 submissions"
    assert {problem.discrimination.why for problem in made.problems} == {"it takes 3 submissions"}
    assert "How reliable the scores are can't be said: it takes 3 submissions" in page_of(course).text


def test_a_class_of_equal_scores_has_no_discrimination_and_no_nan(tmp_path):
    course = write_class(tmp_path, {f"student{number}": Submitted(report("each_column")) for number in range(5)})
    made, page = publish_class(course, NAME)
    assert made.reliability.why == "all have the same score"
    for problem in made.problems:
        assert problem.discrimination.value is None
        assert {check.discrimination.value for check in problem.checks} == {None}
    for file in (page, page.with_suffix(".json"), page.with_suffix(".csv"), page.with_name(f"{NAME}-checks.csv")):
        assert not re.search(r"\bnan\b", file.read_text(encoding="utf-8"), re.IGNORECASE)
    assert "all have the same score here" in page.read_text(encoding="utf-8")


def test_a_check_that_nobody_reached_is_told_apart_from_one_that_nobody_passes(course):
    submitted = {f"student{number}": Submitted(report(untouched=["softmax"])) for number in range(3)}
    made = summary(course, submitted)
    softmax = next(problem for problem in made.problems if problem.name == "softmax")
    assert softmax.reached == 0
    assert softmax.difficulty.why == softmax.checks[0].discrimination.why == "nobody reached it"
    text = Page(class_page(made, {})).text
    assert "Nobody reached" in text
    assert "Nobody passes" not in text


def test_where_nobody_attempted_anything_the_page_still_comes_out(course):
    made = summary(course, {"student01": Submitted(report(untouched=PROBLEMS))})
    assert made.analysed == 0
    assert "Nobody reached" in Page(class_page(made, {})).text


def test_hand_graded_parts_that_are_missing_cost_nothing_else(course):
    graded = {}
    for student, one in ordinary_class().items():
        whole = one.graded(student)
        graded[student] = replace(whole, cells=tuple(cell for cell in whole.cells if cell.cell != WHY))
    made = summary(course, ordinary_class(), grades=Grades({}, {NAME: {"all": 100.0}}, {NAME: graded}))
    assert made.written == ()
    assert made.students[0].share == 1.05
    assert "wait for a person" not in Page(class_page(made, {})).text


BROKEN = {
    "cut off": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "no text": lambda text: b"\xff\xfe\x00",
    "of an older format": lambda text: json.dumps({"student": "student02", "grade": 1.0}),
    "of a newer format": lambda text: text.replace('"wrong"', '"almost"'),
    "of another assignment": lambda text: text.replace('"assignment":"tiny"', '"assignment":"other"'),
    "without a number": lambda text: text.replace('"score":', '"score":NaN, "old":', 1),
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_report_costs_that_file_and_is_named(tmp_path, spoil):
    submitted = {f"student{number:02}": Submitted(report("each_column")) for number in range(1, 4)}
    course = write_class(tmp_path, submitted)
    file = course.folder("reports") / NAME / "student02.json"
    spoilt = spoil(file.read_text())
    file.write_bytes(spoilt if isinstance(spoilt, bytes) else spoilt.encode())

    made = class_report(course, NAME)

    (fault,) = made.faults
    assert fault.startswith("reports/tiny/student02.json is left out: ")
    assert "grader autograde tiny --student student02 --force" in fault
    assert made.analysed == 2
    assert made.students[1].score == 85  # the gradebook's is still good
    assert "student02.json is left out" in page_of(course).text


def test_reports_of_other_checks_are_left_out_of_the_statistics(course):
    submitted = {f"student{number:02}": Submitted() for number in range(1, 5)}
    old = report("each_column")
    problems = (old.problems[0].model_copy(update={"checks": old.problems[0].checks[:2]}), *old.problems[1:])
    submitted["student05"] = Submitted(old.model_copy(update={"problems": problems}))
    made = summary(course, submitted)
    assert made.analysed == 4
    assert "1 report is of other checks than the rest" in made.faults[0]
    assert made.students[4].told  # it is told what happened all the same


def test_a_grade_without_a_report_and_a_report_without_a_grade_are_named(tmp_path):
    course = write_class(tmp_path, {"student01": Submitted(), "student02": Submitted()})
    folder = course.folder("reports") / NAME
    (folder / "student02.json").rename(folder / "student03.json")
    made = class_report(course, NAME)
    assert [fault.split(".")[0] for fault in made.faults] == [
        "student02 is in the gradebook, but has no report",
        "student03 has a report, but is not in the gradebook: `grader autograde tiny`",
    ]
    assert [one.state for one in made.students] == ["graded", "graded", "not graded"]


def test_a_submission_whose_grading_was_cut_off_is_not_graded(tmp_path):
    """nbgrader enters a submission before it grades it."""
    course = write_class(tmp_path, {"student01": Submitted()})
    with Gradebook(course.gradebook_url, course.id) as gradebook:
        gradebook.add_student("student02")
        gradebook.add_submission(NAME, "student02")
    made = class_report(course, NAME)
    assert [(one.state, one.score, one.waiting) for one in made.students] == [
        ("graded", 105, (WHY,)),
        ("not graded", None, ()),
    ]
    assert made.written[0].waiting == 1
    assert made.faults == ()


def test_that_nothing_was_confined_is_told_once(course):
    submitted = {f"student{number}": Submitted(report(notes=(UNCONFINED,))) for number in range(4)}
    made = summary(course, submitted)
    assert made.faults == ("4 submissions were graded without a sandbox: see `sandbox` in course.yaml",)
    assert not any(one.notes or one.told for one in made.students)


def test_a_folder_that_can_be_no_student_s_is_named_and_left_out(tmp_path):
    course = write_class(tmp_path, {"student01": Submitted()})
    hand_in(course, "-rf $(x)")
    made = class_report(course, NAME)
    assert [one.student for one in made.students] == ["student01"]
    assert "is no name for a student" in made.faults[0]


EVIL = '=HYPERLINK("http://attacker.invalid")<script>evil()</script>\x1b[31m\u202e'


def test_hostile_names_and_messages_are_text_on_every_page_and_in_every_table(tmp_path):
    submitted = {
        "student01": Submitted(report("each_column", message=EVIL, notes=(EVIL,))),
        "+1 (2)": Submitted(report("each_column", diagnosed={"centered": diagnosis(message=EVIL, lecture=EVIL)})),
    }
    course = write_class(tmp_path, submitted, missing={"@evil": EVIL, EVIL[:40]: "", "長" * 128: "", "../..": ""})
    made, page = publish_class(course, NAME)
    overview = publish_course(course)[1]

    assert len(made.students) == 6
    for file in (page, overview):
        markup = file.read_text(encoding="utf-8")
        assert Page(markup).tags.count("script") == 1
        assert "evil()" in Page(markup).text
        assert not re.search("[\x00-\x08\x1b\u202e]", markup)
    for file in page.parent.glob("*.csv"):
        for row in csv.reader(file.open(encoding="utf-8-sig", newline="")):
            assert not [cell for cell in row if cell.startswith(("=", "+", "@")) or "\x1b" in cell], file
    assert {row["student"] for row in table(page.with_suffix(".csv"))} >= {"'+1 (2)", "'@evil", "student01"}
    assert "\x1b" not in run("report", NAME, "--course", tmp_path)


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", " =1", "\t=1", "\r\n=1", "＝1", "x;=1", 'x", =1', "x,\n@x"])
def test_no_text_in_a_table_is_a_formula_whatever_separates_its_cells(text):
    cell = safe_cell(text)
    assert not [part for part in re.split(r'[,;"\t]', cell) if part.strip().startswith(tuple("=+-@＝"))]
    assert cell.replace("'", "") == " ".join(text.split()), "and nothing else of it is changed"


def test_a_negative_number_in_a_table_stays_a_number(tmp_path):
    weak = Submitted(report("each_column", "small_numbers", "of_several_numbers"))
    strong = Submitted(report("the_dtype_stays"))
    course = write_class(tmp_path, {"student01": weak, "student02": weak, "student03": strong})
    _, page = publish_class(course, NAME)
    rows = table(page.with_name(f"{NAME}-checks.csv"))
    (low,) = [row for row in rows if row["check"] == "the_dtype_stays"]
    assert float(low["discrimination"]) < 0


def test_a_class_of_four_hundred_has_a_page_of_bounded_size(course):
    ordinary = list(ordinary_class().values())
    made = summary(course, {f"student{number:03}": ordinary[number % len(ordinary)] for number in range(400)})
    markup = class_page(made, {})
    assert markup.count("<tr>") > 400
    assert len(markup) < 1_000_000


# Files and links


def test_the_page_leads_to_each_student_s_own_page(tmp_path):
    names = {"student01": Submitted(report("each_column")), "O'Neill #2 (é)": Submitted()}
    course = write_class(tmp_path, names)
    feedback = course.folder("feedback") / "student01" / NAME / f"{NAME}.html"
    feedback.parent.mkdir(parents=True)
    feedback.write_text("nbgrader's")
    for output in (course.folder("reports") / f"{NAME}.html", tmp_path / "else" / "where.html"):
        _, page = publish_class(course, NAME, output)
        links = [unquote(link) for link in Page(page.read_text()).links if not link.startswith("#")]
        assert all((page.parent / link).is_file() for link in links)
        assert (page.parent / next(link for link in links if "student01" in link)).resolve() == feedback
        own = page.parent / next(link for link in links if "Neill" in link)
        assert own.resolve() == course.folder("reports") / NAME / "O'Neill #2 (é).html"
        assert "100" in own.read_text()


def test_no_student_s_name_takes_a_file_of_the_report(tmp_path):
    names = ("index", NAME, f"{NAME}-checks", "course-overview")
    course = write_class(tmp_path, {name: Submitted() for name in names})
    publish_course(course)
    again = class_report(course, NAME)
    assert again.faults == ()
    assert {one.student for one in again.students} == set(names)


def test_json_and_tables_say_what_the_page_says(course, ordinary):
    made, page = publish_class(course, NAME)
    assert ClassReport.model_validate_json(page.with_suffix(".json").read_bytes()) == made == ordinary

    students = table(page.with_suffix(".csv"))
    assert [row["student"] for row in students] == [one.student for one in made.students]
    assert [float(row["final"]) if row["final"] else None for row in students] == [one.final for one in made.students]
    assert students[2]["centered"] == "15"
    checks = table(page.with_name(f"{NAME}-checks.csv"))
    assert [row["check"] for row in checks] == [name for problem in PROBLEMS.values() for name in problem]
    assert checks[1]["wrong"] == "3"
    held = table(page.with_name(f"{NAME}-misconceptions.csv"))
    assert (held[0]["sure"], held[0]["perhaps"], held[0]["who perhaps"]) == ("2", "1", "student04")


def test_made_again_nothing_changes(course):
    def files():
        publish_course(course)
        return {file: file.read_bytes() for file in course.folder("reports").rglob("*") if file.is_file()}

    assert files() == files()


# The course


def test_the_overview_has_a_row_for_each_assignment_and_each_student(tmp_path):
    text = tiny_course.COURSE + "  - {name: later, title: Later, lectures: [2], due: 2027-04-26 23:59}\n"
    submitted = ordinary_class()
    write_class(tmp_path, submitted, missing={"student09": ""})
    (tmp_path / "course.yaml").write_text(text)
    made, page = publish_course(load_course(tmp_path))

    tiny, later = made.assignments
    assert (tiny.handed_in, tiny.late, tiny.waiting, tiny.page) == (8, 1, 5, "tiny.html")
    assert tiny.top.misconception == "one_mean_for_all"
    assert (later.handed_in, later.mean.value, later.page) == (0, None, "")
    assert made.points == 105
    assert {one.student: one.total for one in made.students} == {
        **{student: max(0, one.graded(student).score - one.penalty) for student, one in submitted.items()},
        "student09": 0,
    }
    assert made.students[8].finals == {NAME: None}
    assert CourseReport.model_validate_json(page.with_suffix(".json").read_bytes()) == made
    assert [row["tiny"] for row in table(page.with_suffix(".csv"))][7:] == ["85", ""]
    assert [row["handed_in"] for row in table(page.with_name("course-overview-assignments.csv"))] == ["8", "0"]
    links = [link for link in Page(page.read_text()).links if not link.startswith("#")]
    assert all((page.parent / link).is_file() for link in links)
    assert "tiny.html" in links
    assert not (page.parent / "later.html").exists()


def test_the_overview_of_a_course_of_nobody_says_so(tmp_path):
    course = load_course(tiny_course.write(tmp_path))
    _, page = publish_course(course)
    assert "There is nobody in this course yet" in Page(page.read_text()).text


# The command


def test_the_command_prints_a_summary_and_where_the_page_is(course):
    said = run("report", NAME, "--course", course.root)
    assert "8 of 10, 1 late" in said
    assert "You subtract one mean" in said
    assert str(course.folder("reports") / "tiny.html") in said.splitlines()
    assert str(course.folder("reports") / "course-overview.html") in run("report", "--course", course.root).splitlines()


def test_the_command_prints_json_and_writes_where_it_is_told(course, tmp_path):
    made = ClassReport.model_validate_json(
        run("report", NAME, "--json", "--output", tmp_path / "new" / "page.html", "--course", course.root)
    )
    assert len(made.students) == 10
    assert {file.name for file in (tmp_path / "new").iterdir()} == {
        *("page.html", "page.json", "page.csv", "page-checks.csv", "page-misconceptions.csv", "page-habits.csv")
    }


def test_the_command_refuses_what_it_can_t_do(course, tmp_path):
    said = run("report", "tinny", "--course", course.root, code=2)
    assert "has no assignment 'tinny'" in " ".join(said.split())
    said = run("report", NAME, "--output", tmp_path / "page.pdf", "--course", course.root, code=2)
    assert "name a file that ends in .html" in " ".join(said.split())
