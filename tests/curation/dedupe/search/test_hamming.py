"""Laws of the Hamming search: it is brute force, only sooner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.core.errors import TooMuchMemory
from curation.dedupe.search import bands, hamming, scan
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.hamming import cross_pairs, near_pairs
from tests.support.hashes import binary, brute, found, hash_sets


@contextmanager
def choosing(width: int, count: int, crowd: int | None = None) -> Iterator[None]:
    """Makes every search use ``count`` bands of at most this width, and call ``crowd`` members a crowd."""

    def plan(n: int, distance: int, words: int = 1) -> bands.Plan:
        share = min(count, distance + 1)
        room = min(width, 64 // -(-share // words))
        return bands.Plan(bands.cut(share, distance, words, room, room), 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "plan", plan)
        if crowd is not None:
            patch.setattr(scan, "_DENSE_BUCKET", crowd)
            patch.setattr(scan, "_SKEW", 0)
        yield


CHOICES = [(0, 1), (1, 17), (4, 5), (8, 3), (12, 17), (6, 2)]


@settings(deadline=None, max_examples=60)
@given(hash_sets(), st.integers(0, 16))
def test_near_pairs_equals_brute_force(hashes: NDArray[np.uint64], distance: int) -> None:
    expected = [p for p in brute(hashes, hashes, distance) if p[0] < p[1]]
    assert found(near_pairs(hashes, distance, repeats="all")) == expected


@pytest.mark.parametrize(("width", "count"), CHOICES)
def test_every_choice_of_bands_gives_the_same_pairs(width: int, count: int) -> None:
    random = np.random.default_rng(width * 100 + count)
    for distance in range(17):
        hashes = random.integers(0, 2**64, 300, dtype=np.uint64) & np.uint64(0xFFFF_00FF_0F0F_3FFF)
        hashes[::3] = hashes[0] ^ (np.uint64(1) << random.integers(0, 64, 100, dtype=np.uint64))
        expected = [p for p in brute(hashes, hashes, distance) if p[0] < p[1]]
        with choosing(width, count):
            assert found(near_pairs(hashes, distance, repeats="all")) == expected
            assert found(cross_pairs(hashes[:90], hashes, distance, repeats="all")) == brute(
                hashes[:90], hashes, distance
            )


@settings(deadline=None, max_examples=40)
@given(hash_sets(), hash_sets(), st.integers(0, 16))
def test_cross_pairs_equals_brute_force(a: NDArray[np.uint64], b: NDArray[np.uint64], distance: int) -> None:
    assert found(cross_pairs(a, b, distance, repeats="all")) == brute(a, b, distance)


@settings(deadline=None, max_examples=40)
@given(hash_sets(), st.integers(0, 16))
def test_equal_hashes_stand_at_their_first_place(hashes: NDArray[np.uint64], distance: int) -> None:
    first = [hashes[:, 0].tolist().index(h) for h in hashes[:, 0].tolist()]
    firsts = sorted(set(first))
    kept = hashes[firsts]
    expected = [(firsts[i], firsts[j], d) for i, j, d in brute(kept, kept, distance) if i < j]
    expected += [(f, i, 0) for i, f in enumerate(first) if f < i]
    assert found(near_pairs(hashes, distance)) == sorted(expected)


@settings(deadline=None, max_examples=30)
@given(hash_sets(words=4), st.integers(0, 16))
def test_256_bit_hashes_equal_brute_force_too(hashes: NDArray[np.uint64], distance: int) -> None:
    expected = [p for p in brute(hashes, hashes, distance) if p[0] < p[1]]
    assert found(near_pairs(hashes, distance, repeats="all")) == expected
    assert found(near_pairs(binary(hashes)[len(hashes) // 2 :], distance, repeats="all")) == found(
        near_pairs(hashes[len(hashes) // 2 :], distance, repeats="all")
    )


@settings(deadline=None, max_examples=30)
@given(hash_sets(words=4), hash_sets(words=4), st.integers(0, 16))
def test_256_bit_hashes_cross_as_brute_force_does(a: NDArray[np.uint64], b: NDArray[np.uint64], distance: int) -> None:
    b[: len(b) // 3] = a[: len(b) // 3] if len(a) >= len(b) // 3 else 0
    expected = brute(a, b, distance)
    assert found(cross_pairs(a, b, distance, repeats="all")) == expected
    assert found(cross_pairs(binary(a), binary(b), distance, repeats="all")) == expected


@settings(deadline=None, max_examples=30)
@given(hash_sets(), st.integers(0, 16), st.integers(1, 4), st.integers(0, 2**32))
def test_threads_and_order_change_no_pair(hashes: NDArray[np.uint64], distance: int, threads: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(hashes)).tolist()
    shuffled = found(near_pairs(hashes[order], distance, repeats="all", threads=threads))
    back = sorted((*sorted((order[i], order[j])), d) for i, j, d in shuffled)
    assert back == found(near_pairs(hashes, distance, repeats="all"))


def test_arrow_arrays_are_searched_in_place_and_by_chunks() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 1000, dtype=np.uint64)
    hashes[500:] = hashes[:500] ^ np.uint64(5)
    whole = found(near_pairs(hashes, 4))
    assert len(whole) == 500
    assert found(near_pairs(pa.array(hashes), 4)) == whole
    assert found(near_pairs(pa.chunked_array([hashes[:300], hashes[300:300], hashes[300:]]), 4)) == whole
    assert found(near_pairs(pa.array(hashes)[500:], 4)) == found(near_pairs(hashes[500:], 4))


def test_more_pairs_than_a_buffer_holds_all_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = np.arange(512, dtype=np.uint64)
    expected = found(near_pairs(hashes, 3))
    monkeypatch.setattr(scan, "_BUFFER", 7)
    assert found(near_pairs(hashes, 3)) == expected
    assert len(expected) == 512 * (9 + 36 + 84) // 2


@pytest.mark.parametrize("n", [0, 1])
def test_no_hash_and_one_hash_have_no_pair(n: int) -> None:
    hashes = np.zeros(n, np.uint64)
    assert near_pairs(hashes, 16).num_rows == 0
    assert near_pairs(hashes, 16).schema == near_pairs(np.arange(9, dtype=np.uint64), 16).schema
    assert cross_pairs(hashes, np.zeros(0, np.uint64), 3).num_rows == 0
    assert cross_pairs(hashes, np.zeros(5, np.uint64), 3).num_rows == n
    assert near_pairs(pa.chunked_array([], pa.uint64()), 4).num_rows == 0


def test_100_000_equal_hashes_make_a_star() -> None:
    table = near_pairs(np.full(100_000, 77, np.uint64), 16)
    assert table.column("j").to_numpy().tolist() == list(range(1, 100_000))
    assert set(table.column("i").to_pylist()) == {0} == set(table.column("distance").to_pylist())


def test_what_would_not_fit_is_refused_with_an_estimate() -> None:
    equal = np.full(100_000, 77, np.uint64)
    with pytest.raises(TooMuchMemory, match="4,999,950,000 pairs"):
        near_pairs(equal, 0, repeats="all", memory=10**9)
    ball = np.arange(4096, dtype=np.uint64)
    with pytest.raises(TooMuchMemory, match=r"335 MB .about 8,386,560 pairs. of the 100 MB") as error:
        near_pairs(ball, 12, memory=10**8)
    assert "lower the distance" in str(error.value)
    with pytest.raises(TooMuchMemory, match="4,096 hashes"):
        near_pairs(ball, 0, memory=1000)


def test_what_chance_alone_makes_too_large_is_refused_before_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = np.random.default_rng(3).integers(0, 2**64, 100_000, dtype=np.uint64)
    expected = bands.chance_pairs(100_000 * 99_999 / 2, 16)
    assert abs(near_pairs(hashes, 16).num_rows - expected) < 5 * expected**0.5
    searched: list[int] = []
    search = scan.near_rows
    monkeypatch.setattr(
        hamming, "near_rows", lambda a, *rest, **more: searched.append(len(a)) or search(a, *rest, **more)
    )
    with pytest.raises(TooMuchMemory, match="all pairs within 16 bits"):
        near_pairs(hashes, 16, memory=5_500_000)
    assert searched == [1024]


@pytest.mark.parametrize("distance", [-1, 17])
def test_distances_out_of_range_are_named(distance: int) -> None:
    with pytest.raises(ValueError, match=f"distance is {distance}.*0 to 16"):
        near_pairs(np.arange(3, dtype=np.uint64), distance)


def test_an_unknown_way_with_repeats_is_named() -> None:
    with pytest.raises(ValueError, match=r"'each'.*first.*all"):
        near_pairs(np.arange(3, dtype=np.uint64), 1, repeats="each")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hashes", "error"),
    [
        (np.arange(3), TypeError),
        (np.zeros((2, 2, 2), np.uint64), TypeError),
        (np.zeros((2, 0), np.uint64), TypeError),
        ([1, 2], TypeError),
        (pa.array([1, 2]), TypeError),
        (pa.array([b"abc"], pa.binary(3)), TypeError),
        (pa.array([1, None], pa.uint64()), ValueError),
    ],
)
def test_what_is_no_hash_is_refused(hashes: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="hashes"):
        near_pairs(hashes, 4)  # type: ignore[arg-type]


def test_hashes_of_two_widths_are_not_compared() -> None:
    with pytest.raises(ValueError, match="64 and of 256 bits"):
        cross_pairs(np.zeros(2, np.uint64), np.zeros((2, 4), np.uint64), 4)


@settings(deadline=None, max_examples=80)
@given(hash_sets(), st.integers(0, 16), st.integers(1, 50), st.sampled_from(CHOICES))
def test_spanning_pairs_are_near_and_link_what_all_pairs_link(
    hashes: NDArray[np.uint64], distance: int, crowd: int, choice: tuple[int, int]
) -> None:
    rows = Distinct.of(hashes).rows
    half = len(rows) // 2
    for a, b in ((rows, None), (rows[:half].copy(), rows[half:].copy())):
        everything = [int(k) for keys in scan.near_rows(a, b, distance) for k in keys]
        with choosing(*choice, crowd):
            spanning = [int(k) for keys in scan.near_rows(a, b, distance, spanning=True) for k in keys]
        shift = 0 if b is None else half
        assert {ends(k, shift) for k in spanning} <= {ends(k, shift) for k in everything}
        assert parts(spanning, len(rows), shift) == parts(everything, len(rows), shift)


def test_a_crowd_is_linked_without_all_of_its_pairs() -> None:
    rows = np.arange(1 << 13, dtype=np.uint64)[:, np.newaxis]
    assert sum(len(keys) for keys in scan.near_rows(rows, None, 13)) == (1 << 12) * ((1 << 13) - 1)
    with choosing(16, 4, 256):
        linked = [int(k) for keys in scan.near_rows(rows, None, 13, spanning=True) for k in keys]
    assert len(linked) < 10 * len(rows)
    assert set(parts(linked, len(rows), 0)) == {0}


def ends(key: int, shift: int) -> tuple[int, int]:
    low, high = sorted((key >> 32, (key & 0xFFFFFFFF) + shift))
    return low, high


def parts(keys: list[int], n: int, shift: int) -> list[int]:
    parent = list(range(n))

    def root(x: int) -> int:
        while parent[x] != x:
            x = parent[x]
        return x

    for key in keys:
        low, high = sorted(root(x) for x in ends(key, shift))
        parent[high] = low
    return [root(x) for x in range(n)]
