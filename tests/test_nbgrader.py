"""nbgrader with this course, as its documentation says: every command by its own command line, on a real course."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from commands import run
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from sample_class import CLASS05, LECTURE05, Desk, SampleSubmission, desk_of, saved, write_course, write_submitted

from grader.course import load_course

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nbgrader")]

RIGHT, MISTAKEN, UNTOUCHED = "student01", "student05", "student15"
DELETED_CELLS, ANOTHER_EDITOR, NOT_JSON, LATE, HOSTILE = "student22", "student32", "student36", "student41", "student43"

SAMPLES: dict[str, SampleSubmission] = {
    sample.student: sample
    for sample in CLASS05
    if sample.student in (RIGHT, MISTAKEN, UNTOUCHED, DELETED_CELLS, ANOTHER_EDITOR, NOT_JSON, LATE, HOSTILE)
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A course with some of the sample class, handed in, autograded, and with feedback."""
    root = write_course(tmp_path_factory.mktemp("course"))
    found = desk_of(root, LECTURE05)
    write_submitted(found, SAMPLES.values())
    run(root, "nbgrader", "autograde", LECTURE05)
    run(root, "nbgrader", "generate_feedback", LECTURE05)
    return found


def root_of(desk: Desk) -> Path:
    return desk.material.course.root


def gradebook(desk: Desk) -> Gradebook:
    return Gradebook(desk.material.course.gradebook_url, desk.material.course.id)


def page(desk: Desk, student: str) -> str:
    return (root_of(desk) / "feedback" / student / LECTURE05 / f"{LECTURE05}.html").read_text(encoding="utf-8")


def words(markup: str) -> str:
    """What a reader sees of a page, with single spaces."""
    markup = re.sub(r"<(style|script)\b.*?</\1>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def autograded(desk: Desk, student: str) -> NotebookNode:
    return nbformat.read(root_of(desk) / "autograded" / student / LECTURE05 / f"{LECTURE05}.ipynb", as_version=4)


def grade_ids(notebook: NotebookNode) -> list[str]:
    return [cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata]


# ---------------------------------------------------------------- what students get


def test_generate_assignment_makes_the_notebook_that_build_makes(tmp_path: Path) -> None:
    root = write_course(tmp_path)
    release = root / "assignments" / LECTURE05 / f"{LECTURE05}.ipynb"
    shutil.rmtree(root / "assignments")
    run(root, "grader", "build", LECTURE05)
    built = release.read_bytes()
    shutil.rmtree(root / "assignments")

    run(root, "nbgrader", "generate_assignment", LECTURE05)

    assert release.read_bytes() == built
    assert b"raise NotImplementedError" in built
    assert b"SOLUTION" not in built


def test_autograde_knows_the_assignment_without_generate_assignment(desk: Desk) -> None:
    """assignments/ is committed, and generate_assignment skips what has its release: here it was never run."""
    with gradebook(desk) as book:
        cells = {cell.name: cell.max_score for cell in book.find_notebook(LECTURE05, LECTURE05).grade_cells}
    problems = desk.tests.problems.values()
    assert cells == {
        **{f"test_{problem.name}": 0.0 if problem.bonus else problem.points for problem in problems},
        "why_noise": 5.0,
    }
    assert (root_of(desk) / "assignments" / LECTURE05 / f"{LECTURE05}.ipynb").is_file()  # and it is still there


def test_a_student_can_validate_with_the_tests_in_the_notebook(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "untouched.ipynb").write_bytes(saved(desk.untouched()))
    (tmp_path / "solved.ipynb").write_bytes(saved(desk.solved()))

    stub = run(tmp_path, "nbgrader", "validate", "untouched.ipynb", IPYTHONDIR=str(tmp_path))
    right = run(tmp_path, "nbgrader", "validate", "solved.ipynb", IPYTHONDIR=str(tmp_path))

    assert "VALIDATION FAILED ON" in stub.stdout
    assert "Success! Your notebook passes all the tests." in right.stdout


# ---------------------------------------------------------------- how it comes back


def test_downloads_of_each_system_are_collected(tmp_path: Path) -> None:
    root = write_course(tmp_path)
    archive = root / "downloaded" / LECTURE05 / "archive"
    archive.mkdir(parents=True)
    untouched = saved(desk_of(root, LECTURE05).untouched())
    name = f"{LECTURE05}.ipynb"
    collected = {
        f"doejane_4711_90210_{name}": "4711",
        f"doejohn_LATE_4712_90211_{LECTURE05}-1.ipynb": "4712",
        f"Jane Doe_4713_assignsubmission_file_/{name}": "4713",
        f"Batch and momentum_student01_attempt_2027-03-26-22-15-00_{name}": "student01",
        f"Batch and momentum_student02_attempt_2027-03-26-22-15-00_{LECTURE05} (最終版, déjà vu).ipynb": "student02",
        f"student03_{name}": "student03",
        f"student04/{name}": "student04",
    }
    for file in collected:
        (archive / file).parent.mkdir(exist_ok=True)
        (archive / file).write_bytes(untouched)
    (archive / "Batch and momentum_student01_attempt_2027-03-26-22-15-00.txt").write_text("a receipt")

    run(root, "nbgrader", "zip_collect", LECTURE05)

    found = {path.parts[-3]: path for path in (root / "submitted").glob(f"*/{LECTURE05}/{name}")}
    assert sorted(found) == sorted(collected.values())
    assert all(path.read_bytes() == untouched for path in found.values())


def test_blackboard_s_times_are_the_course_s_local_times(tmp_path: Path) -> None:
    """Two attempts, of which the later counts; a quarter past ten in Taipei is a quarter past two, UTC."""
    root = write_course(tmp_path)
    desk = desk_of(root, LECTURE05)
    archive = root / "downloaded" / LECTURE05 / "archive"
    archive.mkdir(parents=True)
    for time, notebook in (("22-15-00", desk.solved()), ("22-14-59", desk.untouched())):
        name = f"Batch and momentum_student01_attempt_2027-03-26-{time}_{LECTURE05}.ipynb"
        (archive / name).write_bytes(saved(notebook))

    run(root, "nbgrader", "zip_collect", LECTURE05)

    folder = root / "submitted" / "student01" / LECTURE05
    assert (folder / "timestamp.txt").read_text() == "2027-03-26 14:15:00"
    assert (folder / f"{LECTURE05}.ipynb").read_bytes() == saved(desk.solved())


def test_the_exchange_carries_an_assignment_out_and_back(tmp_path: Path) -> None:
    root, home, exchange = write_course(tmp_path / "course"), tmp_path / "home", tmp_path / "exchange"
    for folder in (home, exchange):
        folder.mkdir()
    text = (root / "course.yaml").read_text(encoding="utf-8")
    wanted = f"  exchange: {exchange}\n"
    (root / "course.yaml").write_text(re.sub(r"  # exchange: .*\n", wanted, text), encoding="utf-8")
    (home / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.CourseDirectory.course_id = 'deep-learning'\nc.Exchange.root = {str(exchange)!r}\n"
    )
    desk = desk_of(root, LECTURE05)
    student = {"JUPYTER_DATA_DIR": str(home / "data")}

    run(root, "nbgrader", "release_assignment", LECTURE05)
    run(home, "nbgrader", "fetch_assignment", LECTURE05, **student)
    fetched = home / LECTURE05 / f"{LECTURE05}.ipynb"
    assert fetched.read_bytes() == (root / "assignments" / LECTURE05 / fetched.name).read_bytes()
    fetched.write_bytes(saved(desk.solved()))
    run(home, "nbgrader", "submit", LECTURE05, "--student", "student01", **student)
    run(root, "nbgrader", "collect", LECTURE05)
    run(root, "nbgrader", "autograde", LECTURE05)

    with gradebook(desk) as book:
        assert book.find_submission(LECTURE05, "student01").score == 108


# ---------------------------------------------------------------- what autograde leaves in the gradebook


def test_the_due_date_and_the_late_policy_are_those_of_course_yaml(desk: Desk) -> None:
    with gradebook(desk) as book:
        due = book.find_assignment(LECTURE05).duedate
        late = book.find_submission(LECTURE05, LATE)
        assert due.replace(tzinfo=UTC) == datetime.fromisoformat("2027-03-26 23:59+08:00")
        assert late.total_seconds_late == 25 * 60 * 60
        assert late.late_submission_penalty == 108 * 0.2

    file = root_of(desk) / "course.yaml"
    policy = file.read_text(encoding="utf-8")
    file.write_text(policy.replace("penalty_per_day: 0.1", "penalty_per_day: 0.25"), encoding="utf-8")
    run(root_of(desk), "nbgrader", "autograde", LECTURE05, "--student", LATE, "--force")
    file.write_text(policy, encoding="utf-8")

    with gradebook(desk) as book:
        assert book.find_submission(LECTURE05, LATE).late_submission_penalty == 108 * 0.5


def test_the_bonus_is_extra_credit(desk: Desk) -> None:
    with gradebook(desk) as book:
        submission = book.find_submission(LECTURE05, RIGHT)
        bonus = book.find_grade("test_nesterov_step", LECTURE05, LECTURE05, RIGHT)
        assert (bonus.auto_score, bonus.extra_credit, bonus.max_score) == (0, 8, 0)
        assert (submission.score, submission.max_score) == (108, 105)  # 5 of these are the essay's


def test_an_untouched_answer_is_zero_and_waits_for_nobody(desk: Desk) -> None:
    with gradebook(desk) as book:
        untouched = book.find_grade("why_noise", LECTURE05, LECTURE05, UNTOUCHED)
        deleted = book.find_grade("why_noise", LECTURE05, LECTURE05, DELETED_CELLS)
        written = book.find_grade("why_noise", LECTURE05, LECTURE05, RIGHT)
        assert (untouched.auto_score, untouched.needs_manual_grade) == (0, False)
        assert (deleted.auto_score, deleted.needs_manual_grade) == (0, False)
        assert (written.auto_score, written.needs_manual_grade) == (None, True)


def test_a_manual_score_survives_another_autograde(desk: Desk) -> None:
    def essay_and_score(book: Gradebook) -> tuple[float | None, float | None, str | None, float]:
        grade = book.find_grade("why_noise", LECTURE05, LECTURE05, MISTAKEN)
        comment = book.find_comment("why_noise", LECTURE05, LECTURE05, MISTAKEN)
        submission = book.find_submission(LECTURE05, MISTAKEN)
        return grade.manual_score, grade.score, comment.manual_comment, submission.score

    with gradebook(desk) as book:
        before = book.find_submission(LECTURE05, MISTAKEN).score
        book.find_grade("why_noise", LECTURE05, LECTURE05, MISTAKEN).manual_score = 3.5
        book.find_comment("why_noise", LECTURE05, LECTURE05, MISTAKEN).manual_comment = "Why does it help?"
        book.db.commit()

    for program in ("nbgrader", "grader"):
        run(root_of(desk), program, "autograde", LECTURE05, "--student", MISTAKEN, "--force")
        with gradebook(desk) as book:
            assert essay_and_score(book) == (3.5, 3.5, "Why does it help?", before + 3.5)

    run(root_of(desk), "nbgrader", "generate_feedback", LECTURE05, "--student", MISTAKEN, "--force")
    assert "Comments: Why does it help?" in words(page(desk, MISTAKEN))
    table = root_of(desk) / "grades.csv"
    run(root_of(desk), "nbgrader", "export", "--to", table)
    scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(table.open(encoding="utf-8"))}
    assert scores[MISTAKEN] == before + 3.5


def test_deleted_cells_come_back_in_their_place(desk: Desk) -> None:
    stub = grade_ids(desk.untouched())
    assert grade_ids(autograded(desk, DELETED_CELLS)) == [name for name in stub if name != "gradient_noise"]


def test_a_notebook_without_metadata_gets_every_cell_s_back(desk: Desk) -> None:
    notebook = autograded(desk, ANOTHER_EDITOR)
    assert grade_ids(notebook) == grade_ids(desk.untouched())
    assert len(notebook.cells) == len(desk.untouched().cells)


def test_a_file_under_another_name_is_taken_for_the_notebook(tmp_path: Path) -> None:
    """Somebody put it into submitted/ by hand. `grader autograde` takes it; nbgrader names whom it left out."""
    root = write_course(tmp_path)
    desk = desk_of(root, LECTURE05)
    folder = root / "submitted" / "student01" / LECTURE05
    folder.mkdir(parents=True)
    (folder / "Übung 5, endgültig.ipynb").write_bytes(saved(desk.solved()))

    said = run(root, "nbgrader", "autograde", LECTURE05, code=1)
    assert f"There was an error processing assignment '{LECTURE05}' for student 'student01'" in said.stderr

    run(root, "grader", "autograde", LECTURE05)
    with gradebook(desk) as book:
        assert book.find_submission(LECTURE05, "student01").score == 108


# ---------------------------------------------------------------- the feedback page


def test_feedback_shows_the_checks_under_each_graded_cell(desk: Desk) -> None:
    """In the order of the notebook: after a problem's tests, and before the next problem's, stands its table."""
    sections = re.split(r"Grade cell: <code>test_(\w+)</code>", page(desk, MISTAKEN))
    shown = dict(zip(sections[1::2], sections[2::2], strict=True))

    assert list(shown) == list(desk.tests.problems)
    for name, section in shown.items():
        table = words(section)
        for check in desk.tests.problems[name].checks:
            assert check.title.replace("`", "") in table
    step = words(shown["momentum_step"])
    assert "momentum_step: 2 of 12 points" in step
    assert "✗ wrong" in step
    assert "✓ passed" in step
    assert "Hint: From rest, the movement is just minus eta times the gradient." in step
    assert "What happened: Your update adds the gradient" in step
    assert "Read again: Lecture 5, Momentum" in step
    assert "The tests that you see in this cell stopped with AssertionError: From rest" in step
    assert "✗" not in words(shown["flatness"])


@pytest.mark.parametrize("student", [MISTAKEN, UNTOUCHED, NOT_JSON])
def test_feedback_holds_no_hidden_test_and_no_solution(desk: Desk, student: str) -> None:
    checks = desk.tests.checks.values()
    shown = [" ".join(text.split()) for check in checks for text in (check.title, check.hint)]
    handed_out = words("\n".join(html.escape(cell.source) for cell in desk.untouched().cells))
    hidden = (desk.material.hidden_folder / "checks.py").read_text(encoding="utf-8")
    mistakes = (desk.material.hidden_folder / "misconceptions.py").read_text(encoding="utf-8")
    solutions = "\n".join(desk.right(name) for name in desk.tests.problems)

    def secrets(source: str) -> list[str]:
        lines = {" ".join(line.split()) for line in source.splitlines()}
        return [line for line in lines if len(line) > 30 and line not in handed_out]

    assert len(secrets(hidden)) > 300
    seen = words(page(desk, student))
    for line in secrets(hidden):
        assert line not in seen or any(line.strip('"') in text for text in shown), line
    if student != MISTAKEN:  # who has solved the rest, and is told of some mistakes
        for line in secrets(solutions):
            assert line not in seen, line
        for line in secrets(mistakes):
            assert line not in seen, line


class Markup(HTMLParser):
    """What a page could run: scripts, event handlers, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed"):
            self.scripts.append(str(sorted(attrs)))
            self._in_script = True
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.links += [str(value) for name, value in attrs if name in ("href", "src", "action")]

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.scripts.append(data)


def test_nothing_that_a_student_wrote_runs_on_the_feedback_page(desk: Desk) -> None:
    innocent, hostile = Markup(page(desk, RIGHT)), Markup(page(desk, HOSTILE))

    assert hostile.scripts == innocent.scripts  # nbgrader's own: MathJax
    assert hostile.handlers == []
    assert not [link for link in hostile.links if link.startswith(("javascript:", "data:text"))]
    seen = words(page(desk, HOSTILE))
    assert "Noise shakes theta out of a canyon." in " ".join(seen.split())
    assert "<b>bold</b>" in page(desk, HOSTILE)  # harmless markup of an output stays


def test_what_was_handed_in_is_kept_as_it_was(desk: Desk) -> None:
    """A page that can't run scripts is made from a notebook that still has them."""
    text = json.dumps([cell.source for cell in autograded(desk, HOSTILE).cells])
    assert "<script>document.title = 'answer'</script>" in text


def test_an_unreadable_file_gets_a_page_that_says_so(desk: Desk) -> None:
    seen = words(page(desk, NOT_JSON))
    assert "This submission could not be read. The file is not a notebook" in seen
    assert "updates_per_epoch: 0 of 5 points" in seen


def test_the_course_that_is_graded_is_the_real_one(desk: Desk) -> None:
    """Only limits differ from the course that teachers have."""
    real, ours = load_course(Path(__file__).parents[1]), desk.material.course
    assert real.model_dump(exclude={"limits"}) == ours.model_dump(exclude={"limits"})
