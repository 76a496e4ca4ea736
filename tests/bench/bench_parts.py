"""All near pairs in parts: time, memory and bytes shuffled of a large set against a small one, at four bits.

``python tests/bench/bench_parts.py`` takes a million hashes against 100,000, ``--full`` ten million against a
million and ``--largest`` a hundred million (8 GB of files, ten minutes). The exponent is that of time over size.
"""

from __future__ import annotations

import argparse
import math
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from bench_hamming import planted

from curation.dedupe.search.bands import plan
from curation.dedupe.search.partition_cost import cost
from curation.dedupe.search.partitions import HashShard, in_turn, near_pairs_in_parts

SHARD = 5_000_000
PART = 6_250_000
DISTANCE = 4


def measured(n: int) -> tuple[float, int, int, int]:
    """Seconds, pairs, bytes shuffled and parts."""
    parts = max(2, n // PART)
    with tempfile.TemporaryDirectory() as folder:
        shards = [HashShard(f"{folder}/{start}.npy", start) for start in range(0, n, SHARD)]
        hashes = planted(n)
        for shard in shards:
            np.save(shard.path, hashes[shard.start : shard.start + SHARD])
        del hashes
        work = Path(folder) / "work"
        started = time.perf_counter()
        files = near_pairs_in_parts(shards, n, DISTANCE, parts, work, in_turn)
        seconds = time.perf_counter() - started
        pairs = sum(pq.read_metadata(file).num_rows for file in files)
        return seconds, pairs, sum(f.stat().st_size for f in work.rglob("*.npy")), parts


def main() -> None:
    parser = argparse.ArgumentParser(description="near pairs in parts")
    parser.add_argument("--full", action="store_true", help="ten million hashes")
    parser.add_argument("--largest", action="store_true", help="a hundred million hashes")
    options = parser.parse_args()
    n = 100_000_000 if options.largest else 10_000_000 if options.full else 1_000_000
    small = min(n // 10, 1_000_000)
    measured(20_000)
    few, *_ = measured(small)
    many, pairs, shuffled, parts = measured(n)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    exponent = math.log(many / few) / math.log(n / small)
    print(
        f"hamming_in_parts ratio={many / few:.1f} ours={many:.1f}s theirs={few:.2f}s n={n} against {small} "
        f"exponent={exponent:.2f} parts={parts} pairs={pairs} shuffled={shuffled / n:.1f} bytes a hash "
        f"(told before: {cost(n, 1, plan(n, DISTANCE, 1, parts), parts).shuffled / n:.1f}) "
        f"memory={gigabytes:.2f} GB bands={[(b.width, b.radius) for b in plan(n, DISTANCE, 1, parts).bands]}"
    )


if __name__ == "__main__":
    main()
