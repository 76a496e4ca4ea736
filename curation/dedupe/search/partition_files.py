"""The files that tasks of a search in parts read and write: shards of hashes, pieces of parts, pairs.

A piece is a .npy file of (hash, place) records in ``<folder>/<kind>/<part>/``, 8 bytes a word of the hash and 4 a
place. Everything is written under another name first, so that a killed task leaves nothing half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.dedupe.search.bands import Band, Plan
from curation.dedupe.search.distinct import words_of
from curation.dedupe.search.kernels import Index, Words
from curation.dedupe.search.rule import Rule


@dataclass(frozen=True)
class HashShard:
    """A file of hashes, the first of which has place ``start`` among all.

    Parquet: ``column`` holds uint64 or fixed-size binary, and ``second`` names the column of the second look, if
    there is to be one (null: that image has none). ``.npy``: uint64 of shape (n,) or (n, words).
    """

    path: str
    start: int
    column: str = "phash"
    second: str | None = None

    def words(self) -> int:
        """Words of 64 bits a hash has, its second look included."""
        if self.path.endswith(".npy"):
            return int(words_of(np.load(self.path, mmap_mode="r")).shape[1])
        schema = pq.read_schema(self.path)
        named = [self.column, *([self.second] if self.second else [])]
        return sum(words_of(schema.empty_table().column(name)).shape[1] for name in named)

    def read(self) -> Words:
        """Shape (n, words); the second look follows the hash, zeros for none. Raises what ``words_of`` raises."""
        if self.path.endswith(".npy"):
            return words_of(np.load(self.path, mmap_mode="r"))
        table = pq.read_table(self.path, columns=[self.column, *([self.second] if self.second else [])])
        words = words_of(table.column(self.column))
        if self.second is None:
            return words
        looks = table.column(self.second)
        if looks.null_count:
            looks = pc.fill_null(looks, pa.scalar(bytes(looks.type.byte_width), looks.type))
        return np.column_stack([words, words_of(looks)])


@dataclass(frozen=True)
class Layout:
    """What all tasks of one search share. ``threads`` 0 takes all cores; pairs may take ``memory`` bytes, 0 any."""

    folder: str
    parts: int
    words: int
    rule: Rule
    plan: Plan
    spanning: bool = False
    threads: int = 0
    memory: int = 0

    def part_of(self, band: Band, rows: Words) -> NDArray[np.uint16]:
        """The part in which each row lives."""
        return (keys_of(band, rows) * self.parts >> band.width).astype(np.uint16)

    def deal(self, kind: str, to: NDArray[np.uint16], name: str, rows: Words, places: Index, chosen: Index) -> None:
        """Writes ``rows[chosen]`` with their places, each to the part that ``to`` names, as pieces of that name."""
        for part, group in _grouped(to, chosen):
            folder = Path(self.folder) / kind / f"{part:05d}"
            folder.mkdir(parents=True, exist_ok=True)
            piece = np.empty(len(group), _piece(self.words))
            piece["hash"], piece["place"] = rows[group], places[group]
            temporary = folder / f".tmp-{name}"
            with temporary.open("wb") as file:
                np.save(file, piece)
            temporary.rename(folder / f"{name}.npy")

    def take(self, kind: str, part: int) -> tuple[Words, Index]:
        """All rows of a part and their places, in the order of the pieces' names."""
        paths = sorted((Path(self.folder) / kind / f"{part:05d}").glob("*.npy"))
        pieces = [np.load(path, mmap_mode="r") for path in paths]
        total = sum(map(len, pieces))
        rows, places = np.empty((total, self.words), np.uint64), np.empty(total, np.uint32)
        at = 0
        for piece in pieces:
            rows[at : at + len(piece)], places[at : at + len(piece)] = piece["hash"], piece["place"]
            at += len(piece)
        return rows, places

    def write_pairs(self, name: str, pairs: pa.Table) -> str:
        """Writes pairs, sorted, and returns the file."""
        folder = Path(self.folder) / "pairs"
        folder.mkdir(parents=True, exist_ok=True)
        path, temporary = folder / f"{name}.parquet", folder / f".tmp-{name}"
        pq.write_table(pairs, temporary)
        temporary.rename(path)
        return str(path)


def keys_of(band: Band, rows: Words) -> NDArray[np.int64]:
    """The band's bits of each row."""
    return ((rows[:, band.word] >> np.uint64(band.shift)) & np.uint64(band.mask)).astype(np.int64)


def _grouped(part: NDArray[np.uint16], value: Index) -> Iterator[tuple[int, Index]]:
    order = np.argsort(part, kind="stable")  # of 16-bit numbers: two passes
    ordered = part[order].astype(np.int32)
    bounds = np.flatnonzero(np.diff(ordered, prepend=-1, append=-1))
    for begin, end in pairwise(bounds):
        yield int(ordered[begin]), value[order[begin:end]]


def _piece(words: int) -> np.dtype[np.void]:
    return np.dtype([("hash", np.uint64, (words,)), ("place", np.uint32)])
