"""A graded class of the tiny course, without the grading: its gradebook, its reports and its submitted/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import tiny_course
from nbgrader.api import Gradebook

from grader.course import Course, load_course
from grader.grades import CellGrade, Graded
from grader.report import CheckResult, Diagnosis, ProblemResult, Report, Verdict

PROBLEMS: Mapping[str, Mapping[str, float]] = {
    "centered": {"one_column": 10, "each_column": 20, "the_dtype_stays": 5, "no_loop_over_numbers": 5},
    "softmax": {"small_numbers": 10, "large_numbers": 20, "each_row_sums_to_one": 10},
    "Average": {"of_one_number": 5, "of_several_numbers": 10, "two_averages_are_apart": 5},
    "largest": {"in_the_middle": 2, "of_equal_ones": 2, "below_zero": 1},
}
BONUS = "largest"
DUE = datetime(2027, 3, 26, 22, 59, tzinfo=UTC)
WHY, WHY_POINTS = "why", 5.0
VIEW = "It returns a view of its input `{}`: when one changes, so does the other. Return a copy."
PRINTS = "It prints its answer and returns nothing: end it with `return`."


def report(
    *lost: str,
    untouched: Iterable[str] = (),
    diagnosed: Mapping[str, Diagnosis] | None = None,
    verdict: Verdict = Verdict.WRONG,
    message: str = "differs",
    notes: tuple[str, ...] = (),
    habits: Mapping[str, tuple[str, ...]] | None = None,
) -> Report:
    """The report of a student who loses these checks, and leaves these problems as they are."""
    assert set(lost) <= {check for checks in PROBLEMS.values() for check in checks}

    def result(problem: str, name: str, points: float) -> CheckResult:
        facts = {"name": name, "title": f"The check {name}.", "points": points}
        if problem in untouched:
            told = f"{problem} still raises NotImplementedError"
            return CheckResult(verdict=Verdict.NOT_ATTEMPTED, score=0, message=told, **facts)
        if name in lost:
            return CheckResult(verdict=verdict, score=0, message=message, hint="Think.", **facts)
        return CheckResult(verdict=Verdict.PASSED, score=points, **facts)

    problems = tuple(
        ProblemResult(
            name=name,
            bonus=name == BONUS,
            checks=tuple(result(name, check, points) for check, points in checks.items()),
            diagnosis=(diagnosed or {}).get(name),
            habits=(habits or {}).get(name, ()),
        )
        for name, checks in PROBLEMS.items()
    )
    return Report(
        course="tiny-course",
        assignment=tiny_course.NAME,
        submission="tiny.ipynb",
        digest="0",
        score=sum(problem.score for problem in problems),
        points=100,
        bonus_points=5,
        problems=problems,
        notes=notes,
    )


def diagnosis(name: str = "one_mean_for_all", *, sure: bool = True, **changed: str) -> Diagnosis:
    facts = {"message": f"You hold {name}.", "lecture": "Lecture 1, Means"}
    return Diagnosis(misconception=name, sure=sure, **{**facts, **changed})


@dataclass(frozen=True)
class Submitted:
    """One student's submission. `why`: points for the answer in words; None if it waits for a person."""

    report: Report = field(default_factory=report)
    why: float | None = None
    late: timedelta = timedelta(-1)
    penalty: float = 0.0

    def graded(self, student: str) -> Graded:
        """What the gradebook holds of it."""
        cells = [
            CellGrade(f"test_{one.name}", 0.0 if one.bonus else one.points, one.score, waiting=False, written=False)
            for one in self.report.problems
        ]
        cells.append(CellGrade(WHY, WHY_POINTS, self.why, waiting=self.why is None, written=True))
        return Graded(student, DUE + self.late, penalty=self.penalty, cells=tuple(cells))


def write_class(root: Path, submitted: Mapping[str, Submitted], *, missing: Mapping[str, str] | None = None) -> Course:
    """The tiny course in `root` with its class. missing: who has handed nothing in, student -> first name."""
    course = load_course(tiny_course.write(root))
    name = tiny_course.NAME
    reports = course.folder("reports") / name
    reports.mkdir(parents=True)
    (root / "gradebook.db").write_bytes(_ungraded())
    with Gradebook(course.gradebook_url, course.id) as gradebook:
        for student, first_name in (missing or {}).items():
            gradebook.add_student(student, first_name=first_name)
        for student, one in submitted.items():
            gradebook.add_student(student)
            stamp = (DUE + one.late).replace(tzinfo=None)
            submission = gradebook.add_submission(name, student, timestamp=stamp)
            submission.notebooks[0].late_submission_penalty = one.penalty
            for grade in submission.notebooks[0].grades:
                grade.needs_manual_grade = grade.name == WHY and one.why is None
                if grade.name == WHY:
                    grade.manual_score = one.why
                else:
                    scored = one.report.problem(grade.name.removeprefix("test_"))
                    grade.auto_score, grade.extra_credit = (0, scored.score) if scored.bonus else (scored.score, None)
            gradebook.db.commit()
            (reports / f"{student}.json").write_text(one.report.model_dump_json(), encoding="utf-8")
            hand_in(course, student)
    return course


@cache
def _ungraded() -> bytes:
    """A gradebook that knows the assignment and nobody. nbgrader takes seconds to make one: it starts alembic."""
    name = tiny_course.NAME
    with TemporaryDirectory() as folder:
        file = Path(folder) / "gradebook.db"
        with Gradebook(f"sqlite:///{file}", "tiny-course") as gradebook:
            gradebook.add_assignment(name, course_id="tiny-course")
            gradebook.add_notebook(name, name)
            for problem, checks in PROBLEMS.items():
                points = 0 if problem == BONUS else sum(checks.values())
                gradebook.add_grade_cell(f"test_{problem}", name, name, max_score=points, cell_type="code")
            gradebook.add_grade_cell(WHY, name, name, max_score=WHY_POINTS, cell_type="markdown")
        return file.read_bytes()


def hand_in(course: Course, student: str) -> None:
    (course.folder("submitted") / student / tiny_course.NAME).mkdir(parents=True)


def ordinary_class() -> dict[str, Submitted]:
    """A class with something of everything."""
    loops = diagnosis("one_by_one", message="You loop over the numbers.", lecture="Lecture 1, Arrays")
    means = diagnosis(message="You subtract one mean of the `whole` array.")
    perhaps = diagnosis(sure=False, message="You subtract one mean of the `whole` array.")
    return {
        "student01": Submitted(why=5.0),
        "student02": Submitted(report("no_loop_over_numbers", diagnosed={"centered": loops})),
        "student03": Submitted(report("each_column", "the_dtype_stays", diagnosed={"centered": means}), why=2.5),
        "student04": Submitted(
            report("each_column", diagnosed={"centered": perhaps}), late=timedelta(hours=30), penalty=8
        ),
        "student05": Submitted(report("each_column", "large_numbers", "below_zero", diagnosed={"centered": means})),
        "student06": Submitted(
            report("of_one_number", untouched=("softmax", "largest"), habits={"Average": (VIEW.format("values"),)})
        ),
        "student07": Submitted(report(untouched=PROBLEMS), why=0.0),
        "student08": Submitted(
            report(
                "large_numbers",
                notes=("The process was ended.",),
                verdict=Verdict.TIMED_OUT,
                habits={"softmax": (VIEW.format("z"), PRINTS)},
            )
        ),
    }
