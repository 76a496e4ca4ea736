"""The check stage: a verdict on every caption, and the counts of every alt text beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import pyarrow as pa

from curation.caption.check.counts import word_count
from curation.caption.choice import Choice
from curation.caption.prompts.questions import resolve, tag_kinds
from curation.core.losses import Losses
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Verdict
from schemas.arrays import strings
from schemas.arrow import Record, rows_of, table_of
from schemas.candidates import plain_kind
from schemas.captions import Caption, CaptionCheck
from schemas.chat import CaptionKind
from schemas.reasons import Reason
from schemas.records import SourceRow
from schemas.refine import USUAL_WORDS, Check

ALT_TEXT = "alt_text"  # the kind of the row that holds an alt text's counts


@dataclass(frozen=True)
class CheckStage:
    """Checks each caption for faults, and repairs some of them.

    Writes one ``CaptionCheck`` row for each caption, in the captions' order, and before them one for the sample's alt
    text. The alt text's row holds its counts only: it has no reasons and has not passed. A caption without a text has
    not passed, for the reason that the caption gives. ``prompts`` are pairs of kind and prompt body, by which an echo
    of the prompt is found. The captions of the kinds ``tags`` are lists of tags. ``usual`` names the kinds for which
    the project's own limits of length hold. Captions of the kinds ``aside``, which only serve others, have no row.
    """

    name: ClassVar[str] = "check"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, Caption)
    writes: ClassVar[type[Record]] = CaptionCheck

    recipe: Check
    prompts: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = setting((), digest=True, later=True)
    usual: tuple[tuple[str, int, int], ...] = setting((), digest=True, later=True)
    aside: tuple[str, ...] = setting((), digest=True, later=True)
    resources: Resources = setting(Resources(), digest=False)
    kinds: tuple[CaptionKind, ...] = setting((), digest=False)
    choice: Choice | None = setting(None, digest=False)
    stop_at_share: float = setting(1.0, digest=False)

    @classmethod
    def declared(
        cls, recipe: Check, kinds: Sequence[CaptionKind], choice: Choice, stop_at_share: float = 1.0
    ) -> CheckStage:
        """The stage before a look at the prompts of these kinds; ``ready`` completes it.

        ``stop_at_share`` is ``run.stop_at_share``. Every reason counts: a model of the run wrote the captions, under
        its settings, so one reason for most of them is a fault of either.
        """
        return cls(recipe, kinds=tuple(kinds), choice=choice, stop_at_share=stop_at_share)

    def ready(self, store: Store | None) -> CheckStage:
        """Raises ``RecipeError`` for a missing prompt, and for an unknown language or script."""
        from curation.caption.check.caption import check_settings

        check_settings(self.recipe)
        questions = resolve(self.kinds)
        return replace(
            self,
            prompts=tuple((q.kind, q.prompt.body) for q in questions),
            tags=tag_kinds(self.kinds),
            usual=tuple((q.kind, *USUAL_WORDS[q.kind]) for q in questions if q.kind in USUAL_WORDS),
            aside=tuple(k.kind for k in self.kinds if k.aside),
        )

    @property
    def verdict(self) -> Verdict:
        return self.choice.check_verdict() if self.choice else Verdict.awaited(CaptionCheck)

    @contextmanager
    def open(self) -> Iterator[Work]:
        losses = Losses(self.name, self.stop_at_share, "captions")
        yield lambda shard: self._check(shard, losses)

    def _check(self, shard: Shard, losses: Losses) -> pa.Table:
        captions = shard.read(Caption)
        shard.rows_in = captions.num_rows
        rows = shard.read(SourceRow).select(["sample_id", "alt_text"])
        alt_texts = dict(zip(strings(rows["sample_id"]), strings(rows["alt_text"]), strict=True))
        return table_of(CaptionCheck, self._rows(rows_of(Caption, captions), alt_texts, losses))

    def _rows(self, captions: Iterator[Caption], alt_texts: dict[str, str], losses: Losses) -> Iterator[CaptionCheck]:
        prompts = dict(self.prompts)
        counted: set[str] = set()
        for caption in captions:
            alt_text = alt_texts[caption.sample_id]
            if caption.sample_id not in counted:
                counted.add(caption.sample_id)
                yield _counts(caption.sample_id, alt_text)
            if plain_kind(caption.kind) in self.aside:
                continue
            if caption.text is None:
                yield _without_text(caption)
            else:
                judged = self._judge(caption, caption.text, alt_text, prompts.get(plain_kind(caption.kind), ""))
                losses.count(None if judged.passed else Reason(judged.reasons[0]), judged.detail)
                yield judged

    def _judge(self, caption: Caption, text: str, alt_text: str, prompt: str) -> CaptionCheck:
        from curation.caption.check.caption import check_caption

        kind = plain_kind(caption.kind)
        tags = kind in self.tags
        verdict = check_caption(text, kind, caption.finish, alt_text, prompt, self.recipe, tags=tags)
        return CaptionCheck(
            sample_id=caption.sample_id,
            kind=caption.kind,
            passed=verdict.passed,
            reasons=list(verdict.reasons),
            repaired=verdict.repaired,
            detail=verdict.detail,
            caption=verdict.caption,
            words=verdict.words,
            clip_tokens=verdict.clip_tokens,
            sentence_end_77=verdict.sentence_end_77,
        )


def _counts(sample_id: str, alt_text: str) -> CaptionCheck:
    from curation.caption.check import clip_tokens

    tokens, end = clip_tokens.measure(alt_text)
    return CaptionCheck(
        sample_id=sample_id,
        kind=ALT_TEXT,
        passed=False,
        reasons=[],
        repaired=False,
        detail=None,
        caption=None,
        words=word_count(alt_text),
        clip_tokens=tokens,
        sentence_end_77=end,
    )


def _without_text(caption: Caption) -> CaptionCheck:
    return CaptionCheck(
        sample_id=caption.sample_id,
        kind=caption.kind,
        passed=False,
        reasons=[caption.reason or Reason.INVALID_REPLY],
        repaired=False,
        detail=caption.detail,
        caption=None,
        words=0,
        clip_tokens=0,
        sentence_end_77=None,
    )
