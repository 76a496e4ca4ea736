"""The abstractiveness stage: how far each caption goes beyond what can be seen, and which subset it is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Annotation, Annotations, Verdict
from curation.news.abstractness import measure
from curation.news.clean_stage import captions_of
from curation.news.entities_stage import entities_of
from schemas.anchor import Abstraction
from schemas.arrow import Record, rows_of, schema_of, table_of
from schemas.news import Abstractness, CleanCaption, NamedEntity
from schemas.records import Caption


@dataclass(frozen=True)
class AbstractnessStage:
    """One ``Abstractness`` row a cleaned caption, in the captions' order."""

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
        schema = schema_of(Abstractness)
        keys = ("abstractiveness", "subset", "literal")
        return Annotations(
            Abstractness.table,
            (Abstractness,),
            tuple(Annotation(key, f"a.{key}", schema.field(key).type) for key in keys),
        )

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
        if not self.literal:
            return {}
        return {c.sample_id: c.text for c in rows_of(Caption, shard.read(Caption)) if c.text is not None}
