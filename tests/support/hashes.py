"""Sets of hashes as a search may meet them, and what brute force finds in them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.dedupe.search.rule import Rule

Pairs = list[tuple[int, int, int]]
Words = NDArray[np.uint64]


@st.composite
def hash_sets(draw: st.DrawFn, words: int = 1) -> Words:
    """Random hashes (n, words), near copies of some, equal ones, and hashes that share most of their bits."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 400))
    hashes = random.integers(0, 2**64, (n, words), dtype=np.uint64)
    if draw(st.booleans()):
        hashes &= np.uint64(draw(st.integers(0, 2**64 - 1)))
    for at in range(0, n, draw(st.integers(2, 5))):
        hashes[at] = hashes[random.integers(n)]
        for bit in random.integers(0, 64 * words, draw(st.integers(0, 17))):
            hashes[at, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    return hashes


@st.composite
def looked_at_twice(draw: st.DrawFn) -> Words:
    """Five words: pHashes of which many are near, and second looks of which some agree and some are missing."""
    hashes = draw(hash_sets(5))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    for at in range(len(hashes)):
        chance = random.random()
        if chance < 0.4 and len(hashes):
            hashes[at, 0] = hashes[random.integers(len(hashes)), 0] ^ np.uint64(random.integers(0, 8))
        if chance < 0.1:
            hashes[at, 1:] = 0
    return hashes


def balls(count: int, members: int, radius: int, seed: int = 0) -> Words:
    """Hashes (n,) in dense balls: members of each differ from its centre in at most ``radius`` bits."""
    random = np.random.default_rng(seed)
    hashes = np.repeat(random.integers(0, 2**64, count, dtype=np.uint64), members)
    for _ in range(radius):
        hashes ^= np.uint64(1) << random.integers(0, 64, len(hashes), dtype=np.uint64)
    return hashes


def brute(a: Words, b: Words, distance: int) -> Pairs:
    """All pairs of a place in a and a place in b, and their bits."""
    apart = np.bitwise_count(a[:, None] ^ b[None, :]).astype(int)
    apart = apart.sum(axis=2) if apart.ndim == 3 else apart
    return [(int(i), int(j), int(apart[i, j])) for i, j in zip(*np.nonzero(apart <= distance), strict=True)]


def brute_twice(a: Words, b: Words, rule: Rule) -> list[tuple[int, int, int, int | None]]:
    """The same by a rule of two looks, with the bits of both; None for a look that a side does not have."""
    first = np.bitwise_count(a[:, None, 0] ^ b[None, :, 0]).astype(int)
    second = np.bitwise_count(a[:, None, 1:] ^ b[None, :, 1:]).astype(int).sum(axis=2)
    known = a[:, None, 1:].any(axis=2) & b[None, :, 1:].any(axis=2)
    near = (first <= rule.alone) | ((first <= rule.distance) & (second <= rule.second) & known)
    return [
        (int(i), int(j), int(first[i, j]), int(second[i, j]) if known[i, j] else None)
        for i, j in zip(*np.nonzero(near), strict=True)
    ]


def found(table: pa.Table) -> Pairs:
    return list(zip(*(table.column(c).to_pylist() for c in ("i", "j", "distance")), strict=True))


def components(pairs: pa.Table, n: int) -> list[int]:
    """For each place the lowest one that a chain of pairs links it to."""
    parent = list(range(n))

    def root(x: int) -> int:
        while parent[x] != x:
            x = parent[x]
        return x

    for i, j in zip(pairs.column("i").to_pylist(), pairs.column("j").to_pylist(), strict=True):
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    return [root(x) for x in range(n)]


def binary(hashes: Words) -> pa.Array:
    """Words as fixed-size binary."""
    width = 8 * hashes.shape[1]
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(hashes), [None, pa.py_buffer(np.ascontiguousarray(hashes))]
    )
