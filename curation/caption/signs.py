"""A pattern together with its signs: pieces of text of which every match holds at least one.

Most captions and alt texts hold no sign of most faults, and a look for a dozen short pieces takes a small part of the
time of a long pattern. What a text holds is told by its signs alone as long as each way through the pattern has one;
a test proves that for every pattern with signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

# Beside its capital, what re.IGNORECASE takes for an ASCII letter and ``str.lower`` does not turn into it.
_ALIKE = str.maketrans({"ſ": "s", "ı": "i", "İ": "i"})
_all_parts: set[str] = set()  # the longest word of each sign


@dataclass(frozen=True, slots=True)
class Signs:
    """Pieces of text in lower case, a space for any white space, by the longest word of each.

    Which of these words a text holds is found once for all signs, word by word; what a word holds is remembered.
    """

    by_part: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, listed: str) -> Signs:
        """Of pieces that "|" parts; none of an empty text."""
        found: dict[str, tuple[str, ...]] = {}
        for sign in dict.fromkeys(filter(None, listed.split("|"))):
            part = max(sign.split(), key=len)
            found[part] = (*found.get(part, ()), sign)
        _all_parts.update(found)
        for remembered in (_parts_in, _parts):
            remembered.cache_clear()
        return cls(found)

    def __iter__(self) -> Iterator[str]:
        return (sign for signs in self.by_part.values() for sign in signs)

    def in_text(self, text: str) -> bool:
        """Whether the text holds one of the signs."""
        low, parts = _parts(text)
        return any(sign in low for part in parts for sign in self.by_part.get(part, ()))


@dataclass(frozen=True, slots=True)
class Signed:
    """A pattern and its signs: a text without a sign is not searched."""

    pattern: re.Pattern[str]
    signs: Signs

    def search(self, text: str) -> re.Match[str] | None:
        return self.pattern.search(text) if self.signs.in_text(text) else None

    def sub(self, by: Callable[[re.Match[str]], str], text: str) -> str:
        return self.pattern.sub(by, text) if self.signs.in_text(text) else text


def signed(pattern: str, signs: str, flags: re.RegexFlag = re.IGNORECASE) -> Signed:
    """A pattern, as a rule matched without regard to case, and its signs, which "|" parts."""
    return Signed(re.compile(pattern, flags), Signs.of(signs))


def flat(text: str) -> str:
    """The text as signs are looked for in it: in lower case, with one space between words and around the whole."""
    if not text.isascii():
        text = text.translate(_ALIKE)
    return f" {' '.join(text.lower().split())} "


@lru_cache(maxsize=64)  # the check of one caption asks for the same text several times
def _parts(text: str) -> tuple[str, frozenset[str]]:
    """The flat text, and the longest words of signs that its words hold."""
    low = flat(text)
    return low, frozenset(part for word in low.split() for part in _parts_in(word))


@lru_cache(maxsize=1 << 16)
def _parts_in(word: str) -> tuple[str, ...]:
    return tuple(part for part in _all_parts if part in word)
