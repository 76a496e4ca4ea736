"""The conditioning stage: caption and subjects in the dialects that training code reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Annotations, Verdict
from curation.load import conditioning as how
from curation.load.conditioning import Weighted
from curation.news.clean_stage import captions_of
from schemas.anchor import Condition
from schemas.arrow import Record, rows_of, table_of
from schemas.news import CleanCaption, Conditioning, SubjectWeight


@dataclass(frozen=True)
class ConditioningStage:
    """Writes each caption's subject weights in the forms that training code takes.

    One ``Conditioning`` row for each caption with weighed subjects, in the captions' order.
    """

    name: ClassVar[str] = "conditioning"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[type[Record], ...]] = (CleanCaption, SubjectWeight)
    writes: ClassVar[type[Record]] = Conditioning

    recipe: Condition
    resources: Resources = setting(Resources(), digest=False)

    @property
    def verdict(self) -> Verdict:
        return Verdict.awaited(Conditioning)

    @property
    def annotations(self) -> Annotations:
        columns = {key: key for key in ("compel", "weighted", "prefixed", "token_weights")}
        columns |= {"subjects_beyond": "beyond"}
        return Annotations.columns(Conditioning, columns)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._condition

    def _condition(self, shard: Shard) -> pa.Table:
        captions = captions_of(shard)
        subjects: dict[str, list[Weighted]] = {}
        for row in rows_of(SubjectWeight, shard.read(SubjectWeight)):
            if row.reason is None:
                found = subjects.setdefault(row.sample_id, [])
                if row.start is not None and row.end is not None and row.weight is not None:
                    found.append(Weighted(row.start, row.end, row.weight))
        shard.rows_in = len(captions)
        return table_of(Conditioning, (self._row(s, captions[s], w) for s, w in subjects.items()))

    def _row(self, sample: str, caption: str, subjects: list[Weighted]) -> Conditioning:
        from curation.caption.check import clip_tokens

        offsets = clip_tokens.places(caption)
        tokens = how.weights_of(caption, offsets, subjects, self.recipe.strength)
        return Conditioning(
            sample_id=sample,
            compel=how.to_compel(caption, subjects, self.recipe.strength),
            weighted=how.to_weighted(caption, subjects, self.recipe.strength),
            prefixed=how.to_prefixed(caption, subjects),
            token_weights=list(tokens.weights),
            beyond=[caption[s.start : s.end] for s in tokens.beyond],
        )
