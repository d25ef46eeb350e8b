"""Hostile submission folders, downloads and exchanges, through nbgrader's own commands and ours."""

from __future__ import annotations

import io
import logging
import os
import re
import zipfile
from pathlib import Path

import nbgrader.converters.base
import pytest
import tiny_course
from commands import run
from nbgrader.api import Gradebook
from sample_class import LECTURE05, Desk, desk_of, saved, write_course
from traitlets.config import Config

from grader.nbgrader_plugin import PlainRecord, configure

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nbgrader")]

NOTEBOOK = f"{LECTURE05}.ipynb"


def scores(desk: Desk) -> dict[str, float]:
    course = desk.material.course
    with Gradebook(course.gradebook_url, course.id) as book:
        return {one.student.id: one.score for one in book.assignment_submissions(LECTURE05)}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A course in which student01 has handed in right answers, and a secret beside it."""
    root = write_course(tmp_path / "course")
    (tmp_path / "secret").write_text("canary")
    found = desk_of(root, LECTURE05)
    hand_in(found, "student01")
    return found


def hand_in(desk: Desk, student: str) -> Path:
    folder = desk.material.course.root / "submitted" / student / LECTURE05
    folder.mkdir(parents=True)
    (folder / NOTEBOOK).write_bytes(saved(desk.solved()))
    return folder


def holds_the_secret(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]


@pytest.mark.parametrize("door", ["nbgrader", "grader"])
def test_links_in_a_submission_lead_nowhere(desk: Desk, tmp_path: Path, door: str) -> None:
    root = desk.material.course.root
    folder = hand_in(desk, "student02")
    (folder / "feedback.html").symlink_to(tmp_path / "secret")  # release_feedback would hand it out
    (folder / "endless.csv").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.csv")
    stolen = root / "submitted" / "student03" / LECTURE05
    stolen.mkdir(parents=True)
    (stolen / NOTEBOOK).symlink_to(folder.parents[1] / "student01" / LECTURE05 / NOTEBOOK)

    said = run(root, door, "autograde", LECTURE05)
    run(root, "nbgrader", "generate_feedback", LECTURE05)

    assert scores(desk) == {"student01": 108, "student02": 108, "student03": 0}
    assert holds_the_secret(root) == [folder / "feedback.html"]
    for name in ("endless.csv", "feedback.html", "pipe.csv"):
        assert f"student02: '{name}' is a" in said.stderr + said.stdout
    page = (root / "feedback" / "student03" / LECTURE05 / f"{LECTURE05}.html").read_text()
    assert "The file is a link, and no file. Save the notebook as a file, and hand it in again." in page


def test_a_folder_whose_name_is_no_student_s_is_named_and_costs_nobody_else(desk: Desk) -> None:
    root = desk.material.course.root
    for name in ("*", "student0[0-9]", "$(touch owned)", "a\x1b[31m\nb", "-rf", "{student_id}"):
        hand_in(desk, name)

    said = run(root, "grader", "autograde", LECTURE05, code=1)

    assert scores(desk) == {"student01": 108}
    assert said.stderr.count("is no name for a student") == 6
    assert "Rename the folder" in said.stderr
    assert "\x1b" not in said.stderr + said.stdout
    assert not (root / "owned").exists()


def test_nbgrader_s_log_does_not_speak_to_the_terminal(desk: Desk) -> None:
    root = desk.material.course.root
    hand_in(desk, "student02\x1b]0;owned\x07")
    said = run(root, "nbgrader", "autograde", LECTURE05)
    assert "student02" in said.stderr
    colours = r"\x1b\[[0-9;]*m"  # nbgrader's own
    assert not re.search(r"[\x00-\x08\x0e-\x1f\x7f]", re.sub(colours, "", said.stderr + said.stdout))


def test_the_log_is_made_plain_once_however_many_students_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`grader autograde` configures nbgrader anew for each of them."""
    monkeypatch.setattr(nbgrader.converters.base, "find_all_files", nbgrader.converters.base.find_all_files)
    before = logging.getLogRecordFactory()
    root = tiny_course.write(tmp_path)
    try:
        for _ in range(3):
            configure(Config(), root)
        assert logging.getLogRecordFactory() is PlainRecord
    finally:
        logging.setLogRecordFactory(before)


def test_a_hostile_download_is_collected_as_far_as_it_is_plain(desk: Desk) -> None:
    root = desk.material.course.root
    archive = root / "downloaded" / LECTURE05 / "archive"
    archive.mkdir(parents=True)
    right = saved(desk.solved())
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as handed_in:
        handed_in.writestr(NOTEBOOK, right)
        handed_in.writestr("zeros", bytes(101 * 2**20))
        handed_in.writestr(f"../../../../submitted/student01/{LECTURE05}/{NOTEBOOK}", b"overwritten")
    with zipfile.ZipFile(archive / "all.zip", "w") as download:
        download.writestr(f"student05_{NOTEBOOK}", right)
        download.writestr(f"student0[1-9]_{NOTEBOOK}", right)
        download.writestr("Jane Doe_4713_assignsubmission_file_/work.zip", inner.getvalue())
    (archive / f"student06_{NOTEBOOK}").symlink_to(root / "submitted" / "student01" / LECTURE05 / NOTEBOOK)

    said = run(root, "nbgrader", "zip_collect", LECTURE05)

    assert sorted(path.name for path in (root / "submitted").iterdir()) == ["4713", "student01", "student05"]
    assert all(path.read_bytes() == right for path in (root / "submitted").rglob("*.ipynb"))
    for told in ("zeros' is larger than 100 MB", "leads out", "is a link", "is no name for a student"):
        assert told in said.stderr


def test_a_link_in_the_exchange_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    """Students own their folders there, and need no nbgrader to fill them."""
    root, exchange = desk.material.course.root, tmp_path / "exchange"
    exchange.mkdir()
    text = (root / "course.yaml").read_text(encoding="utf-8")
    text = re.sub(r"  # exchange: .*\n", f"  exchange: {exchange}\n", text)
    (root / "course.yaml").write_text(text, encoding="utf-8")
    run(root, "nbgrader", "release_assignment", LECTURE05)
    inbound = exchange / "deep-learning" / "inbound" / f"student07+{LECTURE05}+2027-03-20 10:00:00 UTC+0123"
    inbound.mkdir()
    (inbound / NOTEBOOK).write_bytes(saved(desk.solved()))
    (inbound / "feedback.html").symlink_to(tmp_path / "secret")
    (inbound / "data").symlink_to(tmp_path)

    said = run(root, "nbgrader", "collect", LECTURE05)

    folder = root / "submitted" / "student07" / LECTURE05
    assert [path.name for path in folder.iterdir()] == [NOTEBOOK]
    assert "'feedback.html' is a link, and no file: left out" in said.stderr
    assert holds_the_secret(root) == []
