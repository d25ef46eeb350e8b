"""Reports as JUnit XML, which continuous integration reads: a test suite for each problem, or for each submission."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from grader import __version__
from grader.outputs import safe_text
from grader.report import CheckResult, Report, Verdict
from grader.scores import ClassScores

# What XML has no way to write.
_UNWRITABLE = re.compile("[\ufffe\uffff]")

# pytest's and Maven's readers know these three; what is in none of them passed.
_KINDS = {
    Verdict.WRONG: "failure",
    Verdict.FORBIDDEN: "failure",
    Verdict.RAISED: "error",
    Verdict.TIMED_OUT: "error",
    Verdict.NOT_ATTEMPTED: "skipped",
}

_Case = tuple[str, CheckResult]


def junit_report(report: Report) -> str:
    """One submission: a test suite for each problem."""
    suites = {
        problem.name: [(f"{report.assignment}.{problem.name}", check) for check in problem.checks]
        for problem in report.problems
    }
    return _document(report.assignment, suites.items())


def junit_class(scores: ClassScores) -> str:
    """A class: a test suite for each submission that has a report."""
    suites = [
        (
            one.student,
            [
                (f"{scores.assignment}.{problem.name}", check)
                for problem in one.report.problems
                for check in problem.checks
            ],
        )
        for one in scores.students
        if one.report
    ]
    return _document(scores.assignment, suites)


def _document(name: str, suites: Iterable[tuple[str, list[_Case]]]) -> str:
    root = ElementTree.Element("testsuites", name=name)
    for title, cases in suites:
        suite = ElementTree.SubElement(root, "testsuite", {"name": _text(title), **_counts(cases), "time": "0"})
        properties = ElementTree.SubElement(suite, "properties")
        for key, value in (
            ("score", sum(check.score for _, check in cases)),
            ("points", sum(check.points for _, check in cases)),
            ("grader", __version__),
        ):
            ElementTree.SubElement(properties, "property", name=key, value=_text(value))
        for place, check in cases:
            case = ElementTree.SubElement(suite, "testcase", classname=place, name=_text(check.title), time="0")
            if kind := _KINDS.get(check.verdict):
                told = ElementTree.SubElement(case, kind, message=_text(check.message))
                if kind != "skipped":
                    told.set("type", check.verdict.value)
                told.text = _text(f"{check.message}\nHint: {check.hint}" if check.hint else check.message)
    all_cases = [case for _, cases in suites for case in cases]
    root.attrib.update(_counts(all_cases))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(cases: list[_Case]) -> dict[str, str]:
    kinds = [_KINDS.get(check.verdict) for _, check in cases]
    told = {"tests": len(cases), "failures": kinds.count("failure"), "errors": kinds.count("error")}
    return {key: str(count) for key, count in {**told, "skipped": kinds.count("skipped")}.items()}


def _text(value: object) -> str:
    return _UNWRITABLE.sub("", safe_text(value))
