"""Laws of the keepers: no two within the distance, and every other image within it of its keeper."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.dedupe import clusters, keep
from curation.dedupe.clusters import components
from curation.dedupe.keep import PriorDecision, keepers
from curation.dedupe.search import scan
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.rule import confirmed
from curation.dedupe.search.symmetry import all_turns, turned


@st.composite
def families(draw: st.DrawFn) -> NDArray[np.uint64]:
    """Hashes that crowd around a few centres, so that chains, balls and equal ones all occur."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 120))
    centres = random.integers(0, 2**64, draw(st.integers(1, 5)), dtype=np.uint64)
    hashes = centres[random.integers(0, len(centres), n)]
    for _ in range(draw(st.integers(0, 8))):
        flipped = np.uint64(1) << random.integers(0, 64, n, dtype=np.uint64)
        hashes ^= np.where(random.random(n) < 0.6, flipped, np.uint64(0))
    return hashes


def apart(a: np.uint64, b: np.uint64) -> int:
    return int(np.bitwise_count(a ^ b))


def greedy(hashes: NDArray[np.uint64], order: list[int], distance: int, kept: list[int]) -> list[int]:
    """The definition: in order of priority, whatever no keeper is near."""
    kept = list(kept)
    for at in order:
        if all(apart(hashes[at], hashes[k]) > distance for k in kept):
            kept.append(at)
    return kept


@pytest.mark.parametrize("many", [1024, 1])
@settings(deadline=None, max_examples=60)
@given(families(), st.integers(0, 16), st.integers(0, 2**32))
def test_keepers_are_the_greedy_ones_and_the_nearest_is_named(
    many: int, hashes: NDArray[np.uint64], distance: int, seed: int
) -> None:
    rank = np.random.default_rng(seed).permutation(len(hashes))
    before, keep._MANY = keep._MANY, many
    try:
        kept = keepers(Distinct.of(hashes), rank, distance)
    finally:
        keep._MANY = before
    expected = greedy(hashes, np.argsort(rank).tolist(), distance, [])
    own = np.flatnonzero(kept.keeper == np.arange(len(hashes))).tolist()
    assert own == sorted(expected)
    for a, b in itertools.combinations(own, 2):
        assert apart(hashes[a], hashes[b]) > distance
    for at in range(len(hashes)):
        nearest = min(expected, key=lambda k: (apart(hashes[at], hashes[k]), rank[k]))
        assert kept.keeper[at] == nearest
        assert kept.distance[at] == apart(hashes[at], hashes[nearest]) <= distance


@pytest.mark.parametrize("many", [1024, 1])
@settings(deadline=None, max_examples=60)
@given(families(), families(), st.integers(0, 16), st.integers(0, 2**32))
def test_keepers_of_earlier_stay_and_what_was_removed_decides_nothing(
    many: int, old: NDArray[np.uint64], new: NDArray[np.uint64], distance: int, seed: int
) -> None:
    hashes = np.concatenate([old, old[: len(old) // 2] ^ np.uint64(1), new])
    random = np.random.default_rng(seed)
    rank = random.permutation(len(hashes))
    first = greedy(hashes, random.permutation(len(old)).tolist(), distance // 2, [])
    prior = np.full(len(hashes), PriorDecision.OPEN, np.uint8)
    prior[: len(old)] = PriorDecision.REMOVED
    prior[first] = PriorDecision.KEEPER
    before, keep._MANY = keep._MANY, many
    try:
        kept = keepers(Distinct.of(hashes), rank, distance, prior=prior)
    finally:
        keep._MANY = before
    is_open = [int(at) for at in np.argsort(rank) if prior[at] == PriorDecision.OPEN]
    expected = greedy(hashes, is_open, distance, first)
    for at in is_open:
        nearest = min(expected, key=lambda k: (apart(hashes[at], hashes[k]), rank[k]))
        assert kept.keeper[at] == nearest
    assert (kept.keeper[: len(old)] == np.arange(len(old))).all()


@settings(deadline=None, max_examples=40)
@given(families(), st.integers(0, 16), st.integers(0, 2**32))
def test_the_order_of_the_input_changes_no_keeper(hashes: NDArray[np.uint64], distance: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    rank, order = random.permutation(len(hashes)), random.permutation(len(hashes))
    kept = keepers(Distinct.of(hashes), rank, distance).keeper
    shuffled = keepers(Distinct.of(hashes[order]), rank[order], distance).keeper
    assert (order[shuffled] == kept[order]).all()


@settings(deadline=None, max_examples=60)
@given(families(), st.integers(0, 16), st.integers(1, 300))
def test_components_equal_a_plain_union_find(hashes: NDArray[np.uint64], distance: int, heavy: int) -> None:
    rows = Distinct.of(hashes).rows
    before, (scan._DENSE_BUCKET, scan._SKEW) = (scan._DENSE_BUCKET, scan._SKEW), (heavy, 0)
    try:
        found = components(rows, distance).tolist()
    finally:
        scan._DENSE_BUCKET, scan._SKEW = before
    assert found == chained(rows[:, 0], distance, range(len(rows)))


@settings(deadline=None, max_examples=60)
@given(families(), st.integers(0, 16), st.integers(0, 2**32), st.integers(1, 300))
def test_new_rows_join_what_was_linked_before(hashes: NDArray[np.uint64], distance: int, seed: int, heavy: int) -> None:
    rows = Distinct.of(hashes).rows
    new = np.random.default_rng(seed).random(len(rows)) < 0.5
    old = np.flatnonzero(~new)
    known = np.array(chained(rows[old, 0], distance, old.tolist()), np.int64)
    before, (scan._DENSE_BUCKET, scan._SKEW) = (scan._DENSE_BUCKET, scan._SKEW), (heavy, 0)
    try:
        found = components(rows, distance, new=new, known=(old.astype(np.uint32), known.astype(np.uint32))).tolist()
    finally:
        scan._DENSE_BUCKET, scan._SKEW = before
    assert found == chained(rows[:, 0], distance, range(len(rows)))


def chained(hashes: NDArray[np.uint64], distance: int, names: list[int] | range) -> list[int]:
    """The lowest name that a chain of near pairs leads to, by visiting them all."""
    label = [-1] * len(hashes)
    for start in range(len(hashes)):
        todo = [start] if label[start] < 0 else []
        while todo:
            at = todo.pop()
            if label[at] < 0:
                label[at] = names[start]
                todo += np.flatnonzero(np.bitwise_count(hashes ^ hashes[at]) <= distance).tolist()
    return label


@pytest.mark.parametrize("n", [0, 1])
def test_no_image_and_one_image(n: int) -> None:
    distinct = Distinct.of(np.zeros(n, np.uint64))
    assert keepers(distinct, np.arange(n), 4).keeper.tolist() == list(range(n))
    assert components(distinct.rows, 4).tolist() == list(range(n))


def test_100_000_equal_hashes_and_dense_balls_cost_few_pairs_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(7)
    keepers(Distinct.of(np.arange(5000, dtype=np.uint64)), np.arange(5000), 2)  # compiles
    equal = np.full(100_000, random.integers(2**63), np.uint64)
    balls = np.repeat(random.integers(0, 2**64, 10, dtype=np.uint64), 5000)
    for _ in range(4):
        balls ^= np.uint64(1) << random.integers(0, 64, len(balls), dtype=np.uint64)
    rest = random.integers(0, 2**64, 100_000, dtype=np.uint64)
    hashes = np.concatenate([equal, balls, rest])
    pairs = 0

    def counted(*arguments: Any, **options: Any) -> Iterator[NDArray[np.uint64]]:
        nonlocal pairs
        for keys in scan.near_rows(*arguments, **options):
            pairs += len(keys)
            yield keys

    for module in (clusters, keep):
        monkeypatch.setattr(module, "near_rows", counted)
    tracemalloc.start()
    kept = keepers(Distinct.of(hashes), random.permutation(len(hashes)), 8)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Each ball has twelve million pairs; those of the equal hashes would take 40 GB.
    assert 0 < pairs < 20 * len(hashes)
    assert most < 100_000_000
    own = kept.keeper == np.arange(len(hashes))
    assert own[:100_000].sum() == 1
    assert own[100_000:150_000].sum() == 10
    assert (kept.distance <= 8).all()


def near_twice(a: NDArray[np.uint64], b: NDArray[np.uint64], rule: tuple[int, int, int]) -> bool:
    alone, distance, second = rule
    first, rest = apart(a[0], b[0]), sum(apart(x, y) for x, y in zip(a[1:], b[1:], strict=True))
    return first <= alone or (first <= distance and rest <= second and bool(a[1:].any() and b[1:].any()))


@st.composite
def pictures(draw: st.DrawFn) -> NDArray[np.uint64]:
    """A hash and a second one of three words each, around a few centres; some have no second one."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 100))
    centres = random.integers(0, 2**64, (draw(st.integers(1, 4)), 4), dtype=np.uint64)
    hashes = centres[random.integers(0, len(centres), n)]
    for _ in range(draw(st.integers(0, 12))):
        flipped = np.uint64(1) << random.integers(0, 64, (n, 4), dtype=np.uint64)
        hashes ^= np.where(random.random((n, 4)) < 0.5, flipped, np.uint64(0))
    hashes[random.random(n) < 0.1, 1:] = 0
    return hashes


@pytest.mark.parametrize("many", [1024, 1])
@settings(deadline=None, max_examples=60)
@given(
    pictures(), st.integers(0, 10), st.integers(0, 16), st.integers(0, 40), st.integers(0, 2**32), st.integers(1, 300)
)
def test_a_second_look_confirms_what_is_further_apart(
    many: int, hashes: NDArray[np.uint64], alone: int, distance: int, second: int, seed: int, heavy: int
) -> None:
    rank = np.random.default_rng(seed).permutation(len(hashes))
    rule = confirmed(alone, distance, second)
    before = keep._MANY, scan._DENSE_BUCKET, scan._SKEW
    try:
        keep._MANY, scan._DENSE_BUCKET, scan._SKEW = many, heavy, 0
        kept = keepers(Distinct.of(hashes), rank, rule)
    finally:
        keep._MANY, scan._DENSE_BUCKET, scan._SKEW = before
    found = (alone, distance, second)
    expected: list[int] = []
    for at in np.argsort(rank).tolist():
        if not any(near_twice(hashes[at], hashes[k], found) for k in expected):
            expected.append(at)
    for at in range(len(hashes)):
        known = [k for k in expected if k == at or near_twice(hashes[at], hashes[k], found)]
        nearest = min(known, key=lambda k: (apart(hashes[at][0], hashes[k][0]), k != at, rank[k]))
        if at in expected:
            assert kept.keeper[at] == at
        else:
            assert kept.keeper[at] == nearest
            assert kept.distance[at] == apart(hashes[at][0], hashes[nearest][0])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(0, 4), st.integers(0, 14), st.sampled_from([1024, 1]), st.integers(1, 300))
def test_turned_pictures_are_near_in_any_of_eight_ways(
    seed: int, alone: int, distance: int, many: int, heavy: int
) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(0, 60))
    hashes = random.integers(0, 2**64, (3, 5), dtype=np.uint64)[random.integers(0, 3, n)]
    for turn in range(8):
        chosen = random.random(n) < 0.15
        hashes[chosen] = turned(hashes[chosen], turn)
    for _ in range(3):
        flipped = np.uint64(1) << random.integers(0, 64, (n, 5), dtype=np.uint64)
        hashes ^= np.where(random.random((n, 5)) < 0.5, flipped, np.uint64(0))
    rank = random.permutation(n)
    before = keep._MANY, scan._DENSE_BUCKET, scan._SKEW
    try:
        keep._MANY, scan._DENSE_BUCKET, scan._SKEW = many, heavy, 0
        kept = keepers(Distinct.of(all_turns(hashes)), rank, confirmed(alone, distance, 10, symmetries=True))
    finally:
        keep._MANY, scan._DENSE_BUCKET, scan._SKEW = before
    ways = [turned(hashes, turn) for turn in range(8)]
    found = (alone, distance, 10)
    expected: list[int] = []
    for at in np.argsort(rank).tolist():
        if not any(near_twice(hashes[at], way[k], found) for k in expected for way in ways):
            expected.append(at)
    assert sorted(expected) == np.flatnonzero(kept.keeper == np.arange(n)).tolist()
    for at in set(range(n)) - set(expected):
        known = {
            k: min(apart(hashes[at][0], way[k][0]) for way in ways if near_twice(hashes[at], way[k], found))
            for k in expected
            if any(near_twice(hashes[at], way[k], found) for way in ways)
        }
        assert kept.keeper[at] == min(known, key=lambda k: (known[k], rank[k]))
        assert kept.distance[at] == known[int(kept.keeper[at])]
