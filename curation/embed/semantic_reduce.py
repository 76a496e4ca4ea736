"""Finds images that a model sees as the same, and names the one that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyarrow as pa

from curation.core.stage import Reduction, setting
from curation.core.store import Store
from curation.core.verdict import Verdict
from schemas.arrow import Record
from schemas.embed import Embed, Embedding, Semantic, SemanticDuplicate
from schemas.reasons import Reason
from schemas.records import ImageRow, SourceRow

_REASON = Reason.SEMANTIC_DUPLICATE.value


@dataclass(frozen=True)
class SemanticReduce:
    """Compares the embeddings within clusters, and keeps one image of those that are the same.

    After SemDeDup (Abbas et al., arXiv 2303.09540): k-means, then cosines within a cluster. Keepers are chosen by
    dedupe's laws: no two keepers are the same, every other image is the same as the keeper that is named for it, and
    a keeper of an earlier run stays one. First comes what has more pixels, then a higher aesthetic score in the
    source, then the lower sample_id.
    """

    name: ClassVar[str] = "semantic"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Embedding, ImageRow, SourceRow)
    writes: ClassVar[type[Record]] = SemanticDuplicate

    threshold: float
    clusters: int
    seed: int
    policy: str = setting("ignore", digest=False)  # the table is the same whatever is done about it
    embedded: bool = setting(False, digest=False)

    @classmethod
    def of(cls, recipe: Embed) -> Self:
        """What a recipe asks for."""
        semantic: Semantic = recipe.semantic
        return cls(semantic.threshold, semantic.clusters, semantic.seed, semantic.policy, bool(recipe.model))

    @property
    def on(self) -> bool:
        return self.embedded and self.policy != "ignore"

    @property
    def rejects(self) -> bool:
        """Whether a semantic duplicate is rejected."""
        return self.on and self.policy == "reject"

    @property
    def verdict(self) -> Verdict:
        lost = {_REASON: "a model sees it as the same as a kept image (embed.semantic.threshold)"}
        if not self.rejects:  # packing does not depend on the table
            return Verdict(SemanticDuplicate.table, (), lost, waiting="false")
        return Verdict.each(SemanticDuplicate, lost)

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        # Keepers of other settings are no keepers of these.
        return Reduction(self._shards(store, bool(previous)), lambda: {"decided": True})

    def _shards(self, store: Store, decided: bool) -> Iterator[tuple[str, pa.Table]]:
        from curation.embed.semantic import semantic_shards  # brings faiss

        yield from semantic_shards(store, self.threshold, self.clusters, self.seed, decided=decided)
