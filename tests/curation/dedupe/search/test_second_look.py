"""Laws of what a second look confirms and of what a crowd is told by."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.core.errors import TooMuchMemory
from curation.dedupe import cross_pairs, near_pairs
from curation.dedupe.search import scan
from curation.dedupe.search.rule import confirmed
from tests.support.hashes import Words, balls, binary, brute_twice, components, found, hash_sets, looked_at_twice


def told(table: pa.Table) -> list[tuple[int, int, int, int | None]]:
    return list(zip(*(table.column(c).to_pylist() for c in ("i", "j", "distance", "second")), strict=True))


@settings(deadline=None, max_examples=40)
@given(looked_at_twice(), looked_at_twice(), st.integers(0, 6), st.integers(0, 16), st.integers(0, 256))
def test_a_second_look_confirms_as_brute_force_does(a: Words, b: Words, alone: int, distance: int, second: int) -> None:
    b[: min(len(a), len(b)) // 2] = a[: min(len(a), len(b)) // 2]
    rule = confirmed(alone, distance, second)
    assert told(cross_pairs(a, b, rule, repeats="all")) == brute_twice(a, b, rule)
    expected = [pair for pair in brute_twice(a, a, rule) if pair[0] < pair[1]]
    assert told(near_pairs(a, rule, repeats="all")) == expected
    assert told(near_pairs(binary(a), rule, repeats="all")) == expected


def test_a_hash_without_a_second_look_is_confirmed_by_nobody() -> None:
    hashes = np.zeros((3, 5), np.uint64)
    hashes[:, 0] = [0, 1, 0b111]
    assert told(near_pairs(hashes, confirmed(1, 8, 256))) == [(0, 1, 1, None)]
    hashes[:, 1] = [9, 9, 8]
    assert told(near_pairs(hashes, confirmed(1, 8, 256))) == [(0, 1, 1, 0), (0, 2, 3, 1), (1, 2, 2, 1)]


def test_symmetries_are_for_clusters() -> None:
    with pytest.raises(ValueError, match="symmetries"):
        near_pairs(np.zeros((2, 40), np.uint64), confirmed(4, 14, 48, symmetries=True))


@settings(deadline=None, max_examples=30)
@given(hash_sets(), st.integers(0, 12), st.integers(0, 2**32))
def test_linked_crowds_hang_together_as_all_pairs_do_in_any_order(hashes: Words, distance: int, seed: int) -> None:
    n = len(hashes)
    everything = near_pairs(hashes, distance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_DENSE_BUCKET", 5)
        patch.setattr(scan, "_SKEW", 0)
        linked = near_pairs(hashes, distance, crowds="linked")
        assert set(found(linked)) <= set(found(everything))
        assert components(linked, n) == components(everything, n)
        order = np.random.default_rng(seed).permutation(n)
        shuffled = near_pairs(hashes[order], distance, crowds="linked", repeats="all")
        back = sorted((*sorted((int(order[i]), int(order[j]))), d) for i, j, d in found(shuffled))
        assert back == found(near_pairs(hashes, distance, crowds="linked", repeats="all"))


def peak(hashes: Words) -> int:
    """Bytes that a search holds at most."""
    tracemalloc.start()
    try:
        near_pairs(hashes, 4, crowds="linked", threads=1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_balls_take_pairs_and_memory_in_proportion_to_their_members() -> None:
    """Ten balls in which nearly all hashes are near each other: all pairs would grow sixteenfold twice."""
    sets = [balls(10, members, 2) for members in (250, 1000, 4000)]
    near_pairs(sets[0], 4, crowds="linked")
    pairs = [near_pairs(hashes, 4, crowds="linked").num_rows for hashes in sets]
    assert all(many < 6 * few for few, many in pairwise(pairs[1:]))
    assert pairs[-1] < 60 * len(sets[-1])
    bytes_held = [peak(hashes) for hashes in sets]
    assert bytes_held[2] < 6 * bytes_held[1]


def test_a_crowd_of_all_pairs_is_refused_before_it_is_held() -> None:
    crowd = balls(1, 30_000, 3)
    tracemalloc.start()
    try:
        with pytest.raises(TooMuchMemory, match=r"about [\d,]+ pairs"):
            near_pairs(crowd, 4, memory=20_000_000, threads=1)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 100_000_000  # all pairs are 12 GB
    assert near_pairs(crowd, 4, crowds="linked", memory=100_000_000).num_rows < 60 * len(crowd)


def test_an_unknown_way_with_crowds_is_named() -> None:
    with pytest.raises(ValueError, match=r"'some'.*all.*linked"):
        near_pairs(np.arange(3, dtype=np.uint64), 1, crowds="some")  # type: ignore[arg-type]
