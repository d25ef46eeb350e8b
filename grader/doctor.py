"""What this machine can and cannot enforce. Not only what the kernel claims: a confined process tries."""

from __future__ import annotations

from pathlib import Path

from grader.course import CourseError, load_course
from grader.protections import Protection, protections
from grader.sandbox import ESCAPES, Sandbox, SandboxError


def diagnosis_of_machine(where: Path) -> list[Protection]:
    """Every protection with enforced or not, why, and how to mend it; and whether the course in `where` loads."""
    found = protections()
    private: tuple[Path, ...] = ()
    try:
        course = load_course(where)
        private = (course.root,)
        found.append(Protection("course.yaml", True, f"{course.title}: {len(course.assignments)} assignments"))
        found.append(
            Protection(
                "sandbox",
                course.sandbox == "on",
                f"sandbox: {course.sandbox}",
                "" if course.sandbox == "on" else "Write sandbox: on in course.yaml.",
            )
        )
    except CourseError as error:
        found.append(
            Protection("course.yaml", False, str(error), "Mend course.yaml, or name its folder with --course.")
        )
    found.append(_trial(private))
    return found


def _trial(private: tuple[Path, ...]) -> Protection:
    name = "gets nowhere when it tries"
    try:
        with Sandbox(private) as sandbox:
            escaped = sandbox.trial()
    except SandboxError as error:
        return Protection(name, False, str(error), "")
    if escaped:
        return Protection(name, False, f"it could still {', '.join(escaped)}", "Report it: see SECURITY.md.")
    return Protection(name, True, f"refused: {', '.join(ESCAPES)}")
