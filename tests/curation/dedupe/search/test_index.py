"""Laws of the index: it answers as brute force does, and whatever happened to it equals a rebuild."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.core.errors import StoreError, TooMuchMemory
from curation.dedupe.search import index as index_module
from curation.dedupe.search.index import HashIndex
from tests.support.hashes import binary, hash_sets

Pairs = list[tuple[int, int]]


def name(number: int) -> bytes:
    return int(number).to_bytes(16, "big")


def fill(index: HashIndex, pairs: Pairs) -> None:
    index.add(np.array([h for h, _ in pairs], np.uint64), pa.array([name(n) for _, n in pairs], pa.binary(16)))


def brute(pairs: Pairs, queries: list[int], distance: int) -> list[tuple[int, int, bytes]]:
    found = {(q, (x ^ h).bit_count(), name(n)) for q, x in enumerate(queries) for h, n in pairs}
    return sorted(f for f in found if f[1] <= distance)


def asked(index: HashIndex, queries: list[int], distance: int, threads: int = 1) -> list[tuple[int, int, bytes]]:
    table = index.near(np.array(queries, np.uint64), distance, threads=threads)
    return list(zip(*(table.column(c).to_pylist() for c in ("i", "distance", "id")), strict=True))


@st.composite
def crowds(draw: st.DrawFn) -> Pairs:
    """Pairs around a few centres, the corners of the cube among them, with equal hashes and equal pairs."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    centres = [0, 2**64 - 1, *(int(c) for c in np.random.default_rng(1).integers(0, 2**64, 3, dtype=np.uint64))]
    pairs: Pairs = []
    for _ in range(draw(st.integers(0, 60))):
        value = centres[random.integers(len(centres))]
        for bit in random.integers(0, 64, random.integers(0, 12)):
            value ^= 1 << int(bit)
        pairs.append((value, int(random.integers(40))))
    return pairs


@settings(deadline=None, max_examples=30)
@given(crowds(), crowds(), st.integers(0, 16), st.integers(1, 3))
def test_the_index_answers_as_brute_force_does(
    tmp_path_factory: pytest.TempPathFactory, pairs: Pairs, others: Pairs, distance: int, threads: int
) -> None:
    index = HashIndex(tmp_path_factory.mktemp("index"))
    fill(index, pairs)
    queries = [h for h, _ in others]
    assert asked(index, queries, distance, threads) == brute(pairs, queries, distance)


@pytest.mark.parametrize("distance", range(17))
def test_every_distance_and_size_of_run_misses_nothing(tmp_path: Path, distance: int) -> None:
    """Bands follow the size of a run; a run said to be larger is asked by other bands."""
    random = np.random.default_rng(distance)
    hashes = random.integers(0, 2**64, 2000, dtype=np.uint64)
    hashes[::2] = hashes[1::2]
    for _ in range(distance + 1):
        hashes[::2] ^= np.uint64(1) << random.integers(0, 64, 1000, dtype=np.uint64)
    index = HashIndex(tmp_path)
    index.add(hashes, pa.array([name(n) for n in range(len(hashes))], pa.binary(16)))
    queries = hashes[:200].tolist()
    expected = brute(list(zip(hashes.tolist(), range(len(hashes)), strict=True)), queries, distance)
    assert asked(index, queries, distance) == expected
    with pytest.MonkeyPatch.context() as patch:
        bands = index_module.open_run.__globals__["_bands"]
        for magnitude in (6, 20, 31) if distance < 9 else (6,):
            patch.setitem(
                index_module.open_run.__globals__,
                "_bands",
                lambda _, d, words, magnitude=magnitude: bands(magnitude, d, words),
            )
            assert asked(index, queries, distance) == expected


@settings(deadline=None, max_examples=20)
@given(hash_sets(words=4), st.lists(st.integers(0, 400), max_size=3), st.integers(0, 16), st.booleans())
def test_256_bit_hashes_are_answered_as_brute_force_does(
    tmp_path_factory: pytest.TempPathFactory, hashes: NDArray[np.uint64], cuts: list[int], distance: int, merged: bool
) -> None:
    index = HashIndex(tmp_path_factory.mktemp("index"))
    bounds = sorted({0, len(hashes), *(c for c in cuts if c < len(hashes))})
    for start, end in pairwise(bounds):
        index.add(binary(hashes[start:end]), pa.array([name(n) for n in range(start, end)], pa.binary(16)))
    if merged:
        index.compact()
    queries = hashes[::3] ^ np.uint64(1)
    apart = np.bitwise_count(queries[:, None] ^ hashes[None]).sum(axis=2)
    expected = sorted((int(i), int(apart[i, j]), name(int(j))) for i, j in np.argwhere(apart <= distance))
    table = index.near(queries, distance, threads=2)
    assert list(zip(*(table.column(c).to_pylist() for c in ("i", "distance", "id")), strict=True)) == expected
    if len(hashes):
        kept = index.entries().sort_by("id").column("hash").to_pylist()
        assert kept == [h.tobytes() for h in hashes]


def test_every_distance_of_256_bits_and_size_of_run_misses_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    hashes = random.integers(0, 2**64, (1000, 4), dtype=np.uint64)
    index = HashIndex(tmp_path)
    index.add(hashes, pa.array([name(n) for n in range(len(hashes))], pa.binary(16)))
    bands = index_module.open_run.__globals__["_bands"]
    for distance in (0, 1, 3, 4, 7, 8, 12, 16):
        queries = hashes.copy()
        for _ in range(distance):
            bits = random.integers(0, 256, len(hashes))
            queries[np.arange(len(hashes)), bits // 64] ^= np.uint64(1) << (bits % 64).astype(np.uint64)
        for magnitude in (6, 20, 31):
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(
                    index_module.open_run.__globals__,
                    "_bands",
                    lambda _, d, words, magnitude=magnitude: bands(magnitude, d, words),
                )
                found = index.near(queries, distance)
            assert found.column("i").to_pylist() == list(range(len(hashes)))
            assert found.column("id").to_pylist() == [name(n) for n in range(len(hashes))]


def test_hashes_of_another_width_are_named(tmp_path: Path) -> None:
    index = HashIndex(tmp_path)
    assert index.near(np.zeros((1, 4), np.uint64), 4).num_rows == 0
    fill(index, [(1, 1)])
    wide = np.zeros((1, 4), np.uint64)
    with pytest.raises(ValueError, match="256 bits; the index has hashes of 64"):
        index.add(wide, pa.array([name(2)], pa.binary(16)))
    with pytest.raises(ValueError, match="256 bits; the index has hashes of 64"):
        index.near(wide, 4)
    assert len(index) == 1


class Killed(Exception):
    pass


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.one_of(
            crowds(), st.just("compact"), st.tuples(st.just("killed"), crowds(), st.sampled_from(["write", "publish"]))
        ),
        max_size=7,
    ),
    crowds(),
)
def test_adds_kills_and_compactions_equal_a_rebuild(
    tmp_path_factory: pytest.TempPathFactory, history: list[object], others: Pairs
) -> None:
    index, rebuilt = (HashIndex(tmp_path_factory.mktemp("index")) for _ in range(2))
    everything: Pairs = []
    for step in history:
        match step:
            case "compact":
                index.compact()
            case ("killed", list(pairs), str(where)):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(HashIndex, f"_{where}", _killed)
                    if pairs:
                        with pytest.raises(Killed):
                            fill(index, pairs)
            case list(pairs):
                fill(index, pairs)
                everything += pairs
    fill(rebuilt, everything)
    queries = [h for h, _ in others]
    assert asked(index, queries, 5) == asked(rebuilt, queries, 5) == brute(everything, queries, 5)
    assert index.entries() == rebuilt.entries()
    fill(index, everything)
    index.compact()
    assert [p.read_bytes() for p in index.folder.glob("*.arrow")] == [
        p.read_bytes() for p in rebuilt.folder.glob("*.arrow")
    ]


def _killed(*_: object) -> None:
    raise Killed


WRITER = """
import sys, numpy as np, pyarrow as pa
from pathlib import Path
from curation.dedupe.search.index import HashIndex
index, random = HashIndex(Path(sys.argv[1])), np.random.default_rng(0)
for turn in range(10_000):
    ids = pa.array([(turn * 500 + n).to_bytes(16, "big") for n in range(500)], pa.binary(16))
    index.add(random.integers(0, 2**64, 500, dtype=np.uint64), ids)
    if turn % 3 == 2:
        index.compact()
    print(turn, flush=True)
"""


def test_a_writer_killed_at_any_instant_leaves_whole_adds_only(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    time.sleep(0.013)
    os.kill(process.pid, signal.SIGKILL)
    content = [int(line) for line in process.stdout.read().split()]
    process.wait()
    index = HashIndex(tmp_path)
    entries = index.entries()
    assert len(index) == entries.num_rows and entries.num_rows % 500 == 0
    finished = max(content, default=4) + 1
    assert finished <= entries.num_rows // 500 <= finished + 1
    ids = sorted(int.from_bytes(i, "big") for i in entries.column("id").to_pylist())
    assert ids == list(range(len(ids)))
    (tmp_path / ".tmp-run-x.arrow").write_bytes(b"half")
    index.add(np.zeros(1, np.uint64), pa.array([name(2**64)], pa.binary(16)))
    index.compact()
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".arrow") == [
        run["file"] for run in json.loads((tmp_path / "index.json").read_text())["runs"]
    ]


def test_a_reader_keeps_its_answer_while_runs_are_merged(tmp_path: Path) -> None:
    index = HashIndex(tmp_path)
    fill(index, [(5, 1)])
    fill(index, [(6, 2)])
    runs = index._mapped()
    index.compact()
    assert [run.hashes().tolist() for run in runs] == [[[5]], [[6]]]
    assert index.runs == 1 and asked(index, [5], 2) == [(0, 0, name(1)), (0, 2, name(2))]


def test_hex_ids_and_an_index_that_is_not_there_yet(tmp_path: Path) -> None:
    index = HashIndex(tmp_path / "deep" / "folder")
    assert (len(index), index.runs, asked(index, [1, 2], 16)) == (0, 0, [])
    index.add(np.array([7], np.uint64), pa.chunked_array([["00" * 15 + "09"]]))
    assert asked(index, [7], 0) == [(0, 0, name(9))]
    index.add(np.zeros(0, np.uint64), pa.array([], pa.string()))
    assert index.runs == 1


@pytest.mark.parametrize(
    ("hashes", "ids", "error", "says"),
    [
        (np.zeros(2, np.uint64), ["0" * 32], ValueError, "2 hashes and 1 ids"),
        (np.zeros(1, np.uint64), ["xyz"], ValueError, "hex digits"),
        (np.zeros(1, np.uint64), [None], ValueError, "null"),
        (np.zeros(1, np.uint64), [7], TypeError, "int64"),
        (np.zeros(1, np.int64), ["0" * 32], TypeError, "int64"),
    ],
)
def test_what_is_no_hash_or_id_is_named(
    tmp_path: Path, hashes: NDArray[np.uint64], ids: list[object], error: type[Exception], says: str
) -> None:
    index = HashIndex(tmp_path)
    ids_array = pa.array(ids) if ids != [None] else pa.nulls(1, pa.string())
    with pytest.raises(error, match=says):
        index.add(hashes, ids_array)
    assert len(index) == 0


def test_another_format_and_damage_are_named(tmp_path: Path) -> None:
    index = HashIndex(tmp_path)
    fill(index, [(1, 1)])
    run = next(tmp_path.glob("*.arrow"))
    run.write_bytes(b"ARROW1\0\0 not whole")
    with pytest.raises(StoreError, match=r"damaged.*build the index anew"):
        index.near(np.zeros(1, np.uint64), 4)
    (tmp_path / "index.json").write_text('{"format": 9, "runs": []}')
    with pytest.raises(StoreError, match="format 9, not 1"):
        len(index)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        len(index)


def test_answers_and_merges_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    index = HashIndex(tmp_path)
    for part in range(2):
        index.add(np.full(3000, 7, np.uint64), pa.array([name(part * 3000 + n) for n in range(3000)], pa.binary(16)))
    with pytest.raises(TooMuchMemory, match="within 3 bits of the index"):
        index.near(np.full(3000, 7, np.uint64), 3, memory=10_000_000)
    with pytest.raises(TooMuchMemory, match="6,000 hashes"):
        index.compact(memory=100_000)
    assert index.runs == 2
    assert index.near(np.full(2, 7, np.uint64), 3).num_rows == 12_000
