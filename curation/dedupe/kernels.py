"""Compiled loops of the Hamming search: bucket, join, explore.

They release the interpreter's lock and start no threads of their own, so that callers use ordinary
threads: numba's own layers either may not be forked or may not be entered twice, and Ray does both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Words = NDArray[np.uint64]
Index = NDArray[np.uint32]

_BLOCK = 256  # places looked at together; most blocks hold nothing near


def compiled(function: F) -> F:
    """Compiles on first use and keeps the machine code beside the module, or for this process only."""
    try:
        made: F = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep it in can be written to
        made = numba.njit(nogil=True)(function)
    return made


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def popcount(typing_context: Any, value: Any) -> Any:
    """The number of set bits of a uint64, by the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@compiled
def bucket(column: Words, shift: int, mask: int, starts: Index, order: Index, values: Words) -> None:
    """Sorts a column of words by ``(word >> shift) & mask`` in one pass.

    ``starts`` (zeros, one longer than there are buckets) becomes each bucket's first place, ``order``
    the row at each place and ``values`` its word.
    """
    by, low = np.uint64(shift), np.uint64(mask)
    for row in range(column.size):
        starts[np.int64((column[row] >> by) & low) + 1] += np.uint32(1)
    for next_key in range(1, starts.size):
        starts[next_key] += starts[next_key - 1]
    place = starts[:-1].copy()
    for row in range(column.size):
        word = column[row]
        k = np.int64((word >> by) & low)
        at = place[k]
        place[k] = at + np.uint32(1)
        order[at] = row
        values[at] = word


@compiled
def distance_of(a: Words, b: Words) -> int:
    """Hamming distance of two hashes of the same number of words, in bits."""
    bits = 0
    for w in range(a.size):
        bits += popcount(a[w] ^ b[w])
    return bits


@compiled
def count_near(word: int, values: Words, first: int, last: int, distance: int) -> int:
    """How many of ``values[first:last]`` are within ``distance`` of a word.

    A loop without branches, and places without a sign, are what lets the compiler take eight at a time.
    """
    count = 0
    for step in range(last - first):
        count += popcount(word ^ values[np.uint64(first + step)]) <= distance
    return count


@compiled
def found_before(a: Words, b: Words, bands: NDArray[np.int64], band: int) -> bool:
    """Whether an earlier band than ``band`` already brings these two together."""
    for e in range(band):
        word, low = bands[e, 0], np.uint64(bands[e, 2])
        differing = ((a[word] ^ b[word]) >> np.uint64(bands[e, 1])) & low
        if popcount(differing) <= bands[e, 3]:
            return True
    return False


@compiled
def join(
    rows_a: Words,
    order_a: Index,
    values_a: Words,
    rows_b: Words,
    order_b: Index,
    values_b: Words,
    starts_b: Index,
    sizes_a: Index,
    itself: bool,
    bands: NDArray[np.int64],
    band: int,
    masks: NDArray[np.int64],
    distance: int,
    crowd: int,
    first: int,
    last: int,
    out: Words,
) -> tuple[int, int]:
    """Pairs within ``distance`` of the places ``first..last`` of side a with side b, as row_a << 32 | row_b.

    Only pairs that this band is the first to bring together. Two buckets with more than ``crowd`` pairs
    of members are left to ``explore``. Returns the place to go on from and the number of pairs; a place
    is either finished or not begun, so one whose pairs do not fit in ``out`` comes back with 0.
    """
    shift, low = np.uint64(bands[band, 1]), np.uint64(bands[band, 2])
    count = 0
    for p in range(first, last):
        x = values_a[p]
        a = rows_a[order_a[p]]
        k = np.int64((x >> shift) & low)
        size = np.int64(sizes_a[k + 1]) - np.int64(sizes_a[k])
        kept = count
        for mask in masks:
            other = k ^ mask
            if itself and other < k:
                continue
            begin, end = np.int64(starts_b[other]), np.int64(starts_b[other + 1])
            if size * (end - begin) > crowd:
                continue
            if itself and mask == 0:
                begin = np.int64(p + 1)
            for block in range(begin, end, _BLOCK):
                stop: Any = min(block + _BLOCK, end)
                if count_near(x, values_b, block, stop, distance) == 0:
                    continue
                for at in range(block, stop):
                    if popcount(x ^ values_b[at]) > distance:
                        continue
                    b = rows_b[order_b[at]]
                    if distance_of(a, b) <= distance and not found_before(a, b, bands, band):
                        if count == out.size:
                            return p, kept
                        out[count] = (np.uint64(order_a[p]) << np.uint64(32)) | np.uint64(order_b[at])
                        count += 1
    return last, count


@compiled
def strike(
    x: int,
    a: Words,
    row: int,
    rows: Words,
    places: Index,
    values: Words,
    reached: int,
    distance: int,
    swapped: bool,
    out: Words,
    count: int,
) -> tuple[int, int]:
    """Moves to the front of ``places[reached:]`` whatever is near ``a``, and writes those pairs to ``out``.

    Returns the new ``reached`` and ``count``. ``swapped`` puts the place before the row.
    """
    for block in range(reached, places.size, _BLOCK):
        stop = min(block + _BLOCK, places.size)
        if count_near(x, values, block, stop, distance) == 0:
            continue
        for q in range(block, stop):
            if popcount(x ^ values[q]) > distance or distance_of(a, rows[places[q]]) > distance:
                continue
            low, high = (places[q], row) if swapped else (row, places[q])
            out[count] = (np.uint64(low) << np.uint64(32)) | np.uint64(high)
            count += 1
            values[q], values[reached] = values[reached], values[q]
            places[q], places[reached] = places[reached], places[q]
            reached += 1
    return reached, count


@compiled
def explore(rows: Words, places: Index, values: Words, distance: int, out: Words) -> int:
    """Near pairs that link the rows at ``places`` exactly as all their near pairs would.

    Each row reached is struck off, so a dense neighbourhood costs one look a member, not one a pair.
    ``places`` and ``values`` (their words) are reordered; ``out`` takes fewer pairs than there are places.
    """
    count = reached = 0
    for p in range(places.size):
        reached = max(reached, p + 1)
        reached, count = strike(
            values[p], rows[places[p]], places[p], rows, places, values, reached, distance, False, out, count
        )
    return count


@compiled
def explore_across(
    rows_a: Words,
    places_a: Index,
    values_a: Words,
    rows_b: Words,
    places_b: Index,
    values_b: Words,
    distance: int,
    out: Words,
) -> int:
    """The same for near pairs of a row of a with a row of b; never more looks than there are such pairs."""
    count = reached_a = reached_b = done_a = done_b = 0
    while done_a < places_a.size:
        if done_b < reached_b:
            p, done_b = done_b, done_b + 1
            reached_a, count = strike(
                values_b[p], rows_b[places_b[p]], places_b[p], rows_a, places_a, values_a, reached_a,
                distance, True, out, count,
            )  # fmt: skip
        else:
            p, done_a = done_a, done_a + 1
            reached_a = max(reached_a, done_a)
            reached_b, count = strike(
                values_a[p], rows_a[places_a[p]], places_a[p], rows_b, places_b, values_b, reached_b,
                distance, False, out, count,
            )  # fmt: skip
    return count


@compiled
def root_of(parent: Index, row: int) -> int:
    """The lowest row linked to ``row``, halving the way there for the next who asks."""
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@compiled
def link(parent: Index, keys: Words, left: Index, right: Index) -> None:
    """Links row ``left[key >> 32]`` with row ``right[key's lower half]`` for every key, in place."""
    for key in keys:
        a = root_of(parent, left[np.int64(key >> np.uint64(32))])
        b = root_of(parent, right[np.int64(key & np.uint64(0xFFFFFFFF))])
        if a < b:
            parent[b] = a
        else:
            parent[a] = b


@compiled
def settle(parent: Index) -> None:
    """Makes every row point at the lowest of its component."""
    for row in range(parent.size):
        parent[row] = parent[parent[row]]
