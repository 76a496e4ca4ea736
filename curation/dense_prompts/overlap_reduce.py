"""Finds prompts that share words with the texts of training roots; table ``prompt_overlaps``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa

from curation.core.stage import Reduction, setting
from curation.core.store import Store, untouched
from curation.core.verdict import Verdict
from curation.dense_prompts.plan_stage import RootShards
from curation.dense_prompts.training_texts import Comparison, open_training_roots
from schemas.arrow import Record, rows_of, table_of
from schemas.dense_prompts import TrainingTexts
from schemas.prompt_records import PromptCheck, PromptOverlap
from schemas.reasons import Reason
from schemas.records import SourceRow


@dataclass(frozen=True)
class OverlapReduce:
    """Compares prompts with the released texts of training roots: with every alt text and every caption there.

    Writes one ``PromptOverlap`` row for each prompt that passed the check. The texts stream past the prompts once a
    run of the reduce; shards of prompts that were compared before with the same texts are left as they are. Without a
    root nothing is shared.
    """

    name: ClassVar[str] = "overlaps"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (PromptCheck,)
    writes: ClassVar[type[Record]] = PromptOverlap

    shared_words: int
    near: float
    roots: RootShards = ()
    urls: tuple[str, ...] = setting((), digest=False)

    @classmethod
    def declared(cls, recipe: TrainingTexts, specs: tuple[str, ...]) -> OverlapReduce:
        """The reduce before a look at the roots; those that prompts are made from are always among them."""
        return cls(recipe.shared_words, recipe.near, urls=(*specs, *recipe.sets))

    def ready(self, store: Store | None) -> OverlapReduce:
        """Raises ``SourceError`` for a root without a release."""
        roots = open_training_roots(self.urls, store)
        return replace(self, roots=tuple((root.url, root.shards()) for root in roots))

    @property
    def verdict(self) -> Verdict:
        reasons: dict[str, str] = {
            Reason.SHARED_TEXT: "as many consecutive words of a training text as decontamination.shared_words",
            Reason.NEAR_TRAINING_TEXT: "a training text has decontamination.near of its runs of three words",
        }
        return Verdict.each(PromptOverlap, reasons)

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        planned = set(store.shards(SourceRow.table))
        files = {
            shard: entry.writes[store.table_file(PromptCheck.table, shard)]
            for shard, entry in store.entries(PromptCheck.table).items()
            if shard in planned
        }
        earlier: dict[str, str] = previous.get("shards", {})
        whole = untouched(store.reduce_entry(PromptOverlap.table), store.entries(PromptOverlap.table))
        same = {shard for shard, sha in files.items() if earlier.get(shard) == sha and shard in whole}
        return Reduction(
            self._shards(store, sorted(files.keys() - same)), lambda: {"shards": dict(sorted(files.items()))}, same
        )

    def _shards(self, store: Store, shards: list[str]) -> Iterator[tuple[str, pa.Table]]:
        if not shards:
            return
        checks = [
            (shard, check)
            for shard in shards
            for check in rows_of(PromptCheck, store.read_table(PromptCheck, shard))
            if check.reason is None
        ]
        comparison = Comparison.of([check.text or "" for _, check in checks], self.shared_words, self.near)
        for root in open_training_roots(self.urls, store):
            for sample, texts in root.texts():
                for text in texts:
                    comparison.see(root.url, sample, text)
        shared, near = comparison.shared(), comparison.nearest()
        rows: dict[str, list[PromptOverlap]] = {shard: [] for shard in shards}
        for number, (shard, check) in enumerate(checks):
            row = PromptOverlap(check.sample_id, None, None, None, None)
            if number in shared:
                url, sample, words = shared[number]
                row = PromptOverlap(check.sample_id, Reason.SHARED_TEXT, words, url, sample)
            elif number in near:
                share, url, sample = near[number]
                detail = f"{share:.0%} of its runs of three words"
                row = PromptOverlap(check.sample_id, Reason.NEAR_TRAINING_TEXT, detail, url, sample)
            rows[shard].append(row)
        for shard in shards:
            yield shard, table_of(PromptOverlap, rows[shard])
