"""Everybody can use the pages: axe-core finds nothing, the keyboard suffices, and nothing is asked of another host."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import essay_course
import nbformat
import numpy as np
import pytest
import tiny_course
from chromium import chromium, in_a_browser, sync_api
from similar_class import copies
from small_class import Submitted, ordinary_class, report, write_class
from test_pictures import drawn as drawn_picture

from grader.course import load_course
from grader.grade import grade
from grader.gradebook import Gradebook, Kept
from grader.marking import Handed, Marker
from grader.material import Material
from grader.pages import checks_table, report_page
from grader.publish import publish_class, publish_course, publish_similar
from grader.report import CellResult, Report, Verdict
from grader.sandbox import Sandbox

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [*in_a_browser, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")]

PAGES = (
    *("class", "course", "class of none", "course of none", "class of equals", "similar", "similar of none"),
    *("report", "perfect report", "wrong report", "cell", "wrong cell"),
)
HOW = ("full", "differences", "hints")
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 700}
PAPER = {"width": 718, "height": 1000}  # A4 between margins of a centimetre


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, tiny: Material, sandbox: Sandbox) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pages")
    submitted = ordinary_class()
    submitted |= {
        f"student{number}": Submitted(report("below_zero"), late=timedelta(days=3)) for number in range(30, 45)
    }
    course = write_class(root / "class", submitted, missing={f"student{number}": "" for number in range(50, 64)})
    (course.folder("reports") / "tiny" / "student50.json").write_text("{")
    none = load_course(tiny_course.write(root / "none"))
    equals = write_class(root / "equals", {f"student{number}": Submitted() for number in range(3)})
    found = {
        "class": publish_class(course, "tiny")[1],
        "course": publish_course(course)[1],
        "class of none": publish_class(none, "tiny")[1],
        "course of none": publish_course(none)[1],
        "class of equals": publish_class(equals, "tiny")[1],
        "similar": publish_similar(load_course(copies(root / "similar")), "tiny")[1],
        "similar of none": publish_similar(none, "tiny")[1],
        **{name: root / f"{name}.html" for name in PAGES[7:]},
    }
    cells = (CellResult(cell=3, status="raised", message="raised NameError at line 1"),)
    lost = submitted["student05"].report.model_copy(update={"notes": ("The process was ended.",), "cells": cells})
    untouched = report(untouched=("softmax",), verdict=Verdict.TIMED_OUT).problems[1:]
    mixed = lost.model_copy(update={"problems": (*lost.problems[:1], *untouched)})
    found["report"].write_text(report_page(mixed, "Tiny problems"), encoding="utf-8")
    found["perfect report"].write_text(report_page(report(), "Tiny problems"), encoding="utf-8")
    wrong = wrong_answers(tiny, sandbox)
    found["wrong report"].write_text(report_page(wrong, "Tiny problems"), encoding="utf-8")
    # As nbgrader's feedback has it: on white, whatever the reader prefers.
    frame = '<!doctype html><html lang="en"><title>x</title><body style="background: #fff; color: #000">'
    for name, problems in (("cell", lost.problems[:1]), ("wrong cell", wrong.problems)):
        tables = "".join(checks_table(problem, "AssertionError: no") for problem in problems)
        found[name].write_text(f"{frame}<main><h1>Feedback</h1>{tables}</main>", encoding="utf-8")
    found["feedback"] = root / "feedback.html"
    found["feedback"].write_text(feedback(root / "essay", sandbox), encoding="utf-8")
    return found


def feedback(root: Path, sandbox: Sandbox) -> str:
    """nbgrader's page of a submission: wrong answers, one in words, and code and output that are wider than paper."""
    material = Material(essay_course.write(root), "tiny")
    notebook = essay_course.solved(
        material,
        essay="As [each](http://attacker.invalid) `column` is in $x^2$.\n\n> Units\n\n| a | b |\n|--|--|\n| 1 | 2 |",
        centered=f"def centered(x):\n    return x - x.mean()  # {'much too long ' * 20}",
        softmax="def softmax(z):\n    # no idea\n    raise ValueError('no idea')",
    )
    shows = (
        "print('x' * 300)\nprint('many words ' * 60)",
        "import matplotlib.pyplot as plt\nplt.figure(figsize=(20, 3))\nplt.plot([1, 2])",
        "from IPython.display import HTML\nHTML('<table><tr>' + '<td>a column</td>' * 12 + '</tr></table>')",
        "for one in [1, 2, 3]:\n    assert one in (1, 2), f'{one:>3} \\n'",
    )
    notebook.cells[1:1] = [nbformat.v4.new_code_cell(source) for source in shows]
    kept = Kept(comments={"why": (None, "Which [units](http://attacker.invalid)?")})
    with Gradebook(material) as book:
        handed = Handed("student01", nbformat.writes(notebook).encode(), kept=kept)
        return Marker(material, book.layout, sandbox).mark(handed).page


def wrong_answers(tiny: Material, sandbox: Sandbox) -> Report:
    """Pictures of every kind, a sure and a possible diagnosis, habits, and cells that failed."""
    answers = {
        "centered": "def centered(x):\n    return x - x.mean() + shift",
        "softmax": "def softmax(z):\n    return torch.exp(z) / torch.exp(z).sum(dim=1, keepdim=True)",
        "Average": "class Average:\n    def add(self, value):\n        return value",
    }
    made = grade(tiny_course.submission("import numpy as np\nshift = np.zeros(1)", "1 / 0", **answers), tiny, sandbox)
    index = np.linspace(0.0, 1.0, 20)
    circle = np.stack([np.cos(6 * index), np.sin(6 * index)], axis=1)
    arrays = (index, circle, np.eye(6))
    drawn = [drawn_picture(array + 0.1 * (array > 0.5), array, how) for array in arrays for how in HOW]
    problems = list(made.problems)
    for position, problem in enumerate(problems):
        checks = tuple(check.model_copy(update={"picture": drawn.pop() if drawn else None}) for check in problem.checks)
        problems[position] = problem.model_copy(update={"checks": checks})
    assert not drawn
    assert any(problem.habits for problem in problems)
    assert any(problem.diagnosis for problem in problems)
    return made.model_copy(update={"problems": tuple(problems)})


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize(
    ("scheme", "window"),
    [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE)],
    ids=["light", "dark", "phone"],
)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_no_other_host_is_asked(
    browser: sync_api.Browser, pages: dict[str, Path], name: str, scheme: str, window: dict[str, int]
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport=window)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(pages[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")

    found = axe.Axe().run(page)

    assert found.violations_count == 0, found.generate_report()
    assert asked == [pages[name].as_uri()]
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= window["width"], "it has to be moved sideways"
    page.close()


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_on_a_whole_feedback_page(
    browser: sync_api.Browser, pages: dict[str, Path], window: dict[str, int]
) -> None:
    """Neither in what is ours nor in what nbgrader, nbconvert and Bootstrap put around it."""
    page = browser.new_page(viewport=window)
    page.goto(pages["feedback"].as_uri())
    assert page.locator(".grader-picture, .grader-diagnosis, .panel-footer, math").count() >= 4
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()


def test_axe_would_find_something(browser: sync_api.Browser, tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    (tmp_path / "bad.html").write_text("<p style='color: #ccc; background: #fff'>pale<img src='data:,'>")
    page = browser.new_page()
    page.goto((tmp_path / "bad.html").as_uri())
    found = {violation["id"] for violation in axe.Axe().run(page).response["violations"]}
    assert {"color-contrast", "html-has-lang", "image-alt"} <= found
    page.close()


def test_a_table_is_sorted_with_the_keyboard(browser: sync_api.Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(pages["class"].as_uri())
    checks = page.get_by_role("region", name="Checks")
    heading = checks.get_by_role("columnheader", name="Passed")

    def passed() -> list[int]:
        return [int(cell.inner_text()) for cell in checks.locator("tbody tr td:nth-child(4)").all()]

    before = passed()
    assert heading.get_attribute("aria-sort") is None
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert passed() == sorted(before)
    assert heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert passed() == sorted(before, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    page.close()


def test_what_has_no_number_comes_last_either_way(browser: sync_api.Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(pages["class"].as_uri())
    students = page.get_by_role("region", name="Students")
    button = students.get_by_role("columnheader", name="Final").get_by_role("button")
    for direction in (1, -1):
        button.click()
        cells = [cell.get_attribute("data-value") for cell in students.locator("tbody tr td:nth-of-type(3)").all()]
        numbers = [float(cell) for cell in cells if cell]
        assert numbers == sorted(numbers, reverse=direction < 0)
        assert cells[len(numbers) :] == [""] * 14
    page.close()


def test_without_scripts_the_whole_page_is_there(browser: sync_api.Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(pages["class"].as_uri())
    assert page.get_by_role("row").count() > 50
    assert page.get_by_role("button").count() == 0
    page.close()


@pytest.mark.parametrize("name", ["class", "course", "similar", "wrong report", "feedback"])
def test_printed_a_page_is_dark_on_white_and_ends_at_the_paper_s_edge(
    browser: sync_api.Browser, pages: dict[str, Path], name: str
) -> None:
    """Also for who reads light on dark: paper is white, and browsers print no backgrounds unless they are told to."""
    page = browser.new_page(color_scheme="dark", viewport=PAPER)
    page.goto(pages[name].as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    page.add_style_tag(content="* { background: transparent !important }")
    found = axe.Axe().run(page, options={"runOnly": ["color-contrast"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") in ("light", "normal")
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER["width"], "it is cut off at the right"
    page.close()


def test_printed_nothing_is_folded_away(browser: sync_api.Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(pages["class"].as_uri())
    name = page.locator("details li a", has_text="student44").first
    assert not name.is_visible()
    page.emulate_media(media="print")
    assert name.is_visible()
    assert page.get_by_role("columnheader", name="Discrimination").first.is_visible()
    page.close()
