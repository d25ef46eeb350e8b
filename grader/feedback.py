"""What students wrote, made safe for nbgrader's pages: its feedback, and the form in which a person grades."""

from __future__ import annotations

from typing import Any

import nh3
from jinja2 import pass_context
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

# Highlighted code and linked headings keep their look; no attribute can hold a script.
_ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, "*": {"class", "id"}}
_SCHEMES = {"http", "https", "mailto", "data"}


@pass_context
def safe_markdown(context: Any, source: str) -> str:
    """nbconvert's filter `markdown2html`, with HTML that can't run. nbgrader's templates use it on every cell."""
    attachments = context.get("cell", {}).get("attachments", {})
    rendered = MarkdownWithMath(renderer=IPythonRenderer(escape=False, attachments=attachments)).render(source)
    return nh3.clean(
        rendered,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        attribute_filter=_pictures_only,
        link_rel="noopener noreferrer",
    )


def _pictures_only(tag: str, attribute: str, value: str) -> str | None:
    """A picture may come along in its own URL, as an attachment does; nothing else may."""
    if value.lstrip().lower().startswith("data:") and not (tag == "img" and value.startswith("data:image/")):
        return None
    return value
