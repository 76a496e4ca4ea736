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
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MAX_DISTANCE = 16
_MAX_WIDTH = 28  # a table of 2^28 places is 1 GiB
_MAX_MASKS = 100_000
# Nanoseconds on one core of a server of 2024 with AVX-512, fitted at one and ten million hashes.
_COMPARE = 0.08  # two words
_PROBE = 2.3  # a hash with a bucket, however small
_MEET = 13.0  # a run of hashes of one bucket with another bucket
_RUN = 32
_SORT = 9.0  # a hash into its bucket
_SCATTER = 3.0  # the same, for each bit of width beyond ``_CACHED``
_BUCKET = 1.0
_CACHED = 18  # width from which a table of buckets is larger than a cache


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

    def array(self) -> NDArray[np.int64]:
        """Word, shift, mask and radius of each band, as the kernels take them."""
        return np.array([(b.word, b.shift, b.mask, b.radius) for b in self.bands], dtype=np.int64)


def chance_pairs(pairs: float, distance: int, words: int = 1) -> float:
    """How many of so many pairs of random hashes are within ``distance`` bits: pairs times the share of a ball."""
    bits = 64 * words
    share: float = sum(math.comb(bits, size) for size in range(distance + 1)) / (1 << bits)
    return pairs * share


@lru_cache(maxsize=1024)
def plan(n: int, distance: int, words: int = 1) -> Plan:
    """The cheapest bands for ``n`` hashes of ``words`` x 64 bits. Raises ``ValueError`` beyond 16 bits.

    All bands of one radius are about equally wide. Those with the larger radius may be wider than the others:
    each bit halves what a band compares, and they compare most.
    """
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"distance is {distance}; Hamming distances from 0 to {MAX_DISTANCE} bits are supported")
    widest = min(_MAX_WIDTH, max(1, math.ceil(math.log2(max(n, 2))) + 2))
    best: tuple[float, tuple[int, int, int] | None] = (n * n / 2 * _COMPARE, None)
    for count in range(1, distance + 2):
        share, spare = divmod(distance + 1, count)
        narrow = _costs(share - 1, widest, n)
        wide = _costs(share, widest, n) if spare else {0: 0.0}
        for w, x in itertools.product(wide, narrow):
            cost = spare * wide[w] + (count - spare) * narrow[x]
            if cost < best[0] and _fits(count, spare, words, w, x):
                best = (cost, (count, w, x))
    cost, chosen = best
    bands = (Band(0, 0, 0, 0),) if chosen is None else cut(chosen[0], distance, words, chosen[1], chosen[2], n)
    return Plan(bands, cost * 1e-9)


def cut(count: int, distance: int, words: int, wide: int, narrow: int, n: int = 0) -> tuple[Band, ...]:
    """``count`` disjoint bands for a distance: those of the larger radius, ``wide`` bits each, then ``narrow`` ones.

    Bits to spare go to those whose join of ``n`` hashes they make cheaper.
    """
    share, spare = divmod(distance + 1, count)
    widths = [wide if i < spare else narrow for i in range(count)]
    radii = [share - (i >= spare) for i in range(count)]
    for i in sorted(range(count), key=lambda i: -widths[i]):
        band = Band(0, 0, widths[i], radii[i])
        wider = Band(0, 0, widths[i] + 1, radii[i])
        if sum(widths[i % words :: words]) < 64 and 0 < widths[i] < _MAX_WIDTH and _cost(wider, n) < _cost(band, n):
            widths[i] += 1
    bands, used = [], [0] * words
    for i, (width, radius) in enumerate(zip(widths, radii, strict=True)):
        used[i % words] += width
        bands.append(Band(i % words, 64 - used[i % words], width, min(radius, width)))
    return tuple(bands)


def _fits(count: int, spare: int, words: int, wide: int, narrow: int) -> bool:
    """Whether bands that are dealt out to words in turn find room in each."""
    return all(
        len(range(word, spare, words)) * wide
        + (len(range(word, count, words)) - len(range(word, spare, words))) * narrow
        <= 64
        for word in range(words)
    )


def _costs(radius: int, widest: int, n: int) -> dict[int, float]:
    """What the join by a band of this radius costs, a width; without those of too many neighbours."""
    bands = [Band(0, 0, width, min(radius, width)) for width in range(1, widest + 1)]
    return {band.width: _cost(band, n) for band in bands if _neighbours(band) <= _MAX_MASKS}


def _neighbours(band: Band) -> int:
    return sum(math.comb(band.width, size) for size in range(band.radius + 1))


def _cost(band: Band, n: int) -> float:
    """Nanoseconds: sorting into buckets, then each hash with half of the buckets around its own."""
    looked = n * (_neighbours(band) + 1) / 2
    buckets = 1 << band.width
    members = n / buckets
    sort = n * (_SORT + _SCATTER * max(0, band.width - _CACHED)) + buckets * _BUCKET
    return sort + looked * (_MEET / min(1 + members, _RUN) + _PROBE + _COMPARE * members)
