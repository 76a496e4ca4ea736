"""A mirrored or turned picture is found by its hash alone."""

from __future__ import annotations

import numpy as np
import pytest

from curation.dedupe.search.symmetry import TURNS, turned
from curation.images.phash import phash_twice
from tests.support.images import natural


def words(pixels: np.ndarray) -> np.ndarray:
    first, second = phash_twice(np.ascontiguousarray(pixels))
    return np.array([[np.uint64(first), *np.frombuffer(second, np.uint64)]], np.uint64)


def apart(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    bits = np.bitwise_count(a ^ b).astype(int)[0]
    return int(bits[0]), int(bits[1:].sum())


WAYS = {
    1: lambda p: p[:, ::-1],
    2: lambda p: p[::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p.transpose(1, 0, 2),
    5: lambda p: p.transpose(1, 0, 2)[:, ::-1],
    6: lambda p: p.transpose(1, 0, 2)[::-1],
    7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
}


@pytest.mark.parametrize("turn", WAYS)
@pytest.mark.parametrize("seed", range(4))
def test_each_way_is_near_the_hash_of_pixels_turned_that_way(turn: int, seed: int) -> None:
    pixels = natural(420, 300, seed=seed)
    expected = words(WAYS[turn](pixels))
    first, second = apart(turned(words(pixels), turn), expected)
    assert first <= 8 and second <= 24
    other = {w: apart(turned(words(pixels), w), expected)[1] for w in range(TURNS)}
    assert min(other, key=lambda w: other[w]) == turn


@pytest.mark.parametrize("turn", range(TURNS))
def test_distances_stay_and_no_look_stays_none(turn: int) -> None:
    hashes = np.random.default_rng(turn).integers(0, 2**64, (20, 5), dtype=np.uint64)
    hashes[3, 1:] = 0
    after = turned(hashes, turn)
    for i in (0, 1, 2):
        for j in (4, 5):
            assert apart(hashes[i : i + 1], hashes[j : j + 1]) == apart(after[i : i + 1], after[j : j + 1])
    assert not after[3, 1:].any() and after[3, 0] == turned(hashes[3:4], turn)[0, 0]
    assert turned(hashes, 0) is hashes and (turn == 0 or (after != hashes).any())
