"""Other autograders, in an environment of their own: stock nbgrader and otter-grader."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path

from nbformat import NotebookNode

from benchmark.classes import ASSIGNMENT, BENCH, ROOT
from benchmark.processes import CommandFailed, Measured, measure

ENVIRONMENT = BENCH / "peers"
# constraints.txt says which nbgrader and which torch: both sides have the same.
_REQUIREMENTS = "nbgrader otter-grader[grading]==7.0.0 numpy torch matplotlib scikit-learn".split()

_STOCK_CONFIG = """\
c = get_config()
c.CourseDirectory.source_directory = "build/source"
c.CourseDirectory.release_directory = "assignments"
c.Execute.timeout = 60
"""

# A test in otter's format that is the tests cell of nbgrader's notebook.
_OTTER_TEST = """\
from otter.test_files import test_case

OK_FORMAT = False
name = {problem!r}
points = {points!r}


@test_case()
def public_tests(env):
    exec(compile({source!r}, "tests of " + name, "exec"), env)
"""


def program(name: str) -> Path:
    return ENVIRONMENT / "bin" / name


def make_environment() -> None:
    """Made once: a few minutes, and torch is downloaded again unless pip has kept it."""
    ready = ENVIRONMENT / ".ready"
    wanted = "\n".join([*_REQUIREMENTS, (ROOT / "constraints.txt").read_text()])
    if ready.is_file() and ready.read_text() == wanted:
        return
    print("Setting up build/bench/peers: a few minutes the first time", file=sys.stderr, flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    pip = [program("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*pip, "-c", ROOT / "constraints.txt", *_REQUIREMENTS], capture_output=True, text=True)
    if done.returncode:
        raise CommandFailed(
            f"The peers can't be installed. Look at what pip says, or run with --no-peers:\n{done.stderr}"
        )
    ready.write_text(wanted)


def versions() -> dict[str, str]:
    code = "import json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in %r}))"
    names = ["nbgrader", "otter-grader", "torch", "numpy"]
    done = subprocess.run([program("python"), "-c", code % names], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def make_stock(folder: Path) -> None:
    """Turn a course folder into one that knows nothing of ours."""
    (folder / "nbgrader_config.py").write_text(_STOCK_CONFIG)
    measure(folder, [program("nbgrader"), "generate_assignment", ASSIGNMENT, "--force"])


def make_otter(folder: Path, course: Path, release: NotebookNode) -> None:
    """otter's folder: the submissions of `course`, and autograder.zip.

    The public tests stand in otter's test files, so the cells that hold them are left out of the notebooks.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tests").mkdir(parents=True)
    (folder / "submissions").mkdir()
    for cell in filter(_is_tests, release.cells):
        facts = cell.metadata.nbgrader
        problem = facts.grade_id.removeprefix("test_")
        test = _OTTER_TEST.format(problem=problem, points=facts.points, source=cell.source)
        (folder / "tests" / f"{problem}.py").write_text(test, encoding="utf-8")
    for path in course.glob(f"submitted/*/{ASSIGNMENT}/*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"] = [cell for cell in notebook["cells"] if not _is_tests(cell)]
        made = folder / "submissions" / f"{path.parts[-3]}.ipynb"
        made.write_text(json.dumps(notebook), encoding="utf-8")
    packages = [name for name in _REQUIREMENTS if not name.startswith(("nbgrader", "otter"))]
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.split("==")[0] in packages]
    (folder / "requirements.txt").write_text("\n".join(pins) + "\n")  # of the image of `otter grade`
    measure(folder, [program("otter"), "generate", "-t", "tests"])


def _is_tests(cell: dict) -> bool:
    facts = cell["metadata"].get("nbgrader", {})
    return bool(facts.get("grade") and not facts.get("solution"))


def otter_run(folder: Path, count: int) -> Measured:
    """`otter run` takes one notebook: here in a loop over all of them."""
    otter = shlex.quote(str(program("otter")))
    loop = (
        "for notebook in submissions/*.ipynb; do "
        'out=results/$(basename "$notebook" .ipynb); mkdir -p "$out"; '
        f'{otter} run --no-logo -o "$out" "$notebook" || exit 1; done'
    )
    found = measure(folder, ["/bin/sh", "-c", loop])
    _must_be(count, len(list(folder.glob("results/*/results.json"))), "otter run", found)
    return found


def docker_answers() -> bool:
    try:
        return not subprocess.run(["docker", "version"], capture_output=True, timeout=30).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def otter_grade(folder: Path, count: int, containers: int) -> Measured:
    """`otter grade`: a container for each notebook. Its image is made before the watch starts, by grading one."""
    grade = [program("otter"), "grade", "-n", "bench", "-a", "autograder.zip", "--containers", str(containers)]
    first = min(folder.glob("submissions/*.ipynb"))
    measure(folder, [*grade, first])
    found = measure(folder, [*grade, "submissions"])
    grades = folder / "final_grades.csv"
    rows = grades.read_text().splitlines()[1:] if grades.is_file() else []
    _must_be(count, len(rows), "otter grade", found)
    return replace(found, memory=())  # the containers belong to Docker's engine, and not to this process tree


def _must_be(wanted: int, graded: int, name: str, found: Measured) -> None:
    if graded != wanted:
        raise CommandFailed(f"{name} graded {graded} of {wanted}:\n{found.output[-3000:]}")
