"""All near pairs, ours against faiss and DuckDB, and ours against itself as the number of hashes grows.

Hashes with 10 % planted pairs and, separately, a skewed set of which 5 % lie in ten dense balls; equal pairs are
required. ``python tests/bench/bench_hamming.py`` takes a minute or two: 100,000 hashes where others take part, ten
million where they do not. ``--full`` compares with a million (half an hour, nearly all of it faiss), ``--size N`` with
any other number; ``--largest`` adds a hundred million of ours. Compilation is left out, but not the building of an
index: ours sorts inside the measured time, so theirs adds there too.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import duckdb
import faiss
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.dedupe import near_pairs
from curation.dedupe.keep import keepers
from curation.dedupe.search.bands import plan
from curation.dedupe.search.distinct import Distinct

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.uint64]
T = TypeVar("T")
DISTANCE = 4
MEMORY = 12_000_000_000  # what a hundred million may take


def planted(n: int, seed: int = 0) -> Hashes:
    """Random hashes; the last tenth are copies of others with up to seven bits flipped."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, n, dtype=np.uint64)
    copies = n // 10
    hashes[n - copies :] = hashes[random.integers(0, n - copies, copies)]
    _flip(hashes[n - copies :], random, 7)
    return hashes


def skewed(n: int, seed: int = 1) -> Hashes:
    """The same with 5 % of all hashes in ten balls of radius three."""
    random = np.random.default_rng(seed)
    hashes = planted(n, seed)
    crowd = n // 20
    hashes[:crowd] = random.integers(0, 2**64, 10, dtype=np.uint64)[random.integers(0, 10, crowd)]
    _flip(hashes[:crowd], random, 3)
    return hashes


def _flip(hashes: Hashes, random: np.random.Generator, most: int) -> None:
    for _ in range(most):
        bits = np.uint64(1) << random.integers(0, 64, len(hashes), dtype=np.uint64)
        hashes ^= np.where(random.random(len(hashes)) < 0.6, bits, np.uint64(0))


def pairs_of(table: pa.Table) -> Pairs:
    """i << 32 | j, sorted."""
    i, j = (table.column(c).to_numpy().astype(np.uint64) for c in ("i", "j"))
    return np.sort((i << np.uint64(32)) | j)


def by_faiss(hashes: Hashes, distance: int, index: faiss.IndexBinary) -> Pairs:
    """``range_search`` gives what is nearer than its radius, each pair twice and each hash with itself."""
    codes = hashes.view(np.uint8).reshape(-1, 8)
    index.add(codes)
    found = []
    for start in range(0, len(codes), 10_000):
        limits, _, others = index.range_search(codes[start : start + 10_000], distance + 1)
        i = np.repeat(np.arange(start, start + len(limits) - 1), np.diff(limits.astype(np.int64))).astype(np.uint64)
        j = others.astype(np.uint64)
        found.append(((i << np.uint64(32)) | j)[i < j])
    return np.sort(np.concatenate(found))


def multi_hash(hashes: Hashes, distance: int) -> Pairs:
    """Four 16-bit keys with one flip: exact up to seven bits."""
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = 1
    return by_faiss(hashes, distance, index)


def flat(hashes: Hashes, distance: int) -> Pairs:
    return by_faiss(hashes, distance, faiss.IndexBinaryFlat(64))


Cut = tuple[int, int, int]  # shift, width, radius
CHUNKS: tuple[Cut, ...] = tuple((shift, 16, 1) for shift in (0, 16, 32, 48))
FEWEST: tuple[Cut, ...] = ((0, 22, 1), (22, 21, 1), (43, 21, 0))


def self_join(hashes: Hashes, distance: int, cuts: tuple[Cut, ...] = CHUNKS) -> Pairs:
    """Four 16-bit chunks with one flip each, as one would write it first: exact up to seven bits."""
    assert distance < sum(radius + 1 for _, _, radius in cuts)
    table = pa.table({"i": pa.array(np.arange(len(hashes))), "h": pa.array(hashes)})
    near = " UNION ".join(f"SELECT i, j FROM ({_join(*cut)}) WHERE bit_count(xor(h, g)) <= {distance}" for cut in cuts)
    with duckdb.connect() as connection:
        connection.register("hashes", table)
        return pairs_of(connection.sql(near).to_arrow_table())


def tuned_join(hashes: Hashes, distance: int) -> Pairs:
    """The cuts that suit a million hashes at four bits best, as our own planner has them."""
    return self_join(hashes, distance, FEWEST)


def _join(shift: int, width: int, radius: int) -> str:
    key = f"({{}}.h >> {shift}) & {(1 << width) - 1}"
    flips = ", ".join(f"{flip}::UBIGINT" for flip in (0, *(1 << bit for bit in range(width * radius))))
    return (
        f"SELECT a.i, b.i AS j, a.h, b.h AS g FROM (SELECT i, h, xor({key.format('a')}, unnest([{flips}])) AS key "
        f"FROM hashes a) a JOIN hashes b ON a.key = {key.format('b')} WHERE a.i < b.i"
    )


def timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def best(times: int, work: Callable[[], T]) -> float:
    """Seconds, the least of so many times: of what else the machine does, the least."""
    return min(timed(work)[0] for _ in range(times))


def compare(name: str, hashes: Hashes, distance: int, theirs: Callable[[Hashes, int], Pairs]) -> None:
    slow, expected = timed(lambda: theirs(hashes, distance))
    quick, found = min(
        (timed(lambda: pairs_of(near_pairs(hashes, distance, repeats="all"))) for _ in range(3)), key=_first
    )
    assert np.array_equal(found, expected), f"{name}: {len(found)} pairs, expected {len(expected)}"
    n = len(hashes)
    print(f"{name} ratio={slow / quick:.1f} ours={quick:.3f}s theirs={slow:.3f}s n={n} pairs={len(found)}", flush=True)


def _first(measured: tuple[float, Pairs]) -> float:
    return measured[0]


def growing(sizes: tuple[int, ...]) -> None:
    """Our own time, and what the process holds at most, at four bits. Goals: 25 times from 1M to 10M, exponent 1.3."""
    small = sizes[0]
    hashes = planted(small)
    few = best(5, partial(near_pairs, hashes, DISTANCE, memory=MEMORY))
    for n in sizes[1:]:
        hashes = planted(n)
        many = best(3 if n <= 10_000_000 else 1, partial(near_pairs, hashes, DISTANCE, memory=MEMORY))
        exponent = math.log(many / few) / math.log(n / small)
        gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        bands = [(band.width, band.radius) for band in plan(n, DISTANCE).bands]
        print(
            f"hamming_d4_{n // 1_000_000}M ratio={many / few:.1f} ours={many:.2f}s theirs={few:.3f}s n={n} "
            f"against {small} exponent={exponent:.2f} memory={gigabytes:.2f} GB bands={bands}",
            flush=True,
        )


def crowds(n: int) -> None:
    """What a skewed set takes against one without crowds: pairs that link it, and keepers."""
    plain, skew = planted(n), skewed(n)
    for name, work in (("linked", link), ("keepers", keep)):
        even, crowded = best(3, partial(work, plain)), best(3, partial(work, skew))
        text = f"ratio={even / crowded:.2f} ours={crowded:.3f}s theirs={even:.3f}s n={n} (no crowds)"
        print(f"hamming_skewed_{name} {text}", flush=True)


def link(hashes: Hashes) -> int:
    """Pairs that hang a set's near hashes together."""
    return int(near_pairs(hashes, DISTANCE, crowds="linked").num_rows)


def keep(hashes: Hashes) -> int:
    """How many hashes are kept."""
    rank = np.random.default_rng(0).permutation(len(hashes))
    return int((keepers(Distinct.of(hashes), rank, DISTANCE).keeper == np.arange(len(hashes))).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description="near pairs against faiss and DuckDB")
    parser.add_argument("--full", action="store_true", help="a million hashes against faiss and DuckDB")
    parser.add_argument("--size", type=int, default=0, help="number of hashes; 0 for 100,000, or 1,000,000 in full")
    parser.add_argument("--largest", action="store_true", help="also ours alone at a hundred million (6 GB)")
    options = parser.parse_args()
    for warm in (2_000, 20_000):
        near_pairs(planted(warm), 7)
        near_pairs(planted(warm), DISTANCE)
        link(skewed(warm))
        keep(skewed(warm))
    # First, since a process never holds less than it did.
    growing((1_000_000, 10_000_000, *([100_000_000] if options.largest else [])))
    n = options.size or (1_000_000 if options.full else 100_000)
    compare("hamming_faiss_multi_hash_d7", planted(n), 7, multi_hash)
    compare("hamming_faiss_flat_d7", planted(n), 7, flat)
    compare("hamming_duckdb_d4", planted(n), DISTANCE, self_join)
    compare("hamming_duckdb_tuned_d4", planted(n), DISTANCE, tuned_join)
    # A million with their 100 million pairs would take faiss 10 GB to tell.
    crowded = skewed(min(n, 200_000))
    compare("hamming_skewed_faiss_multi_hash_d7", crowded, 7, multi_hash)
    compare("hamming_skewed_duckdb_d4", crowded, DISTANCE, self_join)
    crowds(1_000_000)


if __name__ == "__main__":
    main()
