"""One submission's way through both doors: the same bytes of everything that is written, for odd and hostile work."""

from __future__ import annotations

from pathlib import Path

import essay_course
import pytest
from bs4 import BeautifulSoup
from commands import run
from essay_course import HOSTILE, LATE, RIGHT, STUDENTS, TINY
from nbgrader.api import Gradebook as NbgraderGradebook

from grader.course import Course
from grader.gradebook import Gradebook, Kept
from grader.marking import Handed, Marked, Marker
from grader.material import Material
from grader.reports import read_reports, read_usage
from grader.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("marking")]

STOCK = (
    "--GenerateFeedback.exporter_class=nbconvert.exporters.HTMLExporter",
    "--CourseDirectory.feedback_directory=stock",
)


@pytest.fixture(scope="module")
def by_nbgrader(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Graded by nbgrader's commands, with pages by our exporter, and by nbconvert's own in stock/."""
    course = essay_course.write(tmp_path_factory.mktemp("course"))
    essay_course.hand_in(course)
    run(course.root, "nbgrader", "autograde", TINY)
    run(course.root, "nbgrader", "generate_feedback", TINY)
    run(course.root, "nbgrader", "generate_feedback", TINY, *STOCK)
    return course


@pytest.fixture(scope="module")
def marked(by_nbgrader: Course, sandbox: Sandbox) -> dict[str, Marked]:
    """The same submissions, marked one after the other by what `grader autograde` marks with."""
    material = Material(by_nbgrader, TINY)
    kept = {student: Kept(handed_in=facts["timestamp"]) for student, facts in essay_course.facts(by_nbgrader).items()}
    with Gradebook(material) as book:
        marker = Marker(material, book.layout, sandbox)
    return {
        student: marker.mark(Handed(student, data, handed_in=kept[student].handed_in))
        for student, data in essay_course.notebooks(material).items()
    }


def text(course: Course, step: str, student: str, suffix: str) -> str:
    return (course.root / step / student / TINY / f"{TINY}.{suffix}").read_text(encoding="utf-8")


@pytest.mark.parametrize("student", STUDENTS)
def test_both_doors_write_the_same_bytes(by_nbgrader: Course, marked: dict[str, Marked], student: str) -> None:
    one = marked[student]
    assert one.notebook == text(by_nbgrader, "autograded", student, "ipynb")
    assert one.report == by_nbgrader.report_file(TINY, student).read_text(encoding="utf-8")
    assert one.page == text(by_nbgrader, "feedback", student, "html")


def test_both_doors_keep_what_each_submission_used(by_nbgrader: Course, marked: dict[str, Marked]) -> None:
    for student, report in read_reports(by_nbgrader, TINY)[0].items():
        usage = read_usage(by_nbgrader, TINY, student, report)
        assert (usage is None) == (not marked[student].measured) == ("could not be read" in marked[student].notebook)


@pytest.mark.parametrize("student", STUDENTS)
def test_the_page_is_nbconvert_s_own_but_for_a_parse(by_nbgrader: Course, student: str) -> None:
    """nbconvert parses each page once more and writes it out again. Ours is the same, once that is done with it.

    But for the head, where its page loads MathJax, and ours says that nothing may be loaded and has a style of its own;
    and that its heading is one.
    """
    stock, ours = (
        BeautifulSoup(text(by_nbgrader, step, student, "html"), "html.parser") for step in ("stock", "feedback")
    )
    assert ours.find(role="banner") is ours.find(class_="panel-heading")
    del ours.find(role="banner")["role"]
    assert str(ours.body) == str(stock.body)
    theirs = [str(style) for style in stock.head.find_all(["title", "style"])]
    added = [style for style in map(str, ours.head.find_all(["title", "style"])) if style not in theirs]
    assert len(added) == 1
    assert [style for style in map(str, ours.head.find_all(["title", "style"])) if style not in added] == theirs


def test_what_is_hostile_is_on_the_page_and_can_t_run(by_nbgrader: Course) -> None:
    """Otherwise the pages would be alike for lack of anything to differ in."""
    assert essay_course.SCRIPT in by_nbgrader.root.joinpath("autograded", HOSTILE, TINY, f"{TINY}.ipynb").read_text(
        encoding="utf-8"
    )
    page = BeautifulSoup(text(by_nbgrader, "feedback", HOSTILE, "html"), "html.parser")
    assert not [script for script in page.find_all("script") if "hostile" in script.text]
    assert "Because so" in " ".join(page.text.split())


def test_the_page_shows_what_a_person_gave_once_it_is_made_again(by_nbgrader: Course) -> None:
    """Without any option, though there is a page; and by `grader autograde`, if the submission changes."""
    with NbgraderGradebook(by_nbgrader.gradebook_url, by_nbgrader.id) as people:
        for student in (RIGHT, LATE):
            people.find_grade("why", TINY, TINY, student).manual_score = 4.5
            people.find_comment("why", TINY, TINY, student).manual_comment = "Which units?"
        people.db.commit()
    before = text(by_nbgrader, "feedback", RIGHT, "html")
    assert "Score: 109.5" not in before

    run(by_nbgrader.root, "nbgrader", "generate_feedback", TINY, "--student", RIGHT)

    page = text(by_nbgrader, "feedback", RIGHT, "html")
    assert "Score: 109.5" in page
    assert "Which units?" in page
    notebook = Path(by_nbgrader.root, "submitted", RIGHT, TINY, f"{TINY}.ipynb")
    notebook.write_text(notebook.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    run(by_nbgrader.root, "grader", "autograde", TINY, "--student", RIGHT)
    assert text(by_nbgrader, "feedback", RIGHT, "html") == page
