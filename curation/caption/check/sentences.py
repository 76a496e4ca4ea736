"""Sentence boundaries. Abbreviations, initials, decimals and quoted exclamations do not end a sentence."""

from __future__ import annotations

import re
from functools import lru_cache

from curation.caption.check.wordlists import words
from curation.caption.languages import profile
from curation.caption.languages.language import Language

_ENGLISH = profile("en")

_CLOSERS = "\"'”’»)\\]}›"
_END = re.compile(rf"(?:(?<![.!?…])[.!?…]++[{_CLOSERS}]*+(?=\s|\Z))|(?:[。！？｡।॥؟۔]+[」』”»\"]*)")
_NEXT = re.compile(r"[\s\"'“‘«(\[{‹*_]*(\S)")
_LAST_TOKEN = re.compile(r"(\S+)\Z")
_INITIALS = re.compile(r"(?:[A-Z]\.|(?:[^\W\d_]\.){2,})\Z")
_ORDINAL = 2  # digits of a number that may be an ordinal one; "1920." ends a sentence
_NEXT_WORD = re.compile(r"[\s\"'“‘«(\[{‹]*([^\W_]+)")


@lru_cache(maxsize=64)
def sentence_ends(text: str, language: Language = _ENGLISH) -> tuple[int, ...]:
    """Index just behind each full sentence, closing quotes and brackets included.

    What follows the last end is no full sentence. A full stop ends none when it belongs to a known
    abbreviation ("St. Mary", "e.g. red") or to initials ("the U.S. flag"), and neither it nor a question
    or exclamation mark does when a lower-case letter follows ("a sign that says "STOP!" in red").
    """
    return tuple(m.end() for m in _END.finditer(text) if _ends_here(text, m, language))


@lru_cache(maxsize=64)
def sentences(text: str, language: Language = _ENGLISH) -> tuple[tuple[int, int], ...]:
    """Start and end of each sentence, white space around it left out; the last one may be unfinished."""
    found = []
    start = 0
    for end in (*sentence_ends(text, language), len(text)):
        piece = text[start:end]
        if piece.strip():
            found.append((start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
        start = end
    return tuple(found)


def _ends_here(text: str, mark: re.Match[str], language: Language) -> bool:
    following = _NEXT.match(text, mark.end())
    if following is None:
        return True
    if following[1].islower():
        return False
    if mark[0][0] != "." or mark[0].startswith(".."):
        return True
    return not _abbreviated(text, mark.start(), mark.end(), language)


def _abbreviated(text: str, stop: int, end: int, language: Language) -> bool:
    token = _LAST_TOKEN.search(text, max(0, stop - 40), stop)
    if token is None:
        return False
    last = token[1].lstrip("\"'“‘«([{‹")
    following = _NEXT_WORD.match(text, end)
    if language is not _ENGLISH:
        # "am 3. Oktober", "ок. 5 м", "ul. Długa": no list of words says whether a new sentence begins.
        ordinal = language.ordinals and last.isdigit() and len(last) <= _ORDINAL
        return following is not None and (
            ordinal or last.lower() in language.abbreviations or (len(last) == 1 and last.isupper())
        )
    if last.lower() in words("numbered"):
        return following is not None and following[1][0].isdigit()
    if last.lower() not in words("abbreviations") and not _INITIALS.match(last + "."):
        return False
    # "in the U.S. The man" and "shelves, jars, etc. A cat" are ends, "the U.S. Army" and "St. Mary" are none.
    return following is not None and following[1].lower() not in words("starters")
