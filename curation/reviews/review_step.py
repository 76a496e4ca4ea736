"""Gathers the files of decisions into the table ``reviews``, and makes the verdict of people from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curation.caption.check.counts import word_count
from curation.core.job import Report
from curation.core.pipeline import Engine, Totals, run_reduce
from curation.core.run import Part, Step
from curation.core.stage import Reduction, setting
from curation.core.store import Store
from curation.core.verdict import Verdict, View
from curation.reviews.decision import REASONS
from curation.reviews.journal import forget, put_together, read_all
from curation.sources.tombstones import Tombstones
from schemas.arrays import strings
from schemas.arrow import Record, table_of
from schemas.records import SourceRow
from schemas.reviews import Review

_REDUCED = f"manifest/{Review.table}/_reduce.json"
_REVIEWED = """
WITH undone AS (
    SELECT sample_id, undoes AS review_id FROM reviews WHERE action = 'undo' AND undoes IS NOT NULL
), standing AS (
    FROM reviews ANTI JOIN undone USING (sample_id, review_id) WHERE action IN ('keep', 'reject', 'edit')
), last AS (
    SELECT sample_id,
        max_by({'action': action, 'reason': reason, 'who': who, 'day': "at"[:10], 'note': note}, review_id) AS d
    FROM standing GROUP BY sample_id
), texts AS (
    -- The last edit; of a sample that nobody edited the text with which it was kept.
    SELECT sample_id, max_by(
        {'text': after, 'kind': kind, 'edited': action = 'edit', 'words': words, 'clip_tokens': clip_tokens,
            'sentence_end_77': sentence_end_77},
        (action = 'edit', review_id)
    ) AS t
    FROM standing WHERE after IS NOT NULL GROUP BY sample_id
)
SELECT sample_id, d.action, d.action = 'reject' AS rejected, d.action <> 'reject' AS kept, d.reason,
    concat_ws(': ', d.who || ', ' || d.day, d.note) AS detail, coalesce(t.edited, false) AS edited,
    t.text, t.kind, t.words, t.clip_tokens, t.sentence_end_77
FROM last LEFT JOIN texts USING (sample_id)
"""
_DOCS = {
    "sample_id": "as in rows",
    "action": "the last decision that stands: keep, reject or edit",
    "rejected": "whether that takes the sample out of the release",
    "kept": "whether it keeps it there, or brings it back where judgement may",
    "reason": "why it was rejected",
    "detail": "who decided, when, and what they wrote",
    "edited": "whether the text is a person's",
    "text": "the caption of the last edit that stands; else the one that was seen by who kept it",
    "kind": "the kind of caption that it stands for",
    "words": "in text",
    "clip_tokens": "as in reviews",
    "sentence_end_77": "as in caption_checks",
}
_VIEW = View("reviewed", _REVIEWED, "What people decided about a sample in the end; one row a sample", _DOCS)


@dataclass(frozen=True)
class ReviewReduce:
    """Rejects what people rejected, brings back what they kept where judgement may, and edits captions as they did.

    Writes a shard of ``reviews`` for every shard of the source whose samples were judged. Decisions about samples that
    the root does not have, or that were taken down, are left out. With ``restores``, a keep or an edit sets aside what
    the stages of captions said.
    """

    name: ClassVar[str] = "reviews"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow,)
    writes: ClassVar[type[Record]] = Review

    restores: bool = setting(True, digest=False)

    @property
    def verdict(self) -> Verdict:
        return Verdict(
            "reviewed",
            (),
            REASONS,
            waiting="false",
            reason="CASE WHEN v.rejected THEN v.reason END",
            detail="v.detail",
            views=(_VIEW,),
            beside=(Review,),
            overrules="v.kept AND v.text IS NOT NULL" if self.restores else "false",
        )

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return Reduction(_shards(store))


@dataclass(frozen=True)
class ReviewStep(Step):
    """Runs the reduce where there are decisions that the table does not have; else it does nothing."""

    name: str = field(init=False, default="reviews")
    reduce: ReviewReduce = ReviewReduce()

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.reduce,)

    def outlook(self, store: Store) -> list[str]:
        """How many decisions came since the last run."""
        waiting = len({r.review_id for r in _counting(store)} - _gathered(store))
        return (
            [f"reviews: {waiting:,} decisions of people are not in the release yet; packing will follow"]
            if waiting
            else []
        )

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        reviews = _counting(store)
        if not reviews and not store.shards(Review.table):
            return Totals()
        forget(store, Tombstones.of_root(store).by_sample.keys())
        put_together(store)
        if {r.review_id for r in reviews} != _gathered(store):
            store.remove(_REDUCED)  # so that it is not taken for finished
        return run_reduce(store, self.reduce, report)


def _counting(store: Store) -> list[Review]:
    """The decisions that count: those about samples that were taken down do not."""
    reviews = read_all(store)
    gone = Tombstones.of_root(store).by_sample if reviews else {}
    return [r for r in reviews if r.sample_id not in gone]


def _gathered(store: Store) -> set[str]:
    shards = store.shards(Review.table)
    return {i for s in shards for i in strings(store.read_table(Review, s, ["review_id"])["review_id"])}


def _shards(store: Store) -> Iterator[tuple[str, pa.Table]]:
    by_sample: dict[str, list[Review]] = {}
    for review in _counting(store):
        by_sample.setdefault(review.sample_id, []).append(review)
    left = set(by_sample)
    for shard in store.shards(SourceRow.table):
        if not left:
            return
        ids = store.read_table(SourceRow, shard, ["sample_id"])["sample_id"]
        there = set(strings(ids.filter(pc.is_in(ids, value_set=pa.array(sorted(left), pa.string())))))
        left -= there
        if there:
            yield shard, table_of(Review, [_measured(r) for sample in sorted(there) for r in by_sample[sample]])


def _measured(review: Review) -> Review:
    """The decision with the lengths of its text."""
    if review.after is None:
        return review
    from curation.caption.check import clip_tokens  # wants an extra's packages

    tokens, end = clip_tokens.measure(review.after)
    return replace(review, words=word_count(review.after), clip_tokens=tokens, sentence_end_77=end)
