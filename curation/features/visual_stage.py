"""The visual stage: states of a vision model for windows or pictures of a release. ``visual_encoding`` has the work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from curation.core.job import Report
from curation.core.pipeline import Engine, Totals
from curation.core.run import Segment
from curation.core.stage import Resources, Work, digest, setting
from curation.core.store import Store
from curation.features.expected import looks_a_sample, size
from schemas.arrow import Record
from schemas.records import Placement
from schemas.visual import Look, Visual, VisualFeatures

if TYPE_CHECKING:
    from curation.features.visual_encoder import Sight


@dataclass(frozen=True)
class VisualStage:
    """Encodes windows or pictures of a release with a vision model; a file of states stands beside each release tar.

    Writes one ``VisualFeatures`` row for each sample, kind of look and window, in the order of the tar. Equal looks of
    a shard are stored once, and states that an earlier release of the root has are copied. Make it with ``declared``;
    ``ready`` checks the model.
    """

    name: ClassVar[str] = "visual"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Placement,)
    writes: ClassVar[type[Record]] = VisualFeatures

    looks: tuple[Look, ...]
    batch: int
    sight: Sight | None = None
    recipe: Visual = setting(Visual(), digest=False)  # says where the model is; ``sight`` says which it is
    most: int = setting(1, digest=False)  # windows of a sample, for the estimate
    expected: tuple[float, str] = setting((0.0, ""), digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @classmethod
    def declared(cls, recipe: Visual, most: int) -> VisualStage:
        """The stage before a look at the model; a sample has ``most`` windows at most."""
        resources = Resources(gpus=1.0 if recipe.device == "cuda" else 0.0, workers=recipe.workers)
        return cls(tuple(recipe.looks), recipe.batch, recipe=recipe, most=most, resources=resources)

    @property
    def on(self) -> bool:
        """Whether the recipe names a model."""
        return bool(self.recipe.model)

    def ready(self, store: Store | None) -> VisualStage:
        """Raises ``ModelError`` for a model that cannot be used."""
        from curation.features.visual_encoder import identify

        sight = identify(self.recipe)
        most = sum(1 if look == "picture" else self.most for look in self.looks)
        return replace(self, sight=sight, expected=looks_a_sample(store, sight.key, most))

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        if self.sight is None:
            return []
        sight, (each, basis) = self.sight, self.expected
        looks = round(samples * each)
        states = f"{sight.keep} of layer {sight.layer} of {sight.layers}, {sight.tokens} x {sight.width} {sight.stored}"
        stored = size(looks * sight.tokens * sight.width * 2)
        return [
            ("to look at", f"{looks:>12,} windows or pictures ({basis}) by {sight.name}: {states}"),
            ("to store", f"{stored:>12} for {size(sight.tokens * sight.width * 2)} a look"),
        ]

    @contextmanager
    def open(self) -> Iterator[Work]:
        from curation.features.visual_encoder import VisualEncoder
        from curation.features.visual_encoding import LookEncoder

        if self.sight is None:
            raise ValueError("the stage is not ready")
        threads = max(1, (os.cpu_count() or 1) // self.recipe.workers) if self.recipe.workers else 1
        model = VisualEncoder(self.recipe, self.sight, threads)
        try:
            yield LookEncoder(model, self.looks, self.batch, digest(self))
        finally:
            model.close()


@dataclass(frozen=True)
class VisualStep(Segment):
    """Streams the shards of the release through the visual stage, with what earlier releases have at hand."""

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        from curation.features.earlier import clear, set_aside
        from curation.load.features import VISUAL

        (stage,) = self.stages
        assert isinstance(stage, VisualStage) and stage.sight is not None
        set_aside(store, digest(stage), stage.sight.key, VISUAL, VisualFeatures)
        totals = super().run(store, engine, report)
        if not totals.failed:
            clear(store, VISUAL)
        return totals


def visual_step(recipe: Visual, most: int) -> VisualStep:
    """The step of a product's list; a sample has ``most`` windows at most."""
    return VisualStep("visual", (VisualStage.declared(recipe, most),), Placement)
