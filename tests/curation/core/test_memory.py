"""Memory that was freed is used again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.processes import run

_PICTURES = """
import resource, sys, threading
import numpy as np
from curation.core.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def pictures(seed):
    for size in np.random.default_rng(seed).integers(2_000_000, 12_000_000, 60):
        parts = [np.ones(int(size), np.uint8) for _ in range(4)]
        del parts
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    threads = [threading.Thread(target=pictures, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="this is about glibc")
def test_pictures_that_are_freed_make_room_for_the_next_ones(tmp_path: Path) -> None:
    """Two threads want some 800,000 pages in all: hardly any of them is asked for anew."""
    kept, given_back = (
        int(run([sys.executable, "-c", _PICTURES, how], tmp_path).stdout) for how in ("kept", "given back")
    )
    assert kept < 20_000
    assert given_back > 2 * kept
