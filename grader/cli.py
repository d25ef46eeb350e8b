"""The `grader` command. Exit codes: 0 done, 1 something is wrong with what was looked at, 2 usage or course fault,
3 this machine can't confine student code."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader import __version__
from grader.checks import AuthorError
from grader.course import Course, CourseError, load_course
from grader.doctor import diagnosis_of_machine
from grader.outputs import safe_text
from grader.progress import RunProgress
from grader.report import Report, Verdict
from grader.sandbox import Sandbox, SandboxError

if TYPE_CHECKING:
    from grader.class_report import ClassReport, CourseReport, Statistic
    from grader.explain import Explanation
    from grader.regrade import StudentChange

# jsonschema, which looks at notebooks, builds a parser of web addresses from it: a second of every command. It does
# without where it is missing, and no notebook has an address to look at.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    epilog="Exit codes: 0 done; 1 something is wrong with what was looked at; 2 usage or course fault; "
    "3 this machine can't confine student code.",
)
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

_FAILED, _FAULT, _UNSAFE = 1, 2, 3

CourseOption = Annotated[
    Path, typer.Option("--course", metavar="FOLDER", help="The folder with course.yaml, or one below it.")
]
AssignmentArguments = Annotated[
    list[str] | None, typer.Argument(metavar="[ASSIGNMENT]...", help="Default: all that are available.")
]


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"grader {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Auto-graded homework for a deep learning course: notebooks in, scores with reasons out."""


@contextmanager
def _told(*others: type[Exception]) -> Iterator[None]:
    """Errors that a person can mend are told in a sentence, not in a traceback."""
    faults: tuple[type[Exception], ...] = (CourseError, AuthorError, *others)
    try:
        yield
    except faults as error:
        err.print(f"[bold red]grader:[/] {escape(str(error))}")
        raise typer.Exit(_FAULT) from None
    except SandboxError as error:
        err.print(f"[bold red]grader:[/] {escape(str(error))}")
        raise typer.Exit(_UNSAFE) from None


def _sandbox(course: Course) -> Sandbox:
    return Sandbox(private=(course.root,), confined=course.sandbox == "on")


def _names(course: Course, wanted: list[str] | None) -> list[str]:
    if wanted:
        return [course.assignment(name).name for name in wanted]
    return [assignment.name for assignment in course.assignments if assignment.available]


@app.command(epilog="Example: `grader build lecture05_batch_and_momentum`")
def build(
    assignments: AssignmentArguments = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a notebook is out of date.")] = False,
    course: CourseOption = Path("."),
) -> None:
    """Make the students' notebooks in assignments/ from solutions/ and the hidden tests."""
    from grader.build import build as build_assignment
    from grader.build import outdated
    from grader.material import Material

    with _told():
        loaded = load_course(course)
        stale = []
        for name in _names(loaded, assignments):
            material = Material(loaded, name)
            if check:
                stale += [name] if outdated(material) else []
            else:
                out.print(escape(str(build_assignment(material, loaded.folder("release")))))
    if stale:
        err.print(f"[red]Out of date:[/] {', '.join(stale)}. Run: grader build {' '.join(stale)}")
        raise typer.Exit(_FAILED)


@app.command(epilog="Example: `grader validate lecture05_batch_and_momentum --json`")
def validate(
    assignments: AssignmentArguments = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Another seed than the course's: next year's, say.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    course: CourseOption = Path("."),
) -> None:
    """Test the hidden tests: the reference gets full marks, the stub none, every mistake loses, every check earns
    its place, and every right alternative keeps its marks."""
    from grader.material import Material
    from grader.validate import validate as validate_assignment

    with _told():
        loaded = load_course(course)
        if seed is not None:
            loaded = loaded.model_copy(update={"seed": seed})
        with _sandbox(loaded) as sandbox:
            found = [validate_assignment(Material(loaded, name), sandbox) for name in _names(loaded, assignments)]
    if as_json:
        print(json.dumps([one.model_dump() for one in found], indent=2))
    else:
        table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("assignment", no_wrap=True)
        for column in ("checks", "reference", "stub", "caught", "diagnosed", "kept"):
            table.add_column(column, justify="right")
        for one in found:
            table.add_row(
                one.assignment,
                str(one.checks),
                f"{one.reference:g}/{one.points + one.bonus_points:g}",
                f"{one.stub:g}",
                f"{one.caught}/{one.misconceptions}",
                f"{one.diagnosed}/{one.misconceptions}",
                f"{one.accepted}/{one.alternatives}",
            )
        out.print(table)
        for one in found:
            for fault in one.faults:
                err.print(f"[red]{one.assignment}:[/] {escape(fault)}")
            for name in one.undiagnosed:
                err.print(f"[yellow]{one.assignment}:[/] misconception {name} loses points, but is not diagnosed")
    if not all(one.valid for one in found):
        raise typer.Exit(_FAILED)


@app.command(
    epilog="Example: `grader grade submitted/student01/lecture05_batch_and_momentum/notebook.ipynb --html r.html`"
)
def grade(
    notebook: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The student's notebook.")],
    assignment: Annotated[str, typer.Option(help="Which assignment; found out from the notebook if left out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page.")] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write the report as JUnit XML, for continuous integration.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help='Write a summary: into "$GITHUB_STEP_SUMMARY", say.')] = None,
    course: CourseOption = Path("."),
) -> None:
    """Grade one notebook. No gradebook is touched."""
    from grader.grade import grade as grade_submission
    from grader.junit import junit_report
    from grader.markdown import markdown_report
    from grader.material import Material
    from grader.pages import report_page
    from grader.submission import Submission

    with _told():
        loaded = load_course(course)
        submission = Submission.read(notebook)
        with _sandbox(loaded) as sandbox:
            sandbox.start()
            material = Material(loaded, assignment or _assignment_of(loaded, notebook))
            report = grade_submission(submission, material, sandbox)
        if html is not None:
            html.write_text(report_page(report, material.assignment.title), encoding="utf-8")
        if junit is not None:
            junit.write_text(junit_report(report), encoding="utf-8")
        if markdown is not None:
            markdown.write_text(markdown_report(report), encoding="utf-8")
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        _print_report(report)


def _assignment_of(course: Course, notebook: Path) -> str:
    found = [one.name for one in course.assignments if one.name in str(notebook.absolute())]
    if not found:
        raise CourseError(
            f"{notebook}: its path names no assignment. Add --assignment, one of {', '.join(_names(course, None))}"
        )
    return max(found, key=str(notebook.absolute()).rindex)


def _print_report(report: Report) -> None:
    table = Table(title=f"{report.score:g} of {report.points:g} points", title_justify="left", show_lines=False)
    for column, justify in (("problem", "left"), ("score", "right"), ("what happened", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for problem in report.problems:
        told = [
            f"{check.title} [red]{escape(check.message)}[/]"
            for check in problem.checks
            if check.verdict is not Verdict.PASSED
        ]
        if all(check.verdict is Verdict.NOT_ATTEMPTED for check in problem.checks):
            told = [f"[dim]{escape(problem.checks[0].message)}[/]"]
        if problem.diagnosis:
            told.insert(0, f"[yellow]{escape(problem.diagnosis.message)}[/]")
        style = "green" if problem.score == problem.points else "red"
        table.add_row(problem.name, f"[{style}]{problem.score:g} / {problem.points:g}[/]", "\n".join(told))
    out.print(table)
    for cell in report.cells:
        out.print(f"Cell {cell.cell} {escape(cell.message)}")
    for note in report.notes:
        out.print(f"[yellow]{escape(note)}[/]")


def _warn(message: str) -> None:
    err.print(f"[yellow]{escape(message)}[/]")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@app.command(epilog="Example: `grader autograde lecture05_batch_and_momentum --student student07 --force`")
def autograde(
    assignment: Annotated[str, typer.Argument(help="The assignment.")],
    student: Annotated[str, typer.Option(help="Grade this student only.")] = "",
    problem: Annotated[
        str, typer.Option(help="Grade this problem only, again where it is graded; the others stay as they are.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Grade again what has been graded already.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="How many at a time; 0: one for each core.")] = 0,
    dask: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Grade on the Dask cluster of this scheduler: docs/cluster.md.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    course: CourseOption = Path("."),
) -> None:
    """Grade every submission under submitted/, into the gradebook. What has not changed is not graded again."""
    if jobs and dask:
        raise typer.BadParameter("--jobs is for this machine and --dask for a cluster: give one of them.")
    with _told(), _sandbox(loaded := load_course(course)) as sandbox:
        if not dask:
            sandbox.start()  # in the background: importing what follows takes as long
        from grader.autograde import Autograder
        from grader.cluster import Cluster, ClusterError

        with _told(ClusterError), ExitStack() as stack:
            cluster = stack.enter_context(Cluster(dask, _warn)) if dask else None
            autograder = stack.enter_context(Autograder(loaded, assignment, sandbox, problem))
            waiting = autograder.waiting(student, force=force)
            with RunProgress(err, len(waiting)) as progress:
                for _ in autograder.grade(waiting, jobs or _cores(), cluster):
                    progress.advance(autograder.verdicts)
            outcome = autograder.outcome
    if as_json:
        print(outcome.model_dump_json(indent=2))
    else:
        count = len(outcome.graded)
        out.print(f"{count} submission{'' if count == 1 else 's'} graded, {outcome.unchanged} unchanged.")
        for line in outcome.troubled:
            out.print(f"[yellow]{escape(line)}[/]")
        for line in outcome.failed:
            err.print(f"[red]{escape(line)}[/]")
    if outcome.failed:
        raise typer.Exit(_FAILED)


@app.command(epilog="Example: `grader report lecture05_batch_and_momentum`")
def report(
    assignment: Annotated[str, typer.Argument(help="The assignment; the whole course if left out.")] = "",
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page to write. CSV and JSON go beside it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, too.")] = False,
    course: CourseOption = Path("."),
) -> None:
    """Write the class report: what the class got wrong and why, which checks tell, who has not handed in."""
    from grader.publish import publish_class, publish_course

    with _told():
        loaded, output = load_course(course), _page(output)
        made: ClassReport | CourseReport
        if assignment:
            made, page = publish_class(loaded, assignment, output)
            summary = _class_summary(made)
        else:
            made, page = publish_course(loaded, output)
            summary = _course_summary(made)
    if as_json:
        print(made.model_dump_json(indent=2))
        return
    out.print(summary)
    for fault in made.faults:
        out.print(f"[yellow]{escape(fault)}[/]")
    out.print(escape(str(page)), soft_wrap=True)


@app.command(epilog="Example: `grader similar lecture05_batch_and_momentum`")
def similar(
    assignment: Annotated[str, typer.Argument(help="The assignment.")],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page to write. CSV and JSON go beside it.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.01, max=1, help="The share of the shorter answer that has to be alike.")
    ] = 0.6,
    as_json: Annotated[bool, typer.Option("--json", help="Print the pairs as JSON, too.")] = False,
    course: CourseOption = Path("."),
) -> None:
    """Write which submissions share code that few others have, side by side. It is no proof, and changes no score.

    What the course gave, known answers and what much of the class has do not count; names and comments make no
    difference. The page says how pairs are found, and what it can't know.
    """
    from grader.publish import publish_similar

    with _told():
        made, page = publish_similar(load_course(course), assignment, _page(output), threshold, _cores())
    if as_json:
        print(made.model_dump_json(indent=2))
        return
    table = Table("students", "score", "problems", box=SIMPLE)
    for pair in made.pairs[:10]:
        table.add_row(
            escape(" and ".join(pair.students)), f"{pair.score:g}", ", ".join(one.problem for one in pair.problems)
        )
    if made.pairs:
        out.print(table)
    count = len(made.pairs) + made.left_out
    out.print(f"{made.compared} submissions compared, {count} pair{'' if count == 1 else 's'} to look at.")
    for fault in made.faults:
        out.print(f"[yellow]{escape(fault)}[/]")
    out.print(escape(str(page)), soft_wrap=True)


def _page(output: Path | None) -> Path | None:
    if output is not None and output.suffix != ".html":
        raise CourseError(f"{output} is no page: name a file that ends in .html")
    return output


def _class_summary(report: ClassReport) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title_justify="left")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("handed in", f"{len(report.handed_in)} of {len(report.students)}, {len(report.late)} late")
    table.add_row("median", _shown(report.median, f" of {report.points:g} points"))
    table.add_row("reliability", _shown(report.reliability, " (Cronbach's alpha)"))
    table.add_row(
        "to do", f"{len(report.waiting)} wait for a person, {sum(bool(s.notes) for s in report.students)} need a look"
    )
    for held in report.misconceptions[:3]:
        perhaps = f", {len(held.perhaps)} of them perhaps" if held.perhaps else ""
        lecture = f" [dim]({escape(held.lecture)})[/]" if held.lecture else ""
        students = "1 student" if len(held.holders) == 1 else f"{len(held.holders)} students"
        table.add_row("explain again", f"{students}{perhaps}: {escape(held.message)}{lecture}")
    return table


def _course_summary(report: CourseReport) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("assignment", no_wrap=True)
    for column in ("handed in", "median %", "alpha", "late", "waiting"):
        table.add_column(column, justify="right")
    for one in report.assignments:
        share = "" if one.median.value is None else f"{100 * one.median.value:.0f}"
        alpha = "" if one.reliability.value is None else f"{one.reliability.value:.2f}"
        table.add_row(one.assignment, str(one.handed_in), share, alpha, str(one.late), str(one.waiting))
    return table


def _shown(one: Statistic, unit: str) -> str:
    return f"{round(one.value, 2):g}{unit}" if one.value is not None else one.why


class Format(StrEnum):
    """What `grader export` can write."""

    GRADESCOPE = "gradescope"
    CANVAS = "canvas"
    MOODLE = "moodle"
    CSV = "csv"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"


@app.command(
    epilog="Example: `grader export canvas lecture05_batch_and_momentum --sheet downloaded.csv --output up.csv`"
)
def export(
    format: Annotated[Format, typer.Argument(help="Who it is for.")],
    assignment: Annotated[str, typer.Argument(help="The assignment.")],
    output: Annotated[
        Path | None, typer.Option(help="The file to write; printed if left out. Gradescope: ASSIGNMENT-autograder.zip.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Canvas, Moodle: the sheet that you downloaded there, to fill in."
        ),
    ] = None,
    column: Annotated[str, typer.Option(help="Canvas, Moodle: the title of the column for the scores.")] = "",
    id_column: Annotated[
        str, typer.Option(help="Canvas, Moodle: the title of the column with the students' ids.")
    ] = "",
    missing_zero: Annotated[
        bool, typer.Option("--missing-zero", help="A zero for who handed nothing in. Default: no score at all.")
    ] = False,
    visibility: Annotated[
        str, typer.Option(help="Gradescope: when students see what the hidden tests found, as Gradescope calls it.")
    ] = "after_published",
    course: CourseOption = Path("."),
) -> None:
    """Write the scores for another system: the final ones, from the gradebook, late penalties taken off.

    **canvas**, **moodle**: a CSV file to import. With --sheet, the one that you downloaded there, filled in: nothing
    else in it changes, and you are told who is in only one of the two. **csv**: score, penalty, problems and checks.
    **json**: the same with all that the checks found. **junit**, **markdown**: for continuous integration.
    **gradescope**: no scores, but an autograder.zip that grades there.
    """
    from grader import gradescope
    from grader.junit import junit_class
    from grader.markdown import markdown_class
    from grader.material import Material
    from grader.scores import read_scores
    from grader.sheets import CANVAS, MOODLE, canvas_sheet, fill, moodle_sheet, score_table

    with _told():
        loaded = load_course(course)
        if format is Format.GRADESCOPE:
            material = Material(loaded, assignment)
            target = output or Path(f"{material.name}-autograder.zip")
            target.write_bytes(gradescope.autograder_zip(material, visibility))
            out.print(escape(str(target)))
            return
        if sheet is not None and format not in (Format.CANVAS, Format.MOODLE):
            raise CourseError(f"--sheet is a sheet of Canvas or Moodle: it does not go with {format.value}")
        scores = read_scores(loaded, assignment)
        remarks = scores.remarks
        if missing_zero:
            scores = scores.missing_as_zero()
        if sheet is not None:
            system = CANVAS if format is Format.CANVAS else MOODLE
            filled = fill(sheet.read_bytes(), sheet.name, scores, system, column, id_column)
            data, remarks = filled.data, [*remarks, *filled.remarks]
        elif format is Format.CANVAS:
            data = canvas_sheet(scores, column, id_column).encode()
        elif format is Format.MOODLE:
            data = moodle_sheet(scores, column, id_column).encode()
        else:
            write = {
                Format.CSV: score_table,
                Format.JSON: lambda scores: scores.model_dump_json(indent=1) + "\n",
                Format.JUNIT: junit_class,
                Format.MARKDOWN: markdown_class,
            }[format]
            data = write(scores).encode()
    if output is not None:
        output.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)
    for remark in remarks:
        err.print(f"[yellow]{escape(safe_text(remark))}[/]")


@app.command(epilog="Example: `grader explain submitted/student05/A/A.ipynb first_step --script appeal.py`")
def explain(
    notebook: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The student's notebook.")],
    check: Annotated[str, typer.Argument(help="The check: its name, or problem::name.")],
    assignment: Annotated[str, typer.Option(help="Which assignment; found out from the notebook if left out.")] = "",
    script: Annotated[
        Path | None, typer.Option(help="Write a Python script that shows the same without the grader.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the explanation as JSON.")] = False,
    course: CourseOption = Path("."),
) -> None:
    """Show a teacher everything about one check of one notebook, the expected answer included: for appeals."""
    from grader.explain import explain as explain_check
    from grader.material import Material
    from grader.submission import Submission

    with _told():
        loaded = load_course(course)
        with _sandbox(loaded) as sandbox:
            sandbox.start()
            material = Material(loaded, assignment or _assignment_of(loaded, notebook))
            found = explain_check(Submission.read(notebook), check, material, sandbox)
    if script is not None:
        script.write_text(found.script, encoding="utf-8")
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        _print_explanation(found, script)


def _print_explanation(found: Explanation, script: Path | None) -> None:
    style = "green" if found.score == found.points else "red"
    tell = partial(out.print, soft_wrap=True)
    tell(f"[yellow]{found.notice}[/]")
    tell(f"\n[bold]{found.problem}::{found.check}[/] of {escape(found.submission)}")
    tell(f"{escape(found.title)} ({found.points:g} points)\nHint: {escape(found.hint)}")
    tell(f"[{style}]{found.verdict}[/] {escape(found.message)}")
    for title, text in (
        ("The check", found.source),
        ("Expected", found.expected),
        ("Observed", found.observed),
        ("Difference", "\n".join(found.difference[:20]) or "none"),
    ):
        tell(f"\n[bold]{title}[/]\n{escape(text)}")
    tell(f"\n[bold]Its first {len(found.calls)} of {found.count} calls, with seed {found.seed}[/]")
    for call in found.calls:
        tell(escape(f"{call.call}\n    expected {call.expected}\n    observed {call.observed}"))
    if told := found.misconception:
        sure = "explains every check of this problem" if told.sure else "explains some checks of this problem"
        same = "the same here" if told.same else "something else here"
        tell(f"\n[bold]Misconception {told.name}[/] ({sure}; it gives {same})")
        tell(escape(f"{told.message} {told.lecture}\n{told.output}"))
    if script is not None and found.script:
        told_so = {True: "Run in the sandbox, it shows the same.", False: "In the sandbox, it shows something else!"}
        shows = "It was not run." if found.reproduces is None else told_so[found.reproduces]
        tell(f"\n{escape(str(script))} needs no grader. {shows}")
        tell("It runs a student's code, with all that you may do: read it first.")


@app.command(epilog="Example: `grader diff lecture05_batch_and_momentum`")
def diff(
    assignment: Annotated[str, typer.Argument(help="The assignment.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the changes as JSON.")] = False,
    course: CourseOption = Path("."),
) -> None:
    """Show what your change of tests or solutions would do to a graded class. Nothing is written.

    Grades every submission anew, and compares with reports/. The scores are those of the checks: what a person gave,
    and late penalties, stay out. Exit code 0 if nothing changes, 1 if something does or could not be compared.
    """
    from grader.material import Material
    from grader.regrade import comparable, regraded

    with _told():
        loaded = load_course(course)
        material = Material(loaded, assignment)
        students = comparable(material)
        with _sandbox(loaded) as sandbox:
            sandbox.start()
            found: list[StudentChange] = []
            counts: Counter[str] = Counter()
            with RunProgress(err, len(students), "scores") as progress:
                for one in regraded(material, sandbox, students):
                    found.append(one)
                    counts["not compared" if one.fault else "changed" if one.changed else "as before"] += 1
                    progress.advance(counts)
    if as_json:
        print(json.dumps([one.model_dump() for one in found], indent=2))
    else:
        _print_changes(found)
    if any(one.changed or one.fault for one in found):
        raise typer.Exit(_FAILED)


def _print_changes(found: list[StudentChange]) -> None:
    changed = [one for one in found if one.changed]
    table = Table("student", "before", "after", "", box=SIMPLE)
    for one in changed:
        gain = one.after - one.before
        style = "green" if gain > 0 else "red" if gain < 0 else "yellow"
        table.add_row(escape(one.student), f"{one.before:g}", f"{one.after:g}", f"[{style}]{gain:+g}[/]")
    if changed:
        out.print(table)
    changes = Counter((one.problem, one.check, one.before, one.after) for each in changed for one in each.checks)
    for (problem, check, before, after), count in changes.items():
        turn = f"{before or 'not there'} → {after or 'gone'}" if before != after else f"{after}, other points"
        out.print(f"{problem}::{check}: {turn} for {count}")
    winners = [one.student for one in changed if one.after > one.before]
    losers = [one.student for one in changed if one.after < one.before]
    out.print(f"{len(found)} submissions: {len(winners)} gain, {len(losers)} lose, {len(changed)} change.")
    for title, names in (("Gain", winners), ("Lose", losers)):
        if names:
            out.print(f"{title}: {escape(', '.join(names))}")
    for one in found:
        if one.fault:
            err.print(f"[red]{escape(one.student)} was not compared:[/] {escape(one.fault)}")


@app.command(epilog="Example: `grader doctor --json`")
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    course: CourseOption = Path("."),
) -> None:
    """Say what this machine can and cannot enforce, and how to mend it. Exit code 3 if grading would refuse."""
    found = diagnosis_of_machine(course)
    if as_json:
        print(json.dumps([vars(one) for one in found], indent=2))
    else:
        table = Table("a submission", "", "by what, or why not", "what to do")
        for one in found:
            mark = "[green]enforced[/]" if one.enforced else "[red]missing[/]"
            table.add_row(one.name, mark, escape(one.detail), escape(one.remedy))
        out.print(table)
    if not all(one.enforced for one in found):
        raise typer.Exit(_UNSAFE)


if __name__ == "__main__":
    sys.exit(app())
