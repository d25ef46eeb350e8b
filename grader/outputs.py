"""Cell outputs from the sandbox, made safe for the pages of whoever opens them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

import nh3

_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_NUMPY_SAYS = ("Not equal to tolerance", "Arrays are not ", "Items are not equal", "Mismatch", "ACTUAL", "Max ")
# More tags than a table of numbers has, and a few thousand open ones take the cleaner seconds.
_TAGS = 6000
# Also what writes a line backwards, and half characters, which no terminal or file can take.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Also after what a spreadsheet may take for a separator or the end of a quotation.
_FORMULA = re.compile(r"((?:^|[,;\"])\s*)([=+\-@＝＋－＠])")


def safe_text(text: object) -> str:
    """Text without control characters: a terminal that shows it must not obey it."""
    return _CONTROL.sub("", str(text))


def safe_cell(value: object) -> str:
    """A cell of a table that spreadsheets open: a number to its last digit, and a text that none takes for a formula.

    None is an empty cell.
    """
    if value is None:
        return ""
    if isinstance(value, int | float):
        return repr(value).removesuffix(".0")
    return _FORMULA.sub(r"\1'\2", " ".join(safe_text(value).split()))


def csv_text(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV, each cell of it safe."""
    text = io.StringIO()
    csv.writer(text).writerows(map(safe_cell, row) for row in [header, *rows])
    return text.getvalue()


def safe_html(text: str, **allowed: Any) -> str:
    """HTML that can't run anything, nor load anything from elsewhere: a picture that it shows comes with it.

    allowed: more than nh3 allows by itself, as its `clean` takes it.
    """
    if text.count("<") > _TAGS:
        return "[HTML left out: it has too many parts]"
    schemes = {*nh3.ALLOWED_URL_SCHEMES, "data"}
    return nh3.clean(text, url_schemes=schemes, attribute_filter=_pictures_that_come_along, **allowed)


def _pictures_that_come_along(tag: str, attribute: str, value: str) -> str | None:
    picture = tag == "img" and attribute == "src"
    leads = value.lstrip().lower()
    if picture:
        return value if leads.startswith("data:image/") else None
    return None if leads.startswith("data:") else value


def gist(message: str) -> str:
    """The sentence in an exception's message. numpy.testing wraps the author's in lines of numbers."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_NUMPY_SAYS)] or lines
    return lines[0][:300] if lines else ""


def safe_output(output: Any) -> dict[str, Any]:
    """A well-formed nbformat output from what a sandbox sent: text, images, and HTML that can't run.

    Raises ValueError or LookupError if it is no output.
    """
    kind = output["output_type"]
    if kind == "stream":
        name = "stderr" if output["name"] == "stderr" else "stdout"
        return {"output_type": kind, "name": name, "text": safe_text(output["text"])}
    if kind == "error":
        return {
            "output_type": kind,
            "ename": safe_text(output["ename"]),
            "evalue": safe_text(output["evalue"]),
            "traceback": [safe_text(line) for line in output["traceback"]],
        }
    if kind not in ("display_data", "execute_result"):
        raise ValueError(f"unknown output {str(kind)[:20]!r}")
    safe: dict[str, Any] = {"output_type": kind, "data": _safe_data(output["data"]), "metadata": {}}
    if kind == "execute_result":
        safe["execution_count"] = int(output["execution_count"])
    return safe


def _safe_data(data: dict[str, Any]) -> dict[str, str]:
    safe = {}
    for mime, value in data.items():
        if mime == "text/plain":
            safe[mime] = safe_text(value)
        elif mime == "text/html":
            safe[mime] = safe_html(str(value))
        elif mime in ("image/png", "image/jpeg") and _BASE64.fullmatch(str(value)):
            safe[mime] = str(value)
    return safe
