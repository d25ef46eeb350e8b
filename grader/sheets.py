"""ClassScores as CSV: a plain table, and the grade sheets of Canvas and Moodle, new or filled in.

Sources: Canvas' gradebook_importer.rb and gradebook_exporter.rb; Moodle's mod/assign/feedback/offline and
grade/import/csv, and the pages on them in both manuals.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.course import CourseError
from grader.outputs import csv_text, safe_cell, safe_text
from grader.pages import sentences
from grader.scores import ClassScores, StudentScore

_SEPARATORS = ",;\t"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class System:
    """A learning management system. `ids` are the columns that tell who a row is about, the likeliest first."""

    name: str
    ids: tuple[str, ...]
    grade: tuple[str, ...] = ()
    feedback: str = ""
    most: str = ""


CANVAS = System("Canvas", ("ID", "SIS User ID", "SIS Login ID", "Integration ID"))
MOODLE = System(
    "Moodle",
    ("Identifier", "Username", "ID number", "Email address", "User ID"),
    grade=("Grade",),
    feedback="Feedback comments",
    most="Maximum grade",
)


def score_table(scores: ClassScores) -> str:
    """One row a student: score, penalty, then each problem, then each check of it as "problem: check"."""
    checks = {
        f"{problem.name}: {check.name}": (problem.name, check.name)
        for one in scores.students
        if one.report
        for problem in one.report.problems
        for check in problem.checks
    }
    header = ["student", "last name", "first name", "email", "score", "points", "raw score", "late penalty", "to read"]
    rows: list[list[object]] = []
    for one in scores.students:
        found = {
            (problem.name, check.name): check.score
            for problem in (one.report.problems if one.report else ())
            for check in problem.checks
        }
        rows.append(
            [
                *(one.student, one.last_name, one.first_name, one.email),
                *(one.score, scores.points, one.raw_score, one.penalty, "yes" if one.to_read else ""),
                *(one.problems.get(name) for name in scores.problems),
                *(found.get(place) for place in checks.values()),
            ]
        )
    return csv_text([*header, *scores.problems, *checks], rows)


def canvas_sheet(scores: ClassScores, column: str = "", id_column: str = "") -> str:
    """A file for Canvas' gradebook import. Canvas finds the assignment by its title, or makes a new one.

    id_column: what the students' ids are in Canvas; by default numbers are its own ("ID"), others "SIS Login ID".
    """
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    if id_column and id_column not in header[1:4]:
        raise CourseError(f"Canvas knows students by {', '.join(header[1:4])}, and not by {id_column!r}")
    rows: list[list[object]] = [["Points Possible", "", "", "", "", scores.points]]
    for one in scores.students:
        ids = {"ID": one.lms_user_id}
        ids[id_column or ("ID" if one.student.isdigit() else "SIS Login ID")] = one.student
        rows.append([one.name, *(ids.get(name, "") for name in header[1:]), one.score])
    table = csv_text([*header, column or scores.title], rows)
    return table.replace("\r\nPoints", "\r\n    Points", 1)  # as Canvas itself writes it


def moodle_sheet(scores: ClassScores, column: str = "", id_column: str = "") -> str:
    """A file for Moodle: its offline grading worksheet where the ids are numbers from a download, else grade import.

    id_column: what the students' ids are in Moodle, such as "ID number".
    """
    if not id_column:
        id_column = "Identifier" if all(one.student.isdigit() for one in scores.students) else "Username"
    worksheet = id_column == "Identifier"
    header = [id_column, column or ("Grade" if worksheet else scores.title)]
    header += [*(["Last modified (grade)"] if worksheet else []), MOODLE.feedback]
    rows: list[list[object]] = []
    for one in scores.students:
        who = f"Participant {one.student}" if worksheet else one.student
        rows.append([who, one.score, *([""] if worksheet else []), _feedback(one)])
    return csv_text(header, rows)


def _feedback(one: StudentScore) -> str:
    """What a student is told, as the HTML that Moodle takes it for; ASCII, so that it fits into any sheet."""
    told = list(sentences(one.report)) if one.report else []
    if one.penalty:
        told.append(f"{one.penalty:g} points are taken off for being late")
    return html.escape("; ".join(told)).encode("ascii", "xmlcharrefreplace").decode()


# Filling in


@dataclass(frozen=True)
class Filled:
    """A sheet with the scores in it, and what a person should know: who is in one of the two only."""

    data: bytes
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Field:
    """A field of a CSV file, and where in its text it stands."""

    start: int
    raw: str

    @property
    def value(self) -> str:
        quoted = len(self.raw) > 1 and self.raw[0] == self.raw[-1] == '"'
        return self.raw[1:-1].replace('""', '"') if quoted else self.raw


def fill(sheet: bytes, name: str, scores: ClassScores, system: System, column: str = "", id_column: str = "") -> Filled:
    """Write scores into a sheet that came from `system`: every byte stays but those of the cells that get a score.

    name: the sheet's, for messages. A cell of a student without a score stays as it is. CourseError says why a sheet
    can't be used.
    """
    # Whatever the encoding: what is looked for and what is written is ASCII, and all else comes out as it came in.
    text = sheet.decode("utf-8", "surrogateescape")
    if "\0" in text:
        raise CourseError(f"{name} is no CSV file in UTF-8. Save it as that, or download it again")
    separator, (header, *rows) = _records(text)
    titles = [field.value.strip() for field in header]
    grade = _grade_column(titles, name, scores, system, column)
    ids = _ids(scores)
    who = _id_column(titles, rows, ids, name, system, id_column)
    feedback = titles.index(system.feedback) if system.feedback in titles else None
    comma = separator == ";" and any(re.fullmatch(r"\d+,\d+", row[grade].value) for row in rows if grade < len(row))

    changes: list[tuple[_Field, str]] = []
    lost, kept, seen = [], [], Counter[str]()
    for row in rows:
        if len(row) <= max(grade, who) or not _is_student(row):
            continue
        one = ids.get(_key(row[who].value, ids))
        if one is None:
            lost.append(" ".join(safe_text(field.value) for field in row[: who + 1] if field.value.strip()))
            continue
        seen[one.student] += 1
        if one.score is None:
            continue
        if row[grade].value.strip().upper() == "EX":
            kept.append(f"{one.student} is excused")
            continue
        written = safe_cell(one.score)
        changes.append((row[grade], written.replace(".", ",") if comma else written))
        if feedback is not None and feedback < len(row) and (told := _feedback(one)):
            if row[feedback].value.strip():
                kept.append(f"{one.student} has feedback")
            else:
                changes.append((row[feedback], told))
    remarks = [
        *_unlike_points(titles, rows, grade, scores, system),
        *(f"{one} (in {name}) is not in the gradebook" for one in lost),
        *(f"{one.student} has a score, but no row in {name}" for one in scores.students if _left(one, seen)),
        *(f"{student} has {count} rows in {name}" for student, count in seen.items() if count > 1),
        *(f"{one} in {name} already: left as it is" for one in kept),
    ]
    return Filled(_changed(text, changes, separator).encode("utf-8", "surrogateescape"), tuple(remarks))


def _left(one: StudentScore, seen: Counter[str]) -> bool:
    return one.score is not None and one.student not in seen


def _records(text: str) -> tuple[str, list[list[_Field]]]:
    """The separator, and the fields of each line that is not empty."""
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    separator = max(_SEPARATORS, key=lambda sign: len(re.sub(r'"[^"]*"', "", first).split(sign)))
    field = re.compile(rf'((?:"(?:[^"]|"")*")?[^{separator}\r\n]*)({separator}|\r\n|\r|\n|\Z)')
    records: list[list[_Field]] = [[]]
    position = int(text.startswith("\ufeff"))
    while position < len(text):
        found = field.match(text, position)
        assert found is not None  # the pattern takes anything, and at least one sign unless the text is over
        records[-1].append(_Field(position, found[1]))
        position = found.end()
        if found[2] == separator and position == len(text):
            records[-1].append(_Field(position, ""))
        elif found[2] != separator:
            records.append([])
    return separator, [record for record in records if any(field.raw.strip() for field in record)] or [[]]


def _grade_column(titles: list[str], name: str, scores: ClassScores, system: System, column: str) -> int:
    """Where the scores belong: "Title", "Title (90210)" as in Canvas, or "Assignment: Title (Real)" as in Moodle."""
    for wanted in [column] if column else [*system.grade, scores.title, scores.assignment]:
        pattern = re.compile(rf"(?:[^:]+: ?)?{re.escape(wanted)}(?: \([^()]*\))?", re.IGNORECASE)
        exact = [index for index, title in enumerate(titles) if title == wanted]
        found = exact or [index for index, title in enumerate(titles) if pattern.fullmatch(title)]
        if len(found) > 1:
            there = ", ".join(repr(titles[index]) for index in found)
            raise CourseError(safe_text(f"{name} has several columns for {wanted!r}. Add --column, one of {there}"))
        if found:
            return found[0]
    there = ", ".join(repr(title) for title in titles if title)
    raise CourseError(
        safe_text(f"{name} has no column for {column or scores.title!r}. Add --column, one of {there or 'none at all'}")
    )


def _ids(scores: ClassScores) -> dict[str, StudentScore]:
    """Whatever a student is known by. What two of them share tells nobody apart; a student's own id always counts."""
    also = [(key.lower(), one) for one in scores.students for key in {one.email, one.lms_user_id} if key]
    count = Counter(key for key, _ in also)
    found = {key: one for key, one in also if count[key] == 1}
    return found | {one.student.lower(): one for one in scores.students}


def _key(value: str, ids: dict[str, StudentScore]) -> str:
    """An id as it stands in a cell; of Moodle's "Participant 4713", in any language, the number."""
    key = value.strip().removeprefix("'").lower()
    number = re.fullmatch(r"\D+ (\d+)", key)
    return number[1] if key not in ids and number else key


def _id_column(
    titles: list[str],
    rows: Sequence[Sequence[_Field]],
    ids: dict[str, StudentScore],
    name: str,
    system: System,
    column: str,
) -> int:
    """The column that knows most of the students."""
    wanted = [column] if column else system.ids
    there = [titles.index(title) for title in wanted if title in titles]
    if not there:
        options = ", ".join(repr(title) for title in titles if title)
        raise CourseError(
            safe_text(f"{name} has no column {' or '.join(map(repr, wanted))}. Add --id-column, one of {options}")
        )

    def known(index: int) -> int:
        return sum(_key(row[index].value, ids) in ids for row in rows if index < len(row))

    best = max(there, key=known)
    if ids and not known(best):
        looked = " or ".join(repr(titles[index]) for index in there)
        example = next(iter(ids.values())).student
        raise CourseError(
            safe_text(
                f"{name} knows none of the students: no {looked} is like {example!r}. Is it this course's? "
                "Else add --id-column"
            )
        )
    return best


def _is_student(row: Sequence[_Field]) -> bool:
    """Not so Canvas' row of points, nor the one that says which grades are posted by hand."""
    values = [field.value.strip() for field in row]
    return "Points Possible" not in values[0] and any(
        value and not re.fullmatch(r"(?i)muted|manual posting.*", value) for value in values
    )


def _unlike_points(
    titles: list[str], rows: Sequence[Sequence[_Field]], grade: int, scores: ClassScores, system: System
) -> list[str]:
    """A remark if the sheet's points are not the assignment's: scores are written as they are, and not scaled."""
    column = next(
        (index for index, title in enumerate(titles) if system.most and title.lower() == system.most.lower()), grade
    )
    for row in rows:
        if column < len(row) and (column != grade or "Points Possible" in row[0].value):
            value = row[column].value.strip().replace(",", ".")
            if _NUMBER.fullmatch(value) and float(value) != scores.points:
                return [
                    f"{system.name} has {value} points for it, the gradebook {scores.points:g}: scores are not scaled"
                ]
            return []
    return []


def _changed(text: str, changes: Iterable[tuple[_Field, str]], separator: str) -> str:
    """The text with other values in some fields. A field in quotes stays in quotes."""
    parts, position = [], 0
    for field, value in sorted(changes, key=lambda change: change[0].start):
        if field.raw.startswith('"') or any(sign in value for sign in f'{separator}"\r\n'):
            value = '"' + value.replace('"', '""') + '"'
        parts += [text[position : field.start], value]
        position = field.start + len(field.raw)
    return "".join([*parts, text[position:]])
