"""The length of a text in words."""

from __future__ import annotations

import re

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def word_count(text: str) -> int:
    """Count tokens with a letter or a digit, split at white space; "well-lit" is one word, a lone dash none."""
    return sum(_LETTER_OR_DIGIT.search(token) is not None for token in text.split())
