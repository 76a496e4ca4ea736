"""What a search in parts will take: bytes through files, memory of a task, and how many parts fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from curation.dedupe.search.bands import Band, Plan
from curation.dedupe.search.memory import refuse
from curation.dedupe.search.partition_kernels import visits

MOST_PARTS = 1 << 15
_SAMPLE = 1 << 12
_ROW_BYTES = 24  # a row of a task beside its words: places, orders, and where it stands
_TABLE_BYTES = 8  # two sides' tables of buckets, an entry


@dataclass(frozen=True)
class Cost:
    """``shuffled`` bytes pass through files in all; a task holds ``task`` bytes, without the pairs that it finds.

    Both are expectations for hashes as good as random. Where many share a band's bits, one task holds them all.
    """

    shuffled: int
    task: int


def cost(n: int, words: int, plan: Plan, parts: int) -> Cost:
    """Each hash is written once to be split by value, and a band once where it lives and once a part that it visits."""
    visited = [visits_a_hash(band, parts) for band in plan.bands]
    piece = 8 * words + 4
    residents = -(-n // parts)
    joins = (
        residents * (1 + v) * (16 * words + _ROW_BYTES) + _TABLE_BYTES * (1 << band.width)
        for band, v in zip(plan.bands, visited, strict=True)
    )
    deal = residents * (32 * words + _ROW_BYTES)
    return Cost(round(n * piece * (1 + sum(1 + v for v in visited))), round(max(deal, *joins)))


def parts_for(n: int, words: int, planned: Callable[[int], Plan], memory: int) -> int:
    """The fewest parts, of powers of two, whose tasks fit into ``memory`` bytes by the plan made for so many.

    Raises ``TooMuchMemory`` where none do.
    """
    parts = 1
    while cost(n, words, planned(parts), parts).task > memory:
        parts *= 2
        if parts > MOST_PARTS:
            needed = cost(n, words, planned(MOST_PARTS), MOST_PARTS).task
            refuse(f"a task of a search over {n:,} hashes in parts", f"{MOST_PARTS:,} parts", needed, memory)
    return parts


@lru_cache(maxsize=256)
def visits_a_hash(band: Band, parts: int) -> float:
    """How many other parts of a band a hash visits on average, from a fixed sample of keys."""
    if parts == 1 or band.radius == 0:
        return 0.0
    keys = np.random.default_rng(0).integers(0, 1 << band.width, _SAMPLE)
    flips, at, total = band.flips(), 0, 0
    while at < len(keys):
        at, count = visits(keys, flips, band.width, parts, at, np.empty(_SAMPLE + parts, np.uint64))
        total += count
    return total / _SAMPLE
