"""Chooses the prompts of the release: none repeats another, and each category gets as many as its quota says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curation.core.stage import Reduction
from curation.core.store import Store
from curation.core.verdict import Verdict
from curation.dense_prompts.near import NearTexts, plain
from schemas.arrays import strings
from schemas.arrow import Record, rows_of, table_of
from schemas.prompt_records import PromptCheck, PromptChoice, PromptOverlap
from schemas.reasons import Reason
from schemas.records import SourceRow


@dataclass(frozen=True)
class ChooseReduce:
    """Goes through the prompts that nothing stands against in the order of the plan, and keeps what is new.

    A prompt goes that has the words of a chosen one, that is near a chosen one, or whose category is full. What later
    rounds bring never changes what was decided on earlier ones.
    """

    name: ClassVar[str] = "choose"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, PromptCheck, PromptOverlap)
    writes: ClassVar[type[Record]] = PromptChoice

    near: float
    quotas: tuple[tuple[str, int], ...]

    @property
    def verdict(self) -> Verdict:
        reasons: dict[str, str] = {
            Reason.REPEATED_PROMPT: "an earlier prompt has the same words",
            Reason.NEAR_PROMPT: "as near to an earlier prompt as check.near",
            Reason.QUOTA_FULL: "its category has as many prompts as quotas.size and the weights give it",
        }
        return Verdict.each(PromptChoice, reasons)

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return Reduction(self._shards(store))

    def _shards(self, store: Store) -> Iterator[tuple[str, pa.Table]]:
        shards = [s for s in store.shards(SourceRow.table) if store.entry(PromptCheck.table, s) is not None]
        texts = {shard: self._through(store, shard) for shard in shards}
        chooser = _Chooser(
            dict(self.quotas), NearTexts.over((t for found in texts.values() for _, _, t in found), self.near)
        )
        for shard in shards:
            yield shard, table_of(PromptChoice, [chooser.decide(*row) for row in texts[shard]])

    def _through(self, store: Store, shard: str) -> list[tuple[str, str, str]]:
        """Id, category and text of the prompts of a shard that nothing stands against."""
        rows = store.read_table(SourceRow, shard, ["sample_id", "source_file"])
        files = zip(strings(rows.column("sample_id")), strings(rows.column("source_file")), strict=True)
        categories = {sample: category_in(file) for sample, file in files}
        overlaps = rows_of(PromptOverlap, store.read_table(PromptOverlap, shard))
        passed = {o.sample_id for o in overlaps if o.reason is None}
        return [
            (c.sample_id, categories[c.sample_id], c.text or "")
            for c in rows_of(PromptCheck, store.read_table(PromptCheck, shard))
            if c.sample_id in passed
        ]


def category_in(source_file: str) -> str:
    """The category of a row of the plan."""
    return source_file.partition("/")[2]


@dataclass
class _Chooser:
    quotas: Mapping[str, int]
    near: NearTexts

    def __post_init__(self) -> None:
        self.chosen: Counter[str] = Counter()
        self.texts: dict[str, str] = {}

    def decide(self, sample: str, category: str, text: str) -> PromptChoice:
        same = self.texts.get(plain(text))
        if same is not None:
            return PromptChoice(sample, Reason.REPEATED_PROMPT, None, same)
        found = self.near.find(text)
        if found is not None:
            other, score = found
            return PromptChoice(sample, Reason.NEAR_PROMPT, f"Jaccard similarity {score:.2f}", other)
        quota = self.quotas.get(category, 0)
        if self.chosen[category] >= quota:
            return PromptChoice(sample, Reason.QUOTA_FULL, f"{quota} prompts of {category}", None)
        self.chosen[category] += 1
        self.texts[plain(text)] = sample
        self.near.add(sample, text)
        return PromptChoice(sample, None, None, None)
