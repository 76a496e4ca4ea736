"""Scores by any image classifier that transformers loads, with its labels mapped by the recipe."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self

from curation.core.errors import ModelError
from curation.core.model_identity import UNKNOWN, ModelIdentity
from curation.core.stage import setting
from curation.scores.scorer import Measure, Reads, Score
from schemas.score_models import Classifier, Device
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture
    from curation.scores.models.classifying import ImageClassifier


@dataclass(frozen=True)
class ClassifierScorer:
    """Probabilities of a classifier's labels, added up to the scores that the recipe names.

    Any image-classification checkpoint of safetensors. Code that comes with one never runs. Where the model's labels
    do not exclude each other, a score is the largest of its labels' probabilities instead of their sum.
    """

    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "stored"
    cost: ClassVar[str] = "what its model costs; pictures are asked one by one"

    name: str
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    model: ModelIdentity = UNKNOWN
    checkpoint: str = setting("", digest=False)  # where it is; ``model`` says which it is
    revision: str = setting("main", digest=False)
    device: Device = setting("auto", digest=False)

    @classmethod
    def of(cls, recipe: Classifier) -> Self:
        labels = tuple((score, tuple(names)) for score, names in recipe.labels.items())
        return cls(recipe.name, labels, UNKNOWN, recipe.model, recipe.revision, recipe.device)

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        return tuple(
            ScoreColumn(f"{self.name}_{score}", f"probability of {' or '.join(names)}", "", 0, 1)
            for score, names in self.labels
        )

    @property
    def key(self) -> str:
        """How messages name its part of the recipe."""
        return f"scores.classifiers[{self.name}]"

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    def ready(self) -> Self:
        """Raises ``ModelError`` for what is no image classifier, or lacks a label that the recipe names."""
        from curation.scores.models.classifying import identify

        model, known = identify(f"{self.key}.model", self.checkpoint, self.revision)
        for score, names in self.labels:
            for label in names:
                if label not in known:
                    near = difflib.get_close_matches(label, known, n=1)
                    meant = f"did you mean {near[0]!r}?" if near else f"its labels are {', '.join(known[:20])}"
                    raise ModelError(
                        f"{self.key}.labels.{score} names {label!r}, which the model does not have; {meant}"
                    )
        return replace(self, model=model)

    @contextmanager
    def open(self) -> Iterator[Measure]:
        from curation.scores.models.classifying import ImageClassifier

        model = ImageClassifier(self.key, self.checkpoint, self.revision, self.device)
        yield partial(_classified, self, model)


def _classified(scorer: ClassifierScorer, model: ImageClassifier, picture: Picture) -> Sequence[Score]:
    found = model.probabilities(picture.pixels)
    put_together = max if model.independent else sum
    return [min(1.0, float(put_together([found[label] for label in names]))) for _, names in scorer.labels]
