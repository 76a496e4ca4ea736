"""The dedupe stage: one decision on every image of a root.

Incremental: shards decided by the last finished run keep their decisions byte for byte as long as their
images are the same, and are not read again. Images of new shards are asked of the root's index (``earlier``)
and decided on together with the earlier images that are near one of them: no other can change a decision. If
an old shard's images have changed, or the shard is gone, its keepers cannot be relied on, and all is
decided anew. Within one run the answer depends on the set of images only, not on their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.core.stage import Reduction
from curation.core.store import Store, untouched
from curation.dedupe.clusters import components, lowest
from curation.dedupe.earlier import Earlier
from curation.dedupe.gather import Images, images_of, parts_of
from curation.dedupe.keep import Kept, Standing, all_kept, keepers
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.kernels import Index
from curation.dedupe.search.rule import Rule, confirmed
from curation.dedupe.search.symmetry import views_of
from curation.images.phash import WINDOWS
from schemas.arrow import Record, conform
from schemas.reasons import Reason
from schemas.recipe import Dedupe
from schemas.records import CropHash, Duplicate, ImageRow, SourceRow


@dataclass(frozen=True)
class DedupeReduce:
    """Names the keeper of every image that has pixels, with the cluster it belongs to.

    Near is what the pHash says alone within ``distance`` bits, and what the second look confirms within
    ``confirmed_distance``; with ``crops``, what looks like a part of an image goes for that image too.
    Priority: more pixels, then a higher aesthetic score (unknown is lowest), then the lower sample_id. A cluster
    is named by its lowest sample_id; members decided before keep the name they had, and new ones take the
    lowest of those names, whichever run brought the members together.
    Writes a table for each shard of images, in its row order.
    """

    name: ClassVar[str] = "dedupe"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, ImageRow, CropHash)
    writes: ClassVar[type[Record]] = Duplicate
    recipe: Dedupe

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        """``previous`` and the new state are {"decided": {shard: sha256 of its images table}, "linked": names}.

        ``linked`` tells of cluster names that turned out to be one cluster: name -> the lowest of them.
        """
        present = self._present(store)
        old = _unchanged(store, present, previous.get("decided", {}))
        linked: dict[str, str] = dict(previous.get("linked", {})) if old else {}
        shards = self._decided(store, present, old, linked)
        return Reduction(shards, lambda: {"decided": present, "linked": linked}, old)

    def _decided(
        self, store: Store, present: dict[str, str], old: Collection[str], linked: dict[str, str]
    ) -> Iterator[tuple[str, pa.Table]]:
        young = [shard for shard in present if shard not in old]
        if not young:
            return
        rule = rule_for(self.recipe)
        crops = self.recipe.crops
        parts = [(shard, self._compared(store, shard, part)) for shard, part in parts_of(store, young, crops=crops)]
        earlier = Earlier.of(store, _told(store, present, old), crops=crops)
        found = images_of([*parts, ("", _renamed(earlier.near(images_of(parts), rule), linked))])
        decisions = self._decide(found, rule)
        for shard, start, size in found.shards[:-1]:
            yield shard, self._whole(store, shard, conform(Duplicate, decisions.slice(start, size)))
        _link(linked, found, decisions)
        earlier.add(_told(store, present, young))

    def _decide(self, images: Images, rule: Rule) -> pa.Table:
        return decide(images, rule)

    def _present(self, store: Store) -> dict[str, str]:
        """The shards that can be decided on, each with the sha256 of what is known of it."""
        found = _shas(store, ImageRow)
        if self.recipe.crops:
            crops = _shas(store, CropHash)
            found = {shard: f"{sha} {crops[shard]}" for shard, sha in found.items() if shard in crops}
        return found

    def _compared(self, store: Store, shard: str, images: pa.Table) -> pa.Table:
        """Of a shard's images those that are decided on."""
        return images

    def _whole(self, store: Store, shard: str, decisions: pa.Table) -> pa.Table:
        """Decisions on all of a shard's images, from those on the compared ones."""
        return decisions


@dataclass(frozen=True)
class ClusterReduce(DedupeReduce):
    """The same where a recipe switches dedupe off: every image is its own keeper.

    Clusters are named all the same, since a release must not tear near duplicates apart by its splits. All are named
    anew in every run: an image that makes two clusters one is kept here, and so are those it is near to.
    """

    version: ClassVar[int] = 4

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return super().run(store, {})

    def _decide(self, images: Images, rule: Rule) -> pa.Table:
        return decide(images, rule, removes=False)


def rule_for(recipe: Dedupe) -> Rule:
    """What the recipe calls near."""
    views = 1 + len(WINDOWS) if recipe.crops else 1
    return confirmed(
        recipe.distance, recipe.confirmed_distance, recipe.second_distance, symmetries=recipe.symmetries, views=views
    )


def decide(
    images: Images, distance: int | Rule, rank: NDArray[np.int64] | None = None, *, removes: bool = True
) -> pa.Table:
    """The columns of ``Duplicate`` for all images; those of images decided before are to be ignored.

    ``rank`` is another priority than the images' own; 0 is the highest. A column ``keeper`` has keepers' places.
    Without ``removes`` every image is its own keeper, and only the clusters tell what is near.
    """
    turns = distance.turns if isinstance(distance, Rule) else 1
    distinct = Distinct.of(views_of(images.hashes, images.crops, turns))
    component = _components(images, distinct, distance)
    if removes:
        priority = images.rank() if rank is None else rank
        kept = keepers(distinct, priority, distance, standing=_standing(images), component=component)
    else:
        kept = all_kept(distinct, distance)
    return pa.table(
        {
            "sample_id": images.ids,
            "reason": _reasons(images, kept),
            "keeper_id": images.ids.take(pa.array(kept.keeper)),
            "distance": pa.array(kept.distance.astype(np.int32)),
            "cluster_id": _cluster_ids(images, component[distinct.row]),
            "second_distance": pa.array(kept.second, mask=kept.second < 0),
            "keeper": pa.array(kept.keeper),
        }
    )


def _unchanged(store: Store, present: dict[str, str], decided: dict[str, str]) -> set[str]:
    """The shards whose decisions stand: all that were decided, or none."""
    last, entries = store.reduce_entry(Duplicate.table), store.entries(Duplicate.table)
    stands = decided.keys() <= untouched(last, entries) and decided.items() <= present.items()
    return set(decided) if stands else set()


def _shas(store: Store, record: type[Record]) -> dict[str, str]:
    entries = sorted(store.entries(record.table).items())
    return {shard: entry.writes[store.table_file(record.table, shard)] for shard, entry in entries}


def _told(store: Store, present: dict[str, str], shards: Collection[str]) -> dict[str, tuple[str, str]]:
    entries = store.entries(Duplicate.table)
    return {s: (present[s], entries[s].writes[store.table_file(Duplicate.table, s)]) for s in shards}


def _renamed(images: pa.Table, linked: dict[str, str]) -> pa.Table:
    """With the lowest name of each cluster instead of the one that an image was given when it was decided on."""
    names = [linked.get(name, name) for name in images.column("cluster").to_pylist()]
    return images.set_column(images.column_names.index("cluster"), "cluster", pa.array(names, pa.large_string()))


def _link(linked: dict[str, str], images: Images, decisions: pa.Table) -> None:
    """Notes which earlier clusters the new images have brought together."""
    old = pa.array(~images.new)
    named, found = images.cluster.filter(old).to_pylist(), decisions.column("cluster_id").filter(old).to_pylist()
    lower = {name: lowest for name, lowest in zip(named, found, strict=True) if name != lowest}
    linked.update({name: lower.get(lowest, lowest) for name, lowest in linked.items()} | lower)


def _standing(images: Images) -> NDArray[np.uint8]:
    settled = np.where(images.keeper, np.uint8(Standing.KEEPER), np.uint8(Standing.GONE))
    return np.where(images.new, np.uint8(Standing.OPEN), settled)


def _components(images: Images, distinct: Distinct, distance: int | Rule) -> Index:
    """Components of rows; images decided before are linked as their clusters' names say."""
    if images.new.all():
        return components(distinct.rows, distance)
    new = np.zeros(len(distinct.rows), np.bool_)
    new[distinct.row[images.new]] = True
    old = np.flatnonzero(~images.new)
    _, first, name = np.unique(
        images.cluster.take(pa.array(old)).dictionary_encode().indices.to_numpy(),
        return_index=True,
        return_inverse=True,
    )
    row = distinct.row[old]
    return components(distinct.rows, distance, new=new, known=(row, row[first][name]))


def _reasons(images: Images, kept: Kept) -> pa.Array:
    exact = images.sha == images.sha[kept.keeper]
    own = kept.keeper == np.arange(len(exact))
    reasons = np.where(exact, Reason.EXACT_DUPLICATE.value, Reason.NEAR_DUPLICATE.value)
    return pa.array(reasons, pa.string(), mask=own)


def _cluster_ids(images: Images, label: Index) -> pa.Array:
    """The lowest earlier name among all with the same label, or where there is none their lowest sample_id."""
    names = pc.if_else(pa.array(images.new), images.ids, images.cluster)
    order = pc.sort_indices(names).to_numpy()
    n = len(order)
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    rank[images.new] += n
    best = lowest(label, rank)
    return names.take(pa.array(order[best % n] if n else best))
