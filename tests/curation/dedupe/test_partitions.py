"""Laws of the search in parts: the same pairs, whatever the parts and wherever they are joined."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.dedupe import partitions
from curation.dedupe.bands import Plan, cut
from curation.dedupe.hamming import near_pairs
from curation.dedupe.partitions import HashShard, Spread, in_turn, near_pairs_in_parts, read_pairs
from curation.engines.ray import RayEngine


def shards_of(folder: Path, hashes: NDArray[np.uint64], cuts: list[int]) -> list[HashShard]:
    """Files of consecutive hashes, Parquet and .npy by turns."""
    found = []
    bounds = sorted({0, len(hashes), *(c for c in cuts if c < len(hashes))})
    for number, (start, end) in enumerate(pairwise(bounds)):
        if number % 2:
            np.save(folder / f"{start}.npy", hashes[start:end])
            found.append(HashShard(f"{folder}/{start}.npy", start))
        else:
            pq.write_table(pa.table({"phash": hashes[start:end]}), folder / f"{start}.parquet")
            found.append(HashShard(f"{folder}/{start}.parquet", start))
    return found


def in_parts(
    folder: Path, hashes: NDArray[np.uint64], cuts: list[int], distance: int, parts: int, spread: Spread = in_turn
) -> pa.Table:
    folder.mkdir(exist_ok=True)
    shards = shards_of(folder, hashes, cuts)
    return read_pairs(near_pairs_in_parts(shards, len(hashes), distance, parts, folder / f"work-{parts}", spread, 1))


@st.composite
def hash_sets(draw: st.DrawFn) -> NDArray[np.uint64]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 300))
    hashes = random.integers(0, 2**64, n, dtype=np.uint64)
    if draw(st.booleans()):
        hashes &= np.uint64(draw(st.integers(0, 2**64 - 1)))
    for at in range(0, n, 3):
        hashes[at] = hashes[random.integers(n)]
        for bit in random.integers(0, 64, draw(st.integers(0, 6))):
            hashes[at] ^= np.uint64(1) << np.uint64(bit)
    return hashes


@pytest.mark.parametrize("bands", [(20, 2), (16, 3), (9, 5), (12, 1)])
@settings(deadline=None, max_examples=8)
@given(hash_sets(), st.integers(0, 9), st.lists(st.integers(0, 300), max_size=3))
def test_one_two_and_seven_parts_find_what_the_whole_finds(
    tmp_path_factory: pytest.TempPathFactory,
    bands: tuple[int, int],
    hashes: NDArray[np.uint64],
    distance: int,
    cuts: list[int],
) -> None:
    """Whatever the bands: small sets are compared by brute force otherwise."""
    width, count = bands
    count = min(count, distance + 1)
    if distance // count > 3:  # more neighbours than anyone wants to visit
        return
    bands_of = cut(count, distance, 1, min(width, 64 // count), min(width, 64 // count))
    expected = near_pairs(hashes, distance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "plan", lambda n, d: Plan(bands_of, 0.0))
        for parts in (1, 2, 7):
            folder = tmp_path_factory.mktemp("parts")
            assert in_parts(folder, hashes, cuts, distance, parts) == expected


def test_the_plan_of_a_large_set_is_followed(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    hashes = random.integers(0, 2**64, 60_000, dtype=np.uint64)
    hashes[::3] = hashes[1::3] ^ (np.uint64(1) << random.integers(0, 64, 20_000, dtype=np.uint64))
    expected = near_pairs(hashes, 4)
    assert expected.num_rows >= 20_000
    for parts in (3, 8):
        assert in_parts(tmp_path, hashes, [20_000], 4, parts) == expected


def test_no_task_holds_more_than_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Residents are shared out evenly, and visitors are a small multiple of them."""
    held: list[int] = []
    take = partitions.Layout.take

    def counted(self: partitions.Layout, kind: str, part: int) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        found = take(self, kind, part)
        held.append(len(found[0]))
        return found

    monkeypatch.setattr(partitions.Layout, "take", counted)
    hashes = np.random.default_rng(1).integers(0, 2**64, 64_000, dtype=np.uint64)
    in_parts(tmp_path, hashes, [], 4, 16)
    # Four bits tell the parts apart, so each has four neighbours, and two of them visit it on average.
    assert max(held) < 4.2 * 64_000 / 16
    visiting = [n for n in held if n > 1.2 * 64_000 / 16]
    assert sum(visiting) < 2.3 * 64_000 * 2


def test_100_000_equal_hashes_stay_a_star(tmp_path: Path) -> None:
    hashes = np.full(100_000, 77, np.uint64)
    assert in_parts(tmp_path, hashes, [50_000], 4, 7) == near_pairs(hashes, 4)


@pytest.mark.parametrize(("distance", "parts", "says"), [(17, 2, "0 to 16"), (4, 0, "0 parts")])
def test_wrong_distances_and_parts_are_named(tmp_path: Path, distance: int, parts: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        in_parts(tmp_path, np.zeros(3, np.uint64), [], distance, parts)


def _refuse(task: int) -> int:
    if task == 3:
        raise ValueError("three")
    return task * task


@pytest.mark.ray
def test_actors_find_the_same_and_pass_errors_on(tmp_path: Path) -> None:
    hashes = np.random.default_rng(2).integers(0, 2**64, 20_000, dtype=np.uint64)
    hashes[::4] = hashes[1::4] ^ np.uint64(0b10010001)
    engine = RayEngine(cpus=2)
    try:
        assert in_parts(tmp_path, hashes, [7_000], 4, 7, engine.spread) == near_pairs(hashes, 4)
        assert sorted(engine.spread(_refuse, [0, 1, 2])) == [0, 1, 4]
        with pytest.raises(ValueError, match="three"):
            list(engine.spread(_refuse, range(6)))
    finally:
        engine.stop()
