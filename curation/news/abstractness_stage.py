"""The abstractiveness stage: how far each caption goes beyond what can be seen, and which subset it is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation.core.stage import Resources, Shard, Work, setting
from curation.news.abstractness import measure
from curation.news.clean_stage import captions_of
from curation.news.entities_stage import entities_of
from schemas.anchor import Abstraction
from schemas.arrow import Record, rows_of, table_of
from schemas.news import Abstractness, CleanCaption, NamedEntity
from schemas.records import Caption


@dataclass(frozen=True)
class AbstractnessStage:
    """One ``Abstractness`` row a cleaned caption, in the captions' order."""

    name: ClassVar[str] = "abstractiveness"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (CleanCaption, NamedEntity)
    writes: ClassVar[type[Record]] = Abstractness

    recipe: Abstraction
    resources: Resources = setting(Resources(), digest=False)

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
            inside = named and found.abstractiveness >= self.recipe.min_abstractiveness
            rows.append(
                Abstractness(
                    sample_id=sample,
                    abstractiveness=found.abstractiveness,
                    entity_share=found.entity_share,
                    covered=found.covered,
                    entities=found.entities,
                    subset="entity" if inside else "non_entity",
                    literal=literal,
                )
            )
        return table_of(Abstractness, rows)

    def _literals(self, shard: Shard) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class LiteralAbstractnessStage(AbstractnessStage):
    """The same, compared with the captioner's literal descriptions."""

    reads: ClassVar[tuple[type[Record], ...]] = (CleanCaption, NamedEntity, Caption)

    def _literals(self, shard: Shard) -> dict[str, str]:
        return {c.sample_id: c.text for c in rows_of(Caption, shard.read(Caption)) if c.text is not None}
