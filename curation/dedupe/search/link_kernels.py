"""Compiled loops that link rows: through dense buckets, and in a union-find."""

from __future__ import annotations

import numpy as np

from curation.dedupe.search.kernels import BLOCK, Index, Rule, Words, compiled, count_near, near, popcount


@compiled
def strike(
    x: int,
    a: Words,
    row: int,
    rows: Words,
    places: Index,
    values: Words,
    reached: int,
    rule: Rule,
    swapped: bool,
    out: Words,
    count: int,
) -> tuple[int, int]:
    """Moves to the front of ``places[reached:]`` whatever is near ``a``, and writes those pairs to ``out``.

    Returns the new ``reached`` and ``count``. ``swapped`` puts the place before the row.
    """
    distance = rule.distance
    for block in range(reached, places.size, BLOCK):
        stop = min(block + BLOCK, places.size)
        if count_near(x, values, block, stop, distance) == 0:
            continue
        for q in range(block, stop):
            if popcount(x ^ values[q]) > distance or not near(a, rows[places[q]], rule):
                continue
            low, high = (places[q], row) if swapped else (row, places[q])
            out[count] = (np.uint64(low) << np.uint64(32)) | np.uint64(high)
            count += 1
            values[q], values[reached] = values[reached], values[q]
            places[q], places[reached] = places[reached], places[q]
            reached += 1
    return reached, count


@compiled
def explore(rows: Words, places: Index, values: Words, rule: Rule, out: Words) -> int:
    """Near pairs that link the rows at ``places`` exactly as all their near pairs would.

    Each row reached is removed from the search, so a dense bucket costs one comparison a member, not one a pair.
    ``places`` and ``values`` (their words) are reordered; ``out`` takes fewer pairs than there are places.
    """
    count = reached = 0
    for p in range(places.size):
        reached = max(reached, p + 1)
        reached, count = strike(
            values[p], rows[places[p]], places[p], rows, places, values, reached, rule, False, out, count
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
    rule: Rule,
    out: Words,
) -> int:
    """The same for near pairs of a row of a with a row of b; never more looks than there are such pairs."""
    count = reached_a = reached_b = done_a = done_b = 0
    while done_a < places_a.size:
        if done_b < reached_b:
            p, done_b = done_b, done_b + 1
            reached_a, count = strike(
                values_b[p], rows_b[places_b[p]], places_b[p], rows_a, places_a, values_a, reached_a,
                rule, True, out, count,
            )  # fmt: skip
        else:
            p, done_a = done_a, done_a + 1
            reached_a = max(reached_a, done_a)
            reached_b, count = strike(
                values_a[p], rows_a[places_a[p]], places_a[p], rows_b, places_b, values_b, reached_b,
                rule, False, out, count,
            )  # fmt: skip
    return count


@compiled
def root_of(parent: Index, row: int) -> int:
    """The lowest row linked to ``row``; shortens the path for later calls."""
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
def flatten(parent: Index) -> None:
    """Makes every row point at the lowest row of its component."""
    for row in range(parent.size):
        parent[row] = parent[parent[row]]
