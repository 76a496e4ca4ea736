"""The features stage: hidden states of a language model for the captions of a release. ``encoding`` has the work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from curation.core.job import Report
from curation.core.pipeline import Engine, Totals
from curation.core.run import Segment
from curation.core.stage import Resources, Work, digest, setting
from curation.core.store import Store
from curation.features.expected import Expected, expect
from schemas.arrow import Record
from schemas.features import CaptionFeatures, Features
from schemas.records import Placement

if TYPE_CHECKING:
    from curation.features.encoder import Encoder


@dataclass(frozen=True)
class FeaturesStage:
    """Encodes the released captions with a language model; a file of hidden states stands beside each release tar.

    Writes one ``CaptionFeatures`` row for each sample and kind, in the order of the tar. Only the states of valid
    tokens are stored, equal captions of a shard once, and the empty prompt always. States that an earlier release of
    the root has are copied. Make it with ``declared``; ``ready`` checks the model.
    """

    name: ClassVar[str] = "features"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Placement,)
    writes: ClassVar[type[Record]] = CaptionFeatures

    kinds: tuple[str, ...]
    batch_tokens: int
    encoder: Encoder | None = None
    recipe: Features = setting(Features(), digest=False)  # says where the model is; ``encoder`` says which it is
    most: int = setting(1, digest=False)  # captions of a sample, for the estimate
    expected: Expected | None = setting(None, digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @classmethod
    def declared(cls, recipe: Features, kinds: Sequence[str]) -> FeaturesStage:
        """The stage before a look at the model; ``kinds`` are those of the captions."""
        resources = Resources(gpus=1.0 if recipe.device == "cuda" else 0.0, workers=recipe.workers)
        return cls(
            tuple(sorted(recipe.kinds)),
            recipe.batch_tokens,
            recipe=recipe,
            most=len(recipe.kinds) or len(kinds),
            resources=resources,
        )

    @property
    def on(self) -> bool:
        """Whether the recipe names a model."""
        return bool(self.recipe.model)

    def ready(self, store: Store | None) -> FeaturesStage:
        """Raises ``ModelError`` for a model that cannot be used."""
        from curation.features.encoder import identify

        encoder = identify(self.recipe)
        return replace(self, encoder=encoder, expected=expect(store, encoder.key, self.most))

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        if self.encoder is None or self.expected is None:
            return []
        name, width, layer = self.encoder.name, self.encoder.width, self.encoder.layer
        captions = round(samples * self.expected.captions)
        states = f"layer {layer} of {self.encoder.layers}, width {width}, {self.encoder.stored}"
        return [
            ("to encode", f"{captions:>12,} captions at most by {name}: {states}"),
            ("to store", self.expected.bytes_of(captions, width, self.encoder.max_tokens)),
        ]

    @contextmanager
    def open(self) -> Iterator[Work]:
        from curation.features.encoder import TextEncoder
        from curation.features.encoding import ShardEncoder

        if self.encoder is None:
            raise ValueError("the stage is not ready")
        threads = max(1, (os.cpu_count() or 1) // self.recipe.workers) if self.recipe.workers else 1
        model = TextEncoder(self.recipe, self.encoder, threads)
        try:
            yield ShardEncoder(model, self.kinds, self.batch_tokens, digest(self))
        finally:
            model.close()


@dataclass(frozen=True)
class FeaturesStep(Segment):
    """Streams the shards of the release through the features stage, with what earlier releases have at hand."""

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        from curation.features.earlier import clear, set_aside

        (stage,) = self.stages
        assert isinstance(stage, FeaturesStage) and stage.encoder is not None
        set_aside(store, digest(stage), stage.encoder.key)
        totals = super().run(store, engine, report)
        if not totals.failed:
            clear(store)
        return totals


def features_step(recipe: Features, kinds: Sequence[str]) -> FeaturesStep:
    """The step of a product's list; ``kinds`` are those of its captions."""
    return FeaturesStep("features", (FeaturesStage.declared(recipe, kinds),), Placement)
