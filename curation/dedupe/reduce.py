"""The dedupe reduce: one decision on every image of a root. What it declares; ``incremental`` has the logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from curation.core.stage import Reduction, setting
from curation.core.store import Store
from schemas.arrow import Record
from schemas.recipe import Against, Dedupe
from schemas.records import CropHash, Duplicate, ImageRow, Overlap, SourceRow


@dataclass(frozen=True)
class DedupeReduce:
    """Names the keeper of every image that has pixels, and the cluster that the image belongs to.

    Two images are near when their pHashes are within ``distance`` bits, or within ``confirmed_distance`` bits and the
    256-bit hash confirms it; with ``crops``, an image that looks like a part of another one is near it too. Of near
    images the one with more pixels is kept, then the one with the higher aesthetic score (unknown is lowest), then
    the lower sample_id. A cluster is named by its lowest sample_id; members that were decided before keep the name
    they had, and new ones take the lowest of those names, whichever run brought the members together.

    A recipe with ``enabled = false`` removes nothing: every image is its own keeper. Clusters are named all the same,
    since the splits of a release must not separate near duplicates.

    Writes one shard of decisions for each shard of images, in its row order.
    """

    name: ClassVar[str] = "dedupe"
    writes: ClassVar[type[Record]] = Duplicate
    recipe: Dedupe
    # Not in the digest by itself: ``reads`` is, and tells the two apart.
    decontaminated: bool = setting(False, digest=False)

    @property
    def version(self) -> int:
        return 2 if self.recipe.enabled else 4

    @property
    def reads(self) -> tuple[type[Record], ...]:
        """Where evaluation sets are named, the overlaps with them too."""
        return (SourceRow, ImageRow, CropHash, *((Overlap,) if self.decontaminated else ()))

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        from curation.dedupe.incremental import RootDecisions  # compilers and image libraries, where it runs

        return RootDecisions(store, self.recipe, self.decontaminated).reduction(previous)


def dedupe_reduce(dedupe: Dedupe, against: Against) -> DedupeReduce:
    """The decisions that a recipe asks for."""
    return DedupeReduce(dedupe, decontaminated=bool(against.sets))
