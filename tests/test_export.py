"""`grader export`: what each system reads equals what the gradebook says, and nothing else in a sheet changes."""

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
import tiny_course
from markdown_it import MarkdownIt
from nbgrader.api import Gradebook
from typer.testing import CliRunner

from grader import gradescope
from grader.cli import app
from grader.course import CourseError, load_course
from grader.gradescope import autograder_zip, results_of
from grader.junit import junit_report
from grader.markdown import markdown_report
from grader.report import CellResult, CheckResult, Diagnosis, ProblemResult, Report, Verdict
from grader.scores import ClassScores, StudentScore, read_scores
from grader.sheets import CANVAS, MOODLE, canvas_sheet, fill, moodle_sheet, score_table

EVIL = "=cmd|'/C calc'!A0<script>evil()</script>|[a](javascript:b)\x00\x1b[2J\ufffe\"\n@all http://evil.example"

ESSAY = """

# %% [markdown]
# Why is the mean of each column zero?

# %% [markdown] answer="why_zero" points=10
# **Model answer.** It was subtracted.
"""
LATE = "late:\n  penalty_per_day: 0.1\n"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def write_notebook(path: Path, *before: str, **answers: str) -> None:
    path.parent.mkdir(parents=True)
    nbformat.write(tiny_course.notebook(*tiny_course.cells(*before, **answers)), path)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A class in the gradebook: 4711 has all and the bonus; 4712 a mistake and a manual grade, and was a day late; 4713
    wrote hostile texts; 4714 handed nothing in, and has a name that is a formula."""
    root = tiny_course.write(
        tmp_path_factory.mktemp("course"), course=tiny_course.COURSE + LATE, solution=tiny_course.SOLUTION + ESSAY
    )
    mistake = "def centered(x):\n    return x - x.mean()"
    for student, answers in {
        "4711": {},
        "4712": {"centered": mistake},
        "4713": {"centered": f"def centered(x):\n    raise ValueError({EVIL!r})"},
    }.items():
        write_notebook(root / "submitted" / student / "tiny" / "tiny.ipynb", **answers)
    (root / "submitted" / "4712" / "tiny" / "timestamp.txt").write_text("2027-03-27 20:00:00 UTC")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run("autograde", "tiny")
        loaded = load_course(root)
        with Gradebook(loaded.gradebook_url, loaded.id) as gradebook:
            graded = gradebook.find_grade("why_zero", "tiny", "tiny", "4712")
            graded.manual_score, graded.needs_manual_grade = 7.25, False
            gradebook.find_grade("why_zero", "tiny", "tiny", "4713").needs_manual_grade = True
            gradebook.db.commit()
            gradebook.update_or_create_student("4714", first_name=EVIL[:20], last_name="+1", email="s4714@example.org")
            gradebook.update_or_create_student("4711", first_name="Ada", last_name="L", email="s4711@example.org")
        yield root


@pytest.fixture
def scores(course) -> ClassScores:
    return read_scores(load_course(course), "tiny")


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


FINAL = {"4711": 105.0, "4712": 75 + 7.25 - 7.5, "4713": 65.0, "4714": None}

pytestmark = pytest.mark.xdist_group("export")


# ---------------------------------------------------------------- the scores


@pytest.mark.slow
def test_scores_are_the_gradebooks_with_manual_grades_bonus_and_penalty(scores, course):
    assert {one.student: one.score for one in scores.students} == pytest.approx(FINAL)
    assert scores.points == 110
    ada, late, *_ = scores.students
    assert ada.problems == {"centered": 40, "softmax": 40, "Average": 20, "largest": 5, "why_zero": 0}
    assert late.raw_score == sum(late.problems.values()) == 82.25
    assert late.penalty == 7.5
    with Gradebook(load_course(course).gradebook_url) as gradebook:
        for one in scores.students[:3]:
            found = gradebook.find_submission("tiny", one.student)
            assert one.score == max(0.0, found.score - found.late_submission_penalty)  # as nbgrader's own export


@pytest.mark.slow
def test_who_handed_nothing_in_has_no_score_unless_asked_for(course):
    result = run("export", "csv", "tiny")
    assert read(result.stdout)[-1][:5] == ["4714", "'+1", "'" + EVIL[:20], "s4714@example.org", ""]
    assert "Handed nothing in, and has no score: 4714" in result.stderr
    assert "An answer waits for a person: 4713" in result.stderr
    assert read(run("export", "csv", "tiny", "--missing-zero").stdout)[-1][4] == "0"


@pytest.mark.slow
def test_a_report_that_is_gone_costs_the_checks_only(scores, course):
    file = course / "reports" / "tiny" / "4711.json"
    kept = file.read_bytes()
    try:
        file.write_text("{")
        again = read_scores(load_course(course), "tiny")
    finally:
        file.write_bytes(kept)
    assert again.students[0].score == 105
    assert again.students[0].report is None
    assert "Has no report that can be read, and so no checks; autograde again: 4711" in again.remarks


def test_an_assignment_that_nobody_graded_is_told_and_no_gradebook_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_course.write(tmp_path))
    assert "tiny is not in the gradebook" in " ".join(run("export", "csv", "tiny", code=2).output.split())
    assert not (tmp_path / "gradebook.db").exists()


# ---------------------------------------------------------------- CSV and JSON, there and back


@pytest.mark.slow
def test_the_table_reads_back_with_problems_and_checks(scores):
    header, *rows = read(score_table(scores))
    for row, one in zip(rows, scores.students, strict=True):
        cells = dict(zip(header, row, strict=True))
        assert cells["student"] == one.student
        assert (float(cells["score"]) if cells["score"] else None) == one.score
        if one.report is None:
            assert set(row[4:]) == {"", "110"}
            continue
        for problem in one.report.problems:
            assert float(cells[problem.name]) == one.problems[problem.name]
            assert [float(cells[f"{problem.name}: {check.name}"]) for check in problem.checks] == [
                check.score for check in problem.checks
            ]


@pytest.mark.slow
def test_json_reads_back_whole(scores, course, tmp_path):
    run("export", "json", "tiny", "--output", tmp_path / "scores.json")
    assert ClassScores.model_validate_json((tmp_path / "scores.json").read_bytes()) == scores


# ---------------------------------------------------------------- new sheets


@pytest.mark.slow
def test_a_new_canvas_sheet_has_the_columns_that_canvas_reads(scores):
    header, points, *rows = read(canvas_sheet(scores))
    assert header == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Tiny problems"]
    assert points == ["    Points Possible", "", "", "", "", "110"]
    assert rows[0] == ["L, Ada", "4711", "", "", "", "105"]
    assert {row[1]: float(row[5]) if row[5] else None for row in rows} == {
        one.student: one.score for one in scores.students
    }
    assert read(canvas_sheet(scores, "Tiny problems (90210)", "SIS User ID"))[2][1:] == [
        *("", "4711", "", "", "105"),
    ]
    with pytest.raises(CourseError, match="Canvas knows students by ID, SIS User ID, SIS Login ID, and not by 'Email'"):
        canvas_sheet(scores, id_column="Email")


@pytest.mark.slow
def test_a_new_moodle_sheet_is_a_grading_worksheet_or_a_grade_import(scores):
    header, *rows = read(moodle_sheet(scores))
    assert header == ["Identifier", "Grade", "Last modified (grade)", "Feedback comments"]
    assert {row[0].removeprefix("Participant "): float(row[1]) if row[1] else None for row in rows} == {
        one.student: one.score for one in scores.students
    }
    assert rows[1][3] == (
        "centered: You subtract one mean of the whole array.; 7.5 points are taken off for being late"
    )
    assert "<script>" not in rows[2][3]  # Moodle takes feedback for HTML
    assert "&lt;script&gt;evil()&lt;/script&gt;" in rows[2][3]

    header, *rows = read(moodle_sheet(scores, id_column="ID number"))
    assert header == ["ID number", "Tiny problems", "Feedback comments"]
    assert rows[0][:2] == ["4711", "105"]


def test_no_cell_of_a_table_is_a_formula_wherever_it_is_opened():
    starts = ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "a;=1", "a\t=1", 'a";=1', "a\n=1", "＝1", "\x00=1"]
    students = tuple(StudentScore(student=f"s{n}", last_name=name) for n, name in enumerate(starts))
    scores = ClassScores(course="c", assignment="a", title="=A", points=1, problems={}, students=students)
    for text in (score_table(scores), canvas_sheet(scores), moodle_sheet(scores)):
        for delimiter in ",;\t":
            for row in read(text, delimiter):
                assert not [cell for cell in row if cell.lstrip("\x00").startswith(tuple("=+-@\t\r＝"))]


# ---------------------------------------------------------------- filling in a sheet

CANVAS_SHEET = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Old homework (1),Tiny problems (90210),Current Score\r\n"
    ",,,,,,Manual Posting,\r\n"
    "    Points Possible,,,,,10,110,(read only)\r\n"
    '"L, Ada",4711,0001,ada@example.org,"A, ""the best""",9.5,,\r\n'
    "Lü Excused,4713,0003,lu,A,7, EX ,\r\n"
    "Somebody Else,4799,4712,else,B,3,1.00,\r\n"
    "Late,4712,0002,late,B,3,\"1.00\",\r\n"
    "None,4714,0004,none,B,,,\r\n"
    '"Student, Test",1,,test,A,,,\r\n'
)  # fmt: skip


@pytest.mark.slow
def test_a_sheet_from_canvas_is_filled_in_and_stays_the_same_byte_for_byte_elsewhere(scores, course, tmp_path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(CANVAS_SHEET.encode())
    result = run("export", "canvas", "tiny", "--sheet", sheet, "--output", tmp_path / "filled.csv")
    filled = (tmp_path / "filled.csv").read_bytes().decode()

    expected = CANVAS_SHEET.replace("9.5,,\r\n", "9.5,105,\r\n").replace('"1.00"', f'"{scores.students[1].score!r}"')
    assert filled == expected
    told = " ".join(result.stderr.split())
    assert "Somebody Else 4799 (in sheet.csv) is not in the gradebook" in told
    assert "Student, Test 1 (in sheet.csv) is not in the gradebook" in told
    assert "4713 is excused in sheet.csv already: left as it is" in told
    assert "points for it" not in told
    assert sheet.read_bytes() == CANVAS_SHEET.encode()
    rows = {row[1]: row[6] for row in read(filled)[1:]}
    assert float(rows["4711"]) == scores.students[0].score
    assert float(rows["4712"]) == scores.students[1].score


MOODLE_SHEET = (
    "Identifier;Full name;Email address;Status;Grade;Maximum grade;Last modified (grade);Feedback comments\n"
    'Participant 4711;Ada L;s4711@example.org;"Submitted for; grading";;100,00;-;\n'
    "Teilnehmer/in 4712;Bo;;;12,50;100,00;-;\"Come, and\n see me\"\n"
    "Participant 4713;Cé;;;;100,00;-;\n"
    "Participant 4799;Di;;;;100,00;-;\n"
)  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.slow
def test_a_worksheet_from_moodle_is_filled_in_with_feedback_in_its_own_manner(scores, encoding):
    without = scores.model_copy(update={"students": (*scores.students[:2], scores.students[3])})
    found = fill(MOODLE_SHEET.encode(encoding), "sheet.csv", without, MOODLE)
    penalised = repr(scores.students[1].score).replace(".", ",")
    assert found.data.decode(encoding) == MOODLE_SHEET.replace('";;100', '";105;100').replace("12,50", penalised)
    assert found.remarks == (
        "Moodle has 100.00 points for it, the gradebook 110: scores are not scaled",
        "Participant 4713 (in sheet.csv) is not in the gradebook",
        "Participant 4799 (in sheet.csv) is not in the gradebook",
        "4712 has feedback in sheet.csv already: left as it is",
    )
    rows = read(fill(MOODLE_SHEET.encode(), "s", scores, MOODLE).data.decode(), ";")
    assert "ValueError" in rows[3][7]
    assert rows[3][7].isascii()


@pytest.mark.slow
def test_only_canvas_and_moodle_have_sheets(course, tmp_path):
    (tmp_path / "s.csv").write_text(CANVAS_SHEET)
    assert "does not go with json" in run("export", "json", "tiny", "--sheet", tmp_path / "s.csv", code=2).output


@pytest.mark.slow
def test_students_without_a_row_are_told(scores):
    sheet = b"Username,Grade\n4711,\n4711,\n"
    assert fill(sheet, "s.csv", scores, MOODLE).remarks == (
        "4712 has a score, but no row in s.csv",
        "4713 has a score, but no row in s.csv",
        "4711 has 2 rows in s.csv",
    )


@pytest.mark.slow
def test_the_columns_of_a_sheet_can_be_named(scores):
    sheet = b"nr,Tiny problems (1),Tiny problems (2)\n4711,,\n"
    with pytest.raises(
        CourseError, match=r"several columns for 'Tiny problems'. Add --column, one of 'Tiny problems \(1\)'"
    ):
        fill(sheet, "s.csv", scores, CANVAS)
    with pytest.raises(CourseError, match=r"has no column 'ID' or .*Add --id-column, one of 'nr'"):
        fill(sheet, "s.csv", scores, CANVAS, column="Tiny problems (2)")
    filled = fill(sheet, "s.csv", scores, CANVAS, "Tiny problems (2)", "nr")
    assert filled.data == b"nr,Tiny problems (1),Tiny problems (2)\n4711,,105\n"


@pytest.mark.parametrize(
    ("sheet", "told"),
    [
        (b"", "has no column for 'Tiny problems'. Add --column, one of none at all"),
        (b"ID,Other\n4711,\n", "has no column for 'Tiny problems'. Add --column, one of 'ID', 'Other'"),
        (b"ID,Tiny problems\nada,\n", "knows none of the students: no 'ID' is like '4711'"),
        ("ID,Tiny problems\n4711,\n".encode("utf-16"), "is no CSV file in UTF-8"),
    ],
    ids=["empty", "no column", "nobody", "UTF-16"],
)
@pytest.mark.slow
def test_a_sheet_that_can_not_be_used_is_told(scores, sheet, told):
    with pytest.raises(CourseError, match=r"^s\.csv ") as error:
        fill(sheet, "s.csv", scores, CANVAS)
    assert told in str(error.value)


@pytest.mark.slow
def test_a_sheet_keeps_odd_quoting_and_has_no_last_line_end(scores):
    sheet = b'ID,name "x" y,Tiny problems\r4711,"a" b,\n4712,"open,'
    assert fill(sheet, "s.csv", scores, CANVAS).data == b'ID,name "x" y,Tiny problems\r4711,"a" b,105\n4712,"open,' + (
        repr(scores.students[1].score).encode()
    )


# ---------------------------------------------------------------- continuous integration


def hostile_report() -> Report:
    check = CheckResult(
        name="c", title=EVIL, verdict=Verdict.RAISED, points=2, score=0, message=EVIL, hint=EVIL + "`" + "|"
    )
    found = Diagnosis(misconception="m", message=EVIL, lecture="", sure=True)
    problem = ProblemResult(name="problem", bonus=False, checks=(check,), diagnosis=found)
    cells = (CellResult(cell=1, status="raised", message=EVIL),)
    return Report(
        course="c", assignment="tiny", submission=EVIL, digest="0", score=0, points=2, bonus_points=0,
        problems=(problem,), cells=cells, notes=(EVIL,),
    )  # fmt: skip


def test_junit_counts_verdicts_as_ci_does(graded):
    report = graded(centered="def centered(x):\n    return x", softmax="def softmax(z):\n    return 1 / 0", largest="")
    root = ElementTree.fromstring(junit_report(report))
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "13", "failures": "4", "errors": "3", "skipped": "3",
    }  # fmt: skip
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["centered", "softmax", "Average", "largest"]
    assert [case.get("classname") for case in suites["Average"].iter("testcase")] == ["tiny.Average"] * 3
    error = suites["softmax"].find("testcase/error")
    assert error.get("type") == "raised"
    assert "ZeroDivisionError" in error.get("message")
    scores = [float(suite.find("properties/property[@name='score']").get("value")) for suite in root]
    assert sum(scores) == report.score


def test_junit_holds_whatever_a_student_wrote():
    text = junit_report(hostile_report())
    case = ElementTree.fromstring(text).find(".//testcase")
    assert "<script>" not in text
    assert "<script>evil()</script>" in case.get("name")
    assert "\x1b" not in text
    assert "\ufffe" not in text


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}


def test_markdown_shows_whatever_a_student_wrote_as_text():
    text = markdown_report(hostile_report())
    html = MarkdownIt("gfm-like", {"html": True}).disable("linkify").render(text)
    found = Tags(html)
    assert found.tags <= {"h2", "blockquote", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "br"}
    assert found.attributes == set()
    assert "&lt;script&gt;evil()&lt;/script&gt;|[a](javascript:b)" in html
    assert html.count("<tr>") == 2


@pytest.mark.slow
def test_a_class_as_junit_and_as_markdown(scores, course):
    root = ElementTree.fromstring(run("export", "junit", "tiny").stdout)
    found = {suite.get("name"): float(suite.find("properties/property[@name='score']").get("value")) for suite in root}
    assert found == {one.student: one.report.score for one in scores.students if one.report}
    table = run("export", "markdown", "tiny").stdout
    assert "| 4711 | 105 |  | 13 of 13 |  |" in table
    assert "| 4714 |  |  |  | nothing handed in |" in table


@pytest.mark.slow
def test_grade_writes_both_for_one_notebook(course, tmp_path):
    notebook = course / "submitted" / "4712" / "tiny" / "tiny.ipynb"
    run("grade", notebook, "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "s.md")
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("failures") == "3"
    text = (tmp_path / "s.md").read_text()
    assert text.startswith("## tiny: 75 of 100 points\n")
    assert "| centered | 10 / 40 | **You subtract one mean of the whole array\\.**<br>" in text


# ---------------------------------------------------------------- Gradescope


@pytest.fixture
def autograder(course, tmp_path) -> Path:
    """Gradescope's folders, as its documentation lays them out, with the zip file unpacked into source/."""
    run("export", "gradescope", "tiny", "--output", tmp_path / "autograder.zip", "--visibility", "after_due_date")
    root = tmp_path / "autograder"
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        archive.extractall(root / "source")
    (root / "run_autograder").write_bytes((root / "source" / "run_autograder").read_bytes())
    (root / "submission").mkdir()
    (root / "results").mkdir()
    metadata = {"id": 1, "users": [{"name": "student01"}], "assignment": {"title": "Tiny"}, "previous_submissions": []}
    (root / "submission_metadata.json").write_text(json.dumps(metadata))
    return root


def run_autograder(root: Path) -> subprocess.CompletedProcess[str]:
    """As Gradescope runs it, without the folder's place, which is a temporary one, and with this Python."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment.update(AUTOGRADER_ROOT=str(root), AUTOGRADER_PYTHON=sys.executable)
    done = subprocess.run(
        ["bash", root / "run_autograder"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_gradescope_gets_the_same_scores(autograder, course, scores):
    version = autograder / "source" / "grader" / "__init__.py"
    version.write_text(version.read_text().replace('__version__ = "', '__version__ = "packed '))
    submitted = course / "submitted" / "4712" / "tiny" / "tiny.ipynb"
    (autograder / "submission" / "my homework.ipynb").write_bytes(submitted.read_bytes())

    done = run_autograder(autograder)

    assert done.stdout == ""
    results = json.loads((autograder / "results" / "results.json").read_text())
    report = scores.students[1].report
    assert results["score"] == report.score == sum(test.get("score", 0) for test in results["tests"])
    assert results["stdout_visibility"] == "hidden"
    assert results["extra_data"]["grader"].startswith("packed ")  # the zip file's own grader ran
    first, *tests = results["tests"]
    assert (first["name"], first["status"], first["visibility"]) == ("The notebook runs", "passed", "visible")
    assert {test["visibility"] for test in tests} == {"after_due_date"}
    wrong = next(test for test in tests if test["status"] == "failed")
    assert wrong["name"] == "centered: Each column loses its own mean."
    assert (wrong["score"], wrong["max_score"], wrong["output_format"]) == (0, 20, "text")
    assert wrong["output"].startswith("You subtract one mean of the whole array.\n2 rows: differs by up to ")
    assert sum(test["max_score"] for test in tests) == report.points


@pytest.mark.slow
def test_gradescope_is_told_what_is_no_submission(autograder):
    assert gradescope.main(autograder, "tiny", "visible") == 0
    results = json.loads((autograder / "results" / "results.json").read_text())
    assert results["score"] == 0
    assert results["output"] == "Hand in tiny.ipynb, and no other notebook. Here is no notebook."


def test_nothing_is_graded_where_code_can_not_be_confined_and_nobody_gets_a_zero(tmp_path, monkeypatch, capsys):
    tiny_course.write(tmp_path / "source" / "course")
    write_notebook(tmp_path / "submission" / "tiny.ipynb")
    monkeypatch.setattr("grader.sandbox.protections", lambda: [tiny_missing()])
    assert gradescope.main(tmp_path, "tiny", "visible") == 3
    told = capsys.readouterr().out
    assert "Nothing was graded, and nobody got a zero: This machine can't confine student code." in told
    assert "write `sandbox: off` in your course.yaml and export again" in told
    assert not (tmp_path / "results" / "results.json").exists()


def tiny_missing():
    from grader.protections import Protection

    return Protection("reads Python only", False, "the kernel does not offer it", "Use Linux 6.2 or newer.")


def test_the_zip_file_holds_one_assignment_and_two_scripts(tiny, tmp_path):
    second = "  - name: another\n    title: Another\n    lectures: [2]\n    due: 2027-04-26 23:59\n"
    root = tiny_course.write(tmp_path, course=tiny_course.COURSE + second)
    for folder in ("solutions", "tests/hidden/another"):
        (root / folder).mkdir(exist_ok=True, parents=True)
    (root / "solutions" / "another.py").write_text("secret")
    (root / "tests" / "hidden" / "another" / "checks.py").write_text("secret")
    material = tiny_course.material(root)
    packed = autograder_zip(material)
    assert packed == autograder_zip(material)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = {name for name in archive.namelist() if not name.startswith("grader/")}
        hidden = {f"course/tests/hidden/tiny/{name}.py" for name in ("checks", "misconceptions", "alternatives")}
        assert names == {
            "setup.sh", "run_autograder", "requirements.txt", "constraints.txt",
            "course/course.yaml", "course/solutions/tiny.py", *hidden,
        }  # fmt: skip
        assert "grader/templates/report.html" in archive.namelist()
        assert archive.getinfo("run_autograder").external_attr >> 16 == 0o755
        assert archive.read("run_autograder").startswith(b"#!/usr/bin/env bash\n")
        archive.extractall(tmp_path / "out")
    course = load_course(tmp_path / "out" / "course")
    assert [one.name for one in course.assignments] == ["tiny"]
    assert course.assignment("tiny").due == material.assignment.due
    assert course.limits == material.course.limits
    requirements = (tmp_path / "out" / "requirements.txt").read_text()
    constraints = (tmp_path / "out" / "constraints.txt").read_text().splitlines()
    assert "torch<3,>=2.4\n" in requirements
    assert "pytest-xdist" not in requirements
    assert not [line for line in constraints if "+" in line or line.startswith("grader==")]
    setup = (tmp_path / "out" / "setup.sh").read_text()
    assert '--requirement "$source/requirements.txt" --constraint "$source/constraints.txt"' in setup
    for script in ("setup.sh", "run_autograder"):
        subprocess.run(["bash", "-n", tmp_path / "out" / script], check=True)


def test_gradescope_has_its_own_words_for_visibility(tiny):
    with pytest.raises(CourseError, match="no visibility 'later': choose one of visible, after_due_date"):
        autograder_zip(tiny, "later")


def test_a_bonus_comes_on_top_in_gradescope_too(graded):
    results = results_of(graded(), "visible")
    assert results["score"] == 105
    bonus = [test for test in results["tests"] if "bonus" in test.get("tags", [])]
    assert [(test["score"], test["max_score"]) for test in bonus] == [(2, 0), (2, 0), (1, 0)]
