"""Reports as Markdown, for the summary of a job ($GITHUB_STEP_SUMMARY), an issue or a message."""

from __future__ import annotations

import re
from collections.abc import Sequence

from grader.outputs import safe_text
from grader.report import ProblemResult, Report, Verdict
from grader.scores import ClassScores

# All that can begin something: markup, HTML, a link, a mention, a column.
_SIGNS = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&:@$^=\"'/])")


def markdown_report(report: Report) -> str:
    """One submission: its score, and a row for each problem with what happened."""
    lines = [
        f"## {plain(report.assignment)}: {report.score:g} of {report.points:g} points",
        "",
        *(f"> {plain(note)}\n" for note in report.notes),
        *_table(("Problem", "Points", "What happened"), [_row(problem) for problem in report.problems]),
    ]
    lines += [f"\nCell {cell.cell} {plain(cell.message)}" for cell in report.cells]
    return "\n".join(lines) + "\n"


def markdown_class(scores: ClassScores) -> str:
    """A class: a row for each student."""
    rows = []
    for one in scores.students:
        passed = [check.verdict is Verdict.PASSED for problem in _problems(one.report) for check in problem.checks]
        rows.append(
            (
                plain(one.student),
                "" if one.score is None else f"{one.score:g}",
                f"{one.penalty:g}" if one.penalty else "",
                f"{sum(passed)} of {len(passed)}" if passed else "",
                "nothing handed in" if one.raw_score is None else "an answer waits for a person" if one.to_read else "",
            )
        )
    title = f"## {plain(scores.title)}: {scores.points:g} points"
    header = ("Student", "Score", "Late penalty", "Checks passed", "")
    return "\n".join([title, "", *_table(header, rows)]) + "\n"


def _problems(report: Report | None) -> tuple[ProblemResult, ...]:
    return report.problems if report else ()


def _row(problem: ProblemResult) -> tuple[str, ...]:
    lost = [check for check in problem.checks if check.verdict is not Verdict.PASSED]
    told = [
        f"{'✗' if check.verdict is not Verdict.NOT_ATTEMPTED else '–'} {plain(check.title)} {plain(check.message)}"
        for check in lost
    ]
    if lost and all(check.verdict is Verdict.NOT_ATTEMPTED for check in problem.checks):
        told = [f"– {plain(lost[0].message)}"]
    if problem.diagnosis:
        told.insert(0, f"**{plain(problem.diagnosis.message)}**")
    bonus = " (bonus)" if problem.bonus else ""
    return f"{plain(problem.name)}{bonus}", f"{problem.score:g} / {problem.points:g}", "<br>".join(told) or "✓"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (header, ("---",) * len(header), *rows)]


def plain(text: object) -> str:
    """A text that shows as it is, wherever in Markdown it stands: on one line, and with no sign that means anything."""
    return _SIGNS.sub(r"\\\1", " ".join(safe_text(text).split()))
