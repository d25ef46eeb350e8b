"""What students wrote, made safe for nbgrader's pages: its feedback, and the form in which a person grades."""

from __future__ import annotations

import html
from typing import Any

import nh3
from jinja2 import pass_context
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from grader.outputs import safe_html
from grader.submission import PICTURE

# Highlighted code and linked headings keep their look; no attribute can hold a script.
_ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, "*": {"class", "id"}}
# Much longer than an essay. Markdown of the wrong kind takes time that grows with the square of its length.
_LONGEST = 30_000


@pass_context
def safe_markdown(context: Any, source: str) -> str:
    """nbconvert's filter `markdown2html`, with HTML that can't run. nbgrader's templates use it on every cell."""
    attachments = context.get("cell", {}).get("attachments", {})
    if len(PICTURE.sub("", source)) > _LONGEST:
        return f"<pre>{html.escape(source)}</pre>"
    rendered = MarkdownWithMath(renderer=IPythonRenderer(escape=False, attachments=attachments)).render(source)
    return safe_html(rendered, attributes=_ATTRIBUTES)
