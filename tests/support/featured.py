"""Roots of ``tests.support.roots`` whose releases have features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import Totals, run_reduce, run_segment
from curation.core.stage import digest
from curation.core.store import Store
from curation.features.encoder import TextEncoder
from curation.features.features_stage import FeaturesStep
from curation.load.features import FeaturesFile
from curation.release.export_stage import ExportStage
from schemas.features import Features
from schemas.refine import RefineLaion
from tests.support.release_steps import finish_release, pack_reduce, steps_for
from tests.support.roots import World
from tests.support.tiny_encoders import tiny_t5


def with_features(recipe: RefineLaion, **settings: Any) -> RefineLaion:
    """The recipe with features by the tiny T5, computed in full precision."""
    asked = {"model": str(tiny_t5()), "dtype": "float32", "batch_tokens": 256} | settings
    return recipe.model_copy(update={"features": Features.model_validate(asked)})


def ready_step(world: World) -> FeaturesStep:
    """The step of the world's recipe, its model checked."""
    step = next(s for s in steps_for(world.recipe) if isinstance(s, FeaturesStep))
    return step.ready(world.store) if step.on else step


def featured_release(world: World) -> Totals:
    """Packs, exports, encodes and finishes, as a run does."""
    run_reduce(world.store, pack_reduce(world.recipe), lambda _: None)
    shards = world.store.shards("placements")
    run_segment(world.store, LocalEngine(), [ExportStage(images=world.recipe.export.images)], shards, lambda _: None)
    step = ready_step(world)
    totals = step.run(world.store, LocalEngine(), lambda _: None) if step.on else Totals()
    finish_release(world.store, world.recipe)
    return totals


def features_files(store: Store) -> dict[str, FeaturesFile]:
    """The files of the release by shard."""
    folder = Path(store.path("release/features"))
    return {p.stem: FeaturesFile(str(p)) for p in sorted(folder.glob("*.safetensors"))}


def digest_of(world: World) -> str:
    """The digest of the stage that the world's recipe asks for."""
    return digest(ready_step(world).through[0])


def sums_of(store: Store) -> dict[str, str]:
    """sha256 of every file of the release, the table and what is set aside, by name."""
    root = Path(store.path(""))
    folders = ("release", "tables/features", "features")
    found = [p for folder in folders for p in sorted((root / folder).rglob("*")) if p.is_file()]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


@contextmanager
def counted_captions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many captions each batch encodes while this is open."""
    sizes: list[int] = []
    encode = TextEncoder.encode

    def counting(model: TextEncoder, batch: Any) -> Any:
        sizes.append(len(batch))
        return encode(model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(TextEncoder, "encode", counting)
        yield sizes
