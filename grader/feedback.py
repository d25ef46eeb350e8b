"""nbgrader's feedback pages: what students wrote made safe, and the same pages made in a fraction of the time."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Any

import nh3
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from grader.gradebook import Kept, Layout, Scores
from grader.outputs import safe_html
from grader.submission import PICTURE

# Highlighted code and linked headings keep their look; no attribute can hold a script.
_ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, "*": {"class", "id"}}
# Much longer than an essay. Markdown of the wrong kind takes time that grows with the square of its length.
_LONGEST = 30_000
# Cells rendered and kept: those of the lesson are the same on every page.
_KEPT = 256
_NO_ALT = re.compile(r"<img (?![^>]*\balt=)")


@pass_context
def safe_markdown(context: Any, source: str) -> str:
    """nbconvert's filter `markdown2html`, with HTML that can't run. nbgrader's templates use it on every cell."""
    attachments = context.get("cell", {}).get("attachments", {})
    return _rendered(source) if not attachments else _render(source, attachments)


def _render(source: str, attachments: Any) -> str:
    if len(PICTURE.sub("", source)) > _LONGEST:
        return f"<pre>{html.escape(source)}</pre>"
    rendered = MarkdownWithMath(renderer=IPythonRenderer(escape=False, attachments=attachments)).render(source)
    return safe_html(rendered, attributes=_ATTRIBUTES)


@lru_cache(maxsize=_KEPT)
def _rendered(source: str) -> str:
    return _render(source, {})


class FeedbackExporter(HTMLExporter):
    """nbconvert's pages without its detour: it parses each whole page again, styles and all, for a few attributes.

    That takes many times as long as all the rest. What it adds to our pages is a text in place of a picture.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._highlight = lru_cache(maxsize=_KEPT)(Highlight2HTML(parent=self))

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> Any:
        language = nb.metadata.get("language_info", {}).get("name")
        resources = self._init_resources(resources)
        self.register_filter("highlight_code", lambda source, **_: self._highlight(source, language))
        widgets = WidgetsDataTypeFilter(notebook_metadata=self._nb_metadata, parent=self, resources=resources)
        self.register_filter("filter_data_type", widgets)
        page, resources = TemplateExporter.from_notebook_node(self, nb, resources, **kw)
        return _NO_ALT.sub('<img alt="No description has been provided for this image" ', page), resources


class FeedbackPages:
    """Makes the pages that `nbgrader generate_feedback` would make, from what is in memory."""

    def __init__(self) -> None:
        config = Config()
        make_safe(config)
        # Only for its own settings: the template and its styles.
        nbgraders = GenerateFeedback(coursedir=CourseDirectory(config=config), config=config)
        self._exporter = FeedbackExporter(parent=nbgraders, config=nbgraders.config)

    def page(self, notebook: NotebookNode, layout: Layout, scores: Scores, kept: Kept) -> str:
        """The page of an autograded notebook, which gets its scores and comments written into the cells' metadata."""
        for cell in notebook.cells:
            facts = cell.metadata.get("nbgrader", {})
            name = facts.get("grade_id", "")
            if facts.get("solution"):
                automatic, person = kept.comments.get(name, (None, None))
                facts["comment"] = scores.comments.get(name, automatic) if person is None else person
            if facts.get("grade"):
                facts["score"] = kept.score(scores, name)
        penalty = scores.penalty or 0
        facts = {
            "notebook": layout.assignment,
            "score": kept.total(scores) - penalty,
            "max_score": layout.points,
            "late_penalty": penalty,
        }
        page: str = self._exporter.from_notebook_node(notebook, {"nbgrader": facts})[0]
        return page


def make_safe(config: Any) -> None:
    """Tell nbconvert, which makes all of nbgrader's pages, that what stands in the cells is the students'."""
    config.HTMLExporter.filters = {"markdown2html": safe_markdown}
    config.HTMLExporter.exclude_raw = True
    config.GenerateFeedback.exporter_class = FeedbackExporter
