"""A pattern together with its signs: pieces of text of which every match holds at least one.

Most captions and alt texts hold no sign of most faults, and a look for a dozen short pieces takes a small part of the
time of a long pattern. What a text holds is told by its signs alone as long as each way through the pattern has one;
a test proves that for every pattern with signs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# Beside its capital, what re.IGNORECASE takes for an ASCII letter and ``str.lower`` does not turn into it.
_ALIKE = str.maketrans({"ſ": "s", "ı": "i", "İ": "i"})


@lru_cache(maxsize=64)  # the check of one caption asks for the same text several times
def flat(text: str) -> str:
    """The text as signs are looked for in it: in lower case, with one space between words and around the whole."""
    if not text.isascii():
        text = text.translate(_ALIKE)
    return f" {' '.join(text.lower().split())} "


def holds(text: str, signs: tuple[str, ...]) -> bool:
    """Whether a text holds one of the signs."""
    low = flat(text)
    # any() of a generator takes twice the time.
    for sign in signs:  # noqa: SIM110
        if sign in low:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Signed:
    """A pattern and its signs: ASCII, in lower case, a space for any white space."""

    pattern: re.Pattern[str]
    signs: tuple[str, ...]

    def search(self, text: str) -> re.Match[str] | None:
        """``pattern.search``, for which a text without a sign is not searched."""
        return self.pattern.search(text) if holds(text, self.signs) else None


def signed(pattern: str, signs: str) -> Signed:
    """A pattern that is matched without regard to case, and its signs, which "|" parts."""
    return Signed(re.compile(pattern, re.IGNORECASE), tuple(signs.split("|")))
