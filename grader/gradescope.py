"""An autograder.zip for Gradescope, and what runs in it: one assignment, graded as everywhere.

The folders and results.json are those of https://gradescope-autograders.readthedocs.io/en/latest/specs/.
"""

from __future__ import annotations

import io
import json
import platform
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path
from typing import Any, Literal, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruamel.yaml import YAML

from grader import __version__
from grader.checks import AuthorError
from grader.course import FILE, Course, CourseError, load_course
from grader.grade import grade
from grader.intake import plain_files
from grader.material import Material
from grader.outputs import safe_text
from grader.report import CheckResult, ProblemResult, Report, Verdict
from grader.sandbox import Sandbox, SandboxError
from grader.submission import Submission

Visibility = Literal["visible", "after_due_date", "after_published", "hidden"]
"""When students see a hidden test's result. Until they see all of them, Gradescope shows them no score either."""

_TEMPLATES = Path(__file__).parent / "templates" / "gradescope"
_REFUSED = 3


# Packing


def autograder_zip(material: Material, visibility: str = "after_published") -> bytes:
    """The zip file to upload: the grader, the material of this assignment alone, and Gradescope's two scripts."""
    if visibility not in get_args(Visibility):
        raise CourseError(
            f"Gradescope knows no visibility {visibility!r}: choose one of {', '.join(get_args(Visibility))}"
        )
    assert material.tests.checks  # an author's mistake shows here, and not where students wait
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _files(material, visibility):
            entry = zipfile.ZipInfo(name)  # no time: the same material makes the same file
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if data.startswith(b"#!") else 0o644) << 16
            archive.writestr(entry, data)
    return packed.getvalue()


def _files(material: Material, visibility: str) -> Iterator[tuple[str, bytes]]:
    scripts = Environment(loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True)
    facts = {"python": platform.python_version(), "assignment": material.name, "visibility": visibility}
    for name in ("setup.sh", "run_autograder"):
        yield name, scripts.get_template(name).render(facts).encode()
    yield "requirements.txt", "".join(f"{line}\n" for line in _requirements()).encode()
    yield "constraints.txt", "".join(f"{line}\n" for line in _constraints()).encode()
    package = Path(__file__).parent
    for file in _below(package):
        yield f"grader/{file.relative_to(package).as_posix()}", file.read_bytes()
    root = material.course.root
    yield f"course/{FILE}", _course_of_one(material)
    for file in [material.solution_file, *_below(material.hidden_folder)]:
        yield f"course/{file.relative_to(root).as_posix()}", file.read_bytes()


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _requirements() -> list[str]:
    try:
        return [line for line in requires("grader") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        raise CourseError("The grader runs from a folder. Install it, and export again: pip install -e .") from None


def _constraints() -> list[str]:
    """The versions that are installed here: what was validated with them is graded with them."""
    versions = {one.name: one.version.partition("+")[0] for one in distributions() if one.name != "grader"}
    return sorted(f"{name}=={version}" for name, version in versions.items())


def _course_of_one(material: Material) -> bytes:
    """course.yaml with this assignment alone, and without what is of no use there: the gradebook, the folders."""
    facts = material.course.model_dump(mode="json", include={"id", "title", "timezone", "seed", "feedback", "sandbox"})
    facts["limits"] = material.course.limits.model_dump(mode="json")
    facts["assignments"] = [material.assignment.model_dump(mode="json")]
    written = io.BytesIO()
    YAML().dump(facts, written)
    return written.getvalue()


# Running: python -m grader.gradescope ROOT ASSIGNMENT VISIBILITY


def main(root: Path, assignment: str, visibility: str) -> int:
    """Grade ROOT/submission, and write ROOT/results/results.json. Where nothing can be graded, nothing is written:
    Gradescope then says that the autograder failed, which is no zero. What is printed, the instructor sees."""
    started = time.monotonic()
    try:
        results = _graded(load_course(root / "source" / "course"), assignment, root / "submission", visibility)
    except SandboxError as error:
        print(
            f"Nothing was graded, and nobody got a zero: {error}\n"
            "Gradescope runs each submission in a container of its own. If that is enough for you, write "
            "`sandbox: off` in your course.yaml and export again. A submission can then read the solutions that lie "
            "beside it, and write its own results.json.",
            flush=True,
        )
        return _REFUSED
    except (AuthorError, CourseError) as error:
        print(f"Nothing was graded, and nobody got a zero: {error}", flush=True)
        return 2
    results["execution_time"] = round(time.monotonic() - started, 1)
    file = root / "results" / "results.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def _graded(course: Course, assignment: str, folder: Path, visibility: str) -> dict[str, Any]:
    files, left_out = plain_files(folder)
    notebooks = [file for file in files if file.suffix == ".ipynb" and ".ipynb_checkpoints" not in file.parts]
    named = [file for file in notebooks if file.name == f"{assignment}.ipynb"] or notebooks
    if len(named) != 1:
        there = ", ".join(safe_text(file.relative_to(folder)) for file in named) or "no notebook"
        told = f"Hand in {assignment}.ipynb, and no other notebook. Here is {there}. {' '.join(left_out)}"
        return _results(told.strip(), [], 0.0)
    with Sandbox(private=(course.root,), confined=course.sandbox == "on") as sandbox:
        sandbox.start()
        report = grade(Submission.read(named[0]), Material(course, assignment), sandbox)
    return results_of(report, visibility, left_out)


def results_of(report: Report, visibility: str, left_out: list[str] | None = None) -> dict[str, Any]:
    """A report as results.json. Late days and answers in words are Gradescope's to grade."""
    tests = [_test(problem, check, visibility) for problem in report.problems for check in problem.checks]
    cells = "\n".join(f"Cell {cell.cell} {cell.message}" for cell in report.cells)
    # Tells of the student's own cells only, so it need not wait: is it the right file, and does it run?
    runs = {
        "name": "The notebook runs",
        "status": "failed" if cells else "passed",
        "output": cells or "Every cell ran to its end.",
        "output_format": "text",
        "visibility": "visible",
    }
    found = _results("\n".join([*report.notes, *(left_out or [])]), [runs, *tests], report.score)
    found["extra_data"] = {"grader": __version__, "assignment": report.assignment, "digest": report.digest}
    return found


def _results(output: str, tests: list[dict[str, Any]], score: float) -> dict[str, Any]:
    return {
        "score": score,
        "output": output,
        "output_format": "text",
        # Students' own messages, and the instructor's: never for students.
        "stdout_visibility": "hidden",
        "tests": tests,
    }


def _test(problem: ProblemResult, check: CheckResult, visibility: str) -> dict[str, Any]:
    told = [check.message, f"Hint: {check.hint}" if check.hint else ""]
    if problem.diagnosis and check.verdict is not Verdict.PASSED:
        perhaps = "" if problem.diagnosis.sure else "Perhaps: "
        told.insert(0, f"{perhaps}{problem.diagnosis.message}")
    return {
        "name": f"{problem.name}: {check.title}",
        "score": check.score,
        "max_score": 0.0 if problem.bonus else check.points,
        "status": "passed" if check.verdict is Verdict.PASSED else "failed",
        "output": "\n".join(filter(None, told)),
        "output_format": "text",
        "visibility": visibility,
        "tags": [problem.name, *(["bonus"] if problem.bonus else [])],
        "extra_data": {"check": check.name, "verdict": check.verdict.value},
    }


if __name__ == "__main__":
    _, where, *which = sys.argv
    sys.exit(main(Path(where), *which))
