"""Streams near pairs of distinct hashes in buffers of bounded size, from all cores at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from curation.core.cores import cores
from curation.dedupe.search.bands import Band, Plan, plan
from curation.dedupe.search.colours import seen_as
from curation.dedupe.search.join_kernels import LANES, join
from curation.dedupe.search.kernels import Side, Words, bucket
from curation.dedupe.search.link_kernels import explore, explore_across
from curation.dedupe.search.rule import Rule, rule_of, searched_words

_BUFFER = 1 << 18  # pairs a task hands over at most, 2 MiB
_DENSE_BUCKET = 64  # members of each of two buckets below which all their pairs are compared
_SKEW = 4  # times the average, likewise
_ALL = np.iinfo(np.int64).max


def sorted_by(band: Band, rows: Words) -> Side:
    """Rows in the buckets of a band."""
    starts = np.zeros((1 << band.width) + 1, np.uint32)
    order = np.empty(len(rows), np.uint32)
    values = np.empty(len(rows) + LANES, np.uint64)
    values[len(rows) :] = 0
    bucket(rows[:, band.word], band.shift, band.mask, starts, order, values)
    return Side(rows, order, values, starts)


def near_rows(
    a: Words, b: Words | None, distance: int | Rule, *, spanning: bool = False, threads: int | None = None
) -> Iterator[Words]:
    """Every pair of rows near by ``distance`` (bits, or a rule), once: ``row_a << 32 | row_b``, in arrays of any order.

    ``a`` and ``b`` have the shape (hashes, words of 64 bits); the rows of each are distinct. Without ``b``
    the pairs are those among ``a``, either row first. With ``spanning``, pairs of dense neighbourhoods
    are left out (or repeated) as long as the rest links the same rows: memory and time then stay near
    linear where the pairs would be quadratic. A rule with turns repeats pairs, and pairs a row with itself
    where a picture is near its own mirror image. Holds 24 bytes a hash and a few buffers. Raises
    ``ValueError`` for distances above 16.
    """
    rule = rule_of(distance)
    if rule.turns > 1:
        once = rule._replace(turns=1)
        own = view_of(a, 0, rule)
        for view in range(rule.turns):
            other = view_of(a if b is None else b, view, rule)
            itself = b is None and view == 0
            yield from near_rows(own, None if itself else other, once, spanning=spanning, threads=threads)
        return
    size = len(a) if b is None else (len(a) * len(b)) ** 0.5
    chosen = plan(int(size), rule.distance, searched_words(rule, a.shape[1]))
    if len(a) == 0 or (b is not None and len(b) == 0):
        return
    workers = threads or cores()
    with ThreadPoolExecutor(workers, thread_name_prefix="hamming") as pool:
        for index, (side_a, side_b) in enumerate(_sides(pool, chosen.bands, a, b)):
            yield from _Scan.of(side_a, side_b, b is None, chosen, index, rule, spanning).run(pool, workers)


def view_of(rows: Words, view: int, rule: Rule) -> Words:
    """One view of each picture (``symmetry.views_of``), with its colours where rows have them."""
    words = rows.shape[1] - rule.colours
    size = words // rule.turns
    own = np.ascontiguousarray(rows[:, view * size : (view + 1) * size])
    return np.column_stack([own, seen_as(rows[:, words:], view, rule.turns)]) if rule.colours else own


def _sides(pool: ThreadPoolExecutor, bands: tuple[Band, ...], a: Words, b: Words | None) -> Iterator[tuple[Side, Side]]:
    """Both sides sorted by one band after the other; the next is sorted while the last is joined."""

    def submit(band: Band) -> tuple[Future[Side], Future[Side]]:
        one = pool.submit(sorted_by, band, a)
        return one, one if b is None else pool.submit(sorted_by, band, b)

    ahead = submit(bands[0])
    for band in (*bands[1:], None):
        sides = ahead[0].result(), ahead[1].result()
        if band is not None:
            ahead = submit(band)
        yield sides


@dataclass(frozen=True)
class _Scan:
    """The join of two sides by one band of a plan."""

    a: Side
    b: Side
    itself: bool
    plan: Plan
    index: int
    rule: Rule
    dense_bucket: int

    @classmethod
    def of(cls, a: Side, b: Side, itself: bool, plan: Plan, index: int, rule: Rule, spanning: bool) -> _Scan:
        """With ``spanning``, buckets with many more members than the average have their pairs explored."""
        few = max(_DENSE_BUCKET, _SKEW * max(len(a.order), len(b.order)) >> plan.bands[index].width)
        return cls(a, b, itself, plan, index, rule, few * few if spanning else _ALL)

    @cached_property
    def flips(self) -> NDArray[np.int64]:
        return self.plan.bands[self.index].flips()

    def run(self, pool: ThreadPoolExecutor, workers: int) -> Iterator[Words]:
        """Tasks are small, so that a dense bucket keeps no core idle, and few run at a time."""
        places = len(self.a.order)
        step = max(1, min(1 << 16, places // (workers * 16) + 1))
        todo = deque((first, min(first + step, places), _BUFFER) for first in range(0, places, step))
        out: deque[Future[tuple[Words, tuple[int, int, int] | None]]] = deque()
        while todo or out:
            while todo and len(out) < workers * 2:
                out.append(pool.submit(self._join, *todo.popleft()))
            keys, rest = out.popleft().result()
            if rest is not None:
                todo.appendleft(rest)
            if keys.size:
                yield keys
        if self.dense_bucket != _ALL:
            yield from self._explore_all(pool, workers)

    def _join(self, first: int, last: int, size: int) -> tuple[Words, tuple[int, int, int] | None]:
        buffer = np.empty(size, np.uint64)
        at, count = join(
            self.a, self.b, self.itself, self.plan.array(), self.index, self.flips,
            self.rule, self.dense_bucket, first, last, buffer,
        )  # fmt: skip
        keys = buffer[:count].copy()
        if at == last:
            return keys, None
        return keys, (at, last, size if at > first else size * 4)

    def _explore_all(self, pool: ThreadPoolExecutor, workers: int) -> Iterator[Words]:
        """Dense buckets and their dense neighbours, which the join left out."""
        out: deque[Future[Words]] = deque()
        for key, other in self._dense_buckets():
            out.append(pool.submit(self._explore, key, other))
            if len(out) >= workers * 2:
                yield out.popleft().result()
        while out:
            yield out.popleft().result()

    def _dense_buckets(self) -> Iterator[tuple[int, int]]:
        sizes_a, sizes_b = (np.diff(side.starts.astype(np.int64)) for side in (self.a, self.b))
        keys = np.flatnonzero(sizes_a * sizes_b.max() > self.dense_bucket)
        for flip in self.flips:
            others = keys ^ flip
            chosen = sizes_a[keys] * sizes_b[others] > self.dense_bucket
            if self.itself:
                chosen &= others >= keys
            yield from zip(keys[chosen].tolist(), others[chosen].tolist(), strict=True)

    def _explore(self, key: int, other: int) -> Words:
        a, b = self.a, self.b
        own, its = slice(*a.starts[key : key + 2]), slice(*b.starts[other : other + 2])
        places, values = a.order[own].copy(), a.values[own].copy()
        if self.itself and key == other:
            buffer = np.empty(len(places), np.uint64)
            count = explore(a.rows, places, values, self.rule, buffer)
        else:
            more, words = b.order[its].copy(), b.values[its].copy()
            buffer = np.empty(len(places) + len(more), np.uint64)
            count = explore_across(a.rows, places, values, b.rows, more, words, self.rule, buffer)
        return buffer[:count]
