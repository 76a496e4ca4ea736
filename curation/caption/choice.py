"""Chooses the caption of a sample that is released, and makes the captioning stages' verdicts from the same view.

A sample's candidates are the captions of the kinds that the recipe prefers, best first, and last the alt text where
the recipe falls back on it. The first candidate that passed the check, whose statements hold where they are verified,
that is as like the image as the recipe demands, and that not too many images share, is released.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from curation.caption.quality import QUALITY
from curation.caption.unfit import UNFIT
from curation.core.sql import literal, literals
from curation.core.verdict import Verdict, View, ViewColumn
from schemas.captions import Caption, CaptionCheck, CaptionRepeat, Score, VerifiedCaption
from schemas.reasons import Reason
from schemas.refine import RefineLaion

NO_ANSWER: dict[str, str] = {
    Reason.MODEL_ERROR: "the model failed on this request",
    Reason.MODEL_REFUSED_REQUEST: "the server rejected the request",
    Reason.INVALID_REPLY: "a reply that cannot be read, such as wrong JSON",
    Reason.CONTENT_FILTER: "a content filter of the server withheld the reply",
}
"""Why a model gave no answer, with a line of help each."""
_PREFERRED = "Kinds of caption in the order in which the recipe prefers them"
_CHOICES = """
WITH candidates AS (
    -- Whether there is a text is a column of its own: who asks no more of alt texts does not read them.
    SELECT sample_id, kind, rank, false AS fallback, text IS NOT NULL AS has_text, text, reason, detail
    FROM captions JOIN preferred USING (kind)
    UNION ALL
    -- The alt text is the last choice, where no caption passed, and none at all unless the recipe asks for it.
    SELECT sample_id, kind, 1000000, true, true, coalesce(caption, ''), NULL, NULL
    FROM caption_checks WHERE kind = 'alt_text' AND {fallback}
), judged AS (
    SELECT
        c.sample_id, c.kind, c.rank, c.fallback, c.has_text, c.reason, c.detail,
        coalesce(k.caption, c.text) AS caption,
        k.passed IS NOT NULL AS checked,
        -- The row of an alt text only counts it: that it has words is all there is to pass.
        coalesce(k.words > 0 AND (c.fallback OR k.passed AND k.caption IS NOT NULL), false) AS passed,
        k.reasons, k.detail AS found, k.words, s.similarity,
        -- An alt text is not verified, and nothing is where the recipe does not ask for it.
        x.passed IS NOT NULL OR c.fallback OR {unverified} AS looked_at,
        coalesce(x.passed, c.fallback OR {unverified}) AS holds,
        x.reason AS falsehood, x.detail AS false_statements,
        coalesce(s.similarity >= {min_similarity}, {any_similarity}) AS alike,
        z.shared IS NULL AS own_words, z.shared, z.text AS shared_text, z.images
    FROM candidates c
    LEFT JOIN caption_checks k USING (sample_id, kind)
    LEFT JOIN verified_captions x USING (sample_id, kind)
    LEFT JOIN scores s USING (sample_id, kind)
    LEFT JOIN (FROM caption_repeats WHERE {repeats_reject}) z USING (sample_id, kind)
)
SELECT
    sample_id,
    count(*) FILTER (NOT fallback) AS replies,
    count(*) FILTER (has_text AND NOT fallback) AS with_text,
    count(*) FILTER (has_text AND NOT checked) AS unchecked,
    count(*) FILTER (fallback) AS fallbacks,
    count(*) FILTER (passed) AS passed,
    count(*) FILTER (passed AND NOT looked_at) AS unverified,
    count(*) FILTER (passed AND holds) AS holding,
    count(*) FILTER (passed AND holds AND similarity IS NULL) AS unscored,
    count(*) FILTER (passed AND holds AND alike) AS fitting,
    arg_min(kind, rank) FILTER (passed AND holds AND alike AND own_words) AS kind,
    arg_min({{'reason': reason, 'detail': detail}}, rank) FILTER (NOT has_text) AS silence,
    arg_min(
        {{
            -- What was only recorded rejected nothing; what can be mended did so only if nothing else did.
            'reason': coalesce(
                list_filter(reasons, lambda r: NOT list_contains({harmless} || {mendable}, r))[1],
                list_filter(reasons, lambda r: NOT list_contains({harmless}, r))[1],
                reasons[1],
                'too_short'
            ),
            'detail': found
        }}, rank
    ) FILTER (has_text AND checked AND NOT passed AND NOT fallback) AS fault,
    arg_min({{'reason': falsehood, 'detail': false_statements}}, rank) FILTER (passed AND NOT holds) AS falsehood,
    max(similarity) FILTER (passed AND holds) AS best_similarity,
    arg_min(
        {{
            'reason': CASE shared WHEN 'caption' THEN 'repeated_caption' ELSE 'repeated_opening' END,
            'detail': format('{{}} images: {{}}', images, shared_text)
        }}, rank
    ) FILTER (passed AND holds AND alike AND NOT own_words) AS repeat,
    arg_min({{'caption': caption, 'words': words}}, rank) FILTER (caption IS NOT NULL) AS shown
FROM judged
GROUP BY sample_id
"""
_CHOICES_DOCS = {
    "sample_id": "as in rows",
    "replies": "preferred kinds that the model was asked for",
    "with_text": "of these, kinds with a text",
    "unchecked": "texts that have no verdict yet",
    "fallbacks": "1 where the alt text was looked at as a last choice",
    "passed": "texts that may be released, the alt text included where the recipe falls back on it",
    "unverified": "of these, captions whose statements have no verdict yet, where the recipe verifies",
    "holding": "texts that passed and whose statements hold, as far as the recipe verifies them",
    "unscored": "of these, texts without a similarity",
    "kind": "the kind that is released; null when none may be",
    "silence": "why the most preferred kind without a text has none",
    "fault": "why the most preferred kind that did not pass was rejected",
    "falsehood": "the false statements of the most preferred kind that was rejected for them",
    "fitting": "texts that hold and are as like the image as the recipe demands",
    "repeat": "what the most preferred caption shares with too many images, where the recipe rejects that",
    "best_similarity": "the highest similarity among those that hold",
    "shown": "the most preferred text there is, for looking at",
}


@dataclass(frozen=True)
class Choice:
    """The recipe's conditions for a caption to be released."""

    prefer: tuple[str, ...]
    alt_text_fallback: bool = False
    min_similarity: float | None = None
    scored: bool = False
    names_reject: bool = True
    verified: bool = False
    repeats_reject: bool = False

    @classmethod
    def of(cls, recipe: RefineLaion) -> Self:
        """The choice that a recipe makes."""
        scored = bool(recipe.scores.model)
        return cls(
            prefer=tuple(recipe.export.prefer),
            alt_text_fallback=recipe.export.alt_text_fallback,
            min_similarity=recipe.scores.min_caption_similarity if scored else None,
            scored=scored,
            names_reject=recipe.check.names == "reject",
            verified=recipe.verify.enabled,
            repeats_reject=recipe.caption_repeats.policy == "reject",
        )

    @property
    def harmless_reasons(self) -> tuple[Reason, ...]:
        """What a check only records: it never rejected a caption."""
        harmless = (Reason.BOILERPLATE_OPENING, Reason.FILLER)
        return harmless if self.names_reject else (*harmless, Reason.UNKNOWN_NAME)

    @property
    def mendable_reasons(self) -> tuple[Reason, ...]:
        """Reasons that a check repairs if it can; another reason of the same caption goes first."""
        return (Reason.CUT_OFF, Reason.REPETITION, Reason.MARKUP, Reason.CONTROL_CHARACTERS)

    def similar(self, similarity: str) -> str:
        """SQL: whether a caption of this similarity is as like its image as the recipe demands."""
        return f"coalesce({similarity} >= {self._limit}, {'true' if self.min_similarity is None else 'false'})"

    @property
    def _limit(self) -> str:
        return "NULL::FLOAT" if self.min_similarity is None else f"{float(self.min_similarity)!r}::FLOAT"

    def replies_verdict(self) -> Verdict:
        """Of the stage that asks for captions: a sample needs a text, or an alt text to fall back on."""
        none = "v.with_text = 0 AND " + ("v.fallbacks > 0 AND v.passed = 0" if self.alt_text_fallback else "true")
        return Verdict(
            "choices",
            (Caption,),
            NO_ANSWER,
            waiting="v.sample_id IS NULL OR v.replies = 0",
            reason=f"CASE WHEN {none} THEN coalesce(v.silence.reason, {literal(Reason.MODEL_ERROR)}) END",
            detail="v.silence.detail",
            yield_to_people=True,
            columns=(
                ViewColumn("kind", "v.kind", "the kind of caption that is released"),
                ViewColumn("shown", "v.shown", "the most preferred text there is, for looking at"),
            ),
            views=(self._preferred(), self._choices()),
            settings={
                "prefer": list(self.prefer),
                "alt_text_fallback": self.alt_text_fallback,
                "min_similarity": self.min_similarity,
                "scored": self.scored,
                "names_reject": self.names_reject,
                # Left out where it is off, as in roots that were packed before there was verification.
                **({"verified": True} if self.verified else {}),
                **({"repeats_reject": True} if self.repeats_reject else {}),
            },
        )

    def check_verdict(self) -> Verdict:
        """Of the stage that checks captions: one of a sample's texts must pass."""
        missing = "v.unchecked > 0" + (" OR v.fallbacks = 0" if self.alt_text_fallback else "")
        return Verdict(
            "choices",
            (CaptionCheck,),
            {**NO_ANSWER, **UNFIT},
            waiting=missing,
            reason="CASE WHEN v.passed = 0 THEN v.fault.reason END",
            detail="v.fault.detail",
            views=(QUALITY,),
            yield_to_people=True,
        )

    def verified_verdict(self) -> Verdict:
        """Of the stage that decides on verified captions: one that passed the check must hold."""
        return Verdict(
            "choices",
            (VerifiedCaption,),
            {
                Reason.FALSE_STATEMENT: "the image contradicts statements of the caption (verify.policy)",
                Reason.MANY_STATEMENTS: "more statements than verify.max_statements",
            },
            waiting="v.unverified > 0",
            reason="CASE WHEN v.holding = 0 THEN v.falsehood.reason END",
            detail="v.falsehood.detail",
            yield_to_people=True,
        )

    def scores_verdict(self) -> Verdict:
        """Of the stage that scores captions: one that passed must be as like the image as the recipe demands."""
        return Verdict(
            "choices",
            (Score,),
            {Reason.LOW_IMAGE_TEXT_SIMILARITY: "no caption reaches scores.min_caption_similarity"},
            waiting="v.unscored > 0",
            reason=f"CASE WHEN v.fitting = 0 THEN {literal(Reason.LOW_IMAGE_TEXT_SIMILARITY)} END",
            detail="format('{:.4f} is the highest', v.best_similarity)",
            yield_to_people=True,
        )

    def repeats_verdict(self) -> Verdict:
        """Of the reduce that finds shared captions: one that fits must not be shared by too many images."""
        reasons: dict[str, str] = {
            Reason.REPEATED_CAPTION: "more images with this caption than caption_repeats.max_images",
            Reason.REPEATED_OPENING: "more images with its first words than caption_repeats.max_opening_images",
        }
        if not self.repeats_reject:  # packing does not depend on the table
            return Verdict("choices", (), reasons, waiting="false")
        return Verdict(
            "choices",
            (CaptionRepeat,),
            reasons,
            waiting="false",  # a caption that is not in the table repeats nothing
            reason="CASE WHEN v.kind IS NULL THEN v.repeat.reason END",
            detail="v.repeat.detail",
            yield_to_people=True,
        )

    def _preferred(self) -> View:
        kinds = ", ".join(f"({literal(kind)}, {rank})" for rank, kind in enumerate(self.prefer))
        query = f"SELECT * FROM (VALUES {kinds}) AS t(kind, rank)"  # noqa: S608  # quoted
        return View("preferred", query, _PREFERRED, {"kind": "as in captions", "rank": "0 is the best"})

    def _choices(self) -> View:
        query = _CHOICES.format(
            fallback="true" if self.alt_text_fallback else "false",
            min_similarity=self._limit,
            any_similarity="true" if self.min_similarity is None else "false",
            unverified="false" if self.verified else "true",
            repeats_reject="true" if self.repeats_reject else "false",
            harmless=literals(self.harmless_reasons),
            mendable=literals(self.mendable_reasons),
        )
        doc = "What the preferred captions of a sample came to; one row for every sample a model was asked about"
        return View("choices", query, doc, _CHOICES_DOCS)
