"""From the stub to the feedback in JupyterLab with nbgrader's extension, with the mouse and the keyboard.

`make screenshots` keeps the pictures that are taken on the way: README and docs/ show them.
"""

from __future__ import annotations

import os
from pathlib import Path

import ball_course
import pytest
from chromium import chromium, in_a_browser, sync_api
from commands import run
from lab_server import jupyterlab

pytestmark = [*in_a_browser, pytest.mark.timeout(900)]

NAME, STUDENT = ball_course.NAME, "student01"
ANSWER = "Each batch has a loss surface of its own: where one is flat, the next one has a slope."
COMMENT = "And what does the batch size change?"
WINDOW = {"width": 1280, "height": 800}
# Milliseconds for one step: a kernel starts, or the grader does, on a machine that has more to do.
PATIENCE = 60_000

# What docs/howto/jupyterhub.md puts into /etc/jupyter. On a hub, who is who comes from there.
STUDENTS_CONFIG = """\
c = get_config()
c.Exchange.root = {exchange!r}
c.CourseDirectory.course_id = "deep-learning"
c.CourseDirectory.student_id = {student!r}
"""

expect = sync_api.expect


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)


def test_a_submission_goes_to_the_instructor_and_comes_back(tmp_path: Path, pictures: Path) -> None:
    exchange, student, instructor = (tmp_path / name for name in ("exchange", "student", "instructor"))
    for folder in (exchange, student / ".jupyter"):
        folder.mkdir(parents=True)
    exchange.chmod(0o777)
    config = STUDENTS_CONFIG.format(exchange=str(exchange), student=STUDENT)
    (student / ".jupyter" / "nbgrader_config.py").write_text(config)
    course = ball_course.write(instructor / "course", exchange)

    with (
        jupyterlab(instructor, course.root) as instructors,
        jupyterlab(student, student) as students,
        chromium() as browser,
    ):
        # Meanwhile the servers start.
        run(course.root, "grader", "build")
        run(course.root, "nbgrader", "db", "student", "add", STUDENT, "--last-name", "One", "--first-name", "Student")
        expect.set_options(timeout=PATIENCE)
        grading, studying = (browser.new_page(viewport=WINDOW) for _ in range(2))
        grading.set_default_timeout(PATIENCE)
        studying.set_default_timeout(PATIENCE)
        try:
            grading.goto(instructors.address())
            release(grading)
            studying.goto(students.address())
            solve(studying, pictures)
            grade(grading, pictures)
            read_feedback(studying, pictures)
        except BaseException:
            for name, page in (("instructor", grading), ("student", studying)):
                page.screenshot(path=tmp_path / f"failed-{name}.png")
            raise


def menu(page: sync_api.Page, name: str) -> None:
    page.get_by_role("menuitem", name="Nbgrader").click()
    page.get_by_role("menuitem", name=name, exact=True).click()


def formgrader(page: sync_api.Page) -> sync_api.FrameLocator:
    return page.frame_locator("#formgrader-iframe iframe")


def click(form: sync_api.FrameLocator, row: str, column: str, says: str) -> None:
    """Click on the icon in a column of the form grader's table, and read what it says then."""
    form.get_by_role("row", name=row).locator(f".{column} a").click()
    dialog = form.get_by_role("dialog")
    expect(dialog).to_contain_text(says)
    dialog.get_by_role("button", name="OK").click()
    expect(form.locator(".modal-backdrop")).to_have_count(0)


def release(page: sync_api.Page) -> None:
    menu(page, "Formgrader")
    page.keyboard.press("ControlOrMeta+B")  # the list of files gives its room to the form grader
    form = formgrader(page)
    click(form, NAME, "assign", "Successfully created the student version")
    click(form, NAME, "release", "Successfully released")


def solve(page: sync_api.Page, pictures: Path) -> None:
    menu(page, "Assignment List")
    assignments = page.locator("#nbgrader-assignment-list")
    assignments.get_by_role("button", name="Fetch").click()
    assignments.get_by_role("button", name=NAME).click()
    assignments.get_by_role("link", name=NAME).click()
    problem = page.locator(".jp-CodeCell", has_text="def momentum_step")
    expect(problem).to_contain_text("NotImplementedError")

    assert_validate_says(page, "The following cell failed")
    write_into(page, problem, ball_course.MISTAKEN)
    answer = page.locator(".jp-MarkdownCell", has_text="YOUR ANSWER HERE")
    answer.dblclick()
    write_into(page, answer, ANSWER)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(page.locator(".jp-CodeCell .jp-InputPrompt")).to_have_text(["[1]:", "[2]:", "[3]:"])
    assert_validate_says(page, "Success! Your notebook passes all the tests.", pictures / "jupyterlab-validate.png")

    page.get_by_role("tab", name="Assignments").click()
    assignments.get_by_role("button", name="Submit").click()
    expect(assignments.get_by_role("button", name="Fetch Feedback")).to_be_visible()


def write_into(page: sync_api.Page, cell: sync_api.Locator, text: str) -> None:
    cell.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(text)


def assert_validate_says(page: sync_api.Page, text: str, picture: Path | None = None) -> None:
    page.get_by_role("button", name="Validate").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(text)
    if picture:
        page.screenshot(path=picture)
    dialog.get_by_role("button", name="Ok").click()


def grade(page: sync_api.Page, pictures: Path) -> None:
    form = formgrader(page)
    click(form, NAME, "collect", "Successfully collected")
    form.locator(".num-submissions").get_by_role("link", name="1").click()
    submission = form.get_by_role("row", name=STUDENT)
    expect(submission).to_contain_text("needs autograding")
    click(form, STUDENT, "autograde", "Successfully autograded")
    expect(submission).to_contain_text("needs manual grading")
    expect(submission.locator(".score")).to_have_text("30 / 105")
    page.screenshot(path=pictures / "formgrader.png")

    form.get_by_role("link", name="Manual Grading").click()
    form.get_by_role("link", name=NAME).click()
    form.get_by_role("link", name=NAME).last.click()
    form.get_by_role("link", name="Submission #1").click()
    expect(form.get_by_text(ball_course.DIAGNOSIS)).to_be_visible()
    written = form.locator(".nbgrader_cell", has_text=ANSWER)
    points, comment = written.locator("input.score"), written.get_by_placeholder("Type any comments here")
    with page.expect_response("**/formgrader/api/comment/*"):  # it saves when one goes to another field
        comment.fill(COMMENT)
        points.focus()
    with page.expect_response("**/formgrader/api/grade/*"):
        points.fill("4")
        comment.focus()
    page.screenshot(path=pictures / "formgrader-by-hand.png")

    form.get_by_role("link", name="Manual Grading").click()
    form.get_by_role("link", name="Manage Assignments").click()
    form.locator(".num-submissions").get_by_role("link", name="1").click()
    expect(submission).to_contain_text("graded")
    expect(submission.locator(".score")).to_have_text("34 / 105")
    click(form, STUDENT, "generate-feedback", "Successfully generated feedback")
    click(form, STUDENT, "release-feedback", "Successfully released feedback")


def read_feedback(page: sync_api.Page, pictures: Path) -> None:
    assignments = page.locator("#nbgrader-assignment-list")
    assignments.get_by_role("button", name="Fetch Feedback").click()
    assignments.get_by_text("(view feedback)").click()
    page.get_by_role("listitem", name=f"{NAME}.html").dblclick()
    feedback = page.frame_locator(".jp-HTMLViewer iframe")
    expect(feedback.get_by_text(f"{NAME} (Score: 34.0 / 105.0)")).to_be_visible()
    expect(feedback.get_by_text(f"Comments: {COMMENT}")).to_be_visible()
    feedback.get_by_role("link", name="Test cell").click()
    expect(feedback.get_by_text(ball_course.DIAGNOSIS)).to_be_in_viewport()
    page.screenshot(path=pictures / "jupyterlab-feedback.png")
