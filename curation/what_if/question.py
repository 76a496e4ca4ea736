"""What is asked of a root: a recipe with other thresholds, each of which can be judged from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from curation.core.errors import RecipeError, RootError
from curation.core.recipes import Difference, differences, load, set_keys
from curation.core.run import Step, parts_of
from curation.core.store import Store
from curation.products import product_of
from curation.products.product import Product
from curation.release.views.create import tables_of
from curation.scores.limits_stage import LimitsStage
from curation.scores.scorer import record_of
from schemas.part import Part
from schemas.records import Duplicate, ImageRow, SourceRow

FILTERS = frozenset(
    {
        *("min_side", "max_aspect", "min_words", "min_characters", "max_characters", "languages"),
        *("min_similarity", "min_aesthetic", "max_punsafe", "max_pwatermark"),
        *("null_language", "null_similarity", "null_aesthetic", "null_punsafe", "null_pwatermark"),
    }
)
"""Keys of ``source`` that judge a row by what ``rows`` holds of it."""
_OF_CAPTIONS = frozenset(
    {"scores.min_caption_similarity", "caption_repeats.policy", "export.prefer", "export.alt_text_fallback"}
)
_SCORES = "scores."
_WHY = {
    "source": "what of the list is read, or which rows of it repeat others",
    "download": "how images are fetched, or their pixels",
    "signals": "which opt-outs are asked for",
    "dedupe": "which pairs of images are near",
    "decontamination": "which images and texts overlap with evaluation sets",
    "scores": "which scores are computed",
    "blocklists": "which lists are read",
    "embed": "which embeddings are made, or which images a model sees as the same",
    "balance": "which entries the texts have, and which samples chance keeps",
    "caption": "what the captioner is asked",
    "check": "what of a caption passes, and what is repaired",
    "export": "which share of the samples is released",
    "verify": "which statements are asked about",
}


@dataclass(frozen=True)
class Question:
    """A root's recipe, ``theirs``, and the one that is asked about, ``ours``; ``changed`` are the keys that differ."""

    store: Store
    product: Product[Any]
    theirs: Part
    ours: Part
    changed: tuple[Difference, ...]

    @classmethod
    def of(cls, store: Store, sets: Sequence[str]) -> Self:
        """Raises ``RecipeError`` for what cannot be judged from what the root has, ``RootError`` for no such root."""
        product, theirs = product_of(store)
        ours = load(product.recipe, None, sets, base=theirs)
        made = cls(store, product, theirs, ours, tuple(differences(theirs, ours)))
        tables = tables_of(made.steps(theirs))
        if not {SourceRow, ImageRow, Duplicate} <= set(tables):
            raise RootError(
                f"{store.url} holds the product {product.name!r}, which has no rows, images and duplicates to judge; "
                "what-if wants a root of images"
            )
        if not store.count(SourceRow.table):
            raise RootError(f"{store.url} has no rows yet, so that there is nothing to judge; run its product first")
        named = set_keys(sets)
        for difference in sorted(made.changed, key=lambda d: d.key not in named):  # a key may bring others with it
            made._check(difference.key)
        return made

    def steps(self, recipe: Part) -> list[Step]:
        """The steps of the product by a recipe."""
        return self.product.steps(recipe, ())

    @property
    def filters(self) -> bool:
        """Whether filters of the source differ."""
        return any(d.key.startswith("source.") for d in self.changed)

    @property
    def limits(self) -> bool:
        """Whether limits on scores of images differ."""
        return any(d.key.startswith(_SCORES) and d.key not in _OF_CAPTIONS for d in self.changed)

    @property
    def captions(self) -> bool:
        """Whether what is asked of captions differs."""
        return any(d.key in _OF_CAPTIONS for d in self.changed)

    def limits_stage(self, recipe: Part) -> LimitsStage | None:
        """The stage that holds scores against limits, where the recipe sets any."""
        return next((p for p in parts_of(self.steps(recipe)) if isinstance(p, LimitsStage)), None)

    def _check(self, key: str) -> None:
        """Raises ``RecipeError`` for a key that cannot be judged."""
        table, _, rest = key.partition(".")
        if table == "source" and rest in FILTERS:
            return
        if key in _OF_CAPTIONS:
            self._check_captions(key)
            return
        if table == "scores" and rest in {**self._limited(self.theirs), **self._limited(self.ours)}:
            self._check_score(rest)
            return
        if table in ("export", "run") and rest not in ("top", "tiers", "tier_score"):
            return
        why = _WHY.get(table, "what a stage computes")
        raise RecipeError(
            f"{key} cannot be judged from what is stored: it changes {why}. See what it does on a part of the source, "
            f"in a root of its own: lapidary {self.product.name} --source … --limit 1000 --root OTHER --set {key}=…"
        )

    def _limited(self, recipe: Part) -> dict[str, Any]:
        return getattr(getattr(recipe, "scores", None), "limits", {})

    def _check_captions(self, key: str) -> None:
        if key == "scores.min_caption_similarity" and not self.theirs.scores.model:  # type: ignore[attr-defined]
            raise RecipeError(
                f"{key} cannot be judged from what is stored: the root has no similarities, since scores.model is "
                "empty; name a checkpoint there and run the root again"
            )

    def _check_score(self, score: str) -> None:
        """Looks whether the root has the table of a score."""
        every = (self.limits_stage(self.ours), self.limits_stage(self.theirs))
        scorers = [s for stage in every if stage is not None for s in stage.scorers]
        scorer = next((s for s in scorers if any(c.name == score for c in s.columns)), None)
        if scorer is None:
            for step in self.steps(self.ours):
                if step.name == "scores":
                    step.ready(None)  # it says which scores there are
            raise RecipeError(f"scores.{score} is a score that nobody computes; lapidary ask lists score_percentiles")
        table = record_of(scorer).table
        if not self.store.count(table):
            raise RecipeError(
                f"scores.{score} cannot be judged from what is stored: the root has no table {table}. It is computed "
                f"from the stored pictures, and nothing is fetched, by a run of the root with "
                f"--set 'scores.compute=[\"{scorer.name}\"]'"
            )
