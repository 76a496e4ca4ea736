"""The words of a caption: spaCy's tokens, with double names joined and parties told from states."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_ENDS = frozenset(".!?:;")
_QUOTES = frozenset("\"“‘'(")
_ARABIC = re.compile(r"(?:al|el|an|ar|as|ash|at|bin|ul)-[A-Z]")
_STYLES = frozenset(
    ("style", "based", "born", "led", "backed", "like", "run", "owned", "trained", "era", "wide", "area")
)
_PREFIX = re.compile(r"(?:ex|then|non|pre|post|anti|pro|mid|former|self|all|co|un|re)$", re.I)


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its place in the text. ``opens``: where a sentence, or a clause behind a colon, starts."""

    text: str
    start: int
    end: int
    opens: bool

    @property
    def low(self) -> str:
        return self.text.lower().rstrip(".")

    @property
    def capital(self) -> bool:
        """Whether it is written like a name."""
        return self.text[0].isupper() or _ARABIC.match(self.text) is not None


def words_of(doc: Any, text: str) -> list[Word]:
    """The words of a text, from its spaCy tokens."""
    found: list[Word] = []
    opens = True
    for start, end in _joined([(t.idx, t.idx + len(t.text)) for t in doc if not t.is_space], text):
        word = text[start:end]
        found.append(Word(word, start, end, opens))
        if word in _ENDS or word == "…":
            opens = True
        elif not (word in _QUOTES and opens):
            opens = False
    return found


def _joined(tokens: list[tuple[int, int]], text: str) -> Iterable[tuple[int, int]]:
    """Tokens that stand without a blank around a hyphen, as one; save where the parts are of different kinds."""
    at = 0
    while at < len(tokens):
        start, end = tokens[at]
        while (
            at + 2 < len(tokens)
            and text[tokens[at + 1][0] : tokens[at + 1][1]] in ("-", "–")
            and tokens[at + 1][0] == end
            and tokens[at + 2][0] == tokens[at + 1][1]
            and text[tokens[at + 2][0]].isalnum()
            and text[end - 1].isalnum()
        ):
            end = tokens[at + 2][1]
            at += 2
        yield from _parted(start, end, text)
        at += 1


def _parted(start: int, end: int, text: str) -> Iterable[tuple[int, int]]:
    """R-Wis., Ukip-style, Ex-CIA: the parts that are names stand alone."""
    word = text[start:end]
    first, hyphen, rest = word.partition("-")
    if not hyphen or not first or not rest or _ARABIC.match(word):
        yield start, end
        return
    middle = start + len(first)
    party = len(first) == 1 and first in "DRI" and rest[0].isupper()
    prefixed = rest[0].isupper() and _PREFIX.match(first) is not None
    styled = first[0].isupper() and rest[0].islower() and len(rest) > 3 and "-" not in rest and rest in _STYLES
    if party or prefixed or styled:
        yield from ((start, middle), (middle, middle + 1), (middle + 1, end))
    else:
        yield start, end
