"""An auto-graded homework system: what the author of an assignment needs, in one import.

from grader import Problem, alternative, check, close, misconception
"""

from grader.checks import (
    Alternative,
    AuthorError,
    Check,
    Misconception,
    Problem,
    alternative,
    check,
    each,
    misconception,
)
from grader.compare import (
    at_least,
    at_most,
    close,
    exact,
    same_distribution,
    same_set,
    up_to_sign,
)

__version__ = "0.1.0"

__all__ = [
    "Alternative",
    "AuthorError",
    "Check",
    "Misconception",
    "Problem",
    "alternative",
    "at_least",
    "at_most",
    "check",
    "close",
    "each",
    "exact",
    "misconception",
    "same_distribution",
    "same_set",
    "up_to_sign",
]
