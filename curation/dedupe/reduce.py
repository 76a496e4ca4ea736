"""Declares the dedupe reduce, which decides on every image of a root; ``incremental`` has the logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from curation.core.sql import literal
from curation.core.stage import Reduction, setting
from curation.core.store import Store
from curation.core.verdict import Verdict, ViewColumn
from schemas.arrow import Record
from schemas.blocklists import BlockedImage
from schemas.reasons import Reason
from schemas.recipe import Decontamination, Dedupe
from schemas.records import CropHash, Duplicate, ImageRow, Overlap, SourceRow

_DUPLICATES: dict[str, str] = {
    Reason.EXACT_DUPLICATE: "the same image bytes as a kept image",
    Reason.NEAR_DUPLICATE: "looks the same as a kept image, by perceptual hash and colours",
}
_EVALUATION: dict[str, str] = {
    Reason.NEAR_EVALUATION_ITEM: "looks the same as an image of decontamination.sets",
    Reason.SHARED_TEXT: "the alt text shares decontamination.shared_words words with a text of these sets",
}


@dataclass(frozen=True)
class DedupeReduce:
    """Removes duplicate images, and images that overlap with an evaluation set.

    Names the keeper and the cluster of every image that has pixels. Two images are near when their pHashes are within
    ``distance`` bits, or within ``confirmed_distance`` bits and the 256-bit hash confirms it, and their colours agree;
    with ``grey_copies``, those of a grey copy do. With ``crops``, an image that looks like a part of another one is
    near it too. Of near images a coloured one is kept before a grey one, then the one with more pixels, then with the
    higher aesthetic score (unknown is lowest), then with the lower sample_id. A cluster is named by its lowest
    sample_id; members that were decided before keep their name, and new ones take the lowest of those names,
    whichever run brought the members together.

    A recipe with ``enabled = false`` removes nothing: every image is its own keeper. Clusters are named all the same,
    since the splits of a release must not separate near duplicates.

    Writes one shard of decisions for each shard of images, in its row order.
    """

    name: ClassVar[str] = "dedupe"
    writes: ClassVar[type[Record]] = Duplicate
    recipe: Dedupe
    # Not in the digest: ``reads`` is, and differs between them.
    decontaminated: bool = setting(False, digest=False)
    blocklisted: bool = setting(False, digest=False)

    @property
    def version(self) -> int:
        return 2 if self.recipe.enabled else 4

    @property
    def reads(self) -> tuple[type[Record], ...]:
        """Includes what blocklists and evaluation sets say of images, if the recipe names any."""
        return (SourceRow, ImageRow, CropHash, *self._judged_before)

    @property
    def _judged_before(self) -> tuple[type[Record], ...]:
        blocked = (BlockedImage,) if self.blocklisted else ()
        return (*blocked, *((Overlap,) if self.decontaminated else ()))

    @property
    def verdict(self) -> Verdict:
        """Evaluation items are always rejected, duplicates only if the recipe removes them."""
        item = f"v.reason IN ({', '.join(map(literal, _EVALUATION))})"
        near, text = map(literal, _EVALUATION)
        return Verdict(
            f"""(SELECT d.*, CASE d.reason
                WHEN {near} THEN format('{{}} bits from {{}} in {{}}', o.distance, o.item, o.dataset)
                WHEN {text} THEN format('"{{}}" stands in {{}} of {{}}', o.detail, o.item, o.dataset)
                ELSE CASE WHEN d.reason IS NOT NULL THEN format('{{}} bits from {{}}', d.distance, d.keeper_id) END
                END AS detail
            FROM {Duplicate.table} d
            LEFT JOIN {Overlap.table} o ON o.sample_id = d.sample_id AND o.reason = d.reason)""",  # noqa: S608  # names
            (Duplicate,),
            {**(_DUPLICATES if self.recipe.enabled else {}), **_EVALUATION},
            waiting="v.sample_id IS NULL" if self.recipe.enabled else "false",
            reason="v.reason" if self.recipe.enabled else f"CASE WHEN {item} THEN v.reason END",
            detail="v.detail",
            columns=(ViewColumn("cluster_id", "coalesce(v.cluster_id, image_id)", "as in duplicates"),),
            settings={"deduped": self.recipe.enabled},
        )

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        from curation.dedupe.across.removed import chance

        return [("to compare", chance(samples, self.recipe))] if self.recipe.enabled else []

    def warm(self) -> None:
        import curation.dedupe.incremental  # noqa: F401  # brings numba

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        from curation.dedupe.incremental import RootDecisions  # compilers and image libraries, where it runs

        return RootDecisions(store, self.recipe, self._judged_before).reduction(previous)


def dedupe_reduce(dedupe: Dedupe, decontamination: Decontamination, *, blocklisted: bool = False) -> DedupeReduce:
    """The reduce for a recipe; ``blocklisted``: a list may name images."""
    return DedupeReduce(dedupe, bool(decontamination.sets), blocklisted)
