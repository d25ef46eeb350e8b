"""A department's gradebook: PostgreSQL through both doors, and several graders at once on it and on SQLite."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import essay_course
import psycopg
import pytest
from commands import command, environment, run
from essay_course import LATE, RIGHT, SECOND, STUDENTS, TINY
from nbgrader.api import Grade
from nbgrader.api import Gradebook as NbgraderGradebook
from postgresql_server import PASSWORD, Server
from sqlalchemy import event
from sqlalchemy.orm import Session

from grader.checks import AuthorError
from grader.course import Course, CourseError, load_course
from grader.gradebook import Gradebook, Scores
from grader.material import Material

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Course:
    course = essay_course.write(tmp_path_factory.mktemp("sqlite"))
    for assignment in (TINY, SECOND):
        essay_course.hand_in(course, assignment)
        run(course.root, "grader", "autograde", assignment)
    return course


@pytest.fixture(scope="module")
def by_nbgrader(on_sqlite: Course, postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Graded on PostgreSQL by nbgrader's own commands."""
    course = essay_course.write(tmp_path_factory.mktemp("nbgrader"), postgresql.new_database(), on_sqlite)
    essay_course.hand_in(course)
    said = [run(course.root, "nbgrader", *words, TINY, "--debug") for words in (["generate_assignment"], ["autograde"])]
    assert all(PASSWORD not in one.stdout + one.stderr for one in said)
    return course


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()


# ---------------------------------------------------------------- both doors


def test_the_grader_leaves_the_same_gradebook_on_postgresql_as_on_sqlite(
    on_sqlite: Course, postgresql: Server, tmp_path: Path
) -> None:
    """And the password, which stands in course.yaml here, in no message and no file."""
    course = essay_course.write(tmp_path, postgresql.new_database(), on_sqlite)
    essay_course.hand_in(course)

    said = run(course.root, "grader", "autograde", TINY)

    expected = essay_course.facts(on_sqlite)
    assert essay_course.facts(course) == expected
    assert expected[RIGHT]["score"] == 105
    assert expected[LATE]["penalty"] == 21  # two days that have started
    assert expected.keys() == set(STUDENTS)
    assert PASSWORD not in said.stdout + said.stderr
    told = [path for path in tmp_path.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert told == [tmp_path / "course.yaml"]
    again = run(course.root, "grader", "autograde", TINY)
    assert f"0 submissions graded, {len(STUDENTS)} unchanged" in again.stdout


def test_nbgrader_leaves_the_same_gradebook_on_postgresql_as_the_grader_on_sqlite(
    on_sqlite: Course, by_nbgrader: Course
) -> None:
    assert essay_course.facts(by_nbgrader) == essay_course.facts(on_sqlite)


def test_nbgrader_exports_and_makes_feedback_from_postgresql(by_nbgrader: Course, tmp_path: Path) -> None:
    run(by_nbgrader.root, "nbgrader", "generate_feedback", TINY)
    run(by_nbgrader.root, "nbgrader", "export", "--to", tmp_path / "grades.csv")

    with (tmp_path / "grades.csv").open(encoding="utf-8") as table:
        rows = {row["student_id"]: row for row in csv.DictReader(table) if row["assignment"] == TINY}
    for student, facts in essay_course.facts(by_nbgrader).items():
        assert float(rows[student]["score"]) == facts["score"] - (facts["penalty"] or 0)
        page = (by_nbgrader.root / "feedback" / student / TINY / f"{TINY}.html").read_text(encoding="utf-8")
        assert f"Score: {facts['score'] - (facts['penalty'] or 0)}" in page


def test_what_the_formgrader_shows_comes_from_postgresql(by_nbgrader: Course) -> None:
    """The questions that its pages ask."""
    with NbgraderGradebook(by_nbgrader.gradebook_url, by_nbgrader.id) as book:
        submissions = {one["student"]: one for one in book.submission_dicts(TINY)}
        notebooks = {one["student"]: one for one in book.notebook_submission_dicts(TINY, TINY)}
        students = {one["id"]: one for one in book.student_dicts()}
        mean = book.average_assignment_score(TINY)
        parts = [book.average_notebook_code_score(TINY, TINY), book.average_notebook_written_score(TINY, TINY)]
    facts = essay_course.facts(by_nbgrader)
    for shown in (submissions, notebooks, students):
        assert {name: one["score"] for name, one in shown.items()} == {
            name: one["score"] for name, one in facts.items()
        }
    assert mean == pytest.approx(sum(one["score"] for one in facts.values()) / len(facts))
    assert sum(parts) == pytest.approx(mean)


def test_the_export_and_the_report_read_postgresql(by_nbgrader: Course, tmp_path: Path) -> None:
    said = run(by_nbgrader.root, "grader", "report", TINY)
    assert PASSWORD not in said.stdout + said.stderr
    found = json.loads(next((by_nbgrader.root / "reports").rglob("*.json")).read_text())
    assert found


# ---------------------------------------------------------------- several at once


def started(course: Course, assignment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("grader", "autograde", assignment, "--jobs", "1", "--force"),
        cwd=course.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_four_graders_at_once_fill_an_empty_gradebook_and_lose_nothing(
    on_sqlite: Course, database: str, tmp_path: Path
) -> None:
    """Two have different students of one assignment, and two have these students' other assignment."""
    shares = [(assignment, students) for assignment in (TINY, SECOND) for students in (STUDENTS[:4], STUDENTS[4:])]
    courses = []
    for number, (assignment, students) in enumerate(shares):
        course = essay_course.write(tmp_path / f"grader{number}", database, on_sqlite)
        essay_course.hand_in(course, assignment, students)
        courses.append(course)

    graders = [started(course, assignment) for course, (assignment, _) in zip(courses, shares, strict=True)]
    said = [grader.communicate()[0] for grader in graders]

    assert [grader.returncode for grader in graders] == [0] * 4, said
    for assignment in (TINY, SECOND):
        assert essay_course.facts(courses[0], assignment) == essay_course.facts(on_sqlite, assignment)


def score_of(number: int) -> Scores:
    """Results of which each cell tells whose they are."""
    cells = {"test_centered": 10.0, "test_softmax": 20.0, "test_Average": 5.0, "test_largest": 0.0, "why": None}
    auto = {name: None if points is None else points + number / 100 for name, points in cells.items()}
    comments = dict.fromkeys(("centered", "softmax", "Average", "largest"))
    return Scores(f"student{number:02}", None, auto, {"test_largest": 3.0}, {**comments, "why": "No response."})


def forked(action: Callable[[], None]) -> multiprocessing.process.BaseProcess:
    """A process that has what this one has loaded."""
    process = multiprocessing.get_context("fork").Process(target=action)
    process.start()
    return process


def ended(*processes: multiprocessing.process.BaseProcess) -> list[int | None]:
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


@pytest.fixture
def material(database: str, tmp_path: Path) -> Material:
    return Material(essay_course.write(tmp_path / "course", database), TINY)


def test_four_that_write_the_same_submissions_at_once_leave_each_once(material: Material) -> None:
    """Into an empty database, each many times and in an order of its own."""

    def write(first: int) -> None:
        with Gradebook(material) as book:
            for shift in range(6):
                numbers = [(first * 3 + shift * 5 + number) % 16 for number in range(16)]
                for start in range(0, 16, 4):
                    book.save([score_of(number) for number in numbers[start : start + 4]])

    material.tests  # noqa: B018  (loaded here, once)
    assert ended(*[forked(lambda first=first: write(first)) for first in range(4)]) == [0] * 4

    found = essay_course.facts(material.course)
    assert sorted(found) == [score_of(number).student for number in range(16)]
    for number in range(16):
        expected = score_of(number)
        cells = found[expected.student]["cells"]
        assert {name: cell[0] for name, cell in cells.items()} == expected.auto
        assert cells["test_largest"][2] == 3.0
        assert found[expected.student]["comments"]["why"] == ("No response.", None)


def test_a_grader_killed_in_the_midst_of_writing_leaves_nothing_of_its_batch(material: Material) -> None:
    def kill(session: Session, _: object) -> None:
        if any(isinstance(one, Grade) for one in session.new):  # they are in the database, for this transaction
            os.kill(os.getpid(), signal.SIGKILL)

    with Gradebook(material) as book:
        book.save([score_of(1)])

        def write() -> None:
            event.listen(Session, "after_flush", kill)
            book.save([replace(score_of(1), auto={"test_centered": 1.0}), score_of(2), score_of(3)])

        assert ended(forked(write)) == [-signal.SIGKILL]

        found = essay_course.facts(material.course)
        assert list(found) == [score_of(1).student]
        assert found[score_of(1).student]["cells"]["test_centered"][0] == 10.01
        book.save([score_of(number) for number in (1, 2, 3)])  # nothing is locked
    assert len(essay_course.facts(material.course)) == 3


def test_scores_that_people_give_while_graders_write_are_kept(material: Material) -> None:
    numbers = range(8)

    def grade() -> None:
        with Gradebook(material) as book:
            for _ in range(8):
                book.save([score_of(number) for number in numbers])

    def read_and_give() -> None:
        course = material.course
        for number in numbers:
            with NbgraderGradebook(course.gradebook_url, course.id) as people:
                grade = people.find_grade("why", TINY, TINY, score_of(number).student)
                grade.manual_score, grade.needs_manual_grade = number / 2, False
                comment = people.find_comment("why", TINY, TINY, score_of(number).student)
                comment.manual_comment = f"Read by a person, {number}."
                people.db.commit()

    with Gradebook(material) as book:
        book.save([score_of(number) for number in numbers])
    assert ended(forked(grade), forked(grade), forked(read_and_give), forked(grade)) == [0] * 4

    found = essay_course.facts(material.course)
    for number in numbers:
        facts = found[score_of(number).student]
        assert facts["cells"]["why"][:2] == (None, number / 2)
        assert facts["comments"]["why"] == ("No response.", f"Read by a person, {number}.")


# ---------------------------------------------------------------- what can be wrong


@pytest.fixture
def course(postgresql: Server, tmp_path: Path) -> Course:
    return essay_course.write(tmp_path, postgresql.new_database())


def refusal(course: Course) -> str:
    """What is said of a gradebook that can't be used."""
    with pytest.raises(AuthorError) as told:
        Gradebook(Material(course, TINY))
    assert "\n" not in str(told.value)
    assert PASSWORD not in str(told.value)
    return str(told.value)


def test_the_password_can_come_from_elsewhere(
    postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpq looks into the environment and into ~/.pgpass by itself."""
    name = postgresql.new_database().rpartition("/")[2]
    course = essay_course.write(tmp_path / "course", postgresql.url(name, account="grader"))
    assert "no password supplied" in refusal(course)

    pgpass = tmp_path / "pgpass"
    pgpass.write_text(f"127.0.0.1:*:*:grader:{PASSWORD}\n")
    pgpass.chmod(0o600)
    for variable, value in (("PGPASSFILE", str(pgpass)), ("PGPASSWORD", PASSWORD)):
        with monkeypatch.context() as environment:
            environment.setenv(variable, value)
            assert Gradebook(Material(course, TINY)).submissions() == set()


def test_a_wrong_password_is_told_and_not_shown(course: Course) -> None:
    """By both doors, in a sentence."""
    (course.root / "course.yaml").write_text(course_text(course).replace(PASSWORD, f"{PASSWORD}-wrong"))
    essay_course.hand_in(load_course(course.root), students=STUDENTS[:2])
    for program, code in (("grader", 2), ("nbgrader", 1)):
        said = run(course.root, program, "autograde", TINY, code=code)
        assert 'password authentication failed for user "grader"' in " ".join(said.stderr.split())
        assert "Traceback" not in said.stderr
        assert PASSWORD not in said.stdout + said.stderr


def test_a_database_that_does_not_exist_is_told(postgresql: Server, tmp_path: Path) -> None:
    told = refusal(essay_course.write(tmp_path, postgresql.url("nowhere")))
    assert 'database "nowhere" does not exist' in told
    assert "postgresql://...@127.0.0.1" in told


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        url = f"postgresql://grader:{PASSWORD}@127.0.0.1:{bound.getsockname()[1]}/courses"
        assert "Connection refused" in refusal(essay_course.write(tmp_path, url))


def test_a_database_that_may_only_be_read_is_told(course: Course, postgresql: Server) -> None:
    with Gradebook(Material(course, TINY)) as book:
        postgresql.ask(f"ALTER DATABASE {name_of(course)} SET default_transaction_read_only = on")
        with pytest.raises(AuthorError, match="read-only transaction"):
            book.save([score_of(1)])


def test_an_account_that_may_make_no_tables_is_told(course: Course, postgresql: Server) -> None:
    postgresql.ask("REVOKE CREATE ON SCHEMA public FROM PUBLIC", name_of(course))
    postgresql.ask(f"ALTER DATABASE {name_of(course)} OWNER TO postgres")
    assert "permission denied for schema public" in refusal(course)


def test_a_table_that_somebody_keeps_locked_is_told(
    course: Course, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.gradebook._PATIENCE", 0.2)
    with Gradebook(Material(course, TINY)) as book, psycopg.connect(course.gradebook_url) as somebody:
        somebody.execute("LOCK TABLE grade IN EXCLUSIVE MODE")
        with pytest.raises(AuthorError, match="lock timeout"):
            book.save([score_of(1)])
        somebody.rollback()
        book.save([score_of(1)])
    assert len(essay_course.facts(course)) == 1


def test_a_connection_that_is_lost_is_made_again(course: Course, postgresql: Server) -> None:
    """As when the server starts anew: the batch is written, once."""
    others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(course)}'"
    lost = []

    def lose(*_: object) -> None:
        if not lost:
            lost.append(True)
            postgresql.ask(others)

    event.listen(Session, "after_flush", lose)
    try:
        with Gradebook(Material(course, TINY)) as book:
            book.save([score_of(1), score_of(2)])
    finally:
        event.remove(Session, "after_flush", lose)
    assert lost
    assert len(essay_course.facts(course)) == 2


@pytest.mark.parametrize(("program", "words"), [("grader", ["autograde", TINY]), ("nbgrader", ["export"])])
def test_without_the_driver_it_is_told_how_to_install_it(course: Course, program: str, words: list[str]) -> None:
    """In a process that can't import it. nbgrader would go on with a gradebook of its own."""
    essay_course.hand_in(course, students=[RIGHT])
    main = {"grader": "from grader.cli import app as main", "nbgrader": "from nbgrader.apps.nbgraderapp import main"}
    script = f"import sys; sys.modules['psycopg'] = None; sys.argv = {[program, *words]!r}; {main[program]}; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=course.root, env=environment(), capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "pip install 'psycopg[binary]'" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert not (course.root / "gradebook.db").exists()


def test_no_password_shows_where_a_course_is_printed(course: Course) -> None:
    assert PASSWORD in course.gradebook_url
    assert PASSWORD not in f"{course!r} {course}"
    for hostile in ("p@ss/word", "p@ss", "//x@y"):
        url = f"postgresql://grader:{hostile}@host/db"
        (course.root / "course.yaml").write_text(
            re.sub(r"(?m)^gradebook: .*", f"gradebook: {url}", course_text(course))
        )
        with pytest.raises(CourseError, match="write %40 for @ and %2F for /") as told:
            load_course(course.root)
        assert hostile not in str(told.value)
        assert "ss@host" not in str(told.value)


def name_of(course: Course) -> str:
    """The database's."""
    return course.gradebook_url.rpartition("/")[2]


def course_text(course: Course) -> str:
    return (course.root / "course.yaml").read_text(encoding="utf-8")
