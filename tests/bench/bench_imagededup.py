"""All near pairs, ours against imagededup's own pairing by its fastest method; equal pairs are required.

``python tests/bench/bench_imagededup.py`` takes 20,000 hashes (one or two minutes, all of it theirs); ``--size N`` any
other number, and ``--method bktree`` its other search. imagededup wants torchvision and more, which its search does not
use: it and scikit-learn, which that search does import, are installed without what they ask for into a temporary
folder outside the project, and run by another process. Where no registry can be asked the line is left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_hamming import Pairs, pairs_of, planted, timed

from curation.core.cores import cores
from curation.dedupe import near_pairs

DISTANCE = 7
WANTED = ("imagededup==0.3.3", "scikit-learn<1.8", "joblib", "threadpoolctl", "tqdm")


def theirs(folder: Path, hashes: Path, method: str) -> tuple[float, Pairs]:
    """Seconds of the search alone, and the pairs. Raises ``CalledProcessError`` where it does not run."""
    found = folder / "pairs.npy"
    command = [sys.executable, __file__, "--child", str(folder), str(hashes), str(found), method]
    seconds = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ).stdout
    return float(seconds.split()[-1]), np.load(found)


def bits_between(a: str, b: str) -> int:
    """As its hashers count them."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def child(folder: str, hashes: str, found: str, method: str) -> None:
    """The other process: imagededup's ``HashEval``, as its ``find_duplicates`` calls it."""
    import types

    sys.path.insert(0, folder)
    # Its package of utilities begins by importing plots and networks; the search uses one function of it.
    package = types.ModuleType("imagededup.utils")
    package.__path__ = [f"{folder}/imagededup/utils"]
    sys.modules["imagededup.utils"] = package
    from imagededup.handlers.search.retrieval import HashEval  # type: ignore[import-not-found]

    actual = {str(place): f"{value:016x}" for place, value in enumerate(np.load(hashes).tolist())}
    started = time.perf_counter()
    results = HashEval(
        test=actual,
        queries=actual,
        distance_function=bits_between,
        verbose=False,
        threshold=DISTANCE,
        search_method=method,
        num_dist_workers=cores(),
    ).retrieve_results()
    seconds = time.perf_counter() - started
    keys = [int(i) << 32 | int(j) for i, near in results.items() for j in near if int(i) < int(j)]
    np.save(found, np.sort(np.array(keys, np.uint64)))
    print(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description="near pairs against imagededup")
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--method", choices=["brute_force_cython", "bktree"], default="brute_force_cython")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    hashes = planted(options.size)
    near_pairs(planted(2_000), DISTANCE)
    near_pairs(planted(20_000), DISTANCE)
    quick, mine = min(
        (timed(lambda: pairs_of(near_pairs(hashes, DISTANCE, repeats="all"))) for _ in range(3)), key=_first
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder, file = Path(temporary), Path(temporary) / "hashes.npy"
        np.save(file, hashes)
        try:
            install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", temporary, *WANTED]
            subprocess.run(install, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip().splitlines()[-1]
            print(f"hamming_imagededup left out: {reason}")
            return
        slow, expected = theirs(folder, file, options.method)
    assert np.array_equal(mine, expected), f"{len(mine)} pairs, expected {len(expected)}"
    print(
        f"hamming_imagededup ratio={slow / quick:.0f} ours={quick:.4f}s theirs={slow:.2f}s n={options.size} "
        f"d={DISTANCE} method={options.method} pairs={len(mine)}"
    )


def _first(measured: tuple[float, Pairs]) -> float:
    return measured[0]


if __name__ == "__main__":
    main()
