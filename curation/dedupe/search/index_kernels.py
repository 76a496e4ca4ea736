"""The compiled loop that looks hashes up in a sorted run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.kernels import BLOCK, Words, compiled, count_near, popcount


@compiled
def lower_bound(keys: Words, value: int, begin: int) -> int:
    """The first place from ``begin`` on whose key is not below ``value``; steps double before they halve."""
    step = 1
    low, high = begin, begin
    while high < keys.size and keys[high] < value:
        low = high + 1
        high = low + step
        step *= 2
    high = min(high, keys.size)
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def bisect(keys: Words, value: int) -> int:
    """The first place whose key is not below ``value``.

    Keys are nearly uniform, so the value itself gives a first guess, and the key found there a better one: two reads
    of memory instead of a dozen. Doubling steps then find the place, even where keys are dense.
    """
    if keys.size == 0:
        return 0
    share = keys.size / 2.0**64
    at: Any = min(np.int64(np.float64(value) * share), keys.size - 1)
    guessed = keys[at]
    if guessed < value:
        at = min(at + np.int64(np.float64(value - guessed) * share), keys.size - 1)
    else:
        at = max(at - np.int64(np.float64(guessed - value) * share), 0)
    step = 1
    while at > 0 and keys[at - 1] >= value:
        at = max(at - step, 0)
        step *= 2
    return lower_bound(keys, value, at)


@compiled
def ask(
    queries: Words,
    keys: Words,
    rotation: int,
    bands: NDArray[np.int64],
    band: int,
    flips: NDArray[np.int64],
    distance: int,
    first: int,
    last: int,
    out: Words,
) -> tuple[int, int]:
    """Places in ``keys`` within ``distance`` of the queries ``first..last``, as query << 32 | place.

    ``keys`` are hashes rotated left by ``rotation`` bits, sorted; ``bands`` are (shift, mask, radius) of the
    hash as it is, and ``band`` is the one that the rotation brings to the front. Only what no earlier band
    finds. Returns the query to go on from and the number found; a query is either finished or not begun.
    """
    mask = bands[band, 1]
    width = popcount(np.uint64(mask))
    down = np.uint64(64) - width
    count = 0
    for q in range(first, last):
        x = queries[q]
        turned = (x << np.uint64(rotation)) | (x >> np.uint64((64 - rotation) & 63)) if rotation else x
        prefix = np.int64(turned >> down)
        kept = count
        for flip in flips:
            key = prefix ^ flip
            begin = bisect(keys, np.uint64(key) << down)
            end = keys.size if key == mask else lower_bound(keys, np.uint64(key + 1) << down, begin)
            for block in range(begin, end, BLOCK):
                stop = min(block + BLOCK, end)
                if count_near(turned, keys, block, stop, distance) == 0:
                    continue
                for k in range(block, stop):
                    if popcount(turned ^ keys[k]) > distance or _earlier(turned ^ keys[k], rotation, bands, band):
                        continue
                    if count == out.size:
                        return q, kept
                    out[count] = (np.uint64(q) << np.uint64(32)) | np.uint64(k)
                    count += 1
    return last, count


@compiled
def _earlier(turned: int, rotation: int, bands: NDArray[np.int64], band: int) -> bool:
    """Whether a band before this one brings two hashes together that differ in these (rotated) bits."""
    apart = (turned >> np.uint64(rotation)) | (turned << np.uint64((64 - rotation) & 63)) if rotation else turned
    for e in range(band):  # noqa: SIM110 - a generator is not compiled
        if popcount((apart >> np.uint64(bands[e, 0])) & np.uint64(bands[e, 1])) <= bands[e, 2]:
            return True
    return False
