"""course.yaml: what a course is. A fault in it is told with its line and what to write instead."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

FILE = "course.yaml"
SCHEMA = "https://json-schema.org/draft/2020-12/schema"

Place = tuple[str | int, ...]
"""Where in the file: ("assignments", 3, "due")."""

# What an author wrote: no build, no nbgrader step may write there.
_AUTHORED = ("solutions", "tests", "grader")


class CourseError(Exception):
    """course.yaml can't be used, or does not hold what was asked for: the message says where and what to do."""


def _clean(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("is blank or holds control characters")
    return text


def _folder(text: str) -> str:
    path = PurePosixPath(_clean(text))
    if ".." in path.parts or text.startswith("~"):
        raise ValueError("leads out of the course's folder")
    if path in (PurePosixPath("."), PurePosixPath("/")):
        raise ValueError("is no folder of its own")
    if set(text) & set("{}\\"):  # nbgrader fills folder names in with str.format
        raise ValueError("holds a brace or a backslash")
    return str(path)


def _database(url: str) -> str:
    if url.startswith("sqlite:///"):
        _folder(url.removeprefix("sqlite:///"))
    elif not re.fullmatch(r"(?!sqlite)\w+(\+\w+)?://([^/@\s]+@)?[^/@\s]*/[^@\s]+", url):
        remedy = ": in a password, write %40 for @ and %2F for /" if url.count("@") > 1 else ""
        raise ValueError(f"is no database URL{remedy}")
    return url


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise ValueError("is no timezone" + _did_you_mean(name, available_timezones())) from None
    return name


def _regexp(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    if missing := [name for name in ("student_id", "file_id") if name not in groups]:
        raise ValueError(f"has no group (?P<{missing[0]}>...)")
    return text


def _moment(value: Any) -> datetime:
    """A date alone would mean the day's first second, which nobody expects of a due date: the time is asked for."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or ":" not in value:
        raise ValueError("is no date with a time of day")
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"is no date with a time of day ({error})") from None


Text = Annotated[str, AfterValidator(_clean), Field(min_length=1)]
Folder = Annotated[str, AfterValidator(_folder)]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?( ?(Z|[+-]\d\d:\d\d))?$"}),
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# A field's description follows "Write " in a message, and its example "such as ".


class Assignment(_Section):
    """One homework, for one group of lectures."""

    name: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$",
        description="letters, digits and underscores: the name of its script and folder",
        examples=["lecture05_batch_and_momentum"],
    )
    title: Text = Field(description="what students call it", examples=["Batch and momentum"])
    lectures: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        min_length=1, description="the numbers of its lectures", examples=[[10, 11]]
    )
    due: Moment = Field(
        description="date and time, in the course's timezone unless it carries an offset",
        examples=["2027-03-26 23:59"],
    )
    available: bool = Field(
        default=False, description="true once its notebook is built for students, else false", examples=[True]
    )


class LatePolicy(_Section):
    """What handing in late costs."""

    grace_minutes: float = Field(
        default=0, ge=0, description="the minutes after the due date that cost nothing", examples=[15]
    )
    penalty_per_day: float = Field(
        default=0, ge=0, le=1, description="the share of the score that each started day costs", examples=[0.1]
    )
    zero_after_days: int | None = Field(
        default=None, ge=0, description="the days after which the score is zero", examples=[5]
    )

    def penalty(self, score: float, seconds_late: float) -> float:
        """The points to take off `score`. The days count from the end of the grace."""
        days = math.ceil((seconds_late - 60 * self.grace_minutes) / 86_400)
        if days <= 0 or score <= 0:
            return 0.0
        if self.zero_after_days is not None and days > self.zero_after_days:
            return score
        return score * min(1.0, self.penalty_per_day * days)


class Limits(_Section):
    """What one submission may use."""

    cell_seconds: float = Field(default=30, gt=0, description="the seconds a cell may compute", examples=[30])
    check_seconds: float = Field(default=10, gt=0, description="the seconds a check may compute", examples=[10])
    submission_seconds: float = Field(
        default=300, gt=0, description="the seconds a whole submission may compute", examples=[300]
    )
    memory_mb: int = Field(default=2048, gt=0, description="the megabytes of memory", examples=[2048])
    output_kb: int = Field(default=256, gt=0, description="the kilobytes of output kept of a cell", examples=[256])
    file_mb: int = Field(default=32, gt=0, description="the megabytes of the largest file", examples=[32])


class Folders(_Section):
    """Where things lie: inside the course's folder, or at an absolute path."""

    source: Folder = Field(
        default="build/source", description="a folder for the notebooks with solutions", examples=["build/source"]
    )
    release: Folder = Field(
        default="assignments", description="a folder for the notebooks that students get", examples=["assignments"]
    )
    submitted: Folder = Field(
        default="submitted", description="a folder for what students handed in", examples=["submitted"]
    )
    autograded: Folder = Field(
        default="autograded", description="a folder for graded notebooks", examples=["autograded"]
    )
    feedback: Folder = Field(default="feedback", description="a folder for feedback pages", examples=["feedback"])
    reports: Folder = Field(default="reports", description="a folder for reports", examples=["reports"])
    exchange: Folder | None = Field(
        default=None, description="nbgrader's exchange, if students use one", examples=["/srv/nbgrader/exchange"]
    )

    @model_validator(mode="after")
    def _apart(self) -> Folders:
        taken = {name: (f"the course's own {name}/", PurePosixPath(name)) for name in _AUTHORED}
        for key, text in self:
            path = PurePosixPath(text or f"no {key}")
            for what, other in taken.values():
                if path.is_relative_to(other) or other.is_relative_to(path):
                    raise _at((key,), f"{text!r} overlaps {what}. Write a folder of its own.")
            taken[key] = (f"folders.{key} ({text!r})", path)
        return self


class Course(_Section):
    """A course, as course.yaml tells it."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$",
        description="a short name of letters, digits, dots, hyphens and underscores",
        examples=["deep-learning"],
    )
    title: Text = Field(description="the course's name", examples=["Deep Learning"])
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        description="the timezone of the due dates", examples=["Europe/Paris"]
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="a whole number that every check's randomness comes from",
        examples=[2027],
    )
    feedback: Literal["hints", "differences", "full"] = Field(
        default="hints",
        description="hints, differences (also how far off an answer is) or full (also the expected values)",
        examples=["differences"],
    )
    sandbox: Literal["on", "off"] = Field(
        default="on", description="on, or off if you trust every notebook with your account", examples=["on"]
    )
    gradebook: Annotated[str, AfterValidator(_database)] = Field(
        default="sqlite:///gradebook.db",
        repr=False,  # it may hold a password
        description="a database that SQLAlchemy can open",
        examples=["sqlite:///gradebook.db"],
    )
    late: LatePolicy = Field(
        default=LatePolicy(), description="what handing in late costs", examples=[{"penalty_per_day": 0.1}]
    )
    limits: Limits = Field(default=Limits(), description="what one submission may use", examples=[{"cell_seconds": 30}])
    folders: Folders = Field(default=Folders(), description="where things lie", examples=[{"submitted": "submitted"}])
    collect: Annotated[str, AfterValidator(_regexp)] | None = Field(
        default=None,
        description="a regular expression with the groups student_id and file_id for the paths of downloaded files",
        examples=[r".*/(?P<student_id>\w+)-(?P<file_id>\w+)\.ipynb"],
    )
    assignments: tuple[Assignment, ...] = Field(
        min_length=1, description="a list of assignments", examples=["- name: lecture05_batch_and_momentum"]
    )

    _root: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def root(self) -> Path:
        """The folder that holds course.yaml."""
        return self._root

    @property
    def gradebook_url(self) -> str:
        """The gradebook's URL, good in any working directory."""
        scheme, slashes, name = self.gradebook.partition("sqlite:///")
        return f"{slashes}{self.root / name}" if slashes else scheme

    @property
    def collect_regexp(self) -> str:
        """Matches the path of a downloaded file, as nbgrader's `named_regexp`.

        Unless the course has its own, it reads these, whatever follows the assignment's name
        (`-1`, ` (2)`, `_final`), and takes the number that Canvas's and Moodle's own grade sheets know a student by:

            doejane_LATE_4711_90210_NAME.ipynb                       Canvas
            Jane Doe_4711_assignsubmission_file_/NAME.ipynb          Moodle
            Essay_jdoe_attempt_2027-03-26-22-15-00_NAME.ipynb        Blackboard
            jdoe_NAME.ipynb, jdoe/NAME.ipynb                         plain

        With the first three, the notebook may also lie in a folder, as it does when students hand in an archive.
        """
        names = "|".join(sorted((one.name for one in self.assignments), key=len, reverse=True))
        return self.collect or (
            r"(?:.*?/extracted/(?:.*/)?[^/]*?_(LATE_)?(?=\d+_\d+_|\d+_assignsubmission_|[^/_]+_attempt_\d)()|"
            r".*/(?!extracted/))"
            r"(?P<student_id>(?(2)[^/_]+|[^\W_][^/]*?))"
            r"(?(2)(?:_\d+|_assignsubmission_file|_attempt_(?P<timestamp>[\d-]+))[_/](?:[^/]*/)*|[_/]+)"
            rf"(?P<file_id>{names})[^/]*\.ipynb$"
        )

    def folder(self, name: Literal["source", "release", "submitted", "autograded", "feedback", "reports"]) -> Path:
        """The absolute path of one of `folders`."""
        return self.root / str(getattr(self.folders, name))

    def report_file(self, assignment: str, student: str) -> Path:
        """Where the report of a submission is kept."""
        return self.folder("reports") / assignment / f"{student}.json"

    def assignment(self, name: str) -> Assignment:
        """The assignment of that name. Raises CourseError with the nearest names."""
        names = [one.name for one in self.assignments]
        if name not in names:
            remedy = _did_you_mean(name, names) or f". There are {', '.join(names)}."
            raise CourseError(f"{_shown(self.root / FILE)} has no assignment {name!r}{remedy}")
        return self.assignments[names.index(name)]

    @field_validator("assignments")
    @classmethod
    def _distinct_and_dated(cls, assignments: tuple[Assignment, ...], info: ValidationInfo) -> tuple[Assignment, ...]:
        first: dict[str, int] = {}
        for index, one in enumerate(assignments):
            if first.setdefault(one.name.lower(), index) != index:  # file systems may not tell A from a
                raise _at((index, "name"), f"{one.name!r} is taken by an assignment above. Write another name.")
        zone = ZoneInfo(info.data["timezone"]) if "timezone" in info.data else None
        return tuple(
            one if one.due.tzinfo else one.model_copy(update={"due": one.due.replace(tzinfo=zone)})
            for one in assignments
        )


def load_course(where: str | Path | None = None) -> Course:
    """Read course.yaml: `where` is the file, or a folder that holds it or lies below it; here, unless given.

    Raises CourseError, which lists every fault.
    """
    file = _find(Path(where or ".").absolute())
    text = _text(file)
    data, lines, faults = _parse(text)
    if isinstance(data, dict):
        try:
            # As JSON, where strict still lets a string be a date and a list a tuple. Half a character becomes "?".
            course = Course.model_validate_json(json.dumps(data, ensure_ascii=False).encode(errors="replace"))
        except ValidationError as error:
            told = {line for line, _ in faults}
            faults += [fault for fault in _faults(error, lines) if fault[0] not in told]
    if faults:
        raise CourseError("\n".join(f"{_shown(file)}, line {line}: {message}" for line, message in sorted(set(faults))))
    course._root = file.parent
    return course


def json_schema() -> dict[str, Any]:
    """The JSON schema of course.yaml, with which editors complete and check it."""
    return {"$schema": SCHEMA, **Course.model_json_schema()}


def _find(where: Path) -> Path:
    if where.is_file():
        return where
    for folder in (where, *where.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    raise CourseError(f"There is no {FILE} in {where}, nor in a folder above it. Go to a course's folder.")


def _shown(file: Path) -> str:
    """As the user would name it."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise CourseError(f"{_shown(file)} can't be read: {error.strerror}. Check its permissions.") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CourseError(f"{_shown(file)}, line {line}: this is not UTF-8. Save the file as UTF-8.") from None


def _parse(text: str) -> tuple[Any, dict[Place, int], list[tuple[int, str]]]:
    """The plain data in a YAML text, the line of each place, and the faults of the YAML itself."""
    yaml = YAML(typ="safe", pure=True)
    lines: dict[Place, int] = {(): 1}
    faults: list[tuple[int, str]] = []

    def plain(node: Node, place: Place) -> Any:
        lines.setdefault(place, node.start_mark.line + 1)
        # No anchor, no alias: a few lines of YAML can't unfold to gigabytes, and a value stands where it is used.
        if node.anchor:
            return fault(node, f"&{node.anchor} names a value for use elsewhere. Write the value out at each place.")
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if isinstance(node, MappingNode) and kind == "map":
            return mapping(node, place)
        if isinstance(node, SequenceNode) and kind == "seq":
            return [plain(item, (*place, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and kind in ("str", "timestamp"):
            return node.value
        if isinstance(node, ScalarNode) and kind in ("int", "float", "bool", "null"):
            try:
                return getattr(yaml.constructor, f"construct_yaml_{kind}")(node)
            except (ValueError, KeyError):
                return fault(node, f"{_given(node.value)} is no {kind}. Write another value.")
        return fault(node, f"the tag !!{kind} has no meaning here. Remove it.")

    def mapping(node: MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                fault(key, "a key must be a single word. Write it without brackets.")
            elif key.value in found:
                before = lines[(*place, key.value)]
                fault(key, f"{_name((*place, key.value))} is there twice, first in line {before}. Remove one.")
            else:
                lines[(*place, key.value)] = key.start_mark.line + 1
                found[key.value] = plain(value, (*place, key.value))
        return found

    def fault(node: Node, message: str) -> None:
        faults.append((node.start_mark.line + 1, message))

    try:
        root = yaml.compose(text)
        data = plain(root, ()) if root else None
        if not isinstance(data, dict) and not faults:
            faults.append((1, "this is no course. Start with the keys id, title, timezone and assignments."))
        return data, lines, faults
    except RecursionError:
        return None, lines, [(1, "brackets are nested too deep. Write it as plain keys and lists.")]
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
        # Such as "while parsing a flow sequence" and "expected ',' or ']', but got ':'".
        told = [getattr(error, part, None) for part in ("context", "problem", "reason")]
        problem = " ".join(part for part in told if part) or "this is no YAML"
        return None, lines, [(line, f"{problem}. Check indentation, colons and quotes here and just above.")]


def _at(place: Place, message: str) -> PydanticCustomError:
    """A fault at a place below the one that is being validated, told in full."""
    return PydanticCustomError("at", "{message}", {"message": message, "at": place})


def _faults(error: ValidationError, lines: dict[Place, int]) -> list[tuple[int, str]]:
    """What pydantic found, as lines and sentences with a remedy."""
    faults = []
    for detail in error.errors():
        if detail["type"] == "too_short" and detail["input"]:
            continue  # pydantic counts the good items only, and has told of the bad ones
        place: Place = (*detail["loc"], *detail.get("ctx", {}).get("at", ()))
        line = next(lines[place[:length]] for length in range(len(place), -1, -1) if place[:length] in lines)
        faults.append((line, _name(place) + _sentence(detail, place)))
    return faults


def _sentence(detail: ErrorDetails, place: Place) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    section, field = _section_and_field(place)
    if kind == "at":
        return f": {context['message']}"
    if kind == "extra_forbidden":
        keys = list(section.model_fields)
        return " is no key of a course" + (
            _did_you_mean(str(place[-1]), keys) or f". The keys here are {', '.join(keys)}."
        )
    example = field.examples[0] if field and field.examples else "{}"
    shown = example if isinstance(example, str) else json.dumps(example)
    remedy = f"Write {field.description if field else 'a course'}, such as {shown}."
    if kind == "missing":
        return f" is missing. {remedy}"
    if value is None:
        return f" has no value. {remedy}"
    if kind == "value_error":
        fact = str(context["error"])
    elif kind in ("too_short", "string_too_short"):
        fact = "is empty"
    elif kind == "string_pattern_mismatch":
        fact = "has characters that it may not have, or too many"
    else:  # "Input should be greater than 0"
        fact = re.sub(r"^\w+ should be ", "is not ", detail["msg"]).replace("an object", "a section with keys")
    return f": {_given(value)} {fact}{'' if fact.endswith('?') else '.'} {remedy}"


def _given(value: Any) -> str:
    """What was written, cut, and without a database's password."""
    text = json.dumps(value) if isinstance(value, bool) else without_password(repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def without_password(url: str) -> str:
    """A database's URL as it may be shown."""
    return re.sub(r"password=[^&\s]*", "password=...", re.sub(r"//.*@", "//...@", url))


def _section_and_field(place: Place) -> tuple[type[BaseModel], FieldInfo | None]:
    """The section in which a place lies, and its field there."""
    section: type[BaseModel] = Course
    field: FieldInfo | None = None
    inner: type[BaseModel] = Course
    for key in (key for key in place if isinstance(key, str)):
        section, field = inner, inner.model_fields.get(key)
        types = (field.annotation, *get_args(field.annotation)) if field else ()
        inner = next((kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)), inner)
    return section, field


def _name(place: Place) -> str:
    """("assignments", 3, "due") as assignments[3].due."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2)
    return f". Did you mean {' or '.join(near)}?" if near else ""


if __name__ == "__main__":  # python -m grader.course > docs/course.schema.json
    print(json.dumps(json_schema(), indent=2))
