"""The part of a recipe that decides which samples are released, and by which caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from schemas.anchor import BuildAnchor
from schemas.reasons import Reason
from schemas.recipe import RefineLaion


@dataclass(frozen=True)
class Criteria:
    """Travels as plain data into a stage's digest and into the views."""

    prefer: tuple[str, ...]
    alt_text_fallback: bool = False
    min_similarity: float | None = None
    scored: bool = False
    deduped: bool = True
    names_reject: bool = True
    product: Literal["captions", "news"] = "captions"
    literal: bool = False

    @classmethod
    def of(cls, recipe: RefineLaion | BuildAnchor) -> Self:
        """Those of a recipe; a news dataset's caption is the source's own, cleaned."""
        if isinstance(recipe, BuildAnchor):
            literal = recipe.abstraction.literal
            return cls(prefer=("news",), deduped=recipe.dedupe.enabled, product="news", literal=literal)
        scored = bool(recipe.scores.model)
        return cls(
            prefer=tuple(recipe.export.prefer),
            alt_text_fallback=recipe.export.alt_text_fallback,
            min_similarity=recipe.scores.min_caption_similarity if scored else None,
            scored=scored,
            deduped=recipe.dedupe.enabled,
            names_reject=recipe.check.names == "reject",
        )

    @property
    def harmless_reasons(self) -> tuple[Reason, ...]:
        """What a check only records: it never rejected a caption."""
        harmless = (Reason.BOILERPLATE_OPENING, Reason.FILLER)
        return harmless if self.names_reject else (*harmless, Reason.UNKNOWN_NAME)

    @property
    def mendable_reasons(self) -> tuple[Reason, ...]:
        """What a check mends where it can: it rejected a caption only if nothing else did."""
        return (Reason.CUT_OFF, Reason.REPETITION, Reason.MARKUP, Reason.CONTROL_CHARACTERS)
