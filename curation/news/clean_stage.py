"""The clean stage: every keeper's caption without credits, labels, markup and doublings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import pyarrow as pa

from curation.caption.check.counts import word_count
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Annotations, Verdict, ViewColumn
from curation.news.cleaning import clean_caption
from schemas.anchor import Clean
from schemas.arrays import strings
from schemas.arrow import Record, rows_of, table_of
from schemas.news import CleanCaption
from schemas.reasons import Reason
from schemas.records import Duplicate, SourceRow

_SHOWN = ViewColumn(
    "shown",
    "CASE WHEN v.caption IS NOT NULL THEN {'caption': v.caption, 'words': v.words} END",
    "the cleaned caption and its words",
)


@dataclass(frozen=True)
class CleanStage:
    """Removes credits, agency lines and markup from each caption.

    Writes one ``CleanCaption`` row for each keeper, in the order of the duplicates table; the source's text stays in
    the table of rows.
    """

    name: ClassVar[str] = "clean"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, Duplicate)
    writes: ClassVar[type[Record]] = CleanCaption

    recipe: Clean
    resources: Resources = setting(Resources(), digest=False)

    @property
    def verdict(self) -> Verdict:
        columns = (ViewColumn("kind", "'news'", "the kind of caption that is released: news, the cleaned one"), _SHOWN)
        reasons: dict[str, str] = {
            Reason.FEW_WORDS: "fewer words than clean.min_words are left",
            Reason.NOTHING_LEFT: "nothing is left without credits and markup",
        }
        made = Verdict.each(CleanCaption, reasons, columns)
        return replace(made, settings={"prefer": ["news"], "product": "news"})

    @property
    def annotations(self) -> Annotations:
        return Annotations.columns(CleanCaption, {"cleaning_rules": "rules"})

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._clean

    def _clean(self, shard: Shard) -> pa.Table:
        rows = shard.read(SourceRow).select(["sample_id", "alt_text"])
        texts = dict(zip(strings(rows["sample_id"]), strings(rows["alt_text"]), strict=True))
        keepers = [d.sample_id for d in rows_of(Duplicate, shard.read(Duplicate)) if d.reason is None]
        shard.rows_in = len(keepers)
        return table_of(CleanCaption, (self._row(sample, texts[sample]) for sample in keepers))

    def _row(self, sample_id: str, text: str) -> CleanCaption:
        cleaned = clean_caption(text, self.recipe)
        words = word_count(cleaned.text)
        removed = " | ".join(cleaned.removed) or None
        if words < self.recipe.min_words:
            reason = Reason.FEW_WORDS if words else Reason.NOTHING_LEFT
            found = f"{words} words are left; at least {self.recipe.min_words}: {cleaned.text[:200]!r}"
            return CleanCaption(sample_id, None, list(cleaned.rules), reason, found, words, 0, None)
        from curation.caption.check import clip_tokens

        tokens, end = clip_tokens.measure(cleaned.text)
        return CleanCaption(sample_id, cleaned.text, list(cleaned.rules), None, removed, words, tokens, end)


TEXTS = """
SELECT
    v.sample_id, len(regexp_extract_all(v.alt_text, '\\S+'))::INTEGER AS alt_text_words, 0 AS alt_text_clip_tokens,
    k.caption, 'news' AS caption_kind, k.words, k.clip_tokens, k.sentence_end_77, '{}' AS captions,
    '' AS prompt, '' AS model, NULL::FLOAT AS similarity, NULL::FLOAT AS alt_text_similarity
FROM verdicts v JOIN cleaned k USING (sample_id)
WHERE v.through
"""
"""SQL: what a news sample that passed is released with (see ``release.placing.find_kept``)."""


def captions_of(shard: Shard) -> dict[str, str]:
    """The shard's cleaned captions by sample, in order; those that were rejected are left out."""
    rows = shard.read(CleanCaption).select(["sample_id", "caption"])
    return {s: c for s, c in zip(strings(rows["sample_id"]), rows["caption"].to_pylist(), strict=True) if c is not None}
