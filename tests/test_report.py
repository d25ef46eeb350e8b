"""Reports and their pages: whole, the same each time, and safe to open whatever a student wrote."""

import json
import re
from html.parser import HTMLParser

import pytest

from grader.pages import checks_table, report_page
from grader.report import CellResult, CheckResult, Diagnosis, ProblemResult, Report, Verdict

EVIL = "<script>evil()</script><img src=x onerror=evil()>\"'&`"


def result(verdict=Verdict.WRONG, **changed) -> CheckResult:
    facts = {"name": "works", "title": "It works.", "points": 3, "score": 0, "message": "differs", "hint": "Think."}
    return CheckResult(verdict=verdict, **{**facts, **changed})


def report(*problems: ProblemResult, **changed) -> Report:
    facts = {"course": "c", "assignment": "tiny", "submission": "tiny.ipynb", "digest": "0", "bonus_points": 5}
    facts |= {"score": sum(problem.score for problem in problems), "points": 100, "problems": problems}
    return Report(**{**facts, **changed})


def test_a_report_survives_json(graded):
    made = graded("1 / 0", centered="def centered(x):\n    return x - x.mean()")
    again = Report.model_validate_json(made.model_dump_json())
    assert again.model_dump() == made.model_dump()
    assert again.outputs == {}


def test_what_cells_printed_is_no_part_of_the_json(graded):
    made = graded("print('a secret of the student')")
    assert made.outputs[0][0]["text"] == "a secret of the student\n"
    assert "secret" not in made.model_dump_json()


def test_a_report_holds_no_source_of_a_hidden_test(graded):
    made = graded(centered="def centered(x):\n    return x", softmax="def softmax(z):\n    return 1 / 0")
    for text in (made.model_dump_json(), report_page(made, "Tiny")):
        assert "rng.normal" not in text
        assert "student." not in text
        assert "def " not in text


def test_the_scores_of_checks_add_up(graded):
    made = graded(centered="def centered(x):\n    return x - x.mean()")
    assert made.score == sum(problem.score for problem in made.problems) == 75
    assert made.problem("centered").points == 40
    assert made.problem("no such problem") is None


def test_a_report_can_not_be_changed(graded):
    with pytest.raises(ValueError, match="frozen"):
        graded().score = 1000


# Pages


class Tags(HTMLParser):
    """The tags of a page and their attributes, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list]] = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, attributes))


def pages() -> dict[str, str]:
    diagnosis = Diagnosis(misconception="m", message=EVIL, lecture=EVIL, sure=True)
    problem = ProblemResult(
        name=EVIL, bonus=False, checks=(result(title=EVIL, message=EVIL, hint=EVIL),), diagnosis=diagnosis
    )
    made = report(problem, submission=EVIL, assignment=EVIL, notes=(EVIL,))
    made = made.model_copy(update={"cells": (CellResult(cell=1, status="raised", message=EVIL),)})
    return {
        "cell": checks_table(problem, EVIL),
        "report": report_page(made, EVIL),
    }


@pytest.mark.parametrize("page", pages().values(), ids=pages().keys())
def test_nothing_that_a_student_wrote_runs_in_a_page(page):
    assert "evil()" in page
    seen = Tags()
    seen.feed(page)
    assert not {"script", "img", "iframe", "object", "svg"} & {tag for tag, _ in seen.found}
    names = {name for _, attributes in seen.found for name, _ in attributes}
    assert not {name for name in names if name.startswith("on")}


def test_a_page_loads_nothing_and_runs_nothing():
    page = pages()["report"]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)


def test_a_page_says_each_verdict_in_words_with_message_and_hint():
    checks = tuple(result(verdict, name=verdict.value, title=f"Check of {verdict.value}") for verdict in Verdict)
    page = report_page(report(ProblemResult(name="solve", bonus=False, checks=checks)), "Tiny")
    for verdict in Verdict:
        assert f"Check of {verdict.value}" in page
        assert re.search(rf"[;>]{verdict.value}<", page)
    assert "differs" in page
    assert "Think." in page


def test_a_page_tells_a_sure_diagnosis_from_a_possible_one():
    def page(sure):
        diagnosis = Diagnosis(misconception="m", message="You add.", lecture="Lecture 5", sure=sure)
        return checks_table(ProblemResult(name="f", bonus=False, checks=(result(),), diagnosis=diagnosis))

    assert "You add." in page(True)
    assert "Perhaps" not in page(True)
    assert "Perhaps" in page(False)
    assert "Lecture 5" in page(True)


def test_the_notes_and_the_cells_that_failed_are_on_the_page(graded):
    page = report_page(graded("import os\nos._exit(1)", "1 / 0"), "Tiny")
    assert "Ended the process" in page
    assert "Cell 1 ended the process" in page
    assert "Cell 2 raised ZeroDivisionError at line 1: division by zero" in page


def test_a_page_of_a_submission_that_could_not_be_read_says_why(tiny):
    page = report_page(report(notes=("The file is empty.",)), "Tiny")
    assert "The file is empty." in page


def test_the_json_of_a_report_is_what_a_program_expects(graded):
    parsed = json.loads(graded(softmax="").model_dump_json())
    assert parsed["score"] == 65
    assert {problem["name"] for problem in parsed["problems"]} == {"centered", "softmax", "Average", "largest"}
    (first, *_) = parsed["problems"][1]["checks"]
    assert first["verdict"] == "not attempted"
