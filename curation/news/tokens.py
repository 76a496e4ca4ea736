"""The words of a caption: spaCy's tokens, with double names joined and parties separated from states."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spacy.attrs import IDX, IS_SPACE, LENGTH

from curation.news import gazetteers as known

_ENDS = frozenset(".!?:;")
_QUOTES = frozenset("\"“‘'(")
_INNER_CAPITAL = re.compile(
    r"(?:al|el|an|ar|as|ash|at|bin|ul)-[A-Z]|[a-z][A-Z]\w|[dl]['’][A-Z]"
)  # al-Rashidi, iPhone, d'Alene
_ARABIC = re.compile(r"(?:al|el|an|ar|as|ash|at|bin|ul)-[A-Z]")
_STYLES = frozenset(
    ("style", "based", "born", "led", "backed", "like", "run", "owned", "trained", "era", "wide", "area")
)
_PREFIX = re.compile(r"(?:ex|then|non|pre|post|anti|pro|mid|former|self|all|co|un|re)$", re.I)


@dataclass(slots=True, eq=False)  # not frozen: that would take half as long again for every word
class Word:
    """A word with its place in the text.

    ``opens``: a sentence, or a clause behind a colon, starts with it. ``low``: in lower case without a last full
    stop. ``kind``: bits of ``Kind``. ``capital``: it is written like a name.
    """

    text: str
    start: int
    end: int
    opens: bool
    low: str
    kind: int
    capital: bool


def words_of(doc: Any, text: str) -> list[Word]:
    """The words of a text, from its spaCy tokens."""
    found: list[Word] = []
    opens = True
    kinds = known.kinds()
    places = doc.to_array((IDX, LENGTH, IS_SPACE)).tolist()
    for start, end in _joined([(at, at + length) for at, length, blank in places if not blank], text):
        word = text[start:end]
        low = word.lower().rstrip(".")
        first = word[0]
        capital = first.isupper() or (first.islower() and _INNER_CAPITAL.match(word) is not None)
        found.append(Word(word, start, end, opens, low, kinds.get(low, 0), capital))
        if word in _ENDS or word == "…":
            opens = True
        elif not (word in _QUOTES and opens):
            opens = False
    return found


def _joined(tokens: list[tuple[int, int]], text: str) -> Iterable[tuple[int, int]]:
    """Tokens that stand without a blank around a hyphen, as one; save where the parts are of different kinds."""
    at, count = 0, len(tokens)
    while at < count:
        start, end = tokens[at]
        if at + 2 >= count or tokens[at + 1][0] != end or text[end] not in "-–":
            # Most words stand alone; only one with a hyphen inside may have parts.
            if "-" in text[start:end]:
                yield from _parted(start, end, text)
            else:
                yield start, end
            at += 1
            continue
        while (
            at + 2 < count
            and text[end : tokens[at + 1][1]] in ("-", "–")
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
