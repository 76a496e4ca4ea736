"""Decides on captions with false statements, by rules over the verdicts of the verify stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import pyarrow as pa

from curation.caption.choice import Choice
from curation.caption.languages.language import Language
from curation.caption.prompts.questions import tag_kinds
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Verdict
from schemas.arrow import Record, rows_of, table_of
from schemas.candidates import plain_kind
from schemas.captions import CaptionCheck, Statement, VerifiedCaption
from schemas.chat import CaptionKind
from schemas.reasons import Reason
from schemas.verify import Verify

TRUE, FALSE, NOT_ASKED, NO_ANSWER = "true", "false", "not_asked", "no_answer"
"""The verdicts on a statement."""


@dataclass(frozen=True)
class VerifiedStage:
    """Cuts false statements out of captions, or rejects such captions.

    Writes a ``VerifiedCaption`` row for every caption that passed the check and whose statements were judged.
    """

    name: ClassVar[str] = "verified"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (CaptionCheck, Statement)
    writes: ClassVar[type[Record]] = VerifiedCaption

    policy: Literal["drop", "reject", "record"]
    fewest: int
    max_dropped: float
    most: int
    language: str = "en"
    tags: tuple[str, ...] = setting((), digest=True, later=True)  # kinds whose captions are tags
    kinds: tuple[CaptionKind, ...] = setting((), digest=False)
    resources: Resources = setting(Resources(), digest=False)
    choice: Choice | None = setting(None, digest=False)
    on: bool = setting(True, digest=False)

    @classmethod
    def declared(
        cls, recipe: Verify, choice: Choice, language: str = "en", kinds: Sequence[CaptionKind] = ()
    ) -> VerifiedStage:
        """The stage before a look at the prompts of these kinds; ``ready`` completes it."""
        return cls(
            recipe.policy,
            recipe.min_statements,
            recipe.max_dropped,
            recipe.max_statements,
            language,
            kinds=tuple(kinds),
            choice=choice,
            on=recipe.enabled,
        )

    def ready(self, store: Store | None) -> VerifiedStage:
        """Raises ``RecipeError`` for a missing prompt."""
        return replace(self, tags=tag_kinds(self.kinds))

    @property
    def verdict(self) -> Verdict:
        return self.choice.verified_verdict() if self.choice else Verdict.awaited(VerifiedCaption)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._shard

    def _shard(self, shard: Shard) -> pa.Table:
        judged: dict[tuple[str, str], list[Statement]] = defaultdict(list)
        for statement in rows_of(Statement, shard.read(Statement)):
            judged[statement.sample_id, statement.kind].append(statement)
        checks = [c for c in rows_of(CaptionCheck, shard.read(CaptionCheck)) if c.passed and c.caption is not None]
        shard.rows_in = len(checks)
        return table_of(VerifiedCaption, self._rows(checks, judged))

    def _rows(
        self, checks: Sequence[CaptionCheck], judged: dict[tuple[str, str], list[Statement]]
    ) -> Iterator[VerifiedCaption]:
        for check in checks:
            if (found := self.decide(check, judged.get((check.sample_id, check.kind), []))) is not None:
                yield found

    def decide(self, check: CaptionCheck, judged: Sequence[Statement]) -> VerifiedCaption | None:
        """What becomes of a caption that passed the check; None while nothing is known, because the model failed."""
        from curation.caption.check.caption import language_of
        from curation.caption.verify.statements import split

        caption = check.caption or ""
        if judged:
            return self._decide(check, caption, judged)
        spoken = split(caption, language_of(caption, self.language), tags=plain_kind(check.kind) in self.tags)
        return self._too_many(check, caption, len(spoken)) if len(spoken) > self.most else None

    def _decide(self, check: CaptionCheck, caption: str, judged: Sequence[Statement]) -> VerifiedCaption:
        from curation.caption.check.caption import language_of
        from curation.caption.verify.statements import overlapping, split, with_leaning, without

        language, tags = language_of(caption, self.language), plain_kind(check.kind) in self.tags
        spoken = split(caption, language, tags=tags)
        false = false_among([s.verdict for s in judged])
        # The caption's own statements that hold what is false. Where no atoms were asked, these are the judged ones.
        held = {place for s in untrue_among(judged) for place in overlapping(spoken, s.start, s.end)}
        gone = with_leaning(spoken, held) if self.policy == "drop" else set()
        enough = len(spoken) - len(gone) >= self.fewest and len(gone) <= self.max_dropped * len(spoken)
        passed = not false or self.policy == "record" or (self.policy == "drop" and enough)
        text = without(caption, spoken, gone, language, tags=tags) if passed and gone else caption
        words, tokens, end = (check.words, check.clip_tokens, check.sentence_end_77)
        if text != caption:
            words, tokens, end = _counts(text, language)
        return VerifiedCaption(
            sample_id=check.sample_id,
            kind=check.kind,
            passed=passed,
            reason=None if passed else Reason.FALSE_STATEMENT,
            detail="\n".join(f"{_sure(judged[i])} {judged[i].text}" for i in sorted(false)) or None,
            caption=text,
            words=words,
            clip_tokens=tokens,
            sentence_end_77=end,
            statements=len(judged),
            asked=sum(s.verdict != NOT_ASKED for s in judged),
            false_statements=len(false),
            dropped=sum(overlapping(spoken, s.start, s.end) <= gone for s in judged) if passed else 0,
        )

    def _too_many(self, check: CaptionCheck, caption: str, statements: int) -> VerifiedCaption:
        passed = self.policy == "record"
        return VerifiedCaption(
            sample_id=check.sample_id,
            kind=check.kind,
            passed=passed,
            reason=None if passed else Reason.MANY_STATEMENTS,
            detail=f"{statements} statements, at most {self.most} are verified",
            caption=caption,
            words=check.words,
            clip_tokens=check.clip_tokens,
            sentence_end_77=check.sentence_end_77,
            statements=statements,
            asked=0,
            false_statements=0,
            dropped=0,
        )


def _sure(statement: Statement) -> str:
    return "no answer:" if statement.probability is None else f"{statement.probability:.2f}"


def _counts(text: str, language: Language) -> tuple[int, int, int | None]:
    from curation.caption.check import clip_tokens
    from curation.caption.check.counts import length

    return length(text, language), *clip_tokens.measure(text, language=language)


def untrue_among(judged: Sequence[Statement]) -> list[Statement]:
    """Those of ``false_among``, and those that were not asked about because they hang on one of them."""
    false = false_among([s.verdict for s in judged])
    return [s for i, s in enumerate(judged) if i in false or (s.verdict == NOT_ASKED and s.detail is not None)]


def false_among(verdicts: Sequence[str]) -> set[int]:
    """The places of statements that are not true of the image, or about which the model gave no usable answer."""
    return {place for place, verdict in enumerate(verdicts) if verdict in (FALSE, NO_ANSWER)}
