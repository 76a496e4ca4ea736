"""The length of a text in words."""

from __future__ import annotations

import re

from curation.caption.languages.language import Language

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def word_count(text: str) -> int:
    """Count tokens with a letter or a digit, split at white space; "well-lit" is one word, a lone dash none."""
    return sum(_LETTER_OR_DIGIT.search(token) is not None for token in text.split())


def length(text: str, language: Language) -> int:
    """The length in the unit of the language: words, or letters and digits where words are not separated."""
    if language.unit == "words":
        return word_count(text)
    return sum(map(str.isalnum, text))
