"""Laws of the search in parts: the same pairs, whatever the parts and wherever they are joined."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.core.engines.ray import RayEngine
from curation.core.errors import TooMuchMemory
from curation.dedupe.search import partitions
from curation.dedupe.search.bands import Plan, cut, plan
from curation.dedupe.search.hamming import Crowds, near_pairs
from curation.dedupe.search.partition_cost import cost
from curation.dedupe.search.partition_files import Layout
from curation.dedupe.search.partitions import HashShard, Spread, in_turn, near_pairs_in_parts, read_pairs
from curation.dedupe.search.rule import Rule, confirmed
from tests.support.hashes import balls, binary, components, hash_sets, looked_at_twice


def shards_of(folder: Path, hashes: NDArray[np.uint64], cuts: list[int]) -> list[HashShard]:
    """Files of consecutive hashes, Parquet and .npy by turns."""
    found = []
    bounds = sorted({0, len(hashes), *(c for c in cuts if c < len(hashes))})
    for number, (start, end) in enumerate(pairwise(bounds)):
        if number % 2:
            np.save(folder / f"{start}.npy", hashes[start:end])
            found.append(HashShard(f"{folder}/{start}.npy", start))
        else:
            found.append(_parquet(folder / f"{start}.parquet", hashes[start:end], start))
    return found


def _parquet(path: Path, hashes: NDArray[np.uint64], start: int) -> HashShard:
    """One word or four are the hash; five are the hash and the second look, null where it is all zeros."""
    rows = hashes.reshape(len(hashes), -1)
    if rows.shape[1] != 5:
        column = pa.array(rows[:, 0]) if rows.shape[1] == 1 else binary(rows)
        pq.write_table(pa.table({"phash": column}), path)
        return HashShard(str(path), start)
    looks = pc.if_else(pa.array(rows[:, 1:].any(axis=1)), binary(rows[:, 1:]), pa.nulls(len(rows), pa.binary(32)))
    pq.write_table(pa.table({"phash": rows[:, 0], "look": looks}), path)
    return HashShard(str(path), start, second="look")


def in_parts(
    folder: Path,
    hashes: NDArray[np.uint64],
    cuts: list[int],
    distance: int | Rule,
    parts: int,
    spread: Spread = in_turn,
    crowds: Crowds = "all",
) -> pa.Table:
    folder.mkdir(exist_ok=True)
    shards, work = shards_of(folder, hashes, cuts), folder / f"work-{parts}"
    return read_pairs(near_pairs_in_parts(shards, len(hashes), distance, parts, work, spread, 1, crowds=crowds))


@contextmanager
def bands_of(width: int, count: int) -> Iterator[None]:
    """Makes searches in parts use ``count`` bands of this width: small sets are compared by brute force otherwise."""

    def made(n: int, distance: int, words: int, parts: int) -> Plan:
        room = min(width, 64 // -(-count // words))
        return Plan(cut(count, distance, words, room, room), 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "plan", made)
        yield


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
    count = min(bands[1], distance + 1)
    if distance // count > 3:  # more neighbours than anyone wants to visit
        return
    expected = near_pairs(hashes, distance)
    with bands_of(bands[0], count):
        for parts in (1, 2, 7):
            assert in_parts(tmp_path_factory.mktemp("parts"), hashes, cuts, distance, parts) == expected


@settings(deadline=None, max_examples=15)
@given(looked_at_twice(), st.integers(0, 4), st.integers(4, 11), st.integers(0, 60), st.integers(0, 400))
def test_a_second_look_confirms_in_any_number_of_parts(
    tmp_path_factory: pytest.TempPathFactory,
    hashes: NDArray[np.uint64],
    alone: int,
    distance: int,
    second: int,
    at: int,
) -> None:
    rule = confirmed(alone, distance, second)
    expected = near_pairs(hashes, rule)
    with bands_of(12, 4):
        for parts in (1, 2, 7):
            assert in_parts(tmp_path_factory.mktemp("parts"), hashes, [at], rule, parts) == expected


@settings(deadline=None, max_examples=15)
@given(hash_sets(words=4), st.integers(0, 16), st.integers(0, 400))
def test_256_bit_hashes_in_any_number_of_parts(
    tmp_path_factory: pytest.TempPathFactory, hashes: NDArray[np.uint64], distance: int, at: int
) -> None:
    expected = near_pairs(hashes, distance)
    with bands_of(14, min(8, distance + 1)):
        for parts in (1, 2, 7):
            assert in_parts(tmp_path_factory.mktemp("parts"), hashes, [at], distance, parts) == expected


def test_linked_crowds_hang_together_alike_in_any_number_of_parts(tmp_path: Path) -> None:
    hashes = np.concatenate([balls(3, 1500, 2), np.random.default_rng(0).integers(0, 2**64, 4000, dtype=np.uint64)])
    everything = near_pairs(hashes, 4)
    expected = components(everything, len(hashes))
    with bands_of(16, 3):
        for parts in (1, 2, 7):
            linked = in_parts(tmp_path / f"{parts}", hashes, [999], 4, parts, crowds="linked")
            assert components(linked, len(hashes)) == expected
            assert 10 * linked.num_rows < everything.num_rows
            assert pa.concat_tables([linked, everything]).group_by(["i", "j"]).aggregate([]).num_rows == (
                everything.num_rows
            )


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
    take = Layout.take

    def counted(self: Layout, kind: str, part: int) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        found = take(self, kind, part)
        held.append(len(found[0]))
        return found

    monkeypatch.setattr(Layout, "take", counted)
    hashes = np.random.default_rng(1).integers(0, 2**64, 64_000, dtype=np.uint64)
    in_parts(tmp_path, hashes, [], 4, 16)
    # Four bits tell the parts apart, so each has four neighbours, and two of them visit it on average.
    assert max(held) < 4.2 * 64_000 / 16
    visiting = [n for n in held if n > 1.2 * 64_000 / 16]
    assert sum(visiting) < 2.3 * 64_000 * 2


@pytest.mark.parametrize(("parts", "words"), [(1, 1), (4, 1), (16, 1), (7, 1), (8, 5)])
def test_bytes_shuffled_are_those_that_the_cost_tells(tmp_path: Path, parts: int, words: int) -> None:
    n = 60_000
    hashes = np.random.default_rng(1).integers(0, 2**64, (n, words), dtype=np.uint64)
    in_parts(tmp_path, hashes, [], confirmed(4, 4, 0) if words > 1 else 4, parts)
    pieces = list((tmp_path / f"work-{parts}").rglob("*.npy"))
    written = sum(len(np.load(piece, mmap_mode="r")) for piece in pieces) * (8 * words + 4)
    assert written == pytest.approx(cost(n, words, plan(n, 4, 1, parts), parts).shuffled, rel=0.03)


def test_what_does_not_fit_is_refused_with_the_number_of_parts_that_do(tmp_path: Path) -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64)
    shards = shards_of(tmp_path, hashes, [])
    with pytest.raises(TooMuchMemory, match=r"2 parts; (\d+) would do") as error:
        near_pairs_in_parts(shards, len(hashes), 4, 2, tmp_path / "work", in_turn, memory=2_000_000)
    told = re.search(r"(\d+) would do", str(error.value))
    assert told is not None and int(told[1]) > 2
    parts = int(told[1])
    files = near_pairs_in_parts(shards, len(hashes), 4, parts, tmp_path / "work", in_turn, memory=2_000_000)
    assert read_pairs(files) == near_pairs(hashes, 4)
    with pytest.raises(TooMuchMemory, match="32,768 parts"):
        near_pairs_in_parts(shards, len(hashes), 4, 2, tmp_path / "other", in_turn, memory=1000)


def test_pairs_of_a_part_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    crowd = balls(1, 3000, 2)
    shards = shards_of(tmp_path, crowd, [])
    with pytest.raises(TooMuchMemory, match=r"more than [\d,]+ pairs in one part"):
        near_pairs_in_parts(shards, len(crowd), 4, 2, tmp_path / "all", in_turn, memory=2_500_000)
    files = near_pairs_in_parts(
        shards, len(crowd), 4, 2, tmp_path / "linked", in_turn, crowds="linked", memory=2_500_000
    )
    assert components(read_pairs(files), len(crowd)) == components(near_pairs(crowd, 4), len(crowd))


def test_shards_that_are_not_all_hashes_once_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(5, np.uint64))
    np.save(tmp_path / "b.npy", np.zeros((5, 4), np.uint64))
    one, two = str(tmp_path / "a.npy"), str(tmp_path / "b.npy")
    for number, (shards, says) in enumerate(
        [
            ([HashShard(one, 0), HashShard(one, 3)], "starts at place 3.*end at 5"),
            ([HashShard(one, 0), HashShard(one, 6)], "starts at place 6.*end at 5"),
            ([HashShard(one, 0)], "hold 5 hashes, not 10"),
            ([HashShard(one, 0), HashShard(two, 5)], "256 bits, not 64"),
        ]
    ):
        with pytest.raises(ValueError, match=says):
            near_pairs_in_parts(shards, 10, 4, 2, tmp_path / f"work-{number}", in_turn)
    with pytest.raises(ValueError, match="is not empty"):
        near_pairs_in_parts([HashShard(one, 0)], 5, 4, 2, tmp_path, in_turn)


def test_100_000_equal_hashes_stay_a_star(tmp_path: Path) -> None:
    hashes = np.full(100_000, 77, np.uint64)
    assert in_parts(tmp_path, hashes, [50_000], 4, 7) == near_pairs(hashes, 4)


@pytest.mark.parametrize(
    ("distance", "parts", "says"), [(17, 2, "0 to 16"), (4, 0, "0 parts"), (4, 99_999, "1 to 32,768")]
)
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
        looks = np.column_stack([hashes, np.tile(hashes[:, None] | np.uint64(1), 4)])
        looks[::8, 1:] = ~looks[::8, 1:]
        rule = confirmed(0, 4, 8)
        confirmed_pairs = near_pairs(looks, rule)
        assert 0 < confirmed_pairs.num_rows < near_pairs(hashes, 4).num_rows
        assert in_parts(tmp_path / "twice", looks, [7_000], rule, 7, engine.spread) == confirmed_pairs
        assert sorted(engine.spread(_refuse, [0, 1, 2])) == [0, 1, 4]
        with pytest.raises(ValueError, match="three"):
            list(engine.spread(_refuse, range(6)))
    finally:
        engine.stop()
