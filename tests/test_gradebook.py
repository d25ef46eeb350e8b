"""The gradebook that is written in bulk, read back by nbgrader: what it holds is what nbgrader would have written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import essay_course
import pytest
import small_class
from commands import command, environment, run
from essay_course import TINY
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.api import Comment, Grade
from nbgrader.api import Gradebook as NbgraderGradebook
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties, SaveAutoGrades
from sqlalchemy import create_engine, text
from traitlets.config import Config

from grader.checks import AuthorError
from grader.course import Course
from grader.gradebook import Gradebook, Kept, Scores
from grader.marking import scores_of
from grader.material import Material

pytestmark = pytest.mark.xdist_group("postgresql")

STUDENT = "student01"
LATE = datetime(2027, 3, 28, 12)
CELLS = {"test_centered": 30.0, "test_softmax": 0.0, "test_Average": 20.0, "test_largest": 0.0, "why": None}
SCORES = Scores(STUDENT, None, CELLS, {"test_largest": 3.0}, {"centered": None, "softmax": "No response.", "why": None})


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def material(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Material:
    url = "sqlite:///gradebook.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
    return Material(essay_course.write(tmp_path_factory.mktemp("course"), url), TINY)


@pytest.fixture
def book(material: Material) -> Iterator[Gradebook]:
    """Without any submission."""
    with nbgraders(material.course) as people:
        people.db.commit()
        for student in [student.id for student in people.students]:
            people.remove_student(student)
    with Gradebook(material) as book:
        yield book


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return essay_course.write(tmp_path / "course")


def nbgraders(course: Course) -> NbgraderGradebook:
    return NbgraderGradebook(course.gradebook_url, course.id)


# ---------------------------------------------------------------- what nbgrader would have written


class OurPolicy(LateSubmissionPlugin):
    course: Course

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float:
        return self.course.late.penalty(score, total_seconds_late)


def autograded(material: Material, answers: dict[str, str], scores: dict[str, float]) -> NotebookNode:
    """A notebook as it is once the cells have run: a cell's result is its score."""
    notebook = essay_course.solved(material, **answers)
    for cell in notebook.cells:
        points = scores.get(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if points is not None:
            cell.outputs = [new_output("execute_result", {"text/plain": repr(points)}, execution_count=None)]
    return notebook


def saved_by_nbgrader(material: Material, student: str, notebook: NotebookNode, moment: datetime | None) -> None:
    course = material.course
    with nbgraders(course) as book:
        book.update_or_create_student(student)
        book.update_or_create_submission(TINY, student, **({"timestamp": str(moment)} if moment else {}))
    OurPolicy.course = course
    facts = {"notebook": TINY, "assignment": TINY, "student": student, "db_url": course.gradebook_url}
    SaveAutoGrades().preprocess(notebook, {"nbgrader": facts})
    config = Config()
    config.AssignLatePenalties.plugin_class = OurPolicy
    AssignLatePenalties(config=config).preprocess(notebook, {"nbgrader": facts})


def test_it_holds_what_nbgrader_would_have_written(material: Material, book: Gradebook, tmp_path: Path) -> None:
    """For work that is right, untouched in part, and late; written twice, the second time better."""
    other = Material(essay_course.write(tmp_path), TINY)
    stub = {cell.metadata.nbgrader.grade_id: cell.source for cell in essay_course.stub(material).cells if cell.metadata}
    half = {"test_centered": 10.0, "test_softmax": 40.0, "test_Average": 0.0, "test_largest": 0.0}
    full = {"test_centered": 40.0, "test_softmax": 40.0, "test_Average": 20.0, "test_largest": 0.0}
    handed_in = [
        ("student01", {}, full, None),
        ("student02", {"Average": stub["Average"], "essay": stub["why"]}, half, None),
        ("student03", {}, half, LATE),
        ("student02", {}, full, None),
        ("student03", {"essay": stub["why"]}, full, LATE),
    ]
    Gradebook(other)  # which makes the assignment known there
    for student, answers, scores, moment in handed_in:
        saved_by_nbgrader(other, student, autograded(other, answers, scores), moment)
        report = small_class.report(untouched=["largest"])  # no bonus: nbgrader has no step that saves one
        kept = book.kept([student]).get(student, Kept())
        notebook = autograded(material, answers, scores)
        result = scores_of(student, notebook, report, material, kept, moment)
        book.save([replace(result, extra={})])

    found = essay_course.facts(material.course)
    assert found == essay_course.facts(other.course)
    assert found["student03"]["penalty"] == 20  # of 100, two days that have started
    assert found["student03"]["comments"]["why"] == ("No response.", None)
    assert found["student02"]["comments"]["why"] == (None, None)  # taken back


def test_a_cell_without_a_score_waits_for_a_person(material: Material, book: Gradebook) -> None:
    book.save([SCORES])
    cells = essay_course.facts(material.course)[STUDENT]["cells"]
    assert cells == {
        "test_centered": (30.0, None, None, False, 40.0),
        "test_softmax": (0.0, None, None, False, 40.0),
        "test_Average": (20.0, None, None, False, 20.0),
        "test_largest": (0.0, None, 3.0, False, 0.0),
        "why": (None, None, None, True, 5.0),
    }


# ---------------------------------------------------------------- what people gave


def test_what_people_gave_stays_when_a_submission_is_graded_again(material: Material, book: Gradebook) -> None:
    book.save([replace(SCORES, handed_in=LATE)])
    with nbgraders(material.course) as people:
        place = TINY, TINY, STUDENT
        people.find_grade("why", *place).manual_score = 4.5
        people.find_grade("test_softmax", *place).manual_score = 12.0
        people.find_grade("test_Average", *place).extra_credit = 2.0
        people.find_comment("why", *place).manual_comment = "Which units?"
        people.db.commit()
        people.grant_extension(TINY, STUDENT, days=7)

    book.save([replace(SCORES, auto={**CELLS, "test_softmax": 40.0})])

    facts = essay_course.facts(material.course)[STUDENT]
    assert facts["cells"]["test_softmax"] == (40.0, 12.0, None, True, 40.0)  # a person should look once more
    assert facts["cells"]["why"] == (None, 4.5, None, True, 5.0)
    assert facts["cells"]["test_Average"] == (20.0, None, 2.0, False, 20.0)
    assert facts["comments"]["why"] == (None, "Which units?")
    assert facts["extension"] == timedelta(days=7)
    assert facts["timestamp"] == LATE
    assert facts["score"] == 30 + 12 + 20 + 2 + 3 + 4.5

    kept = book.kept([STUDENT, "student99"])
    assert list(kept) == [STUDENT]
    assert kept[STUDENT] == Kept(
        manual={"test_softmax": 12.0, "why": 4.5},
        extra={"test_Average": 2.0, "test_largest": 3.0},
        comments={
            "centered": (None, None),
            "softmax": ("No response.", None),
            "Average": (None, None),
            "largest": (None, None),
            "why": (None, "Which units?"),
        },
        handed_in=LATE,
        extension=timedelta(days=7),
    )


def test_an_extension_moves_the_due_date_and_the_penalty_counts_what_people_gave(material: Material) -> None:
    notebook = autograded(material, {}, {"test_centered": 40.0, "test_softmax": 40.0, "test_Average": 20.0})
    report = small_class.report()

    def penalty(kept: Kept) -> float | None:
        return scores_of(STUDENT, notebook, report, material, kept, LATE).penalty

    assert penalty(Kept()) == pytest.approx(0.2 * 105)  # the bonus is in it
    assert penalty(Kept(manual={"why": 5.0, "test_centered": 0.0})) == pytest.approx(0.2 * 70)
    assert penalty(Kept(extension=timedelta(days=1))) == pytest.approx(0.1 * 105)
    assert penalty(Kept(extension=timedelta(days=2))) is None


@pytest.mark.parametrize("gone", ["a grade", "the notebook"])
def test_a_submission_that_lacks_some_of_its_rows_gets_them(material: Material, book: Gradebook, gone: str) -> None:
    """Cells that came later, or a notebook that came after somebody noted an extension."""
    book.save([SCORES])
    whole = essay_course.facts(material.course)
    with nbgraders(material.course) as people:
        if gone == "the notebook":
            people.remove_submission_notebook(TINY, TINY, STUDENT)
        else:
            for row in (
                people.find_grade("test_centered", TINY, TINY, STUDENT),
                people.find_comment("softmax", TINY, TINY, STUDENT),
            ):
                people.db.delete(row)
            people.db.commit()
    assert essay_course.facts(material.course) != whole

    assert STUDENT in book.kept([STUDENT])
    book.save([SCORES])

    assert essay_course.facts(material.course) == whole


# ---------------------------------------------------------------- all or nothing


def test_of_a_batch_with_a_value_that_the_database_refuses_nothing_is_written(
    material: Material, book: Gradebook
) -> None:
    book.save([SCORES])
    before = essay_course.facts(material.course)
    hostile = replace(SCORES, student="student03", auto={"why": object()})  # type: ignore[dict-item]

    with pytest.raises(AuthorError, match="can't be used"):
        book.save([replace(SCORES, auto={"test_centered": 1.0}), replace(SCORES, student="student02"), hostile])

    assert essay_course.facts(material.course) == before
    with nbgraders(material.course) as people:
        assert [student.id for student in people.students] == [STUDENT]
        assert people.db.query(Grade).count() == len(CELLS)
        assert people.db.query(Comment).count() == 5


def test_a_student_s_name_is_only_ever_a_name(material: Material, book: Gradebook) -> None:
    names = ["x'); DROP TABLE grade; --", "=1+1", "%s %(x)s :x", "Zoë 王", "a" * 128, "{0}", "..", "<script>"]
    book.save([replace(SCORES, student=name) for name in names])
    assert essay_course.facts(material.course).keys() == set(names)
    assert book.submissions() == set(names)
    assert book.kept(names).keys() == set(names)


def test_a_large_class_is_read_and_written_at_once(material: Material, book: Gradebook) -> None:
    names = [f"student{number}" for number in range(450)]  # more than one question may name
    book.save([replace(SCORES, student=name) for name in names])
    assert book.kept(names).keys() == set(names)


# ---------------------------------------------------------------- gradebooks that can't be used


def refusal(course: Course) -> str:
    with pytest.raises(AuthorError) as told:
        Gradebook(Material(course, TINY))
    assert "\n" not in str(told.value)
    return str(told.value)


def file_of(course: Course) -> Path:
    return course.root / "gradebook.db"


def test_a_gradebook_of_another_nbgrader_is_refused_and_left_as_it_is(course: Course) -> None:
    Gradebook(Material(course, TINY)).close()
    with create_engine(course.gradebook_url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '167914646830'"))
    before = file_of(course).read_bytes()

    assert "nbgrader db upgrade" in refusal(course)
    assert "167914646830" in refusal(course)

    assert file_of(course).read_bytes() == before


def test_nbgrader_takes_our_tables_for_its_own(course: Course) -> None:
    """Its command that brings old tables up to date has nothing to do."""
    Gradebook(Material(course, TINY)).close()
    before = file_of(course).read_bytes()
    run(course.root, "nbgrader", "db", "upgrade")
    assert file_of(course).read_bytes() == before
    made = sqlite3.connect(file_of(course)).execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    with NbgraderGradebook(f"sqlite:///{course.root / 'its.db'}", course.id):
        its = sqlite3.connect(course.root / "its.db").execute("SELECT name, sql FROM sqlite_master ORDER BY name")
        assert [(name, tidy(sql)) for name, sql in made] == [(name, tidy(sql)) for name, sql in its.fetchall()]


def tidy(statement: str | None) -> str:
    return (statement or "").rstrip("; \n")


def test_a_file_that_is_no_database_is_told(course: Course) -> None:
    file_of(course).write_bytes(b"student,score\n" * 100)
    assert "file is not a database" in refusal(course)


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    course = essay_course.write(tmp_path, "sqlite:///nowhere/gradebook.db")
    assert "unable to open database file" in refusal(course)


def test_a_gradebook_that_somebody_keeps_locked_is_told(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.gradebook._PATIENCE", 0.1)
    with Gradebook(Material(course, TINY)) as book:
        somebody = sqlite3.connect(file_of(course), isolation_level=None)
        somebody.execute("BEGIN EXCLUSIVE")
        for action in (lambda: book.save([SCORES]), lambda: book.kept([STUDENT]), book.submissions):
            with pytest.raises(AuthorError, match="database is locked"):
                action()
        assert "database is locked" in refusal(course)
        somebody.close()
        book.save([SCORES])


@pytest.mark.slow
def test_a_gradebook_that_may_only_be_read_is_told(course: Course) -> None:
    """Root may write to any file, but not without the right to."""
    Gradebook(Material(course, TINY)).close()
    essay_course.hand_in(course, students=[STUDENT])
    file_of(course).chmod(0o444)
    words = command("grader", "autograde", TINY)
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root can write to any file, and there is no setpriv here to take that right away")
        words = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override", *words]

    done = subprocess.run(words, cwd=course.root, env=environment(), capture_output=True, text=True)

    assert done.returncode == 2, done.stderr
    assert "attempt to write a readonly database" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_gradebook_of_another_course_is_refused(course: Course) -> None:
    """nbgrader looks for an assignment by its name alone: two courses' scores would lie in one place."""
    Gradebook(Material(course, TINY)).close()
    file = course.root / "course.yaml"
    file.write_text(file.read_text().replace("id: tiny-course", "id: last-years"))
    told = refusal(essay_course.load_course(course.root))
    assert "'tiny-course'" in told
    assert "a gradebook of its own" in told


@pytest.mark.slow
def test_a_broken_course_stops_nbgrader(course: Course) -> None:
    """It would go on without it, into a gradebook of its own."""
    file = course.root / "course.yaml"
    file.write_text(file.read_text().replace("seed: 7", "seed: seven"))
    said = run(course.root, "nbgrader", "export", code=1)
    assert "seed: 'seven' is not a valid integer" in said.stderr
    assert "Traceback" not in said.stderr
    assert not file_of(course).exists()


# ---------------------------------------------------------------- an assignment that has changed


def change_checks(course: Course, old: str, new: str) -> None:
    file = course.root / "tests" / "hidden" / TINY / "checks.py"
    file.write_text(essay_course.tiny_course.replaced(file.read_text(), old, new))


@pytest.mark.slow
def test_other_points_are_told_and_generate_assignment_keeps_what_students_have(course: Course) -> None:
    with Gradebook(Material(course, TINY)) as book:
        book.save([SCORES])
    with nbgraders(course) as people:
        people.find_grade("why", TINY, TINY, STUDENT).manual_score = 4.0
        people.db.commit()
    before = essay_course.facts(course)[STUDENT]
    change_checks(course, 'check("Average", points=10', 'check("Average", points=13')

    told = refusal(course)

    assert "holds 20 points for the cell test_Average, and the checks now give 23" in told
    assert f"nbgrader generate_assignment {TINY} --force" in told
    essay_course.hand_in(course, students=[STUDENT, "student02"])
    said = run(course.root, "nbgrader", "autograde", TINY, code=1)  # told once, not for each student
    assert said.stderr.count("and the checks now give 23") == 1
    assert "Traceback" not in said.stderr
    assert essay_course.facts(course)[STUDENT] == before

    run(course.root, "nbgrader", "generate_assignment", TINY, "--force")

    after = essay_course.facts(course)[STUDENT]
    assert after["max_score"] == before["max_score"] + 3
    assert after["score"] == before["score"]
    assert after["comments"] == before["comments"]
    assert {name: cell[:4] for name, cell in after["cells"].items()} == {
        name: cell[:4] for name, cell in before["cells"].items()
    }
    with Gradebook(Material(course, TINY)) as book:
        assert {cell.name: cell.points for cell in book.layout.cells}["test_Average"] == 23


@pytest.mark.slow
def test_other_cells_are_told_and_generate_assignment_mends_that_until_somebody_is_graded(course: Course) -> None:
    Gradebook(Material(course, TINY)).close()
    script = course.root / "solutions" / f"{TINY}.py"
    whole = script.read_text()
    script.write_text(whole.replace('answer="why"', 'answer="why_units"'))

    told = refusal(course)

    assert "it lacks why_units and still holds why." in told
    run(course.root, "nbgrader", "generate_assignment", TINY, "--force")
    with Gradebook(Material(course, TINY)) as book:
        book.save([SCORES])
    script.write_text(whole)
    assert "it lacks why and still holds why_units." in refusal(course)
    said = run(course.root, "nbgrader", "generate_assignment", TINY, "--force", code=1)
    assert "Cannot add or remove cells" in said.stderr
