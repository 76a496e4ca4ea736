"""Scorers that ask a model, as a recipe wants them."""

from __future__ import annotations

from collections.abc import Sequence

from curation.scores.models.aesthetic import Aesthetic
from curation.scores.models.classifier import ClassifierScorer
from curation.scores.models.ocr import Ocr
from curation.scores.scorer import Scorer
from schemas.scores import ImageScores


def of_recipe(scorers: Sequence[Scorer], recipe: ImageScores) -> list[Scorer]:
    """The scorers with the recipe's settings, and one more for each classifier that it names."""
    return [*(_with(s, recipe) for s in scorers), *(ClassifierScorer.of(c) for c in recipe.classifiers)]


def _with(scorer: Scorer, recipe: ImageScores) -> Scorer:
    match scorer:
        case Ocr():
            return Ocr.of(recipe.ocr)
        case Aesthetic():
            return Aesthetic.of(recipe.aesthetics)
    return scorer
