"""The search in parts, none of which holds all hashes: what one node cannot hold, many can.

    files = near_pairs_in_parts(shards, n, distance=4, parts=64, folder=folder, spread=in_turn)
    pairs = read_pairs(files)

``RayEngine.spread`` (``curation.core.engines.ray``) runs the tasks on a cluster. They come in three rounds and talk
through files in ``folder``, which all nodes must see:

1. *Split*: each shard of hashes is cut by value, so that equal hashes meet.
2. *Deal*: each part collapses equal hashes and deals the rest out by every band of the plan. A hash lives in
   the part that its key falls into, and visits parts that hold a key within the band's radius.
3. *Join*: each part of each band compares its residents with each other and with its visitors. A pair of
   residents of two parts meets in one of them only, and only in the first band that brings it together.

The pairs are those of ``near_pairs``, whatever the number of parts; a second look travels with its hash and
confirms where two hashes meet. What it takes is in ``partition_cost`` and the README.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.dedupe.search.bands import Band, plan
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.hamming import Crowds, distances, pairs_of
from curation.dedupe.search.kernels import Index, Words
from curation.dedupe.search.memory import available, refuse
from curation.dedupe.search.partition_cost import MOST_PARTS, cost, parts_for
from curation.dedupe.search.partition_files import HashShard, Layout, keys_of
from curation.dedupe.search.partition_kernels import visits
from curation.dedupe.search.rule import Rule, rule_of, searched_words
from curation.dedupe.search.scan import joined

__all__ = ["HashShard", "Spread", "in_turn", "near_pairs_in_parts", "read_pairs"]

T = TypeVar("T")
R = TypeVar("R")
_VALUE = Band(0, 48, 16, 0)  # what shards are split by first
_ROWS = 1 << 20
_LOW = np.uint64(0xFFFFFFFF)
_MOST = 1 << 32  # places are 32-bit numbers
_PAIR_BYTES = 40


class Spread(Protocol):
    """Runs a function on every task, somewhere; results in any order."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]: ...


def in_turn(function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    """One task after the other, in this process; each uses all cores."""
    return map(function, tasks)


def near_pairs_in_parts(
    shards: Sequence[HashShard],
    n: int,
    distance: int | Rule,
    parts: int,
    folder: Path,
    spread: Spread,
    threads: int = 0,
    *,
    crowds: Crowds = "all",
    memory: int | None = None,
) -> list[Path]:
    """Finds what ``near_pairs`` finds (equal hashes stand at their first place) and returns the files that hold it.

    ``n`` is the number of hashes in all ``shards``, which follow each other without gaps; ``folder`` must be empty.
    With ``crowds="linked"`` which near pairs link a crowd depends on ``parts``; what they link does not. ``memory``
    is what one task may take, in bytes (default: half of what this machine has left). Raises ``TooMuchMemory``
    with the number of parts that would do, and ``ValueError`` for distances beyond 16 bits, for parts out of range,
    for shards that are not ``n`` hashes, and for a folder with something in it.
    """
    rule = rule_of(distance)
    _check(parts, n, rule, folder)
    words = shards[0].words() if shards else 1
    allowed = memory or available() // 2
    planned = partial(plan, n, rule.distance, searched_words(rule, words))
    chosen = planned(parts)
    needed = cost(n, words, chosen, parts)
    if needed.task > allowed:
        fewest = parts_for(n, words, planned, allowed)
        refuse(f"a task of a search over {n:,} hashes", f"{parts} parts; {fewest} would do", needed.task, allowed)
    layout = Layout(str(folder), parts, words, rule, chosen, crowds == "linked", threads, allowed)
    _check_spans(sorted(spread(Split(layout), shards)), n)
    found = list(spread(Deal(layout), range(parts)))
    tasks = [(band, part) for band in range(len(layout.plan.bands)) for part in range(parts)]
    found += spread(Join(layout), tasks)
    return [Path(path) for path in sorted(found)]


def read_pairs(files: Iterable[Path]) -> pa.Table:
    """All pairs, sorted by (i, j) and each once, as ``near_pairs`` gives them. ``files`` are at least one."""
    table = pa.concat_tables([pq.read_table(path) for path in files])
    once = table.group_by(table.column_names, use_threads=False).aggregate([])
    return once.sort_by([("i", "ascending"), ("j", "ascending")]).cast(table.schema).combine_chunks()


@dataclass(frozen=True)
class Split:
    """Round 1, for a shard; returns the first place and the number of its hashes."""

    layout: Layout

    def __call__(self, shard: HashShard) -> tuple[int, int]:
        rows = shard.read()
        if rows.shape[1] != self.layout.words:
            raise ValueError(f"{shard.path} holds hashes of {rows.shape[1] * 64} bits, not {self.layout.words * 64}")
        places = np.arange(shard.start, shard.start + len(rows), dtype=np.uint32)
        every = np.arange(len(rows), dtype=np.uint32)
        to = self.layout.part_of(_VALUE, rows)
        self.layout.deal("values", to, f"{shard.start:012d}", rows, places, every)
        return shard.start, len(rows)


@dataclass(frozen=True)
class Deal:
    """Round 2, for a part; returns the file that holds its equal pairs."""

    layout: Layout

    def __call__(self, part: int) -> str:
        layout, name = self.layout, f"{part:05d}"
        rows, places = layout.take("values", part)
        distinct = Distinct.of(rows)
        # Places come in the order of shards only if shards are named in their order.
        first = np.minimum.reduceat(places[distinct.places], distinct.starts[:-1]) if len(rows) else places
        stands = np.repeat(first, np.diff(distinct.starts))
        own = places[distinct.places]
        later = stands != own
        every = np.arange(len(distinct.rows), dtype=np.uint32)
        for index, band in enumerate(layout.plan.bands):
            to = layout.part_of(band, distinct.rows)
            layout.deal(f"residents-{index:02d}", to, name, distinct.rows, first, every)
            for turn, (row, visited) in enumerate(_visitors(layout, band, distinct.rows)):
                layout.deal(f"visitors-{index:02d}", visited, f"{name}-{turn:05d}", distinct.rows, first, row)
        again = distinct.rows[np.repeat(every, np.diff(distinct.starts))[later]]
        return layout.write_pairs(f"equal-{name}", _sorted(layout, stands[later], own[later], again, again))


@dataclass(frozen=True)
class Join:
    """Round 3, for a part of a band; returns the file that holds its pairs."""

    layout: Layout

    def __call__(self, task: tuple[int, int]) -> str:
        index, part = task
        own, places = self.layout.take(f"residents-{index:02d}", part)
        tables = [self._near(index, own, places, None, places)]
        guests, homes = self.layout.take(f"visitors-{index:02d}", part)
        tables.append(self._near(index, own, places, guests, homes))
        return self.layout.write_pairs(f"near-{index:02d}-{part:05d}", pa.concat_tables(tables))

    def _near(self, index: int, own: Words, places: Index, guests: Words | None, homes: Index) -> pa.Table:
        layout, found, count = self.layout, [], 0
        others = own if guests is None else guests
        for keys in joined(
            own, guests, layout.rule, layout.plan, index, layout.threads or None, spanning=layout.spanning
        ):
            count += len(keys)
            if layout.memory and count * _PAIR_BYTES > layout.memory:
                told = f"more than {count:,} pairs in one part"
                refuse(f"all pairs within {layout.rule.distance} bits", told, count * _PAIR_BYTES, layout.memory)
            found.append(keys)
        keys = np.concatenate(found) if found else np.empty(0, np.uint64)
        a, b = (keys >> np.uint64(32)).astype(np.int64), (keys & _LOW).astype(np.int64)
        return _sorted(layout, places[a], homes[b], own[a], others[b])


def _sorted(layout: Layout, i: Index, j: Index, a: Words, b: Words) -> pa.Table:
    """Pairs of places with these rows, i below j."""
    low, high = np.minimum(i, j), np.maximum(i, j)
    order = np.argsort((low.astype(np.uint64) << np.uint64(32)) | high)
    return pairs_of(low[order], high[order], *distances(a[order], b[order], layout.rule), layout.rule)


def _visitors(layout: Layout, band: Band, rows: Words) -> Iterator[tuple[Index, NDArray[np.uint16]]]:
    """(rows, the parts that they visit), some at a time."""
    if layout.parts == 1 or band.radius == 0:
        return
    keys, flips = keys_of(band, rows), band.flips()
    first = 0
    while first < len(keys):
        out = np.empty(_ROWS + layout.parts, np.uint64)
        first, count = visits(keys, flips, band.width, layout.parts, first, out)
        yield (out[:count] & _LOW).astype(np.uint32), (out[:count] >> np.uint64(32)).astype(np.uint16)


def _check(parts: int, n: int, rule: Rule, folder: Path) -> None:
    if not 1 <= parts <= MOST_PARTS:
        raise ValueError(f"{parts} parts; 1 to {MOST_PARTS:,} are possible")
    if n >= _MOST:
        raise ValueError(f"{n:,} hashes; one search takes at most {_MOST - 1:,}: split them")
    if rule.turns > 1:
        raise ValueError("a rule with symmetries is for clusters; turn the hashes and search those too")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; a search in parts wants a folder of its own")


def _check_spans(spans: list[tuple[int, int]], n: int) -> None:
    at = 0
    for start, size in spans:
        if start != at:
            raise ValueError(f"a shard starts at place {start:,}, but those before it end at {at:,}")
        at += size
    if at != n:
        raise ValueError(f"the shards hold {at:,} hashes, not {n:,}")
