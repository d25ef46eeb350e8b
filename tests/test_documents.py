"""What README.md, CONTRIBUTING.md and docs/ tell people to type is typed here, and what they name exists."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbgrader.apps import NbGraderApp
from typer.main import get_command

from grader.cli import app
from grader.course import CourseError, load_course

ROOT = Path(__file__).parents[1]
ASSIGNMENT = "lecture05_batch_and_momentum"
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

# `make` sets up an environment of its own: scripts/demo is run below, the suite is what you are reading.
MADE = ("make demo", "make test", "make lint")

DOCUMENTS = sorted(str(file.relative_to(ROOT)) for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# These need a cluster, or a database server: the tests of those features run what they tell.
ELSEWHERE = ("docs/cluster.md", "docs/gradebook.md")
TYPED = [name for name in DOCUMENTS if name.startswith("docs/") and name not in ELSEWHERE]

COMMANDS = get_command(app).commands
OPTIONS = {
    name: {"-h", "--help", *(option for parameter in command.params for option in parameter.opts)}
    for name, command in COMMANDS.items()
}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("documents"), pytest.mark.timeout(900)]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def inline(document: str) -> list[str]:
    """What stands between backquotes in the running text, in one line each."""
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]


def named(document: str) -> Iterator[list[str]]:
    """The words of every command that a document names, in a block or in running text."""
    lines = [line for block in blocks(document, "(?:sh|console)?") for line in block.splitlines()]
    for text in [*lines, *inline(document)]:
        if re.match(r"(\$ )?(grader|nbgrader|make) ", text):
            words = text.removeprefix("$ ").partition(" #")[0].split()
            yield [word.strip("'\".,;:[]") for word in words]


def commands(document: str) -> list[str]:
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()]
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


def course_copy(folder: Path) -> Path:
    for name in ("course.yaml", "nbgrader_config.py"):
        shutil.copy(ROOT / name, folder)
    for name in ("solutions", "assignments", "tests/hidden"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(shlex.split(command), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course in which student01 has handed in the solution."""
    folder = course_copy(tmp_path_factory.mktemp("course"))
    assert run(f"grader build {ASSIGNMENT}", folder).returncode == 0
    submitted = folder / "submitted" / "student01" / ASSIGNMENT
    submitted.mkdir(parents=True)
    shutil.copy(folder / "build" / "source" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", submitted)
    return folder


def test_documents_name_only_commands_options_and_targets_that_exist():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    known = {"grader": COMMANDS, "nbgrader": NbGraderApp().subcommands, "make": targets}
    faults = []
    for document in DOCUMENTS:
        for program, command, *rest in named(document):
            if command not in known[program]:
                faults.append(f"{document}: {program} {command}")
            elif program == "grader":
                given = {word.partition("=")[0] for word in rest if re.match("--?[a-z]", word)}
                faults += [f"{document}: grader {command} {option}" for option in given - OPTIONS[command]]
        if document not in ELSEWHERE:
            alone = {code.split()[0] for code in inline(document) if code.startswith("--")}
            faults += [f"{document}: {option}" for option in alone.difference(*OPTIONS.values())]

    assert not faults


def test_what_documents_show_of_course_yaml_is_a_course(tmp_path: Path):
    least = dict(re.findall(r"^(\w+)(:.*(?:\n[ ].*)*)", blocks("docs/reference/course.md", "yaml")[1], re.MULTILINE))
    shown = [(name, block) for name in DOCUMENTS if name != "docs/cluster.md" for block in blocks(name, "yaml")]
    assert {"id", "assignments"} <= set(least) and len(shown) >= 5
    faults = []
    for name, block in shown:
        own = re.findall(r"^\w+", block, re.MULTILINE)
        rest = "\n".join(f"{key}{value}" for key, value in least.items() if key not in own)
        (tmp_path / "course.yaml").write_text(f"{rest}\n{block}", encoding="utf-8")
        try:
            load_course(tmp_path)
        except CourseError as error:
            faults.append(f"{name}: {error}\n{block}")

    assert not faults


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path):
    """A broken link, a page in no list and a reference to nothing are warnings."""
    recipe = re.search(r"^site:.*\n.*\n\t\$\(RUN\) (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    arguments = recipe[1].replace("build/", f"{tmp_path}/").split()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    site = tmp_path / "site"
    start = re.search('url=([^"]+)', (site / "index.html").read_text())[1]
    assert (site / start).is_file()
    loads = {
        ".html": r"<(?!a\b)\w[^>]*\b(?:src|srcset|href|data)=[\"']?(?:https?:)?//[^>]*>",
        ".css": r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*",
        ".js": r"(?:import|fetch|open|src)\b[\s(=\"'A-Z,]*(?:https?:)?//[^\s]*",
    }
    files = [file for file in site.rglob("*") if file.suffix in loads]
    assert len(files) > len(DOCUMENTS)
    for file in files:
        assert re.findall(loads[file.suffix], file.read_text(encoding="utf-8")) == [], file

    # What students may read holds no solution and no hidden test.
    assert {file.name for file in (site / "_downloads").glob("*/*")} <= {
        file.name for file in ROOT.glob("assignments/*/*")
    }
    commands_page = (site / "docs" / "reference" / "commands.html").read_text(encoding="utf-8")
    assert all(option in commands_page for options in OPTIONS.values() for option in options if option != "-h")


def test_the_curriculum_names_every_problem_and_is_up_to_date():
    """The script fails where a problem stands beside no line of the lecture notes."""
    made = subprocess.run([sys.executable, "scripts/curriculum"], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert made.stdout == (ROOT / "docs" / "curriculum.md").read_text(encoding="utf-8"), "run: make docs"


@pytest.fixture(scope="module")
def after_readme(course: Path) -> Path:
    """The course, when all that README says has been typed."""
    typed = [command for command in commands("README.md") if not command.startswith("make ")]
    assert len(typed) >= 10

    for command in typed:
        works(command, course)
    return course


def works(command: str, folder: Path) -> None:
    done = run(command, folder)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_every_command_of_the_readme_works(after_readme: Path):
    report = json.loads((after_readme / "reports" / ASSIGNMENT / "student01.json").read_text())
    assert report["score"] >= report["points"] == 100
    assert (after_readme / "report.html").is_file()
    assert "student01" in (after_readme / "grades.csv").read_text()


def test_every_command_of_the_pages_works(after_readme: Path):
    """In the order of the pages, with a download and a sheet as Moodle gives them; what README says is not repeated."""
    notebook = after_readme / "submitted" / "student01" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    with zipfile.ZipFile(after_readme / "moodle.zip", "w") as download:
        download.write(notebook, f"Student Two_4711_assignsubmission_file_/{ASSIGNMENT}.ipynb")
    header = "Identifier,Full name,Status,Grade,Maximum grade,Last modified (grade),Feedback comments"
    row = "Participant 4711,Student Two,Submitted for grading,,110.00,-,"
    (after_readme / "worksheet.csv").write_text(f"{header}\n{row}\n")
    typed = [command for page in TYPED for command in commands(page) if command not in commands("README.md")]
    assert len(typed) >= 10

    for command in typed:
        works(command, after_readme)

    score = json.loads((after_readme / "reports" / ASSIGNMENT / "4711.json").read_text())["score"]
    assert f"Participant 4711,Student Two,Submitted for grading,{score:g}," in (after_readme / "upload.csv").read_text()


@pytest.mark.parametrize("page", [page for page in TYPED if blocks(page, "python") and "jupyterhub" not in page])
def test_the_programs_of_a_page_run(after_readme: Path, page: str):
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks(page, "python"))], cwd=after_readme, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_nbgrader_finds_course_and_exchange_as_the_page_on_jupyterhub_says(after_readme: Path, tmp_path: Path):
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    course_file = after_readme / "course.yaml"
    course_file.write_text(
        course_file.read_text().replace("# exchange: /srv/nbgrader/exchange", f"exchange: {exchange}")
    )
    everybodys, instructors = blocks("docs/howto/jupyterhub.md", "python")
    for who, text in (
        ("student", everybodys.replace("/srv/nbgrader/exchange", str(exchange))),
        ("instructor", instructors.replace("/home/instructor/course", str(after_readme))),
    ):
        (tmp_path / who / ".jupyter").mkdir(parents=True)
        (tmp_path / who / ".jupyter" / "nbgrader_config.py").write_text(text)

    def typed(who: str, *words: str) -> str:
        home = tmp_path / who
        places = {
            "HOME": str(home),
            "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
            "JUPYTER_DATA_DIR": str(home / "data"),
        }
        done = subprocess.run(["nbgrader", *words], cwd=home, env=ENVIRONMENT | places, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    typed("instructor", "release_assignment", ASSIGNMENT)

    assert ASSIGNMENT in typed("student", "list")


def test_contributing_adds_a_problem_that_validates(tmp_path: Path):
    course = course_copy(tmp_path)
    cell, checks, mistakes, alternatives = blocks("CONTRIBUTING.md", "python")
    hidden = course / "tests" / "hidden" / ASSIGNMENT
    for file, text in (
        (course / "solutions" / f"{ASSIGNMENT}.py", cell),
        (hidden / "checks.py", checks),
        (hidden / "misconceptions.py", mistakes),
        (hidden / "alternatives.py", alternatives),
    ):
        with file.open("a", encoding="utf-8") as opened:
            opened.write("\n\n" + text)

    assert run(f"grader build {ASSIGNMENT}", course).returncode == 0
    done = run(f"grader validate {ASSIGNMENT} --json", course)

    (found,) = json.loads(done.stdout)
    assert done.returncode == 1
    # One check of 2 points is not yet a problem; and a ball at rest has no movement to forget a half of.
    assert found["faults"] == [
        "the checks are worth 102 points without the bonus: make it 100",
        "heavy_ball_energy has 1 checks: write 3 or more",
        "misconception without_the_half of heavy_ball_energy loses no points: no check catches it",
        "check energy_at_rest catches no misconception: drop it, or write the mistake that it is for",
    ]
