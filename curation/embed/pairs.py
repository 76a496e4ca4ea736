"""Pairs of like embeddings: k-means by faiss, then cosines within clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.embed.vectors import Vectors

_EACH = 2000  # images of a cluster
_TRAINED = 64  # images for each cluster that k-means looks at
_BLOCK = 16_384  # rows that are float32 at a time
_COSINES = 2**25  # that are in memory at a time, where a cluster is many times larger than others
_LEAST = 64  # rows of a block of them
_SEEN = 3  # clusters that an image is compared in: its own, and those nearest to its border
_ROUNDS = 10
_TIE = 1e-6  # two equal vectors have a cosine of 1 but for rounding


def default_clusters(images: int) -> int:
    """The number of clusters for so many images."""
    return max(1, images // _EACH)


def like_pairs(
    vectors: Vectors, threshold: float, clusters: int = 0, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Pairs (a < b) of rows whose cosine is at least ``threshold``, and the cosine, each pair once, sorted.

    Every image is compared with those of the cluster that it is in, and of the two next nearest ones: a pair on the
    border of two clusters is not missed for that. Memory: float32 of the largest cluster, and its cosines in blocks.
    """
    count = len(vectors.rows)
    nothing = np.empty(0, np.int64)
    if count < 2:
        return nothing, nothing, np.empty(0, np.float32)
    nearest = _nearest_clusters(vectors, min(clusters or default_clusters(count), count), seed)
    own = nearest[:, 0]
    order = np.argsort(own, kind="stable")
    bounds = np.searchsorted(own[order], np.arange(int(own.max()) + 2))
    guests = _by_cluster(nearest)
    found = [
        pair
        for cluster in range(len(bounds) - 1)
        for pair in _within(vectors, order[bounds[cluster] : bounds[cluster + 1]], guests.get(cluster), threshold)
    ]
    if not found:
        return nothing, nothing, np.empty(0, np.float32)
    a, b, cosine = (np.concatenate(column) for column in zip(*found, strict=True))
    low, high = np.minimum(a, b), np.maximum(a, b)
    _, first = np.unique(low * count + high, return_index=True)
    return low[first], high[first], cosine[first]


def _nearest_clusters(vectors: Vectors, clusters: int, seed: int) -> NDArray[np.int64]:
    """For each row the numbers of its nearest clusters, the nearest first: (n, at most ``_SEEN``)."""
    import faiss

    count, width = vectors.rows.shape
    if clusters == 1:
        return np.zeros((count, 1), np.int64)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(count, min(count, clusters * _TRAINED), replace=False))
    means = faiss.Kmeans(width, clusters, niter=_ROUNDS, seed=seed, spherical=True, verbose=False,
                         min_points_per_centroid=1, max_points_per_centroid=_TRAINED)  # fmt: skip
    means.train(vectors.block(sample))
    index = faiss.IndexFlatIP(width)
    index.add(np.asarray(means.centroids))
    seen = min(_SEEN, clusters)
    found = [
        index.search(vectors.block(slice(at, at + _BLOCK)), seen)[1].astype(np.int64) for at in range(0, count, _BLOCK)
    ]
    return np.concatenate(found)


def _by_cluster(nearest: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """The rows that each cluster is second or third nearest to."""
    if nearest.shape[1] == 1:
        return {}
    cluster, row = nearest[:, 1:].ravel(), np.repeat(np.arange(len(nearest)), nearest.shape[1] - 1)
    order = np.argsort(cluster, kind="stable")
    names, first = np.unique(cluster[order], return_index=True)
    return dict(zip(names.tolist(), np.split(row[order], first[1:]), strict=True))


def _within(
    vectors: Vectors, members: NDArray[np.int64], guests: NDArray[np.int64] | None, threshold: float
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """The pairs of a cluster's members, with each other and with its guests."""
    everyone = members if guests is None else np.concatenate([members, guests])
    if len(members) == 0 or len(everyone) < 2:
        return []
    theirs = vectors.block(np.sort(members))
    rows = np.sort(members)
    found = []
    step = max(_LEAST, min(_BLOCK // 4, _COSINES // len(members)))
    for start in range(0, len(everyone), step):
        others = everyone[start : start + step]
        cosines = vectors.block(others) @ theirs.T
        at, to = np.nonzero(cosines >= threshold - _TIE)
        a, b = others[at], rows[to]
        # A member meets each other member twice, and itself.
        once = (a < b) | ((a > b) & ~np.isin(a, rows)) if start + len(others) > len(members) else a < b
        found.append((a[once], b[once], cosines[at, to][once]))
    return found
