"""The abstractness stage: how far each caption goes beyond what can be seen, a number in 0..1.

Of a caption's content words (words with letters, without function words, times and numbers), two kinds count as
beyond the picture: words in a named entity, and words that a literal description of the picture does not have.
Words are compared by their stems. Abstractness is the share of words beyond the picture; without a literal
description it is the share of words in named entities. The column is called ``abstractiveness``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import pyarrow as pa

from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Annotations, Verdict
from curation.news.clean_stage import captions_of
from curation.news.entities_stage import entities_of
from curation.news.gazetteers import words
from curation.news.spans import Span
from schemas.anchor import Abstraction
from schemas.arrow import Record, rows_of, table_of
from schemas.captions import Caption
from schemas.news import Abstractness, CleanCaption, NamedEntity


@dataclass(frozen=True)
class AbstractnessStage:
    """Measures how abstract each caption is.

    Writes one ``Abstractness`` row for each cleaned caption, in the captions' order.
    """

    name: ClassVar[str] = "abstractiveness"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = Abstractness

    recipe: Abstraction
    # Not in the digest by itself: ``reads`` is, and tells the two apart.
    literal: bool = setting(False, digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @property
    def reads(self) -> tuple[type[Record], ...]:
        """With ``literal`` the captioner's literal descriptions too."""
        return (CleanCaption, NamedEntity, *((Caption,) if self.literal else ()))

    @property
    def verdict(self) -> Verdict:
        return Verdict.awaited(Abstractness)

    @property
    def annotations(self) -> Annotations:
        return Annotations.columns(Abstractness, {key: key for key in ("abstractiveness", "subset", "literal")})

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._measure

    def _measure(self, shard: Shard) -> pa.Table:
        captions, entities, literals = captions_of(shard), entities_of(shard), self._literals(shard)
        shard.rows_in = len(captions)
        rows = []
        for sample, caption in captions.items():
            literal = literals.get(sample)
            found = measure(caption, entities.get(sample, []), literal)
            named = found.entities >= self.recipe.min_entities
            inside = named and found.abstractness >= self.recipe.min_abstractiveness
            rows.append(
                Abstractness(
                    sample_id=sample,
                    abstractiveness=found.abstractness,
                    entity_share=found.entity_share,
                    covered=found.covered,
                    entities=found.entities,
                    subset="entity" if inside else "non_entity",
                    literal=literal,
                )
            )
        return table_of(Abstractness, rows)

    def _literals(self, shard: Shard) -> dict[str, str]:
        if not self.literal:
            return {}
        return {c.sample_id: c.text for c in rows_of(Caption, shard.read(Caption)) if c.text is not None}


_TIMES = frozenset({"DATE", "TIME"})
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@dataclass(frozen=True, slots=True)
class Measured:
    """Shares of content words: beyond the picture, in entities, and of the rest in the literal description."""

    abstractness: float
    entity_share: float
    covered: float | None
    entities: int


def measure(caption: str, entities: Sequence[Span], literal: str | None) -> Measured:
    """Measure one caption. The abstractness of a caption without content words is 0."""
    seen = {_stem(w.lower()) for w in _WORD.findall(literal)} if literal else None
    inside = outside = covered = 0
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
            covered += seen is not None and _stem(text) in seen
    total = inside + outside
    beyond = inside + (outside - covered if seen is not None else 0)
    return Measured(
        abstractness=round(beyond / total, 4) if total else 0.0,
        entity_share=round(inside / total, 4) if total else 0.0,
        covered=None if seen is None else round(covered / outside, 4) if outside else 1.0,
        entities=len(named),
    )


def _within(at: int, spans: Sequence[Span]) -> bool:
    return any(s.start <= at < s.end for s in spans)


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    """A word without its commonest endings, so that "waves" and "waving" are the same word."""
    word = re.sub(r"['’]s?$", "", word)
    for ending, least in (("ies", 5), ("ing", 6), ("ed", 5), ("es", 5), ("s", 4), ("e", 4), ("y", 4)):
        if word.endswith(ending) and len(word) >= least:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
