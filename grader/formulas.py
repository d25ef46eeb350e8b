"""Formulas as MathML, made when a page is made: it needs no script, and nothing from another host."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote

from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer

# Of one formula, in characters, and of one cell. What is more stays as it was written.
_LONGEST, _MOST = 2000, 500
_NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML"'
# What presentation needs. TeX can also name links and styles: a formula with those stays as it was written.
_TAGS = frozenset(
    "math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt mstyle "
    "msub msubsup msup mtable mtd mtext mtr munder munderover none".split()
)
_ATTRIBUTES = frozenset(
    "accent accentunder columnalign columnlines columnspacing depth display displaystyle fence form height largeop "
    "linebreak linethickness lspace mathvariant maxsize minsize movablelimits notation rowlines rowspacing rspace "
    "scriptlevel separator stretchy symmetric voffset width".split()
)
_WORDS = re.compile(r"\\text\{([^{}]*\$[^{}]*)\}")
# Characters that no text uses: one formula's place.
_OPEN, _CLOSE = "\ue000", "\ue001"
# A tag, or a formula's place. In what nh3 gives back every attribute stands between double quotes.
_PLACES = re.compile(rf'<[a-zA-Z/](?:"[^"]*"|[^">])*>|{_OPEN}(\d+){_CLOSE}')
# In a tag; the address of a heading has it encoded.
_PLACE = re.compile(rf"(?:{_OPEN}|{quote(_OPEN)})(\d+)(?:{_CLOSE}|{quote(_CLOSE)})")


@lru_cache(maxsize=2000)
def mathml(tex: str, display: bool) -> str:
    """A formula as MathML, or "" if it can't be made: TeX is a language, and this reads what formulas use of it."""
    if len(tex) > _LONGEST:
        return ""
    tex = tex.replace(r"\begin{aligned}", r"\begin{align*}").replace(r"\end{aligned}", r"\end{align*}")
    # Words with a formula among them.
    tex = _WORDS.sub(lambda words: _apart(words[1]), tex)
    try:
        made = ET.fromstring(convert(tex, display="block" if display else "inline").replace(_NAMESPACE, "", 1))
        safe = all(part.tag in _TAGS and part.attrib.keys() <= _ATTRIBUTES for part in made.iter())
        return ET.tostring(made, encoding="unicode") if safe else ""
    except Exception:  # the converter's own, and whatever a formula makes it do
        return ""


def _apart(words: str) -> str:
    r"""`a $x$ b`, words with a formula among them, as the converter reads it: text, formula, text."""
    parts = words.split("$")
    return "".join(part if number % 2 else f"\\text{{{part}}}" for number, part in enumerate(parts) if part)


class Formulas(IPythonRenderer):
    """Renders markdown with a place for each formula; `put_in` puts them there, once the rest has been cleaned.

    The cleaner lets no MathML pass: what a student writes as such is not ours.
    """

    def __init__(self, attachments: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(escape=False, attachments=dict(attachments))  # type: ignore[arg-type]
        self._found: list[tuple[str, bool]] = []

    def block_math(self, body: str) -> str:
        return self._place(body, display=True)

    def inline_math(self, body: str) -> str:
        return self._place(body, display=False)

    def latex_environment(self, name: str, body: str) -> str:
        return self._place(f"\\begin{{{name}}}{body}\\end{{{name}}}", display=True)

    def _place(self, tex: str, display: bool) -> str:
        self._found.append((tex, display))
        return f"{_OPEN}{len(self._found) - 1}{_CLOSE}"

    def put_in(self, cleaned: str) -> str:
        def put(match: re.Match[str]) -> str:
            if match[1] is None:  # inside a tag, as the text of an attribute, it stays TeX
                return _PLACE.sub(lambda place: _written(self._found, int(place[1])), match[0])
            number = int(match[1])
            made = mathml(*self._found[number]) if number < min(len(self._found), _MOST) else ""
            return made or _written(self._found, number)

        return _PLACES.sub(put, cleaned)


def without_places(source: str) -> str:
    """A text that holds no character which stands for a formula."""
    return source.replace(_OPEN, "").replace(_CLOSE, "")


def _written(found: Sequence[tuple[str, bool]], number: int) -> str:
    """A formula as it was written."""
    if number >= len(found):
        return ""
    tex, display = found[number]
    dollars = "$$" if display else "$"
    return html.escape(f"{dollars}{tex}{dollars}")
