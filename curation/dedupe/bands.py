"""Which bits to bucket by, so that every near pair shares a bucket or lies in a neighbouring one.

Cut a hash into bands. Two hashes within d bits cannot differ in more than r_i bits of every band i when
the sum of (r_i + 1) is d + 1 (the pigeonhole principle, as in Norouzi, Punjani and Fleet's multi-index
hashing, arXiv 1307.2982). So it is enough to compare, band by band, each bucket with the buckets whose
key differs in at most r_i bits. Wide bands make small buckets and narrow ones few neighbours; the
choice follows from a cost model of the three things that take time.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_DISTANCE = 16
_MAX_WIDTH = 28  # a table of 2^28 places is 1 GiB
_MAX_MASKS = 100_000
# Nanoseconds on one core of a server of 2024 with AVX-512, fitted at a million hashes.
_COMPARE = 0.06
_PROBE = 9.0
_SORT = 60.0
_BUCKET = 1.0
_CACHED = 18  # width from which looking up a bucket waits for memory


@dataclass(frozen=True)
class Band:
    """``width`` bits of a word, ``shift`` from its lowest, compared up to ``radius`` differing bits."""

    word: int
    shift: int
    width: int
    radius: int

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1

    def flips(self) -> NDArray[np.int64]:
        """Every key difference within the radius, the empty one first."""
        found = [
            sum(1 << bit for bit in bits)
            for size in range(self.radius + 1)
            for bits in itertools.combinations(range(self.width), size)
        ]
        return np.array(found, dtype=np.int64)


@dataclass(frozen=True)
class Plan:
    """Bands that together miss no pair, and what joining by them is expected to cost in seconds of one core."""

    bands: tuple[Band, ...]
    seconds: float

    @property
    def brute(self) -> bool:
        """Whether every pair is compared."""
        return len(self.bands) == 1 and self.bands[0].width == 0

    def array(self) -> NDArray[np.int64]:
        """Word, shift, mask and radius of each band, as the kernels take them."""
        return np.array([(b.word, b.shift, b.mask, b.radius) for b in self.bands], dtype=np.int64)


def chance_pairs(pairs: float, distance: int, words: int = 1) -> float:
    """How many of so many pairs of random hashes are within ``distance`` bits: pairs times the share of a ball."""
    bits = 64 * words
    share: float = sum(math.comb(bits, size) for size in range(distance + 1)) / (1 << bits)
    return pairs * share


def plan(n: int, distance: int, words: int = 1) -> Plan:
    """The cheapest bands for ``n`` hashes of ``words`` x 64 bits. Raises ``ValueError`` beyond 16 bits."""
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"distance is {distance}; Hamming distances from 0 to {MAX_DISTANCE} bits are supported")
    widest = min(_MAX_WIDTH, max(1, math.ceil(math.log2(max(n, 2))) + 2))
    compared = n * n / 2 * _COMPARE
    best = Plan((Band(0, 0, 0, 0),), compared * 1e-9)
    for count in range(1, distance + 2):
        for width in range(1, widest + 1):
            bands = _cut(count, distance, words, width)
            if bands is not None and (cost := sum(_cost(b, n) for b in bands) * 1e-9) < best.seconds:
                best = Plan(bands, cost)
    return best


def _cut(count: int, distance: int, words: int, widest: int) -> tuple[Band, ...] | None:
    """``count`` disjoint bands, wider ones with the larger radii; None where they have too many neighbours."""
    slots = -(-count // words)
    share, spare = divmod(distance + 1, count)
    bands = []
    for i in range(count):
        width, wider = divmod(64, slots)
        slot = i // words
        offset = slot * width + min(slot, wider)
        width += slot < wider
        width = min(width, widest)
        radius = min(share - 1 + (i < spare), width)
        bands.append(Band(i % words, 64 - offset - width, width, radius))
        if _neighbours(bands[-1]) > _MAX_MASKS:
            return None
    return tuple(bands)


def _neighbours(band: Band) -> int:
    return sum(math.comb(band.width, size) for size in range(band.radius + 1))


def _cost(band: Band, n: int) -> float:
    """Nanoseconds: sorting into buckets, looking buckets up, comparing their members."""
    looked = n * (_neighbours(band) + 1) / 2
    buckets = 1 << band.width
    probe = _PROBE * (1 + max(0, band.width - _CACHED) / 6)
    return n * _SORT + buckets * _BUCKET + looked * (probe + _COMPARE * n / buckets)
