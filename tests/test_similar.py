"""`grader similar`: disguised copies are found; right answers written apart, and the course's own code, are not."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
from pathlib import Path

import nbformat
import pytest
import tiny_course
from similar_class import DISGUISED, OWN, cells, copies, different, hand_in, write
from typer.testing import CliRunner

from grader.cli import app
from grader.course import load_course
from grader.material import Material
from grader.publish import publish_similar
from grader.similar import (
    LEAST,
    MANY,
    MOST,
    THRESHOLD,
    Code,
    Definition,
    SimilarReport,
    compare,
    fingerprints,
    read_code,
    similar,
)

PROBLEMS = tuple(tiny_course.ANSWERS)
ROOT = Path(__file__).parents[1]


def code(tmp_path: Path, *sources: str, problems: tuple[str, ...] = PROBLEMS) -> Code:
    """What is read of a notebook with these cells."""
    file = tmp_path / "some.ipynb"
    nbformat.write(tiny_course.notebook(*sources), file)
    return read_code(file, problems)


def found(root: Path, **changed: float) -> SimilarReport:
    return similar(load_course(root), "tiny", **changed)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


# Copies


def test_a_disguised_copy_is_found_and_its_shared_parts_are_marked(tmp_path):
    report = found(copies(tmp_path))
    (pair,) = report.pairs
    assert pair.students == ("student01", "student02")
    assert {one.problem for one in pair.problems} == {"centered", "Average", "largest"}
    assert pair.score == pytest.approx(sum(one.score for one in pair.problems))
    for one in pair.problems:
        assert (one.shared, one.others, one.alone) == (one.of, 0, one.shared), "all of it, and nobody else's"
        for side, answers in zip(one.sides, (OWN, DISGUISED), strict=True):
            assert side.text == answers[one.problem]
            marked = [side.text[start:end] for start, end in side.marks]
            assert not [text for text in marked if "#" in text or "def " in text or '"""' in text or "\n" in text]
            body = sum(len(line.strip()) for line in answers[one.problem].split("\n"))
            assert sum(map(len, marked)) > 0.6 * body
    assert report.compared == 10
    assert report.faults == ()


def test_functions_in_another_order_and_all_in_one_cell_are_the_same(tmp_path):
    jumbled = ("\n\n".join(reversed([tiny_course.IMPORTS, *DISGUISED.values()])),)
    report = found(write(tmp_path, {"student01": cells(**OWN), "student02": jumbled}))
    assert [pair.students for pair in report.pairs] == [("student01", "student02")]


def test_a_helper_counts_as_a_part_of_the_answer_and_the_last_definition_is_the_answer(tmp_path):
    helper = "def helper(x):\n    return x\n" + OWN["centered"].replace("def centered", "def subtract")
    called = (*cells(centered="def centered(x):\n    return subtract(x)"), helper)
    other = DISGUISED["centered"].replace("def centered", "def without_mean")
    redefined = (*cells(**OWN), "def centered(x):\n    return without_mean(x)", other)
    report = found(write(tmp_path, {"student01": called, "student02": redefined}))
    (pair,) = report.pairs
    assert [one.problem for one in pair.problems] == ["centered"]
    texts = [side.text for side in pair.problems[0].sides]
    assert all(text.startswith("def centered(x):\n    return ") for text in texts)
    assert "def helper" not in texts[0]


def test_half_a_class_that_shares_an_answer_is_no_evidence_but_three_of_it_are(tmp_path):
    others = {f"student{number:02}": cells(centered=different(number)) for number in range(10, 20)}
    three = {f"student{number:02}": cells(centered=OWN["centered"]) for number in range(3)}
    (first, *rest) = found(write(tmp_path / "three", {**others, **three})).pairs
    assert len(rest) == 2
    assert {student for pair in (first, *rest) for student in pair.students} == set(three)
    assert first.problems[0].others == 1
    assert first.problems[0].alone == 0
    assert first.score < first.problems[0].shared, "what a third has, too, weighs less"

    many = {f"student{number:02}": cells(centered=OWN["centered"]) for number in range(20, 30)}
    assert found(write(tmp_path / "many", {**others, **many})).pairs == ()


def test_the_threshold_is_the_share_of_the_shorter_answer(tmp_path):
    half = OWN["centered"].replace("return", "y =")
    first, second = ("\n".join([half, *different(number).split("\n")[2:]]) for number in (1, 2))
    root = write(tmp_path, {"student01": cells(centered=first), "student02": cells(centered=second)})
    assert found(root).pairs == ()
    (pair,) = found(root, threshold=0.3).pairs
    share = pair.problems[0].shared / pair.problems[0].of
    assert 0.3 <= share < 0.6
    assert len(found(root, threshold=share).pairs) == 1
    assert found(root, threshold=share + 0.01).pairs == ()


# No copies


def test_the_courses_own_code_is_no_evidence(tmp_path):
    """Stubs, the reference, an alternative, and a known mistake, each handed in by two."""
    solution = tiny_course.SOLUTION
    stub = re.sub(
        r"### BEGIN.*?### END SOLUTION", "raise NotImplementedError()  # YOUR CODE HERE", solution, flags=re.S
    )
    overlays = {
        name: re.sub(
            rf"@{kind}.*\n(def|class) \w+",
            r"\1 " + problem,
            text[text.index(f"@{kind}({problem!r}".replace("'", '"')) :],
        )
        for name, kind, problem, text in (
            ("alternative", "alternative", "Average", tiny_course.ALTERNATIVES),
            ("mistake", "misconception", "largest", tiny_course.MISCONCEPTIONS),
        )
    }
    for name, text in {"stub": stub, "reference": solution, **overlays}.items():
        sources = (re.sub(r"^# %%.*$", "", text, flags=re.MULTILINE),)
        root = write(tmp_path / name, {"student01": sources, "student02": sources})
        report = found(root, threshold=0.01)
        assert report.compared == 2, name
        assert report.pairs == (), name


@pytest.mark.parametrize("name", ["lecture05_batch_and_momentum", "lecture06_learning_rate", "lecture09_convolution"])
def test_right_answers_that_were_written_apart_are_not_alike(name, tmp_path):
    """Each alternative beside the reference and the others, as a class: and here nobody discounts them."""
    material = Material(load_course(ROOT), name)
    lesson = [cell.source for cell in material.solution.cells if cell.cell_type == "code"]
    stub = [re.sub(r"### BEGIN.*?### END SOLUTION", "pass", source, flags=re.S) for source in lesson]
    answers: dict[str, list[str]] = {
        str(cell.metadata["problem"]): [cell.source] for cell in material.solution.cells if "problem" in cell.metadata
    }
    source = (material.hidden_folder / "alternatives.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.decorator_list:
            problem = ast.literal_eval(node.decorator_list[0].args[0])
            node.decorator_list, node.name = [], problem
            answers[problem].append(ast.unparse(node))
    count = max(map(len, answers.values()))
    assert count > 1
    codes = {
        f"student{number}": code(
            tmp_path,
            "import numpy as np\nimport torch",
            *(each[number] for each in answers.values() if number < len(each)),
            problems=tuple(answers),
        )
        for number in range(count)
    }
    assert sum(len(one.answers) for one in codes.values()) == sum(map(len, answers.values()))
    assert compare(codes, fingerprints(stub)) == ([], 0)
    everything, _ = compare(codes, frozenset(), threshold=0.01)
    assert everything, "they do share something, else this would prove nothing"


# What a fingerprint takes for the same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("np.sum(x, axis=0)", "numpy.sum(x, axis=0)"),
        ("'a' + 'b'", 'f"{x} b" + """c"""'),
        ("sum(x); y = 1", "sum(x)\n    y = 1"),
    ],
    ids=["alias", "strings", "semicolon"],
)
def test_these_are_the_same(one, other, tmp_path):
    body = (
        "def largest(x):\n    import math\n    z = math.floor(math.sqrt(len(x) + 3)) * 7\n    {}\n    return x[3] - 2"
    )
    made = [
        code(tmp_path, f"import numpy as np, {module}\n" + body.format(text)).answers["largest"][0].prints.keys()
        for text, module in ((one, "numpy"), (other, "numpy"))
    ]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [("x.sum(axis=0)", "x.mean(axis=0)"), ("x.sum(axis=0)", "x.sum(axis=1)"), ("x + 1", "x - 1"), ("len(x)", "max(x)")],
    ids=["method", "number", "operator", "built-in"],
)
def test_these_are_not(one, other, tmp_path):
    body = "def largest(x):\n    z = x.reshape(-1, 3)[2:5] * {} / 7\n    return z"
    made = [code(tmp_path, body.format(text)).answers["largest"][0].prints.keys() for text in (one, other)]
    assert made[0] != made[1]


# Small classes, and large ones


@pytest.mark.parametrize("number", [0, 1])
def test_a_class_of_none_and_of_one_has_a_page_that_says_so(number, tmp_path):
    root = write(tmp_path, {"student01": cells(**OWN)} if number else {})
    run("similar", "tiny", "--course", root)
    page = (root / "reports" / "tiny-similar.html").read_text()
    assert "Nothing to compare" in page
    assert found(root).pairs == ()


def index(**classes: tuple[int, int]) -> dict[str, Code]:
    """A class by its fingerprints alone. name -> (how many have the same, how many fingerprints)."""
    return {
        f"{name}{number:03}": Code({"largest": (Definition("", (), {f"{name}{k}".encode(): () for k in range(size)}),)})
        for name, (count, size) in classes.items()
        for number in range(count)
    }


def test_pages_are_bounded(tmp_path):
    alone = {f"alone{number}_": (1, 50) for number in range(100)}
    pairs, left_out = compare(index(copy=(25, 200), **alone), frozenset())
    assert len(pairs) == MOST
    assert left_out == 25 * 24 // 2 - MOST
    assert all(student.startswith("copy") for pair in pairs for student in pair.students)


def test_what_too_many_have_is_common_in_any_class():
    alone = {f"alone{number}_": (1, 50) for number in range(500)}
    assert compare(index(copy=(MANY, 200), **alone), frozenset())[1] == MANY * (MANY - 1) // 2 - MOST
    assert compare(index(copy=(MANY + 1, 200), **alone), frozenset()) == ([], 0)


def test_the_order_of_the_class_changes_nothing(tmp_path):
    codes = {f"student{number:02}": code(tmp_path, different(number // 2)) for number in range(20)}
    assert compare(codes, frozenset()) == compare(dict(reversed(codes.items())), frozenset())
    assert len(compare(codes, frozenset())[0]) == 10


# Hostile notebooks


BOMBS = {
    "huge": "def centered(x):\n" + "    x = x + 1\n" * 200_000,
    "long": "def centered(x):\n" + "    x = x + 1\n" * 10_000 + "\n" + OWN["largest"],
    "deep": "def centered(x):\n    return " + "(" * 150 + "x" + ")" * 150,
    "deeper": "def centered(x):\n    return " + "-" * 100_000 + "x",
    "sums": "def centered(x):\n    return " + "x+" * 20_000 + "x",
    "chain": "def centered(x):\n    return x" + ".T" * 20_000,
    "no Python": "def centered(x:\n    return",
    "null": "def centered(x):\n    return 'a\0b'",
    "itself": "centered = centered\nlargest = lambda: largest()",
    "lines": "def centered(x):\x0c\r    return x\u2028 + 1\u202e\r",
}


def test_hostile_notebooks_cost_themselves_only(tmp_path):
    root = write(
        tmp_path,
        {
            "student01": cells(**OWN),
            "student02": cells(**DISGUISED),
            **{f"student1{number}": (source,) for number, source in enumerate(BOMBS.values())},
        },
    )
    hand_in(root, "=cmd|x", "{}")
    hand_in(root, "student40", "no JSON")
    (root / "submitted" / "student41" / "tiny").mkdir(parents=True)
    (root / "submitted" / "student42").mkdir()
    (root / "submitted" / "student42" / "tiny").symlink_to("/etc")
    report = found(root)
    assert [pair.students for pair in report.pairs] == [("student01", "student02")]
    told = "\n".join(report.faults)
    for student in ("student10", "student11", "student16", "student40", "student41"):
        assert student in told
    assert "=cmd|x" in told
    assert not re.search("[\x00-\x08\x1b\u202e]", told)


def ends_with_student03(file: Path, **facts: object) -> Code:
    if file.parts[-3] == "student03":
        os._exit(1)
    return read_code(file, **facts)


def test_a_notebook_that_ends_the_process_that_reads_it_costs_itself_only(tmp_path, monkeypatch):
    root = write(tmp_path, {"student01": cells(**OWN), "student02": cells(**DISGUISED), "student03": cells()})

    monkeypatch.setattr("grader.similar.read_code", ends_with_student03)
    report = found(root)
    assert report.compared == 2
    assert len(report.pairs) == 1
    assert report.faults == ("student03: reading it ended the process that read it: it is not compared",)


# What is written


def test_page_json_and_csv_say_the_same_and_nothing_a_student_wrote_gets_out(tmp_path):
    evil = "    # <script>evil()</script> </code></pre><img src=x onerror=evil()>"
    first, second = (
        cells(**{**answers, "largest": answers["largest"].replace("\n", f"\n{evil}\n", 1)})
        for answers in (OWN, DISGUISED)
    )
    root = write(tmp_path, {"student01": first, "student02 (é)": second})
    made, page = publish_similar(load_course(root), "tiny")
    assert page == root / "reports" / "tiny-similar.html"
    assert SimilarReport.model_validate_json(page.with_suffix(".json").read_bytes()) == made
    rows = list(csv.DictReader(page.with_suffix(".csv").open(encoding="utf-8-sig", newline="")))
    assert [(row["student"], row["other"], row["problem"]) for row in rows] == [
        ("student01", "student02 (é)", one.problem) for one in made.pairs[0].problems
    ]
    assert float(rows[0]["score"]) == made.pairs[0].problems[0].score
    text = page.read_text(encoding="utf-8")
    assert "<script>evil" not in text
    assert "<img" not in text
    assert "&lt;script&gt;evil()" in text
    assert text.count("<mark>") == sum(len(side.marks) for one in made.pairs[0].problems for side in one.sides)
    assert "no proof" in text
    assert "default-src 'none'" in text

    before = {file: file.read_bytes() for file in page.parent.iterdir()}
    publish_similar(load_course(root), "tiny", jobs=2)
    assert {file: file.read_bytes() for file in page.parent.iterdir()} == before, "the same, byte for byte"


def test_the_command_tells_the_pairs_and_where_the_page_is(tmp_path):
    root = write(tmp_path, {"student01": cells(**OWN), "student02": cells(**DISGUISED)})
    page = tmp_path / "else" / "where.html"
    said = run("similar", "tiny", "--course", root, "--output", page)
    assert "student01" in said
    assert str(page) in said.splitlines()
    made = json.loads(run("similar", "tiny", "--course", root, "--json"))
    assert made["pairs"][0]["score"] >= LEAST
    assert made["threshold"] == THRESHOLD
    assert "ends in .html" in run("similar", "tiny", "--course", root, "--output", tmp_path / "a.txt", code=2)
    assert "no assignment" in run("similar", "else", "--course", root, code=2)
