"""A caption that stops in the middle."""

from __future__ import annotations

import re

from curation.caption.check.sentences import sentence_ends
from curation.caption.check.wordlists import words

_PHRASE = 10  # a kind whose captions may have fewer words than this may be a phrase without a full stop
_LAST_WORD = re.compile(r"(?<![^\W\d_])([^\W\d_]++)\W*+\Z")
_OPEN = re.compile(r"(?:[,;:&+/\-–—(\[“‘«]|\b[^\W\d_]\.?)\s*\Z")


def is_cut(text: str, finish: str | None, fewest_words: int) -> bool:
    """Whether the text was cut off: by the token limit, or with an end that is none.

    Where the kind allows few words ("a red cube on a table") a phrase is whole as long as it does not
    dangle ("a red cube on a") and the model did not run into its limit.
    """
    if not text.strip():
        return finish == "length"
    if finish == "length":
        return True
    ends = sentence_ends(text)
    if ends and not text[ends[-1] :].strip():
        return False
    if ends or fewest_words >= _PHRASE:
        return True
    last = _LAST_WORD.search(text)
    return bool(_OPEN.search(text)) or (last is not None and last[1].lower() in words("dangling"))
