"""Texts as sequences of words that can be looked up: whole words, in any script, however they are written.

Two texts are alike here when they are equal after compatibility normalisation and case folding (Unicode's NFKC and
default caseless matching). A word is a run of letters, digits and marks. Scripts that put no blanks between words
(Chinese, Japanese, Thai and their like) have no such runs: there every character, with its marks, counts as a word, so
that a listed word is found within a sentence too.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

# Ranges of scripts that are written without blanks between words (Unicode's Line_Break classes ID and SA).
_WITHOUT_BLANKS = (
    *("\u0e00-\u0eff", "\u0f00-\u0fff", "\u1000-\u109f", "\u1780-\u17ff", "\u1950-\u19df", "\u1a20-\u1aaf"),
    *("\u3005-\u3007", "\u3021-\u3029", "\u3040-\u30ff", "\u3105-\u312f", "\u31a0-\u31bf", "\u31f0-\u31ff"),
    *("\u3400-\u4dbf", "\u4e00-\u9fff", "\ua9e0-\ua9ff", "\uaa60-\uaa7f", "\uaa80-\uaadf", "\uf900-\ufaff"),
    *("\U0001b000-\U0001b16f", "\U00020000-\U0003ffff"),
)
_JOINERS = "\u200c\u200d"  # they shape letters, and part no words
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]+")  # soft hyphens and the like, which hide a word
_ASCII = re.compile(r"[a-z0-9]+")


def units(text: str) -> list[str]:
    """The words of a text in their order, folded."""
    if text.isascii():
        return _ASCII.findall(text.lower())
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
    words, alone, single = _patterns()
    found: list[str] = []
    for word in words.findall(_INVISIBLE.sub("", unicodedata.normalize("NFKC", folded))):
        if word.isascii() or not alone.search(word):
            found.append(word)
        else:
            found += single.findall(word)
    return found


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """A run of letters, digits and marks; a character that is a word by itself; and what such a run consists of."""
    marks = f"{_JOINERS}{_marks()}"
    alone = "".join(_WITHOUT_BLANKS)
    return (
        re.compile(f"[^\\W_](?:[^\\W_]++|[{marks}]++)*+"),
        re.compile(f"[{alone}]"),
        re.compile(f"[{alone}][{marks}]*|[^{alone}]+"),
    )


def _marks() -> str:
    """All marks, such as accents and vowel signs, as ranges of a class of a pattern."""
    found: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] == "M":
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in found)
