"""How long a text is, in words."""

from __future__ import annotations

import re

_WORD = re.compile(r"\S*[^\W_]\S*")


def word_count(text: str) -> int:
    """Tokens between white space that hold a letter or a digit; "well-lit" is one, a lone dash none."""
    return len(_WORD.findall(text))
