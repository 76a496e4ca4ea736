"""Chooses the keeper among near images, and names the keeper of every removed one.

Greedy by priority: an image is a keeper unless a keeper of higher priority is within the distance. So no
two keepers are within the distance, every other image is within it of a keeper, and nothing depends
on the order of the input. The keeper named for a removed image is the nearest one, whichever image
removed it first: the names depend on the set of keepers alone.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.clusters import components
from curation.dedupe.keep_kernels import decide_few, decide_many, name_nearest
from curation.dedupe.search.bands import plan
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.kernels import Index, tell_apart
from curation.dedupe.search.rule import Rule, rule_of, searched_words
from curation.dedupe.search.scan import near_rows

_MANY = 1024  # component size from which keepers are looked up by bands


class PriorDecision(enum.IntEnum):
    """What an earlier run decided about an image."""

    KEEPER = 0  # it stays a keeper
    OPEN = 1  # no decision yet
    REMOVED = 2  # it was removed, and removes no other image


@dataclass(frozen=True)
class Kept:
    """For each image: the index of its keeper (its own for a keeper), and the bits between them.

    ``second`` is the distance of the 256-bit hashes, -1 if a side has none or the rule is one distance.
    An image that was removed before names itself.
    """

    keeper: NDArray[np.int64]
    distance: NDArray[np.int64]
    second: NDArray[np.int64]


def keepers(
    distinct: Distinct,
    rank: NDArray[np.int64],
    distance: int | Rule,
    *,
    prior: NDArray[np.uint8] | None = None,
    component: Index | None = None,
    threads: int | None = None,
) -> Kept:
    """Keepers among the images of ``distinct`` by ``rank`` (a permutation; 0 is the highest priority).

    ``prior`` holds a ``PriorDecision`` for each image; by default all are open. ``component`` labels rows such that
    near rows share a label if one of them is open; it is computed if not given. ``distance`` is in bits, or a rule;
    with a rule the nearest of the near keepers is chosen by the first word.
    """
    rule = rule_of(distance)
    n = len(distinct.row)
    if prior is None:
        prior = np.full(n, PriorDecision.OPEN, np.uint8)
    if component is None:
        component = components(distinct.rows, rule, threads=threads)
    by_rank = np.empty(n, np.int64)
    by_rank[rank] = np.arange(n)
    # A row has the priority of its best image: an earlier keeper before an open one, then by rank.
    nothing = n * int(PriorDecision.REMOVED)
    best = np.full(len(distinct.rows), nothing)
    priority = np.where(prior == PriorDecision.REMOVED, nothing, rank + n * prior.astype(np.int64))
    np.minimum.at(best, distinct.row, priority)
    keeper = np.arange(len(distinct.rows), dtype=np.uint32)
    _decide(distinct, best, n, component, rule, keeper, threads)
    named = by_rank[best[keeper] % n] if n else by_rank
    places = np.arange(n)
    own = (prior != PriorDecision.OPEN) | (named[distinct.row] == places)
    return _kept(distinct, np.where(own, places, named[distinct.row]), rule)


def all_kept(distinct: Distinct, distance: int | Rule) -> Kept:
    """Every image as its own keeper, even if others are near."""
    return _kept(distinct, np.arange(len(distinct.row)), rule_of(distance))


def _kept(distinct: Distinct, keeper: NDArray[np.int64], rule: Rule) -> Kept:
    rows, first, second = distinct.rows, np.zeros(len(keeper), np.int64), np.full(len(keeper), -1)
    tell_apart(rows[distinct.row], rows[distinct.row[keeper]], rule, first, second)
    return Kept(keeper, first, second)


def _decide(
    distinct: Distinct,
    best: NDArray[np.int64],
    n: int,
    component: Index,
    rule: Rule,
    keeper: Index,
    threads: int | None,
) -> None:
    """Writes each row's keeper row; skips rows whose images were all removed before."""
    rows = distinct.rows
    present = np.flatnonzero(best < n * int(PriorDecision.REMOVED))
    sizes = np.bincount(component[present], minlength=len(rows) or 1)[component[present]]
    linked = present[(sizes > 1) & (sizes <= _MANY)]
    few: Index = linked[np.lexsort((best[linked], component[linked]))].astype(np.uint32)
    bounds = np.flatnonzero(np.diff(component[few].astype(np.int64), prepend=-1, append=-1))
    decide_few(rows, few, bounds, best, n, rule, keeper)
    large = present[sizes > _MANY]
    if not len(large):
        return
    many: Index = large[np.argsort(best[large])].astype(np.uint32)
    chosen = plan(len(many), rule.distance, searched_words(rule, rows.shape[1]))
    flips = [band.flips() for band in chosen.bands]
    ends = np.cumsum([0, *map(len, flips)])
    kept = np.zeros(len(many), np.bool_)
    decide_many(rows, many, best < n, rule, chosen.array(), np.concatenate(flips), ends, kept)
    gone, stay = many[~kept], many[kept]
    nearest = np.full(len(gone), np.iinfo(np.uint64).max)
    for keys in near_rows(rows[gone], rows[stay], rule, threads=threads):
        name_nearest(rows, keys, gone, stay, best, n, rule, nearest)
    place = np.empty(n, np.int64)
    place[best[stay] % n] = stay
    keeper[gone] = place[(nearest & np.uint64(0xFFFFFFFF)).astype(np.int64)]
