"""Compiled loops that choose keepers.

In all of them ``best`` holds a row's priority: its rank for an earlier keeper (below ``n``), and its rank plus ``n``
for an open one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.kernels import Index, Rule, Words, apart, compiled, near


@compiled
def decide_few(
    rows: Words,
    members: Index,
    bounds: NDArray[np.int64],
    best: NDArray[np.int64],
    n: int,
    rule: Rule,
    keeper: Index,
) -> None:
    """Decides one component after the other; each member is compared with the keepers so far.

    ``members`` are rows sorted by component and priority, ``bounds`` where components begin (and the end).
    Writes the nearest keeper of each member; of two equally near, the one of higher rank.
    """
    kept = np.empty(members.size, np.uint32)
    for c in range(bounds.size - 1):
        many = 0
        for m in range(bounds[c], bounds[c + 1]):
            row = members[m]
            stays = True
            if best[row] >= n:
                for k in range(many):
                    if near(rows[row], rows[kept[k]], rule):
                        stays = False
                        break
            if stays:
                kept[many] = row
                many += 1
        for m in range(bounds[c], bounds[c + 1]):
            row = members[m]
            nearest = 1 << 16
            for k in range(many):
                bits = apart(rows[row], rows[kept[k]], rule)
                if bits > rule.distance:
                    continue
                if bits < nearest or (bits == nearest and best[kept[k]] % n < best[keeper[row]] % n):
                    nearest = bits
                    keeper[row] = kept[k]


@compiled
def decide_many(
    rows: Words,
    members: Index,
    stays: NDArray[np.bool_],
    rule: Rule,
    bands: NDArray[np.int64],
    flips: NDArray[np.int64],
    ends: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> None:
    """Decides rows in the order of their priority, and looks up keepers by bands.

    ``flips[ends[b]:ends[b + 1]]`` are the key differences of band b. Sets ``kept`` for each member.
    """
    count, size = bands.shape[0], (rows.shape[1] - rule.colours) // rule.turns
    begins = np.zeros(count + 1, np.int64)
    for b in range(count):
        begins[b + 1] = begins[b] + bands[b, 2] + 1
    turns = rule.turns
    head = np.full(begins[count], -1, np.int64)  # the keeper (times turns, and which turn) last put into a bucket
    after = np.full((count, members.size * turns), -1, np.int64)  # the one put there before it
    for m in range(members.size):
        row = members[m]
        found = False
        if not stays[row]:
            for b in range(count):
                key = np.int64((rows[row, bands[b, 0]] >> np.uint64(bands[b, 1])) & np.uint64(bands[b, 2]))
                for f in range(ends[b], ends[b + 1]):
                    k = head[begins[b] + (key ^ flips[f])]
                    while k >= 0 and not found:
                        found = near(rows[row], rows[members[k // turns]], rule)
                        k = after[b, k]
                    if found:
                        break
                if found:
                    break
        if found:
            continue
        kept[m] = True
        for look in range(count * turns):
            b, turn = look % count, look // count
            word = bands[b, 0] + turn * size
            key = np.int64((rows[row, word] >> np.uint64(bands[b, 1])) & np.uint64(bands[b, 2]))
            after[b, m * turns + turn] = head[begins[b] + key]
            head[begins[b] + key] = m * turns + turn


@compiled
def name_nearest(
    rows: Words, keys: Words, gone: Index, stay: Index, best: NDArray[np.int64], n: int, rule: Rule, nearest: Words
) -> None:
    """Lowers ``nearest`` of each ``gone`` row to the least distance << 32 | rank of the keepers in ``keys``."""
    for key in keys:
        g, s = np.int64(key >> np.uint64(32)), np.int64(key & np.uint64(0xFFFFFFFF))
        bits = np.uint64(apart(rows[gone[g]], rows[stay[s]], rule))
        nearest[g] = min(nearest[g], (bits << np.uint64(32)) | np.uint64(best[stay[s]] % n))
