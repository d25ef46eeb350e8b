"""What the grader knows of itself, as pages: its commands, the keys of course.yaml and of a report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from grader.course import Course
from grader.report import Report

Facts = dict[str, Any]
"""What a JSON schema says of one key or section."""


def commands() -> str:
    """Every command with its options, as Typer tells them, without the title and the list of shortened sentences."""
    typed = [sys.executable, "-m", "typer", "grader.cli", "utils", "docs", "--name", "grader"]
    done = subprocess.run(typed, check=True, capture_output=True, text=True)
    return re.sub(r"\A# .*\n|^\*\*Commands\*\*:\n\n(\* .*\n)+", "", done.stdout, flags=re.MULTILINE)


def course_keys() -> str:
    return "\n".join(_sections(Course))


def report_keys() -> str:
    return "\n".join(_sections(Report))


def _sections(model: type[BaseModel]) -> Iterator[str]:
    """A table of keys for the model, then one for each section that stands in it."""
    schema = model.model_json_schema(mode="serialization" if model is Report else "validation")
    for name, section in {model.__name__: schema, **schema["$defs"]}.items():
        yield f"\n## {_title(name)}\n\n{section['description']}\n"
        if "enum" in section:
            yield "One of " + ", ".join(f"`{value}`" for value in section["enum"]) + "."
        else:
            yield from _table(section)


def _table(section: Facts) -> Iterator[str]:
    keys: dict[str, Facts] = section["properties"]
    shown = any("examples" in facts for facts in keys.values())
    titles = ["key", "what it is", "for example"] if shown else ["key", "is"]
    yield _row(titles)
    yield _row(["---"] * len(titles))
    for key, facts in keys.items():
        told = [facts.get("description", ""), _kind(facts)]
        if default := _value(facts.get("default")):
            told.append(f"{default} if left out")
        elif shown and key in section.get("required", ()):
            told.append("must be there")
        yield _row([f"`{key}`", "; ".join(filter(None, told)), _value(facts.get("examples", [None])[0])][: len(titles)])


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _kind(facts: Facts) -> str:
    if "$ref" in facts:
        title = _title(facts["$ref"].rpartition("/")[2])
        return f"[{title.lower()}](#{title.lower().replace(' ', '-')})"
    if "anyOf" in facts:
        return " or ".join(_kind(one) for one in facts["anyOf"])
    if "enum" in facts:
        return " or ".join(f"`{value}`" for value in facts["enum"])
    if facts["type"] == "array":
        return f"list: {_kind(facts['items'])}"
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    words = {"integer": "whole number", "boolean": "true or false", "null": "nothing", "string": "text"}
    within = [f"{word} {facts[bound]:g}" for bound, word in bounds.items() if bound in facts and facts[bound] < 2**31]
    return " ".join([words.get(facts["type"], facts["type"]), *within])


def _title(name: str) -> str:
    """LatePolicy: Late policy."""
    return " ".join(re.findall("[A-Z][a-z]+", name)).capitalize()


def _value(value: Any) -> str:
    """A value as one writes it; of a section, nothing: it has a table of its own."""
    if value in (None, "", []) or isinstance(value, dict):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
