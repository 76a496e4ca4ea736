"""Text that a caption quotes from the picture, such as a sign. It may say anything, in any language."""

from __future__ import annotations

import re
from functools import lru_cache

from curation.caption.signs import signed

# Scripts that do not separate words write on right behind a quotation mark, as Korean does with its particles.
_JOINED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_START, _END = rf"(?<![^\W{_JOINED}])", rf"(?![^\W{_JOINED}])"
_QUOTED = re.compile(
    rf"{_START}\"[^\"\n]{{1,160}}\"{_END}"
    r"|“[^”\n]{1,160}”|«[^»\n]{1,160}»|„[^“”\n]{1,160}[“”]|「[^」\n]{1,160}」|『[^』\n]{1,160}』"
    rf"|{_START}['‘](?:[^'’‘\n]|(?<=\w)['’](?=[^\W{_JOINED}])){{1,100}}['’]{_END}"
)
_OPENING = "\"“«„「『'‘"
_NAMED = re.compile(r"\b(?:named|called|nicknamed|known as|by the name of|goes by)\s*,?\s*\Z", re.IGNORECASE)
_BEFORE = (
    r"(?:reads?|reading|says?|saying|words?|text|letters?|lettering|labell?ed|titled|entitled|inscribed|inscription"
    r"|spells?|spelling|written|printed|slogan|message|phrase|marked|stamped|engraved|numbered|initials)"
)
_CAPITALISED = r"[A-Z0-9][\w'’&.\-]*"
_UNQUOTED = signed(
    rf"\b{_BEFORE}(?:\s++(?:that|out|the|as|with|on\s+it|of|in\s+\w+\s+letters)){{0,9}}(?:\s*+:)?\s++"
    rf"({_CAPITALISED}(?:[\s,]+(?:(?:of|the|and|&|to|for|in|on|at)\s+)?{_CAPITALISED})*)",
    "read|say|word|text|letter|label|titled|inscribed|inscription|spell|written|printed|slogan|message|phrase|marked"
    "|stamped|engraved|numbered|initials",
    re.NOFLAG,
)
_WRITTEN_AFTER = signed(
    r"((?:\b[A-Z][\w'’]*\s+){1,4})(?=(?:lettering|inscription|signage)\b)",
    "lettering|inscription|signage",
    re.NOFLAG,
)


@lru_cache(maxsize=64)  # the check of one caption asks for the same text several times
def without_quotes(text: str) -> str:
    """The text with quoted passages blanked out; every other character keeps its index.

    A quotation after "named" or "called" stays: it says who someone is, not what is written.
    """
    if not any(mark in text for mark in _OPENING):
        return text
    return _QUOTED.sub(_blank_unless_named, text)


def without_written(text: str) -> str:
    """``without_quotes`` that also blanks unquoted writing: "a sign that reads OPEN", "the word Main"."""
    text = _UNQUOTED.sub(_blank_group, without_quotes(text))
    return _WRITTEN_AFTER.sub(_blank_group, text)


def tidy_lines(text: str) -> str:
    """The text without empty lines and white space at the ends of lines."""
    if "\n" not in text:
        return text
    return "\n".join(line for line in map(str.strip, text.split("\n")) if line)


def _blank_unless_named(found: re.Match[str]) -> str:
    if _NAMED.search(found.string, max(0, found.start() - 24), found.start()):
        return found[0]
    return " " * len(found[0])


def _blank_group(found: re.Match[str]) -> str:
    start, end = found.start(1) - found.start(), found.end(1) - found.start()
    return found[0][:start] + " " * (end - start) + found[0][end:]
