"""The dedupe stage where the recipe names evaluation sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.core.store import Store
from curation.dedupe.gather import identities
from curation.dedupe.reduce import ClusterReduce, DedupeReduce
from schemas.arrow import Record, conform
from schemas.recipe import Against, Dedupe
from schemas.records import Duplicate, Overlap


@dataclass(frozen=True)
class ScreenedDedupeReduce(DedupeReduce):
    """What ``evaluation_overlaps`` rules out is not kept, and nothing else goes for its sake.

    A shard that has not been compared with the evaluation sets is not decided on.
    """

    reads: ClassVar[tuple[type[Record], ...]] = (*DedupeReduce.reads, Overlap)

    def _present(self, store: Store) -> dict[str, str]:
        entries = store.entries(Overlap.table)
        shas = {s: e.writes[store.table_file(Overlap.table, s)] for s, e in entries.items()}
        return {shard: f"{sha} {shas[shard]}" for shard, sha in super()._present(store).items() if shard in shas}

    def _compared(self, store: Store, shard: str, images: pa.Table) -> pa.Table:
        gone = _ruled_out(store, shard).column("sample_id").cast(pa.large_string())
        return images.filter(pc.invert(pc.is_in(images.column("sample_id"), value_set=gone)))

    def _whole(self, store: Store, shard: str, decisions: pa.Table) -> pa.Table:
        told = _ruled_out(store, shard)
        ids, n = told.column("sample_id"), told.num_rows
        own = {"sample_id": ids, "reason": told.column("reason"), "keeper_id": ids, "cluster_id": ids}
        none = {"distance": pa.array(np.zeros(n, np.int32)), "second_distance": pa.nulls(n, pa.int32())}
        others = decisions.filter(pc.invert(pc.is_in(decisions.column("sample_id"), value_set=ids)))
        whole = pa.concat_tables([others, conform(Duplicate, pa.table(own | none))])
        return whole.take(pc.index_in(identities(store, shard), value_set=whole.column("sample_id")))


@dataclass(frozen=True)
class ScreenedClusterReduce(ScreenedDedupeReduce, ClusterReduce):
    """The same where the recipe removes no duplicates."""


def dedupe_reduce(dedupe: Dedupe, against: Against) -> DedupeReduce:
    """The decisions that a recipe asks for."""
    match dedupe.enabled, bool(against.sets):
        case True, False:
            return DedupeReduce(dedupe)
        case True, True:
            return ScreenedDedupeReduce(dedupe)
        case False, False:
            return ClusterReduce(dedupe)
        case _:
            return ScreenedClusterReduce(dedupe)


def _ruled_out(store: Store, shard: str) -> pa.Table:
    told = store.read_table(Overlap, shard, ["sample_id", "reason"])
    return told.filter(pc.field("reason").is_valid())
