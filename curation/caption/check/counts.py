"""How long a text is, in words."""

from __future__ import annotations

import re

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def word_count(text: str) -> int:
    """Tokens between white space that hold a letter or a digit; "well-lit" is one, a lone dash none."""
    return sum(_LETTER_OR_DIGIT.search(token) is not None for token in text.split())
