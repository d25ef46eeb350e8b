"""Similar submissions: pairs that share code which neither the course nor many others of the class wrote.

The fingerprints are those of Schleimer, Wilkerson and Aiken, Winnowing: Local Algorithms for Document Fingerprinting
(SIGMOD 2003): each run of a few tokens, with names and comments normalised. Answers are so short that all of the
fingerprints are kept: winnowing chooses among them where a collection is too large for that.

Nothing of a submission is executed. It is parsed in a process of its own, which hostile text may end.
"""

from __future__ import annotations

import ast
import hashlib
import io
import math
import multiprocessing
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.sparse import csr_array, triu

from grader.course import Course
from grader.forbidden import defined, imported
from grader.intake import IntakeError, handed_in_notebook, student_fault
from grader.material import Material
from grader.outputs import safe_text
from grader.shell import syntax_tree
from grader.submission import Submission

RUN = 10
"""Tokens of a fingerprint: a short line of code."""
COMMON, MANY = 0.25, 50
"""What more than this share of a class has, or more than so many, is common and counts for nothing."""
THRESHOLD = 0.6
"""The share of the shorter answer that has to be alike. Of 760 pairs of right answers in this project's own hidden
tests, which were written to be unlike, none has more than 0.54."""
LEAST = 50.0
"""The score that a pair needs: six lines or so that nobody else has."""
MOST = 200
"""Pairs on a page."""

_CODE, _DEFINITION = 2**20, 50_000  # characters of a notebook and of a definition, beyond which nobody looks at them
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MAGIC = re.compile(r"^[ \t]*(?:[%!?].*|[\w.]+\?+[ \t]*)$", re.MULTILINE)
_SOLUTION = re.compile(r"### BEGIN SOLUTION.*?### END SOLUTION", re.DOTALL)

Span = tuple[int, int]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Model):
    """One student's answer to a problem, helpers included. marks: from which character to which it is shared."""

    student: str
    text: str
    marks: tuple[Span, ...]


class SharedProblem(_Model):
    """What two answers to one problem share.

    score:  the shared fingerprints, each weighed by how rare it is: 1 if nobody else has it.
    shared: how many fingerprints.
    of:     how many the one has who has fewer, without those of the course's own code.
    alone:  how many of the shared nobody else has.
    others: how many others have the most common of the shared.
    """

    problem: str
    score: float
    shared: int
    of: int
    alone: int
    others: int
    sides: tuple[Side, Side]


class Pair(_Model):
    """Two submissions, and the problems in which their answers are alike, highest score first."""

    students: tuple[str, str]
    score: float
    problems: tuple[SharedProblem, ...]


class SimilarReport(_Model):
    """The pairs that are alike, highest score first.

    threshold: the share of the shorter answer that has to be alike.
    compared: how many submissions. left_out: how many further pairs there are. faults: what could not be compared.
    """

    course: str
    assignment: str
    title: str
    threshold: float
    compared: int
    pairs: tuple[Pair, ...]
    left_out: int
    faults: tuple[str, ...]


def similar(course: Course, assignment: str, threshold: float = THRESHOLD, jobs: int = 1) -> SimilarReport:
    """Compare what is in submitted/ of one assignment. Raises CourseError or AuthorError."""
    material = Material(course, assignment)
    files, faults = _handed_in(material)
    codes = _read_all(files, partial(read_code, problems=tuple(material.tests.problems), given=material.lesson), jobs)
    for student, code in codes.items():
        faults += [safe_text(f"{student}: {fault}") for fault in code.faults]
    pairs, left_out = compare(codes, known_to(material), threshold)
    return SimilarReport(
        course=course.title,
        assignment=material.name,
        title=material.assignment.title,
        threshold=threshold,
        compared=sum(bool(code.answers) for code in codes.values()),
        pairs=tuple(pairs),
        left_out=left_out,
        faults=tuple(faults),
    )


# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class Definition:
    """The text of a definition, where its tokens stand in it, and at which of them each fingerprint begins."""

    text: str
    spans: tuple[Span, ...]
    prints: Mapping[bytes, tuple[int, ...]]


@dataclass(frozen=True)
class Code:
    """A submission's answers, problem -> definitions: the one of that name, and the helpers that it reaches."""

    answers: Mapping[str, tuple[Definition, ...]]
    faults: tuple[str, ...] = ()


def _handed_in(material: Material) -> tuple[dict[str, Path], list[str]]:
    files, faults = {}, []
    for folder in sorted(material.course.folder("submitted").glob(f"*/{material.name}")):
        student = folder.parent.name
        if not folder.is_dir():
            continue
        if fault := student_fault(student):
            faults.append(f"{fault}. Rename the folder in {material.course.folders.submitted}/")
            continue
        try:
            files[student] = handed_in_notebook(folder, material.name)
        except IntakeError as error:
            faults.append(safe_text(error))
    return files, faults


def _read_all(files: Mapping[str, Path], read: Callable[[Path], Code], jobs: int) -> dict[str, Code]:
    """Read every file; one that ends the process that reads it costs itself only."""
    found: dict[str, Code] = {}

    def attempt(students: Sequence[str], jobs: int) -> None:
        context = multiprocessing.get_context("fork")
        with suppress(BrokenProcessPool), ProcessPoolExecutor(jobs, context) as pool:
            codes = pool.map(read, [files[student] for student in students])
            found.update(zip(students, codes, strict=False))  # as far as they come

    attempt(list(files), jobs)
    for student in files.keys() - found.keys():
        attempt([student], 1)
    ended = Code({}, ("reading it ended the process that read it: it is not compared",))
    return {student: found.get(student, ended) for student in files}


def read_code(file: Path, problems: Iterable[str], given: Collection[str] = ()) -> Code:
    """What a notebook defines for these problems. given: sources of cells that are the course's own."""
    submission = Submission.read(file)
    if submission.fault:
        return Code({}, (f"it is not compared. {submission.fault}",))
    cells = [(position, source) for position, source in submission.cells if source.strip() not in given]
    if sum(len(source) for _, source in cells) > _CODE:
        return Code({}, (f"it is not compared: it has more than {_CODE:,} characters of code",))
    try:
        return _answers(cells, problems)
    except Exception as error:
        return Code({}, (f"it is not compared: reading it failed with {type(error).__name__}",))


def _answers(cells: Iterable[tuple[int, str]], problems: Iterable[str]) -> Code:
    faults: list[str] = []
    unread: list[str] = []
    statements: dict[str, tuple[ast.stmt, str]] = {}
    aliases: dict[str, str] = {}
    for position, cell in cells:
        try:
            for node, text in _statements(cell):
                if isinstance(node, ast.Expr | ast.Assert):
                    continue
                statements.update(dict.fromkeys(defined(node), (node, text)))  # the last definition counts
                aliases.update(imported(node))
        except SyntaxError:
            unread.append(str(position + 1))
    answers: dict[str, tuple[Definition, ...]] = {}
    seen: set[str] = set()
    for problem in problems:
        found: list[Definition] = []
        waiting = [problem] if problem in statements else []
        while waiting:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            node, text = statements[name]
            if len(text) > _DEFINITION:
                faults.append(f"{name[:80]} is not compared: it is longer than {_DEFINITION:,} characters")
                continue
            found.append(_definition(node, text, aliases, statements))
            used = {each.id: None for each in ast.walk(node) if isinstance(each, ast.Name)}
            waiting += [each for each in used if each in statements and isinstance(statements[each][0], _SCOPES)]
        if found:
            answers[problem] = tuple(found)
        elif unread:
            faults.append(
                f"{problem} is not compared: it may stand in what is no Python (cell {', '.join(unread[:20])})"
            )
    return Code(answers, tuple(faults))


def _statements(source: str) -> Iterator[tuple[ast.stmt, str]]:
    """The top-level statements of a cell, and the text of each. Raises SyntaxError."""
    text = safe_text(source.replace("\r\n", "\n").replace("\r", "\n"))
    tree = syntax_tree(text)
    if tree is None:  # a magic may be all that is in the way
        text = _MAGIC.sub("", text)
        tree = syntax_tree(text)
    if tree is None:
        raise SyntaxError
    lines = text.split("\n")
    for node in tree.body:
        decorators = [each.lineno for each in node.decorator_list] if isinstance(node, _SCOPES) else []
        yield node, "\n".join(lines[min([node.lineno, *decorators]) - 1 : node.end_lineno])


def _definition(node: ast.stmt, text: str, aliases: Mapping[str, str], notebook: Collection[str]) -> Definition:
    """A statement and its fingerprints. A name that the student chose is as good as any other.

    notebook: the names that the rest of the notebook defines.
    """
    chosen: set[str] = set()
    attributes: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.arg):
            chosen.add(each.arg)
        elif isinstance(each, ast.Name) and (each.id in notebook or not isinstance(each.ctx, ast.Load)):
            chosen.add(each.id)
        elif isinstance(each, ast.Attribute) and not isinstance(each.ctx, ast.Load):
            attributes.add(each.attr)
        elif isinstance(each, (*_SCOPES, ast.ExceptHandler)) and each.name:
            chosen.add(each.name)
            attributes.add(each.name)
    words: list[str] = []
    spans: list[Span] = []
    prints: dict[bytes, list[int]] = defaultdict(list)
    for run in _runs(text):
        first = len(words)
        for before, (word, span) in zip(["", *(word for word, _ in run)], run, strict=False):
            if before == ".":
                word = "name" if word in attributes else word
            elif word in chosen:
                word = "name"
            else:
                word = aliases.get(word, word)
            words.append(word)
            spans.append(span)
        for start in range(first, len(words) - RUN + 1):
            gram = "\0".join(words[start : start + RUN]).encode()
            prints[hashlib.blake2b(gram, digest_size=8).digest()].append(start)
    return Definition(text, tuple(spans), {key: tuple(starts) for key, starts in prints.items()})


def _runs(text: str) -> Iterator[list[tuple[str, Span]]]:
    """The tokens between the headers of functions and classes, which the course gave, each with where it stands.

    Without comments and docstrings; any string is the same as another.
    """
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    run: list[tuple[str, Span]] = []
    line_begins, depth, header, formatted = 0, 0, False, 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("COMMENT", "NL", "ENDMARKER"):
            continue
        span = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
        if kind.startswith(("FSTRING", "TSTRING")):  # one token since Python 3.12 no more
            formatted += kind.endswith("START") - kind.endswith("END")
            if kind.endswith("START") and formatted == 1:
                run.append(("string", span))
            continue
        if formatted:
            continue
        if kind in ("INDENT", "DEDENT"):
            run.append((kind, (span[0], span[0])))
            line_begins = len(run)
            continue
        if kind == "NEWLINE" or token.string == ";":
            if all(word == "string" for word, _ in run[line_begins:]):
                del run[line_begins:]
            else:
                run.append(("NEWLINE", (span[0], span[0])))
            line_begins, depth, header = len(run), 0, False
            continue
        if token.string in ("def", "class") or (token.string == "@" and len(run) == line_begins):
            header = True
            if run:
                yield run
            run, line_begins = [], 0
        depth += (token.string in ("(", "[", "{")) - (token.string in (")", "]", "}"))
        if not header:
            run.append(("string" if kind == "STRING" else token.string, span))
        elif token.string == ":" and depth == 0:
            header = False
    yield run


def known_to(material: Material) -> frozenset[bytes]:
    """The fingerprints of the course's own code: stub, reference, the lesson, the alternatives and the mistakes."""
    sources = [str(cell.source) for cell in material.solution.cells if cell.cell_type == "code"]
    sources += [_SOLUTION.sub("raise NotImplementedError()", source) for source in sources]
    sources += [path.read_text(encoding="utf-8") for path in sorted(material.hidden_folder.glob("*.py"))]
    return fingerprints(sources)


def fingerprints(sources: Iterable[str]) -> frozenset[bytes]:
    """Those of every statement in some Python files or cells."""
    found: set[bytes] = set()
    for source in sources:
        with suppress(SyntaxError):
            statements = list(_statements(source))
            aliases = {alias: name for node, _ in statements for alias, name in imported(node).items()}
            names = {name for node, _ in statements for name in defined(node)}
            for node, text in statements:
                found.update(_definition(node, text, aliases, names).prints)
    return frozenset(found)


# ---------------------------------------------------------------- comparing


def compare(
    codes: Mapping[str, Code], known: Collection[bytes], threshold: float = THRESHOLD
) -> tuple[list[Pair], int]:
    """The pairs that are alike, highest score first, and how many more than MOST there are. Pure.

    known: fingerprints that count for nothing.
    """
    students = sorted(student for student, code in codes.items() if code.answers)
    problems = dict.fromkeys(problem for student in students for problem in codes[student].answers)
    owns = {problem: _own(codes, students, problem, known) for problem in problems}
    rarity = {problem: _Rarity(own) for problem, own in owns.items()}
    scores: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for problem, own in owns.items():
        for one, other in _alike(own, rarity[problem].weights, threshold):
            shared_by_both = own[one] & own[other] & rarity[problem].weights.keys()
            scores[one, other][problem] = math.fsum(rarity[problem].weights[each] for each in shared_by_both)
    totals = ((round(math.fsum(each.values()), 1), pair) for pair, each in scores.items())
    found = sorted((-total, pair) for total, pair in totals if total >= LEAST)
    pairs = []
    for score, (one, other) in found[:MOST]:
        shared = [_shared(problem, one, other, codes, owns[problem], rarity[problem]) for problem in scores[one, other]]
        shared.sort(key=lambda each: (-each.score, each.problem))
        pairs.append(Pair(students=(one, other), score=-score, problems=tuple(shared)))
    return pairs, max(0, len(found) - MOST)


def _alike(own: Mapping[str, set[bytes]], counting: Collection[bytes], threshold: float) -> Iterator[tuple[str, str]]:
    """The pairs that share so much of one problem, all at once: a sparse matrix is the index of fingerprints."""
    numbers = {one: number for number, one in enumerate(counting)}
    rows, columns = [], []
    for row, prints in enumerate(own.values()):
        for one in prints & numbers.keys():
            rows.append(row)
            columns.append(numbers[one])
    held = csr_array((np.ones(len(rows), int), (rows, columns)), shape=(len(own), len(numbers)))
    shared = triu(held @ held.T, k=1).tocoo()
    sizes = np.array([len(prints) for prints in own.values()])
    enough = shared.data >= threshold * np.minimum(sizes[shared.row], sizes[shared.col])
    students = list(own)
    for row, column in zip(shared.row[enough], shared.col[enough], strict=True):
        yield students[row], students[column]


def _own(
    codes: Mapping[str, Code], students: Iterable[str], problem: str, known: Collection[bytes]
) -> dict[str, set[bytes]]:
    """student -> the fingerprints of an answer, without what is known, of those who have any."""
    own = {}
    for student in students:
        definitions = codes[student].answers.get(problem, ())
        if prints := {one for definition in definitions for one in definition.prints if one not in known}:
            own[student] = prints
    return own


class _Rarity:
    """How many hold each fingerprint of a problem, and what one that two or a few hold weighs, from 0 to 1.

    The weight is the inverse document frequency, log(n / holders), as a share of what it is for two holders.
    """

    def __init__(self, own: Mapping[str, Collection[bytes]]) -> None:
        self.holders = Counter(one for prints in own.values() for one in prints)
        size = len(own)
        most = max(2.0, min(COMMON * size, MANY))
        rarest = math.log(size / 2) if size > 2 else 1.0
        self.weights = {
            one: math.log(size / count) / rarest if count > 2 else 1.0
            for one, count in self.holders.items()
            if 2 <= count <= most
        }


def _shared(
    problem: str,
    one: str,
    other: str,
    codes: Mapping[str, Code],
    own: Mapping[str, set[bytes]],
    rarity: _Rarity,
) -> SharedProblem:
    shared = own[one] & own[other] & rarity.weights.keys()
    counts = [rarity.holders[each] for each in shared]
    sides = [_side(student, codes[student].answers[problem], shared) for student in (one, other)]
    return SharedProblem(
        problem=problem,
        score=round(math.fsum(rarity.weights[each] for each in shared), 1),
        shared=len(shared),
        of=min(len(own[one]), len(own[other])),
        alone=counts.count(2),
        others=max(counts) - 2,
        sides=(sides[0], sides[1]),
    )


def _side(student: str, definitions: Iterable[Definition], shared: Collection[bytes]) -> Side:
    text = ""
    marks: list[Span] = []
    for definition in definitions:
        text += "\n\n" if text else ""
        covered = {
            start + step
            for one, starts in definition.prints.items()
            if one in shared
            for start in starts
            for step in range(RUN)
        }
        here: list[Span] = []
        for index in sorted(covered):
            start, end = definition.spans[index]
            if start == end:
                continue
            if here and index - 1 in covered and "\n" not in definition.text[here[-1][1] : start]:
                here[-1] = (here[-1][0], end)
            else:
                here.append((start, end))
        marks += [(len(text) + start, len(text) + end) for start, end in here]
        text += definition.text
    return Side(student=student, text=text, marks=tuple(marks))
