"""Places the chosen prompts into the files of the release; table ``placements``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curation.core.stage import Reduction
from curation.core.store import Store
from curation.dense_prompts.choose_reduce import category_in
from curation.dense_prompts.plan_stage import CAPTIONS
from curation.dense_prompts.questions import from_json
from schemas.arrow import Record, rows_of, table_of
from schemas.prompt_records import PlacedPrompt, PromptCheck, PromptChoice, WrittenPrompt
from schemas.records import SourceRow

SPLIT = "test"  # what prompts are for
_DIGITS = 16


@dataclass(frozen=True)
class PlaceReduce:
    """Puts the chosen prompts in an order drawn by hash, and cuts it into files of ``shard_size`` prompts."""

    name: ClassVar[str] = "place"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, WrittenPrompt, PromptCheck, PromptChoice)
    writes: ClassVar[type[Record]] = PlacedPrompt

    shard_size: int
    seed: int

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return Reduction(self._shards(store))

    def _shards(self, store: Store) -> Iterator[tuple[str, pa.Table]]:
        chosen = [row for shard in store.shards(SourceRow.table) for row in _chosen(store, shard)]
        chosen.sort(key=lambda row: hashlib.sha256(f"{self.seed}:{row[0].sample_id}".encode()).digest())
        for number, start in enumerate(range(0, len(chosen), self.shard_size)):
            shard = f"{SPLIT}-{number:06d}"
            part = chosen[start : start + self.shard_size]
            yield shard, table_of(PlacedPrompt, [_placed(shard, place, *row) for place, row in enumerate(part)])


def _chosen(store: Store, shard: str) -> Iterator[tuple[SourceRow, WrittenPrompt, PromptCheck]]:
    """The chosen prompts of a shard with what is known of them."""
    if store.entry(PromptChoice.table, shard) is None:
        return
    choices = rows_of(PromptChoice, store.read_table(PromptChoice, shard))
    chosen = {c.sample_id for c in choices if c.reason is None}
    written = {w.sample_id: w for w in rows_of(WrittenPrompt, store.read_table(WrittenPrompt, shard))}
    checks = {c.sample_id: c for c in rows_of(PromptCheck, store.read_table(PromptCheck, shard))}
    for row in rows_of(SourceRow, store.read_table(SourceRow, shard)):
        if row.sample_id in chosen:
            yield row, written[row.sample_id], checks[row.sample_id]


def item_id(category: str, sample_id: str) -> str:
    """A name that is no number, has no dot, and says what the prompt is about: readers of CSV keep it as text, and
    scorers take what stands before the first dot of an image's file."""
    return f"{category}_{sample_id[:_DIGITS]}"


def _placed(shard: str, place: int, row: SourceRow, written: WrittenPrompt, check: PromptCheck) -> PlacedPrompt:
    made_from = row.source_file.partition("/")[0]
    category = category_in(row.source_file)
    return PlacedPrompt(
        sample_id=row.sample_id,
        item_id=item_id(category, row.sample_id),
        split=SPLIT,
        shard=shard,
        position=place,
        category=category,
        caption=check.text or "",
        words=check.words,
        clip_tokens=check.clip_tokens,
        target_words=written.target_words,
        questions=check.questions,
        question_count=len(from_json(check.questions)),
        made_from=made_from,
        brief=None if made_from == CAPTIONS else row.alt_text,
        source_file=row.source_file,
        source_row=row.source_row,
        prompt=written.prompt,
        model=written.model,
        model_revision=written.model_revision,
    )
