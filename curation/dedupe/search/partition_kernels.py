"""The compiled loop that tells which partitions a hash visits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.kernels import Words, compiled


@compiled
def visits(
    keys: NDArray[np.int64], flips: NDArray[np.int64], width: int, parts: int, first: int, out: Words
) -> tuple[int, int]:
    """Every partition that a key visits because a neighbour of it lives there, once, as partition << 32 | row.

    Of two partitions with neighbours in each other one visits the other; which one is as good as drawn, so that
    none is visited by all.
    Partition p of ``parts`` holds the keys of ``width`` bits with ``key * parts >> width == p``. Starts at row
    ``first``; returns the row to go on from and the number written. ``out`` must have room for one row: a
    place for each partition.
    """
    count = 0
    for row in range(first, keys.size):
        own = keys[row] * parts >> width
        if count + parts > out.size:
            return row, count
        begin = count
        for flip in flips:
            other = (keys[row] ^ flip) * parts >> width
            if other == own:
                continue
            low, high = min(own, other), max(own, other)
            drawn = (low * 0x9E3779B1 + high * 0x85EBCA77) >> 15 & 1
            if other != (low if drawn else high):
                continue
            code = (np.uint64(other) << np.uint64(32)) | np.uint64(row)
            seen = False
            for k in range(begin, count):
                seen = seen or out[k] == code
            if not seen:
                out[count] = code
                count += 1
    return keys.size, count
