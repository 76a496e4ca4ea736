"""The part of a recipe that decides which samples are released, and by which caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

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

    @classmethod
    def of(cls, recipe: RefineLaion) -> Self:
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
    def mild_reasons(self) -> tuple[Reason, ...]:
        """What is found in captions that pass, too: it did not reject the others either."""
        mild = (Reason.BOILERPLATE_OPENING, Reason.CUT_OFF)
        return mild if self.names_reject else (*mild, Reason.UNKNOWN_NAME)
