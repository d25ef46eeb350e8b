"""nbgrader's feedback pages: what students wrote made safe, and the same pages made in a fraction of the time."""

from __future__ import annotations

import html
import re
from functools import cache, lru_cache
from typing import Any

import nh3
import pygments
from IPython.lib.lexers import IPython3Lexer
from jinja2 import DictLoader, pass_context
from nbconvert.exporters import Exporter, HTMLExporter
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers.python import PythonLexer
from traitlets.config import Config

from grader.formulas import Formulas, without_places
from grader.gradebook import Kept, Layout, Scores
from grader.outputs import safe_html
from grader.submission import PICTURE

# Highlighted code and linked headings keep their look; no attribute can hold a script.
_ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, "*": {"class", "id"}}
# Much longer than an essay. Markdown of the wrong kind takes time that grows with the square of its length.
_LONGEST = 30_000
# Cells rendered and kept: those of the lesson are the same on every page.
_KEPT = 256
# What nbconvert calls Python with magics, when a notebook does not say in what language it is.
_NO_LANGUAGE = "ipython3"
_NO_SCORE = {"notebook": "", "score": 0.0, "max_score": 0.0, "late_penalty": 0.0}
# What of a notebook stands on a page, in nbconvert's words.
_EVERYTHING = {
    "include_code": True,
    "include_markdown": True,
    "include_raw": False,
    "include_unknown": True,
    "include_input": True,
    "include_output": True,
    "include_output_stdin": True,
    "include_input_prompt": True,
    "include_output_prompt": True,
    "no_prompt": False,
}
# nbgrader's template loads MathJax from another host. Formulas are made before: here stands what its page may do.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
# What its styles and Bootstrap's lack: links and code that stand out, lines that end at the edge, cells that may cross
# pages.
_STYLE = """<style>
a { color: #23527c; text-decoration: underline; }
body div.nbgrader_cell .panel-heading a { color: inherit; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
body div.input_area, body div.input_area pre { background: #fff; }
@media print {
  body div.cell, body div.output_wrapper, body div.output, body pre { page-break-inside: auto; }
  td, th, a { overflow-wrap: anywhere; }
}
</style>"""
# JupyterLab gives a page that it shows a base of its own, and links within the page would lead to nothing. It takes the
# page's base if there is one, and the policy keeps that from having any effect.
_NO_MATHJAX = (
    "{% macro mathjax(url='') %}"
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><base target="_self">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"{_STYLE}"
    "{% endmacro %}"
)
_NO_ALT = re.compile(r"<img (?![^>]*\balt=)")


@pass_context
def safe_markdown(context: Any, source: str) -> str:
    """nbconvert's filter `markdown2html`, with HTML that can't run. nbgrader's templates use it on every cell."""
    attachments = context.get("cell", {}).get("attachments", {})
    return _rendered(source) if not attachments else _render(source, attachments)


def _render(source: str, attachments: Any) -> str:
    if len(PICTURE.sub("", source)) > _LONGEST:
        return f"<pre>{html.escape(source)}</pre>"
    formulas = Formulas(attachments)
    rendered = MarkdownWithMath(renderer=formulas).render(without_places(source))
    return formulas.put_in(safe_html(rendered, attributes=_ATTRIBUTES))


@lru_cache(maxsize=_KEPT)
def _rendered(source: str) -> str:
    return _render(source, {})


@lru_cache(maxsize=_KEPT)
def _highlighted(source: str, language: str) -> str:
    return str(pygments.highlight(source or " ", *_highlighter(language)))


@cache
def _highlighter(language: str) -> tuple[Lexer, HtmlFormatter[str]]:
    """As nbconvert has them, which makes both anew for each cell."""
    lexer = IPython3Lexer() if language == _NO_LANGUAGE else PythonLexer()
    return lexer, HtmlFormatter(cssclass=f" highlight hl-{language}")


class FeedbackExporter(HTMLExporter):
    """nbconvert's pages without its detour: it parses each whole page again, styles and all, for a few attributes.

    That takes many times as long as all the rest. What it adds to our pages is a text in place of a picture.
    The pages load nothing and run nothing: they open offline.
    """

    extra_loaders = [DictLoader({"mathjax.html.j2": _NO_MATHJAX})]  # noqa: RUF012 - it is nbconvert's own trait

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> Any:
        nb, resources = Exporter.from_notebook_node(self, nb, resources, **kw)
        return self.page(nb, resources), resources

    def page(self, notebook: NotebookNode, resources: Any) -> str:
        """The page of a notebook that needs no more preparation, with `resources` from one that had it."""
        language = notebook.metadata.get("language_info", {}).get("name", _NO_LANGUAGE)
        language = "python" if language != _NO_LANGUAGE else language  # no other is taught here
        self.register_filter("highlight_code", lambda source, **_: _highlighted(source, language))
        widgets = WidgetsDataTypeFilter(notebook_metadata={}, parent=self, resources=resources)
        self.register_filter("filter_data_type", widgets)
        resources["global_content_filter"] = _EVERYTHING
        page = self.template.render(nb=notebook, resources=resources).lstrip("\r\n")
        page = page.replace("<html>", '<html lang="en">', 1)
        page = page.replace('<div class="panel-heading">', '<div class="panel-heading" role="banner">', 1)
        return _NO_ALT.sub('<img alt="No description has been provided for this image" ', page)


class FeedbackPages:
    """Makes the pages that `nbgrader generate_feedback` would make, from what is in memory."""

    def __init__(self) -> None:
        config = Config()
        make_safe(config)
        # Only for its own settings: the template and its styles.
        nbgraders = GenerateFeedback(coursedir=CourseDirectory(config=config), config=config)
        self._exporter = FeedbackExporter(parent=nbgraders, config=nbgraders.config)
        self._resources = self._exporter.from_notebook_node(new_notebook(), {"nbgrader": _NO_SCORE})[1]

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
        return self._exporter.page(notebook, {**self._resources, "nbgrader": facts})


def make_safe(config: Any) -> None:
    """Tell nbconvert, which makes all of nbgrader's pages, that what stands in the cells is the students'."""
    config.HTMLExporter.filters = {"markdown2html": safe_markdown}
    config.HTMLExporter.exclude_raw = True
    config.GenerateFeedback.exporter_class = FeedbackExporter
