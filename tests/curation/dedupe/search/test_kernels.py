"""The compiled loops are there for every process, whatever it may write and however it was started."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable

import numba
import numpy as np
import pytest

from curation.dedupe import near_pairs
from curation.dedupe.search import compiling
from curation.dedupe.search.compiling import compiled


def pairs(seed: int = 0) -> int:
    hashes = np.random.default_rng(seed).integers(0, 2**64, 3000, dtype=np.uint64)
    hashes[::2] = hashes[0] ^ (np.uint64(1) << np.arange(1500, dtype=np.uint64) % np.uint64(64))
    return int(near_pairs(hashes, 4).num_rows)


def test_without_a_writable_cache_kernels_are_compiled_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit
    asked: list[bool] = []

    def njit(*, nogil: bool, cache: bool = False) -> Callable[..., object]:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        made: Callable[..., object] = real(nogil=nogil)
        return made

    monkeypatch.setattr(compiling.numba, "njit", njit)

    @compiled
    def double(x: int) -> int:
        return 2 * x

    assert double(21) == 42
    assert asked == [True, False]


def test_a_forked_process_searches_after_its_parent_did() -> None:
    expected = pairs()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(pairs).get(timeout=60) == expected


def test_several_threads_search_at_once() -> None:
    expected = {seed: pairs(seed) for seed in range(4)}
    found: dict[int, int] = {}
    threads = [threading.Thread(target=lambda s=seed: found.update({s: pairs(s)})) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_hashing_workers_load_no_compiler() -> None:
    code = "import sys, curation.dedupe; assert 'numba' not in sys.modules; curation.dedupe.near_pairs; import numba"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'far_pairs'"):
        __import__("curation.dedupe").dedupe.far_pairs  # noqa: B018
