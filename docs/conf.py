"""The documentation site: `make site` builds it in build/site, and takes every warning for an error.

Its source is the repository: README.md, CONTRIBUTING.md and the others are pages as they are, and a link leads to the
same place on the site as where the code is hosted. For a line `<!-- made: NAME -->`, made.py writes what the grader
knows of itself, whenever the site is built.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import made  # noqa: E402

from grader import __version__  # noqa: E402

project = "grader"
version = release = __version__

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
# Beside the documentation may lie what students handed in: no other folder is looked into.
exclude_patterns = [folder.name for folder in HERE.parent.iterdir() if folder.is_dir() and folder != HERE]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
default_role = "code"  # docstrings are written with single backquotes
autodoc_preserve_defaults = True
nitpick_ignore_regex = [("py:.*", ".*")]  # the types in a signature need no page
# Pages may come and go in docs/: the last list of the contents takes what is there.
suppress_warnings = ["toc.empty_glob"]

html_theme = "furo"
html_title = project
html_show_copyright = html_copy_source = False
templates_path = ["templates"]
html_additional_pages = {"index": "start.html"}  # what a browser opens first leads to docs/index.html


def write_made(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = re.sub(r"<!-- made: (\w+) -->", lambda found: getattr(made, found[1])(), source[0])


def mark_arguments(app: Sphinx, kind: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """`points:  what it is worth`, as our docstrings have it, is a field where `points` is an argument."""
    if kind in ("function", "class"):
        arguments = inspect.signature(item).parameters
        for index, line in enumerate(lines):
            found = re.match(r"(\w+): +", line)
            if found and found[1] in arguments:
                lines[index] = f":param {found[1]}: {line[found.end() :]}"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", write_made)
    app.connect("autodoc-process-docstring", mark_arguments)
    return {"parallel_read_safe": True}
