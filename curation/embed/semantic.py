"""The keepers among semantic duplicates, and the table that names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.core.store import Store
from curation.embed.pairs import like_pairs
from curation.embed.vectors import Vectors, all_vectors
from schemas.arrays import strings
from schemas.arrow import schema_of
from schemas.embed import SemanticDuplicate
from schemas.reasons import Reason
from schemas.records import ImageRow, SourceRow

_REASON = Reason.SEMANTIC_DUPLICATE.value


def semantic_shards(
    store: Store, threshold: float, clusters: int, seed: int, *, decided: bool
) -> Iterator[tuple[str, pa.Table]]:
    """The shards of ``semantic_duplicates``, one for each of the embeddings.

    ``decided``: the keepers that stand in the table come first. A run that was killed while it wrote them decides the
    same again, since no two of them are near.
    """
    earlier = _earlier_keepers(store) if decided else frozenset()
    with all_vectors(store) as vectors:
        a, b, cosine = like_pairs(vectors, threshold, clusters, seed)
        keeper, near = choose_keepers(len(vectors.rows), a, b, cosine, _priority(store, vectors, earlier))
        for shard, first, rows in vectors.shards:
            yield shard, _table(vectors, slice(first, first + rows), keeper, near)


def choose_keepers(
    count: int,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    cosine: NDArray[np.float32],
    priority: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each image its keeper, itself for a keeper, and the cosine of both, NaN for a keeper.

    Greedy by ``priority`` (0 the first): an image is a keeper unless a keeper before it is the same. The keeper that
    is named is the one with the highest cosine, whichever removed it first.
    """
    keeper, near = np.arange(count), np.full(count, np.nan)
    ends = np.concatenate([a, b])
    others, cosines = np.concatenate([b, a]), np.concatenate([cosine, cosine]).astype(np.float64)
    order = np.argsort(ends, kind="stable")
    ends, others, cosines = ends[order], others[order], cosines[order]
    linked, first = np.unique(ends, return_index=True)
    last = np.append(first[1:], len(ends))
    is_keeper = np.ones(count, np.bool_)
    for at in np.argsort(priority[linked]):
        row, beside = linked[at], slice(first[at], last[at])
        before = priority[others[beside]] < priority[row]
        is_keeper[row] = not (is_keeper[others[beside]] & before).any()
    for at, row in enumerate(linked):
        if not is_keeper[row]:
            beside = slice(first[at], last[at])
            kept = np.flatnonzero(is_keeper[others[beside]])
            best = kept[np.lexsort((priority[others[beside]][kept], -cosines[beside][kept]))[0]]
            keeper[row], near[row] = others[beside][best], cosines[beside][best]
    return keeper, near


def _earlier_keepers(store: Store) -> frozenset[str]:
    """The images that an earlier run kept: they come before all others."""
    found: set[str] = set()
    for shard in store.shards(SemanticDuplicate.table):
        table = store.read_table(SemanticDuplicate, shard, ["sample_id", "reason"])
        found.update(strings(table.filter(pa.compute.is_null(table["reason"]))["sample_id"]))
    return frozenset(found)


def _priority(store: Store, vectors: Vectors, earlier: frozenset[str]) -> NDArray[np.int64]:
    """Each image's place in the order in which keepers are chosen."""
    ids = strings(vectors.ids)
    pixels, aesthetic = np.zeros(len(ids), np.int64), np.zeros(len(ids))
    for shard, first, rows in vectors.shards:
        own = {sample: first + at for at, sample in enumerate(ids[first : first + rows])}
        images = store.read_table(ImageRow, shard, ["sample_id", "width", "height"]).to_pydict()
        for sample, width, height in zip(*images.values(), strict=True):
            if sample in own:
                pixels[own[sample]] = (width or 0) * (height or 0)
        for sample, score in _aesthetics(store, shard).items():
            if sample in own:
                aesthetic[own[sample]] = score
    new = np.array([sample not in earlier for sample in ids], np.bool_)
    order = np.lexsort((np.array(ids, object).astype(str), -aesthetic, -pixels, new)) if ids else np.empty(0, np.int64)
    priority = np.empty(len(ids), np.int64)
    priority[order] = np.arange(len(ids))
    return priority


def _aesthetics(store: Store, shard: str) -> Mapping[str, float]:
    rows = store.read_table(SourceRow, shard, ["sample_id", "aesthetic"]).to_pydict()
    return {s: v for s, v in zip(rows["sample_id"], rows["aesthetic"], strict=True) if v is not None and v == v}


def _table(vectors: Vectors, own: slice, keeper: NDArray[np.int64], near: NDArray[np.float64]) -> pa.Table:
    lost = ~np.isnan(near[own])
    keepers = strings(vectors.ids.take(pa.array(keeper[own], pa.int64())))
    cosines = [round(float(c), 5) if gone else None for c, gone in zip(near[own], lost, strict=True)]
    details = [f"cosine {c:.4f} with {k}" if c is not None else None for c, k in zip(cosines, keepers, strict=True)]
    columns = [
        vectors.ids[own],
        pa.array([_REASON if gone else None for gone in lost], pa.string()),
        pa.array(details, pa.string()),
        pa.array(keepers, pa.string()),
        pa.array(cosines, pa.float64()),
    ]
    return pa.Table.from_arrays(columns, schema=schema_of(SemanticDuplicate))
