"""The search in parts, none of which holds all hashes: what one node cannot hold, many can.

    files = near_pairs_in_parts(shards, distance=4, parts=64, folder=folder, spread=in_turn)
    pairs = read_pairs(files)

Three rounds of tasks that talk through files in ``folder`` (on a cluster: one that all nodes see).

1. *Split*: each shard of hashes is cut by value, so that equal hashes meet.
2. *Deal*: each part collapses equal hashes and deals the rest out by every band of the plan. A hash lives in
   the part that its key falls into, and visits parts that hold a key within the band's radius.
3. *Join*: each part of each band compares its residents with each other and with its visitors. A pair of
   residents of two parts meets in one of them only, and only in the first band that brings it together.

The pairs are those of ``near_pairs``, whatever the number of parts. A task holds one part; see the README.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.dedupe.bands import Band, Plan, plan
from curation.dedupe.distinct import Distinct
from curation.dedupe.hamming import PAIRS, bits_between
from curation.dedupe.kernels import Index, Words
from curation.dedupe.partition_kernels import visits
from curation.dedupe.scan import joined

T = TypeVar("T")
R = TypeVar("R")
_VALUE = Band(0, 48, 16, 0)  # what shards are split by first
_ROWS = 1 << 20
_LOW = np.uint64(0xFFFFFFFF)


class Spread(Protocol):
    """Runs a function on every task, somewhere; results in any order."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]: ...


def in_turn(function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    """One task after the other, in this process; each uses all cores."""
    return map(function, tasks)


@dataclass(frozen=True)
class HashShard:
    """A Parquet or .npy file of 64-bit hashes (Parquet: column ``column``), the first of which has place ``start``."""

    path: str
    start: int
    column: str = "phash"

    def read(self) -> Words:
        if self.path.endswith(".npy"):
            loaded: Words = np.load(self.path, mmap_mode="r")
            return loaded
        read: Words = pq.read_table(self.path, columns=[self.column]).column(0).to_numpy()
        return read


@dataclass(frozen=True)
class Layout:
    """What all tasks of one search share. ``threads`` 0 takes all cores."""

    folder: str
    parts: int
    distance: int
    plan: Plan
    threads: int = 0

    def part_of(self, band: Band, hashes: Words) -> NDArray[np.int64]:
        return keys_of(band, hashes) * self.parts >> band.width

    def pieces(self, kind: str, part: int) -> list[Path]:
        return sorted(Path(self.folder).glob(f"{kind}/{part:05d}/*.npy"))

    def put(self, kind: str, part: int, name: str, hashes: Words, places: Index) -> None:
        """Writes (hash, place) pairs under another name first, so that a killed task leaves no half piece."""
        if len(hashes) == 0:
            return
        folder = Path(self.folder) / kind / f"{part:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        piece = np.empty(len(hashes), _PIECE)
        piece["hash"], piece["place"] = hashes, places
        temporary = folder / f".tmp-{name}"
        with temporary.open("wb") as file:
            np.save(file, piece)
        temporary.rename(folder / f"{name}.npy")

    def take(self, kind: str, part: int) -> tuple[Words, Index]:
        """All pieces of a part, by name."""
        pieces = [np.load(path, mmap_mode="r") for path in self.pieces(kind, part)]
        whole = [np.concatenate([p[f] for p in pieces]) if pieces else np.empty(0, _PIECE)[f] for f in _FIELDS]
        return whole[0], whole[1]


_PIECE = np.dtype([("hash", np.uint64), ("place", np.uint32)])
_FIELDS = ("hash", "place")


def near_pairs_in_parts(
    shards: Sequence[HashShard], n: int, distance: int, parts: int, folder: Path, spread: Spread, threads: int = 0
) -> list[Path]:
    """Finds what ``near_pairs`` finds (equal hashes stand at their first place) and returns the files that hold it.

    ``n`` is the number of hashes in all ``shards``; ``folder`` should be empty. Raises ``ValueError`` for distances
    beyond 16 bits or fewer than one part.
    """
    if parts < 1:
        raise ValueError(f"{parts} parts; at least one is needed")
    layout = Layout(str(folder), parts, distance, plan(n, distance), threads)
    list(spread(Split(layout), shards))
    found = list(spread(Deal(layout), range(parts)))
    tasks = [(band, part) for band in range(len(layout.plan.bands)) for part in range(parts)]
    found += spread(Join(layout), tasks)
    return [Path(path) for path in sorted(found)]


def read_pairs(files: Iterable[Path]) -> pa.Table:
    """All pairs, sorted by (i, j), as ``near_pairs`` gives them."""
    tables = [pq.read_table(path) for path in files]
    return pa.concat_tables([PAIRS.empty_table(), *tables]).sort_by([("i", "ascending"), ("j", "ascending")])


@dataclass(frozen=True)
class Split:
    """Round 1, for a shard."""

    layout: Layout

    def __call__(self, shard: HashShard) -> None:
        hashes = shard.read()
        places = np.arange(shard.start, shard.start + len(hashes), dtype=np.uint32)
        _deal_out(self.layout, "values", _VALUE, f"{shard.start:012d}", np.asarray(hashes), places)


@dataclass(frozen=True)
class Deal:
    """Round 2, for a part; returns the file that holds its equal pairs."""

    layout: Layout

    def __call__(self, part: int) -> str:
        hashes, places = self.layout.take("values", part)
        distinct = Distinct.of(hashes)
        # Which of the equal ones is first is told by places, which need not come in their order.
        first = np.full(len(distinct.rows), np.iinfo(np.uint32).max, np.uint32)
        np.minimum.at(first, distinct.row, places)
        stands = first[distinct.row]
        later = stands != places
        rows = distinct.rows[:, 0]
        for index, band in enumerate(self.layout.plan.bands):
            name = f"{part:05d}"
            _deal_out(self.layout, f"residents-{index:02d}", band, name, rows, first)
            for turn, (row, to) in enumerate(_visitors(self.layout, band, rows)):
                for target, chosen in _grouped(to, row):
                    kind, piece = f"visitors-{index:02d}", f"{name}-{turn:05d}"
                    self.layout.put(kind, target, piece, rows[chosen], first[chosen])
        apart = np.zeros(int(later.sum()), np.uint8)
        return _write(self.layout, f"equal-{part:05d}", stands[later], places[later], apart)


@dataclass(frozen=True)
class Join:
    """Round 3, for a part of a band; returns the file that holds its pairs."""

    layout: Layout

    def __call__(self, task: tuple[int, int]) -> str:
        index, part = task
        own, places = self.layout.take(f"residents-{index:02d}", part)
        guests, homes = self.layout.take(f"visitors-{index:02d}", part)
        sides: list[tuple[Words | None, Words, Index]] = [(None, own, places), (guests, guests, homes)]
        i, j, apart = [places[:0]], [places[:0]], [np.empty(0, np.uint8)]
        for other, hashes, named in sides:
            across = None if other is None else other[:, np.newaxis]
            threads = self.layout.threads or None
            for keys in joined(own[:, np.newaxis], across, self.layout.distance, self.layout.plan, index, threads):
                a, b = (keys >> np.uint64(32)).astype(np.int64), (keys & _LOW).astype(np.int64)
                i.append(np.minimum(places[a], named[b]))
                j.append(np.maximum(places[a], named[b]))
                apart.append(bits_between(own[a][:, np.newaxis], hashes[b][:, np.newaxis]))
        name = f"near-{index:02d}-{part:05d}"
        return _write(self.layout, name, np.concatenate(i), np.concatenate(j), np.concatenate(apart))


def keys_of(band: Band, hashes: Words) -> NDArray[np.int64]:
    """The band's bits of each hash."""
    return ((hashes >> np.uint64(band.shift)) & np.uint64(band.mask)).astype(np.int64)


def _deal_out(layout: Layout, kind: str, band: Band, name: str, hashes: Words, places: Index) -> None:
    for part, chosen in _grouped(layout.part_of(band, hashes), np.arange(len(hashes))):
        layout.put(kind, part, name, hashes[chosen], places[chosen])


def _visitors(layout: Layout, band: Band, rows: Words) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(rows, the parts that they visit), some at a time."""
    if layout.parts == 1 or band.radius == 0:
        return
    keys, flips = keys_of(band, rows), band.flips()
    first = 0
    while first < len(keys):
        out = np.empty(_ROWS + layout.parts, np.uint64)
        first, count = visits(keys, flips, band.width, layout.parts, first, out)
        yield (out[:count] & _LOW).astype(np.int64), (out[:count] >> np.uint64(32)).astype(np.int64)


def _grouped(part: NDArray[np.int64], value: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    order = np.argsort(part, kind="stable")
    bounds = np.flatnonzero(np.diff(part[order], prepend=-1, append=-1))
    for begin, end in pairwise(bounds):
        yield int(part[order[begin]]), value[order[begin:end]]


def _write(layout: Layout, name: str, i: Index, j: Index, apart: NDArray[np.uint8]) -> str:
    order = np.lexsort((j, i))
    folder = Path(layout.folder) / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    temporary = folder / f".tmp-{name}"
    pq.write_table(pa.table([pa.array(c[order]) for c in (i, j, apart)], schema=PAIRS), temporary)
    temporary.rename(path)
    return str(path)
