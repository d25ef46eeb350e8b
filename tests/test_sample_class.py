"""The sample class, graded in every way there is: each way gives each student the expected score, and says why."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import essay_course
import nbformat
import pytest
from commands import command, environment, run
from sample_class import (
    CLASS07,
    CLASSES,
    LECTURE05,
    LECTURE07,
    ROOT,
    Desk,
    SampleSubmission,
    desk_of,
    saved,
    write_course,
    write_download,
    write_submitted,
)

from grader.class_report import ClassReport
from grader.course import load_course
from grader.grade import grade
from grader.report import Verdict
from grader.sandbox import Sandbox
from grader.submission import Submission

EVERYONE = [(assignment, sample) for assignment, samples in CLASSES.items() for sample in samples]

# The answer in words, which a person grades.
ESSAY_POINTS = 5


# ---------------------------------------------------------------- one report after the other


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Desk]:
    root = write_course(tmp_path_factory.mktemp("reports"))
    return {assignment: desk_of(root, assignment) for assignment in CLASSES}


@pytest.mark.slow
@pytest.mark.xdist_group("sample_reports")
@pytest.mark.parametrize(
    ("assignment", "sample"), EVERYONE, ids=[f"{assignment[:9]}-{sample.about}" for assignment, sample in EVERYONE]
)
def test_a_sample_s_report_says_what_it_must(
    desks: dict[str, Desk], sandbox: Sandbox, tmp_path: Path, assignment: str, sample: SampleSubmission
) -> None:
    desk = desks[assignment]
    file = tmp_path / sample.file.format(name=assignment)
    file.write_bytes(sample.make(desk))

    report = grade(Submission.read(file), desk.material, sandbox)

    told = {
        check.name: f"{check.verdict.value}: {check.message}"
        for problem in report.problems
        for check in problem.checks
        if check.verdict is not Verdict.PASSED
    }
    expected = sample.lost(desk)
    assert told.keys() == expected.keys()
    assert {name: told[name][: len(begin)] for name, begin in expected.items()} == expected
    assert report.score == sample.score(desk)
    named = {problem.name: problem.diagnosis.misconception for problem in report.problems if problem.diagnosis}
    assert named == sample.diagnosed
    assert len(report.notes) == len(sample.notes)
    assert all(part in note for part, note in zip(sample.notes, report.notes, strict=True)), report.notes
    if not sample.diagnosed:  # the tests that students see stop on mistakes, too; what they say is the lesson's
        messages = [cell.message for cell in report.cells]
        assert len(messages) == len(sample.cells), messages
        assert all(part in message for part, message in zip(sample.cells, messages, strict=True)), messages


def test_there_are_enough_samples_and_no_two_are_the_same_student() -> None:
    assert len(CLASSES[LECTURE05]) >= 24
    assert len(CLASSES[LECTURE07]) >= 8
    for samples in CLASSES.values():
        assert len({sample.student for sample in samples}) == len(samples)


# ---------------------------------------------------------------- the whole class, through both doors


class Graded:
    """A course in which the class was graded, and what the commands said, by assignment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.course = load_course(root)
        self.said: dict[str, subprocess.CompletedProcess[str]] = {}

    def gradebook(self, assignment: str) -> dict[str, dict[str, Any]]:
        """student -> everything that nbgrader's gradebook holds about the submission."""
        return essay_course.facts(self.course, assignment)

    def files(self, step: str, assignment: str) -> dict[str, bytes]:
        """Path -> content of every file of a step."""
        folder = self.root / step
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and assignment in path.parts
        }


@pytest.fixture(scope="module")
def by_nbgrader(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    """Collected from a download and graded by nbgrader's own commands."""
    root = write_course(tmp_path_factory.mktemp("by-nbgrader"))
    graded = Graded(root)
    for assignment, samples in CLASSES.items():
        write_download(root, desk_of(root, assignment), samples)
        run(root, "nbgrader", "zip_collect", assignment)
        graded.said[assignment] = run(root, "nbgrader", "autograde", assignment)
    return graded


@pytest.fixture(scope="module")
def by_grader(by_nbgrader: Graded, tmp_path_factory: pytest.TempPathFactory) -> Graded:
    """The same submissions, graded by `grader autograde`."""
    root = write_course(tmp_path_factory.mktemp("by-grader"))
    shutil.copytree(by_nbgrader.root / "submitted", root / "submitted")
    graded = Graded(root)
    for assignment in CLASSES:
        graded.said[assignment] = run(root, "grader", "autograde", assignment, "--json")
    return graded


def whole_class(test: Any) -> Any:
    """For each assignment. One worker grades the class, once for all of these tests."""
    test = pytest.mark.slow(pytest.mark.xdist_group("sample_class")(test))
    return pytest.mark.parametrize("assignment", list(CLASSES))(test)


@whole_class
def test_the_gradebook_holds_every_expected_score(by_nbgrader: Graded, assignment: str) -> None:
    desk = desk_of(by_nbgrader.root, assignment)
    expected = {
        sample.student: (sample.score(desk), sample.penalty(desk), sample.points(desk, bonus=True), sample.essay)
        for sample in CLASSES[assignment]
    }
    bonus = next(f"test_{problem.name}" for problem in desk.tests.problems.values() if problem.bonus)

    found = {
        student: (facts["score"], facts["penalty"], facts["cells"][bonus][2], facts["needs_manual_grade"])
        for student, facts in by_nbgrader.gradebook(assignment).items()
    }

    assert found == expected
    assert {facts["max_score"] for facts in by_nbgrader.gradebook(assignment).values()} == {100 + ESSAY_POINTS}


@whole_class
def test_nbgrader_exports_the_expected_scores(by_nbgrader: Graded, assignment: str, tmp_path: Path) -> None:
    desk = desk_of(by_nbgrader.root, assignment)
    table = tmp_path / "grades.csv"

    run(by_nbgrader.root, "nbgrader", "export", "--to", table)

    rows = [row for row in csv.DictReader(table.open(encoding="utf-8")) if row["assignment"] == assignment]
    handed_in = {sample.student: sample for sample in CLASSES[assignment]}
    assert handed_in.keys() <= {row["student_id"] for row in rows}
    for row in rows:
        sample = handed_in.get(row["student_id"])  # who did not hand in this one has a row of zeros
        score, penalty = (sample.score(desk), sample.penalty(desk)) if sample else (0.0, 0.0)
        assert float(row["raw_score"]) == score, row
        assert float(row["late_submission_penalty"]) == penalty, row
        assert float(row["score"]) == score - penalty, row


@whole_class
def test_both_doors_leave_the_same_gradebook(by_nbgrader: Graded, by_grader: Graded, assignment: str) -> None:
    assert by_grader.gradebook(assignment) == by_nbgrader.gradebook(assignment)


@whole_class
def test_both_doors_leave_the_same_files(by_nbgrader: Graded, by_grader: Graded, assignment: str) -> None:
    for step in ("autograded", "reports"):
        assert len(by_nbgrader.files(step, assignment)) >= len(CLASSES[assignment])
        assert by_grader.files(step, assignment) == by_nbgrader.files(step, assignment)


@whole_class
def test_a_run_ends_with_the_names_of_the_broken_ones(by_nbgrader: Graded, by_grader: Graded, assignment: str) -> None:
    broken = {sample.student: sample.notes[0] for sample in CLASSES[assignment] if sample.notes}

    _, _, summary = by_nbgrader.said[assignment].stderr.rpartition(" a look:\n")
    told = dict(line.strip().split(": ", 1) for line in summary.strip().splitlines())
    assert told.keys() == broken.keys()
    assert all(told[student].startswith(note) for student, note in broken.items())

    outcome = json.loads(by_grader.said[assignment].stdout)
    assert sorted(outcome["graded"]) == [sample.student for sample in CLASSES[assignment]]
    assert dict(line.split(": ", 1) for line in outcome["troubled"]) == told
    assert outcome["failed"] == []


@whole_class
def test_graded_again_nothing_changes(by_nbgrader: Graded, by_grader: Graded, assignment: str) -> None:
    for graded, program in ((by_nbgrader, "nbgrader"), (by_grader, "grader")):
        before = graded.gradebook(assignment), graded.files("autograded", assignment)
        stamps = {path: path.stat().st_mtime_ns for path in (graded.root / "autograded").rglob("*.ipynb")}

        said = run(graded.root, program, "autograde", assignment)

        assert (graded.gradebook(assignment), graded.files("autograded", assignment)) == before
        assert {path: path.stat().st_mtime_ns for path in stamps} == stamps  # not even written again
    assert f"0 submissions graded, {len(CLASSES[assignment])} unchanged" in said.stdout


@whole_class
def test_what_another_editor_lost_is_found_again(by_nbgrader: Graded, assignment: str) -> None:
    """Tests stand below their answers, and the essay is the essay, in notebooks without any metadata or ids."""
    untold = {sample.student for sample in CLASSES[assignment] if "editor" in sample.about or "format" in sample.about}
    assert untold
    for student in untold:
        path = by_nbgrader.root / "autograded" / student / assignment / f"{assignment}.ipynb"
        names = [
            cell.metadata.nbgrader.grade_id
            for cell in nbformat.read(path, as_version=4).cells
            if "nbgrader" in cell.metadata
        ]
        stub = desk_of(by_nbgrader.root, assignment).untouched()
        assert names == [cell.metadata.nbgrader.grade_id for cell in stub.cells if "nbgrader" in cell.metadata]


# ---------------------------------------------------------------- killed, and run again


def killed_after(root: Path, submissions: int) -> None:
    """Run `grader autograde` and kill it, with no chance to tidy up, when so many submissions are graded."""
    receipts = root / "build" / "receipts" / LECTURE07
    process = subprocess.Popen(
        command("grader", "autograde", LECTURE07), cwd=root, env=environment(), stderr=subprocess.DEVNULL
    )
    try:
        while len(list(receipts.glob("*"))) < submissions:
            try:
                code = process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"it ended with {code} before it could be killed")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def half_graded(by_nbgrader: Graded, tmp_path: Path) -> Graded:
    root = write_course(tmp_path / "course")
    shutil.copytree(by_nbgrader.root / "build" / "cache", root / "build" / "cache")
    write_submitted(desk_of(root, LECTURE07), CLASS07)
    return Graded(root)


@pytest.mark.slow
@pytest.mark.xdist_group("sample_class")
def test_a_run_that_was_killed_is_taken_up_where_it_ended(by_nbgrader: Graded, half_graded: Graded) -> None:
    killed_after(half_graded.root, 1)
    killed_after(half_graded.root, 5)
    graded = json.loads(run(half_graded.root, "grader", "autograde", LECTURE07, "--json").stdout)

    assert graded["unchanged"] >= 5
    assert graded["unchanged"] + len(graded["graded"]) == len(CLASS07)
    expected = by_nbgrader.gradebook(LECTURE07)
    for facts in expected.values():
        facts["timestamp"] = None  # two of them came by e-mail there, where no time is known
    found = half_graded.gradebook(LECTURE07)
    for facts in found.values():
        facts["timestamp"] = None
    assert found == expected

    # And only what changes is graded again.
    again = half_graded.root / "submitted" / "student07" / LECTURE07 / f"{LECTURE07}.ipynb"
    again.write_bytes(saved(desk_of(half_graded.root, LECTURE07).solved()))
    graded = json.loads(run(half_graded.root, "grader", "autograde", LECTURE07, "--json").stdout)
    assert graded["graded"] == ["student07"]
    assert half_graded.gradebook(LECTURE07)["student07"]["score"] == expected["student01"]["score"]


# ---------------------------------------------------------------- make demo


@pytest.mark.slow
@pytest.mark.xdist_group("demo")
def test_the_demo_shows_the_same_scores_twice_and_touches_nothing_of_the_teacher_s(tmp_path: Path) -> None:
    skipped = shutil.ignore_patterns(".*", "build", "submitted", "autograded", "feedback", "reports", "gradebook.db*")
    root = Path(shutil.copytree(ROOT, tmp_path / "course", ignore=skipped))
    teachers = {root / "gradebook.db": b"the teacher's grades", root / "submitted" / "student01": b"a real submission"}
    for path, content in teachers.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def shown() -> list[str]:
        demo = [sys.executable, "scripts/demo", LECTURE07]
        done = subprocess.run(demo, cwd=root, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return [line.rstrip() for line in done.stdout.splitlines() if not re.search(r" \d+ s$", line.rstrip())]

    first, second = shown(), shown()

    assert first == second
    table = {line.split()[0]: line for line in first if line.strip().startswith("student")}
    assert table.keys() == {"student", *(sample.student for sample in CLASS07)}
    desk = desk_of(root, LECTURE07)
    for sample in CLASS07:
        score = re.search(rf"{re.escape(sample.about[:25])}\S*.*?\s(\d+)\b", table[sample.student])
        assert score and float(score[1]) == sample.score(desk), table[sample.student]
    reports = root / "build" / "demo" / "reports"
    assert [line.strip() for line in first[-2:]] == [
        str(reports / f"{LECTURE07}.html"),
        str(reports / "course-overview.html"),
    ]
    page = (reports / f"{LECTURE07}.html").read_text(encoding="utf-8")
    for sample in CLASS07:
        link = f"../feedback/{sample.student}/{LECTURE07}/{LECTURE07}.html"
        assert f'href="{link}"' in page
        assert (reports / link).is_file()
    found = ClassReport.model_validate_json((reports / f"{LECTURE07}.json").read_bytes())
    assert {one.student: one.score for one in found.students} == {one.student: one.score(desk) for one in CLASS07}
    assert {one.student for one in found.late} == {one.student for one in CLASS07 if one.forfeits}
    assert {one.student for one in found.waiting} == {one.student for one in CLASS07 if one.essay}
    diagnosed = {(held.problem, held.misconception, who) for held in found.misconceptions for who in held.holders}
    assert diagnosed == {(*one, sample.student) for sample in CLASS07 for one in sample.diagnosed.items()}
    assert found.faults == ()
    assert {path: path.read_bytes() for path in teachers} == teachers
    assert not (root / "autograded").exists()
