"""course.yaml: what it may hold, what is said of its faults, and the late policy's arithmetic."""

import json
import pickle
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.course import Course, CourseError, LatePolicy, json_schema, load_course

ROOT = Path(__file__).parent.parent

COURSE = """\
id: deep-learning
title: Deep Learning
timezone: Europe/Paris
assignments:
  - name: lecture05
    title: Batch and momentum
    lectures: [5]
    due: 2027-03-26 23:59
"""
END = COURSE.count("\n")
"""The number of the last line of COURSE: the first line that a test adds is the next."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def course(folder: Path, text: str) -> Course:
    (folder / "course.yaml").write_text(text, encoding="utf-8")
    return load_course()


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(CourseError) as error:
        course(folder, text)
    return str(error.value).splitlines()


# A good course


def test_the_shortest_course_has_sensible_defaults(folder):
    made = course(folder, COURSE)
    assert (made.feedback, made.sandbox, made.seed) == ("hints", "on", 0)
    assert made.root == folder
    assert made.folder("source") == folder / "build" / "source"
    assert made.gradebook_url == f"sqlite:///{folder}/gradebook.db"
    assert not made.assignments[0].available


def test_this_course_holds_the_ten_assignments_of_the_curriculum():
    made = load_course(ROOT)
    assert len(made.assignments) == 10
    assert {one.name for one in made.assignments if one.available} >= {
        "lecture05_batch_and_momentum",
        "lecture07_normalization",
    }
    assert sorted(number for one in made.assignments for number in one.lectures) == list(range(1, 14))
    dues = [one.due for one in made.assignments]
    assert dues == sorted(dues)


def test_a_course_is_found_from_a_folder_below_it_and_by_its_file(folder):
    course(folder, COURSE)
    below = folder / "submitted" / "alice"
    below.mkdir(parents=True)
    assert load_course(below) == load_course(folder / "course.yaml") == load_course()


def test_a_due_date_without_offset_is_in_the_courses_timezone(folder):
    summer = COURSE.replace("2027-03-26", "2027-04-02")
    assert course(folder, COURSE).assignments[0].due == datetime(2027, 3, 26, 22, 59, tzinfo=UTC)
    assert course(folder, summer).assignments[0].due == datetime(2027, 4, 2, 21, 59, tzinfo=UTC)


@pytest.mark.parametrize("due", ["2027-03-26 23:59+08:00", "2027-03-26T23:59:00+08:00", "2027-03-26T15:59:00Z"])
def test_a_due_date_may_carry_its_own_offset(folder, due):
    made = course(folder, COURSE.replace("2027-03-26 23:59", due))
    assert made.assignments[0].due == datetime(2027, 3, 26, 15, 59, tzinfo=UTC)


def test_folders_and_gradebook_may_be_absolute_and_the_database_may_be_remote(folder):
    made = course(folder, COURSE + "folders:\n  submitted: /srv/submitted\ngradebook: sqlite:////srv/grades.db\n")
    assert made.folder("submitted") == Path("/srv/submitted")
    assert made.gradebook_url == "sqlite:////srv/grades.db"
    url = "postgresql://grader@database.example/courses"
    assert course(folder, COURSE + f"gradebook: {url}\n").gradebook_url == url


def test_a_course_is_found_equal_after_a_journey_to_another_process(folder):
    made = course(folder, COURSE)
    arrived = pickle.loads(pickle.dumps(made))
    assert arrived == made
    assert arrived.root == folder


def test_an_unknown_assignment_is_answered_with_the_nearest(folder):
    made = course(folder, COURSE)
    assert made.assignment("lecture05").title == "Batch and momentum"
    with pytest.raises(CourseError, match=r"^course.yaml has no assignment 'lecture5'. Did you mean lecture05\?$"):
        made.assignment("lecture5")
    with pytest.raises(CourseError, match=r"no assignment 'x'. There are lecture05\.$"):
        made.assignment("x")


# Faults: the line, what is wrong, and what to write

WRITE_DUE = "Write date and time, in the course's timezone unless it carries an offset, such as 2027-03-26 23:59."
WRITE_ZONE = "Write the timezone of the due dates, such as Europe/Paris."
WRITE_DATABASE = "Write a database that SQLAlchemy can open, such as sqlite:///gradebook.db."
WRITE_SUBMITTED = "Write a folder for what students handed in, such as submitted."
CHECK = "Check indentation, colons and quotes here and just above."


@pytest.mark.parametrize(
    ("added", "line", "message"),
    [
        (
            "limits:\n  cell_seconds: -3",
            END + 2,
            "limits.cell_seconds: -3 is not greater than 0. Write the seconds a cell may compute, such as 30.",
        ),
        (
            "limits:\n  cell_seconds: .nan",
            END + 2,
            "limits.cell_seconds: nan is not a finite number. Write the seconds a cell may compute, such as 30.",
        ),
        (
            "limits:\n  memory_mb: lots",
            END + 2,
            "limits.memory_mb: 'lots' is not a valid integer. Write the megabytes of memory, such as 2048.",
        ),
        (
            "limits:\n  cell_second: 3",
            END + 2,
            "limits.cell_second is no key of a course. Did you mean cell_seconds or check_seconds?",
        ),
        (
            "late:\n  fee: 3",
            END + 2,
            "late.fee is no key of a course. The keys here are grace_minutes, penalty_per_day, zero_after_days.",
        ),
        (
            "late: 3",
            END + 1,
            'late: 3 is not a section with keys. Write what handing in late costs, such as {"penalty_per_day": 0.1}.',
        ),
        (
            "late:\n  penalty_per_day: 10",
            END + 2,
            "late.penalty_per_day: 10 is not less than or equal to 1. "
            "Write the share of the score that each started day costs, such as 0.1.",
        ),
        (
            "seed:",
            END + 1,
            "seed has no value. Write a whole number that every check's randomness comes from, such as 2027.",
        ),
        (
            "feedback: all",
            END + 1,
            "feedback: 'all' is not 'hints', 'differences' or 'full'. Write hints, differences (also how far off an "
            "answer is) or full (also the expected values), such as differences.",
        ),
        (
            "sandbox: true",
            END + 1,
            "sandbox: true is not 'on' or 'off'. "
            "Write on, or off if you trust every notebook with your account, such as on.",
        ),
        ("gradebook: gradebook.db", END + 1, f"gradebook: 'gradebook.db' is no database URL. {WRITE_DATABASE}"),
        ("gradebook: 'sqlite://'", END + 1, f"gradebook: 'sqlite://' is no database URL. {WRITE_DATABASE}"),
        (
            "gradebook: sqlite:///../grades.db",
            END + 1,
            f"gradebook: 'sqlite:///../grades.db' leads out of the course's folder. {WRITE_DATABASE}",
        ),
        (
            "gradebook: postgresql://grader:secret@host",
            END + 1,
            f"gradebook: 'postgresql://...@host' is no database URL. {WRITE_DATABASE}",
        ),
        (
            "folders:\n  submitted: ../other",
            END + 2,
            f"folders.submitted: '../other' leads out of the course's folder. {WRITE_SUBMITTED}",
        ),
        (
            "folders:\n  submitted: ~/work",
            END + 2,
            f"folders.submitted: '~/work' leads out of the course's folder. {WRITE_SUBMITTED}",
        ),
        ("folders:\n  submitted: ./", END + 2, f"folders.submitted: './' is no folder of its own. {WRITE_SUBMITTED}"),
        ("folders:\n  submitted: /", END + 2, f"folders.submitted: '/' is no folder of its own. {WRITE_SUBMITTED}"),
        (
            "folders:\n  submitted: '{student_id}'",
            END + 2,
            f"folders.submitted: '{{student_id}}' holds a brace or a backslash. {WRITE_SUBMITTED}",
        ),
        (
            'folders:\n  submitted: "a\\0b"',
            END + 2,
            f"folders.submitted: 'a\\x00b' is blank or holds control characters. {WRITE_SUBMITTED}",
        ),
        (
            "folders:\n  submitted: work\n  autograded: work/graded",
            END + 3,
            "folders.autograded: 'work/graded' overlaps folders.submitted ('work'). Write a folder of its own.",
        ),
        (
            "folders:\n  autograded: solutions",
            END + 2,
            "folders.autograded: 'solutions' overlaps the course's own solutions/. Write a folder of its own.",
        ),
        (
            "  - name: Lecture05\n    title: Again\n    lectures: [5]\n    due: 2027-03-26 23:59",
            END + 1,
            "assignments[1].name: 'Lecture05' is taken by an assignment above. Write another name.",
        ),
        (
            "  - name: ../lecture06\n    title: Learning rate\n    lectures: [6]\n    due: 2027-04-09 23:59",
            END + 1,
            "assignments[1].name: '../lecture06' has characters that it may not have, or too many. Write letters, "
            "digits and underscores: the name of its script and folder, such as lecture05_batch_and_momentum.",
        ),
        (
            "  - name: lecture06\n    title: Learning rate\n    due: 2027-04-09 23:59",
            END + 1,
            "assignments[1].lectures is missing. Write the numbers of its lectures, such as [10, 11].",
        ),
        (
            "  - name: lecture06\n    title: Learning rate\n    lectures: []\n    due: 2027-04-09 23:59",
            END + 3,
            "assignments[1].lectures: [] is empty. Write the numbers of its lectures, such as [10, 11].",
        ),
        (
            "  - name: lecture06\n    title: Learning rate\n    lectures: [6]\n    due: 2027-04-09",
            END + 4,
            f"assignments[1].due: '2027-04-09' is no date with a time of day. {WRITE_DUE}",
        ),
        (
            "  - name: lecture06\n    title: Learning rate\n    lectures: [6]\n    due: 2027-02-30 23:59",
            END + 4,
            "assignments[1].due: '2027-02-30 23:59' is no date with a time of day (day is out of range for month). "
            + WRITE_DUE,
        ),
        (
            "collect: '(?P<student_id>.*)'",
            END + 1,
            "collect: '(?P<student_id>.*)' has no group (?P<file_id>...). Write a regular expression with the groups "
            r"student_id and file_id for the paths of downloaded files, such as .*/(?P<student_id>\w+)-(?P<file_id>\w+)"
            r"\.ipynb.",
        ),
        ("title: Twice", END + 1, "title is there twice, first in line 2. Remove one."),
        (
            "seed: [1, 2\nfeedback: full",
            END + 2,
            f"while parsing a flow sequence expected ',' or ']', but got ':'. {CHECK}",
        ),
        (
            "\tseed: 1",
            END + 1,
            f"while scanning for the next token found character '\\t' that cannot start any token. {CHECK}",
        ),
        ("seed: \0", END + 1, f"special characters are not allowed. {CHECK}"),
        (
            "---\nid: other",
            END + 1,
            f"expected a single document in the stream but found another document. {CHECK}",
        ),
        (
            "seed: !!python/object/apply:os.system ['true']",
            END + 1,
            "the tag !!python/object/apply:os.system has no meaning here. Remove it.",
        ),
        ("seed: !!int one", END + 1, "'one' is no int. Write another value."),
        (
            "late: &policy {penalty_per_day: 1}",
            END + 1,
            "&policy names a value for use elsewhere. Write the value out at each place.",
        ),
        ("? [a, b]\n: 3", END + 1, "a key must be a single word. Write it without brackets."),
    ],
)
def test_a_fault_is_told_with_its_line_and_a_remedy(folder, added, line, message):
    assert faults(folder, f"{COURSE}{added}\n") == [f"course.yaml, line {line}: {message}"]


@pytest.mark.parametrize(
    ("zone", "fact"),
    [
        ("Europe/Pariss", "is no timezone. Did you mean Europe/Paris or Europe/Warsaw?"),
        ("../../etc/passwd", "is no timezone."),
    ],
)
def test_an_unknown_timezone_is_answered_with_the_nearest(folder, zone, fact):
    text = COURSE.replace("Europe/Paris", zone)
    assert faults(folder, text) == [f"course.yaml, line 3: timezone: '{zone}' {fact} {WRITE_ZONE}"]


def test_every_fault_is_listed_in_the_order_of_the_file(folder):
    text = COURSE.replace("[5]", "[0]") + "seed: -1\nid: again\nfeedbak: full\n"
    told = faults(folder, text)
    assert [re.match(r"course.yaml, line (\d+): ([\w.\[\]]+)", fault).groups() for fault in told] == [
        ("7", "assignments[0].lectures[0]"),
        (f"{END + 1}", "seed"),
        (f"{END + 2}", "id"),
        (f"{END + 3}", "feedbak"),
    ]


def test_missing_keys_are_all_named(folder):
    told = faults(folder, "title: Deep Learning\n")
    assert [fault.split(": ")[1].split(" is ")[0] for fault in told] == ["assignments", "id", "timezone"]
    assert all(fault.startswith("course.yaml, line 1: ") for fault in told)


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "hello\n"])
def test_a_file_that_holds_no_course_says_what_to_start_with(folder, text):
    start = "course.yaml, line 1: this is no course. Start with the keys id, title, timezone and assignments."
    assert faults(folder, text) == [start]


def test_a_bomb_of_brackets_or_digits_or_aliases_is_only_a_fault(folder):
    assert "nested too deep" in faults(folder, "id: " + "[" * 20_000)[0]
    assert len(faults(folder, f"{COURSE}seed: {'9' * 5000}\n")[0]) < 200
    laughs = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    assert all("names a value for use elsewhere" in fault for fault in faults(folder, laughs))


def test_a_file_that_is_not_utf8_says_which_line(folder):
    (folder / "course.yaml").write_bytes(COURSE.encode() + b"title2: caf\xe9\n")
    with pytest.raises(
        CourseError, match=rf"^course.yaml, line {END + 1}: this is not UTF-8. Save the file as UTF-8.$"
    ):
        load_course()


def test_a_folder_without_a_course_is_named(tmp_path):
    with pytest.raises(CourseError, match=re.escape(f"There is no course.yaml in {tmp_path}, nor in a folder above")):
        load_course(tmp_path)


# The late policy

HOUR, DAY = 3600, 86_400

policies = st.builds(
    LatePolicy,
    grace_minutes=st.floats(0, 1e6),
    penalty_per_day=st.floats(0, 1),
    zero_after_days=st.none() | st.integers(0, 100),
)
scores = st.floats(0, 1e6)
seconds = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("late", "penalty"),
    [
        (-HOUR, 0),
        (0, 0),
        (15 * 60, 0),
        (15 * 60 + 1, 2),
        (15 * 60 + DAY, 2),
        (15 * 60 + DAY + 1, 4),
        (3 * DAY, 6),
        (4 * DAY, 20),
    ],
)
def test_each_started_day_after_the_grace_costs_its_share_until_the_score_is_zero(late, penalty):
    policy = LatePolicy(grace_minutes=15, penalty_per_day=0.1, zero_after_days=3)
    assert policy.penalty(20, late) == pytest.approx(penalty)


def test_without_a_policy_late_work_costs_nothing():
    assert LatePolicy().penalty(20, 100 * DAY) == 0


@given(policies, scores, seconds)
def test_a_penalty_lies_between_nothing_and_the_score(policy, score, late):
    assert 0 <= policy.penalty(score, late) <= score


@given(policies, scores, seconds, seconds)
def test_later_never_costs_less(policy, score, one, other):
    assert policy.penalty(score, min(one, other)) <= policy.penalty(score, max(one, other))


@given(policies, scores, scores, seconds)
def test_of_two_submissions_at_one_time_the_better_one_loses_no_less(policy, one, other, late):
    assert policy.penalty(min(one, other), late) <= policy.penalty(max(one, other), late)


@given(policies, st.floats(-1e6, 0), seconds)
def test_a_score_that_is_not_positive_is_left_alone(policy, score, late):
    assert policy.penalty(score, late) == 0


# Downloads from a learning platform

NAME = "lecture05_batch_and_momentum"


@pytest.mark.parametrize(
    ("path", "student", "timestamp"),
    [
        (f"doejane_4711_90210_{NAME}.ipynb", "4711", None),
        (f"doejane_LATE_4711_90210_{NAME}-2.ipynb", "4711", None),
        (f"Jane Doe_4711_assignsubmission_file_{NAME}.ipynb", "4711", None),
        (f"Jane Doe_4711_assignsubmission_file_/{NAME}.ipynb", "4711", None),
        (f"submissions/Jürgen Müller_4711_assignsubmission_file/{NAME} (1).ipynb", "4711", None),
        (f"Momentum_jdoe_attempt_2027-03-26-22-15-00_{NAME}.ipynb", "jdoe", "2027-03-26-22-15-00"),
        (f"jdoe_{NAME}.ipynb", "jdoe", None),
        (f"van_der_berg_{NAME}_final.ipynb", "van_der_berg", None),
        (f"all/doejane_4711_90210_work/{NAME}.ipynb", "4711", None),
        (f"doejane_LATE_4711_90210_my_work/src/{NAME}-1.ipynb", "4711", None),
        (f"all/Jane Doe_4713_assignsubmission_file_/work/{NAME}.ipynb", "4713", None),
        (f"Essay_jdoe_attempt_2027-03-26-22-15-00_work/{NAME}.ipynb", "jdoe", "2027-03-26-22-15-00"),
        (f"jane@example.edu/{NAME}.ipynb", "jane@example.edu", None),
    ],
)
def test_who_handed_in_what_is_read_from_the_usual_names(path, student, timestamp):
    found = re.match(load_course(ROOT).collect_regexp, f"/course/downloaded/{NAME}/extracted/{path}")
    assert found
    assert found.groupdict() == {"student_id": student, "timestamp": timestamp, "file_id": NAME}


@pytest.mark.parametrize(
    "path", [f"{NAME}.ipynb", f"__MACOSX/._jdoe_{NAME}.ipynb", f"jdoe_{NAME}.pdf", "jdoe_notes.ipynb"]
)
def test_a_file_of_nobody_or_of_no_assignment_is_left_out(path):
    assert not re.match(load_course(ROOT).collect_regexp, f"/course/downloaded/{NAME}/extracted/{path}")


def test_a_course_may_read_names_of_its_own(folder):
    own = r".*/(?P<student_id>\w+)-(?P<file_id>\w+)\.ipynb"
    assert course(folder, f"{COURSE}collect: '{own}'\n").collect_regexp == own


# The schema for editors


def test_the_schema_is_up_to_date():
    written = (ROOT / "docs" / "course.schema.json").read_text(encoding="utf-8")
    assert json.loads(written) == json_schema(), "run: make docs"


def test_every_key_is_described_with_an_example_that_is_valid(folder):
    schema = json_schema()
    sections = [schema, *schema["$defs"].values()]
    fields = [field for section in sections for field in section["properties"].values()]
    assert all(field["description"] and field["examples"] for field in fields)
    assert all(section["additionalProperties"] is False for section in sections)
