"""The length of a text in words."""

from __future__ import annotations

import re
from functools import lru_cache

from curation.caption.languages.language import Language

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


@lru_cache(maxsize=64)  # the check of one caption asks for the same text several times
def word_count(text: str) -> int:
    """Count tokens with a letter or a digit, split at white space; "well-lit" is one word, a lone dash none."""
    # Nearly every token begins with a letter or a digit; only the others are searched.
    return len([token for token in text.split() if token[0].isalnum() or _LETTER_OR_DIGIT.search(token)])


def lower_words(word: re.Pattern[str], text: str) -> list[str]:
    """What such a pattern finds, in lower case."""
    if text.isascii():  # beyond, a letter may become two in lower case, and a word end there
        return word.findall(text.lower())
    return [found.lower() for found in word.findall(text)]


def length(text: str, language: Language) -> int:
    """The length in the unit of the language: words, or letters and digits where words are not separated."""
    if language.unit == "words":
        return word_count(text)
    return sum(map(str.isalnum, text))
