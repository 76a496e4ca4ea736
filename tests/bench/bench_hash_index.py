"""The index on disk: adding 10,000 hashes against building it anew, and opening a large one against a small one.

``python tests/bench/bench_hash_index.py`` uses 10,000,000 and 1,000,000 hashes (a minute, and 700 MB of files),
``--small`` 1,000,000 and 100,000. Goals: a fiftieth of building it, and as long for the large one as for the small.
Adding means asking for all that is near the new hashes and appending them, as a new shard does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.dedupe import HashIndex

ADDED = 10_000


def ids(first: int, n: int) -> pa.Array:
    values = np.zeros((n, 2), ">u8")
    values[:, 1] = np.arange(first, first + n)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), n, [None, pa.py_buffer(values)])


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measured(folder: Path, hashes: NDArray[np.uint64], new: NDArray[np.uint64]) -> tuple[float, float, float]:
    """Seconds to build, to open and ask for one hash, and to add (the least of three)."""
    index = HashIndex(folder)
    built = seconds(lambda: index.add(hashes, ids(0, len(hashes))))
    index.near(new[:1], 4)  # compiles, and is the first to touch the file
    opened = min(seconds(lambda: HashIndex(folder).near(new[:1], 0)) for _ in range(5))

    def add(turn: int) -> None:
        index.near(new, 4)
        index.add(new, ids(len(hashes) + turn * len(new), len(new)))

    return built, opened, min(seconds(partial(add, turn)) for turn in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description="adding to an index against building it")
    parser.add_argument("--small", action="store_true", help="a million hashes")
    n = 1_000_000 if parser.parse_args().small else 10_000_000
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, n, dtype=np.uint64)
    new = hashes[random.integers(0, n, ADDED)] ^ np.uint64(0b101)
    with tempfile.TemporaryDirectory() as folder:
        _, small, _ = measured(Path(folder) / "small", hashes[: n // 10], new)
        built, large, added = measured(Path(folder) / "large", hashes, new)
    print(
        f"hash_index_add ratio={built / added:.1f} ours={added:.3f}s theirs={built:.3f}s n={n} added={ADDED} (rebuild)"
    )
    print(f"hash_index_open ratio={small / large:.2f} ours={large:.5f}s theirs={small:.5f}s n={n} against {n // 10}")


if __name__ == "__main__":
    main()
