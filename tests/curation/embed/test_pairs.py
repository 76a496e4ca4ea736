"""Pairs within clusters against all pairs, and the laws of keepers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from curation.embed.pairs import like_pairs
from curation.embed.semantic import choose_keepers
from curation.embed.vectors import Vectors
from tests.support.vectors import drawn


def all_pairs(vectors: Vectors, threshold: float) -> set[tuple[int, int]]:
    rows = vectors.block(slice(None))
    found: set[tuple[int, int]] = set()
    for at in range(0, len(rows), 1000):
        a, b = np.nonzero(rows[at : at + 1000] @ rows.T >= threshold)
        found |= {(int(x) + at, int(y)) for x, y in zip(a, b, strict=True) if x + at < y}
    return found


@pytest.mark.parametrize("clusters", [1, 2, 9])
def test_pairs_are_those_of_all_comparisons(clusters: int) -> None:
    vectors = drawn(3000, 32)
    wanted = all_pairs(vectors, 0.95)
    a, b, cosine = like_pairs(vectors, 0.95, clusters)
    found = set(zip(a.tolist(), b.tolist(), strict=True))
    assert len(found) == len(a), "each pair once"
    assert (a < b).all() and (cosine >= 0.95 - 1e-5).all()
    near_the_threshold = {p for p in found - wanted if abs(float(vectors.block(np.array(p)[:1])[0]
                          @ vectors.block(np.array(p)[1:])[0]) - 0.95) < 1e-4}  # fmt: skip
    assert found - wanted == near_the_threshold
    assert len(found & wanted) >= (1.0 if clusters == 1 else 0.98) * len(wanted) > 100


def test_the_same_vectors_give_the_same_pairs() -> None:
    vectors = drawn(1500, 16)
    first, second = (like_pairs(vectors, 0.9, 5, seed=3) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(first, second, strict=True))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_vectors(count: int) -> None:
    a, _, _ = like_pairs(drawn(count, 8) if count > 1 else Vectors(
        np.ones((count, 8), np.float16), pa.array(["x"] * count), (("all", 0, count),)), 0.5)  # fmt: skip
    assert len(a) <= 1


def test_keepers_are_apart_and_every_other_image_is_near_its_own() -> None:
    vectors = drawn(2000, 24, seed=4)
    a, b, cosine = like_pairs(vectors, 0.93)
    priority = np.random.default_rng(1).permutation(2000)
    keeper, near = choose_keepers(2000, a, b, cosine, priority)
    own = keeper == np.arange(2000)
    pairs = dict(zip(zip(a.tolist(), b.tolist(), strict=True), cosine.tolist(), strict=True))
    assert not any(own[x] and own[y] for x, y in pairs)
    for row in np.flatnonzero(~own).tolist():
        kept = int(keeper[row])
        assert own[kept] and pairs[min(row, kept), max(row, kept)] == pytest.approx(near[row])
        kept_beside = [x if y == row else y for x, y in pairs if row in (x, y) and own[x if y == row else y]]
        assert any(priority[k] < priority[row] for k in kept_beside)
    assert np.isnan(near[own]).all() and (~own).sum() > 50
