"""How far a caption goes beyond what can be seen: a number in 0..1.

Of a caption's content words (words with letters that are no function words; times and numbers left out),
those count as beyond the picture that stand in a named entity, and those that a literal description of
the picture does not have. Words are compared by their stems. Abstractiveness is the share of words beyond
the picture; without a literal description it is the share of words in named entities.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from curation.news.gazetteers import words
from curation.news.spans import Span

_TIMES = frozenset({"DATE", "TIME"})
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@dataclass(frozen=True, slots=True)
class Measured:
    """Shares of content words: beyond the picture, in entities, and of the rest in the literal description."""

    abstractiveness: float
    entity_share: float
    covered: float | None
    entities: int


def measure(caption: str, entities: Sequence[Span], literal: str | None) -> Measured:
    """Measures one caption. A caption without content words is 0."""
    seen = {_stem(w.lower()) for w in _WORD.findall(literal)} if literal else None
    inside = outside = told = 0
    times = [e for e in entities if e.label in _TIMES]
    named = [e for e in entities if e.label not in _TIMES]
    for word in _WORD.finditer(caption):
        text = word.group().lower()
        if text in words("function") or _within(word.start(), times):
            continue
        if _within(word.start(), named):
            inside += 1
        else:
            outside += 1
            told += seen is not None and _stem(text) in seen
    total = inside + outside
    beyond = inside + (outside - told if seen is not None else 0)
    return Measured(
        abstractiveness=round(beyond / total, 4) if total else 0.0,
        entity_share=round(inside / total, 4) if total else 0.0,
        covered=None if seen is None else round(told / outside, 4) if outside else 1.0,
        entities=len(named),
    )


def _within(at: int, spans: Sequence[Span]) -> bool:
    return any(s.start <= at < s.end for s in spans)


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    """A word without its commonest endings: enough to tell that "waves" and "waving" speak of the same."""
    word = re.sub(r"['’]s?$", "", word)
    for ending, least in (("ies", 5), ("ing", 6), ("ed", 5), ("es", 5), ("s", 4), ("e", 4), ("y", 4)):
        if word.endswith(ending) and len(word) >= least:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
