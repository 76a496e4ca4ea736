"""A run: a file of hashes, sorted in several orders, so that a look-up does not read all of it.

Format 1 is an Arrow IPC file with one record batch, uncompressed, so that it is mapped as it lies (Parquet
would have to be decoded). Its rows are (hash, id), sorted by both and without equal ones. Columns:

    hash     uint64                 the hashes
    id       fixed_size_binary[16]  what they belong to, e.g. a sample_id
    key16    uint64, sorted         the hashes rotated left by 16 bits; likewise key32 and key48
    row16    uint32                 the row of each key16; likewise row32 and row48

60 bytes a hash. The first w bits of a rotated hash are any w bits from 0, 16, 32 or 48 on, so the
hashes that agree in such a band lie together in one of the four orders.

A hash of several words (of 256 bits, say) has each in a column, ``hash``, ``hash1``, ``hash2`` … in the order of
which its rows are sorted. All words but the first have an order as they are, and all have one rotated by 32 bits:
``key32``/``row32``, ``key1_0``/``row1_0``, ``key1_32``/``row1_32`` …; 12 bytes an order.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.core.errors import StoreError
from curation.dedupe.search.bands import MAX_DISTANCE, Band
from curation.dedupe.search.distinct import fixed_array, sort_places, words_in
from curation.dedupe.search.index_kernels import ask
from curation.dedupe.search.kernels import Index, Words
from schemas.arrays import Array

FORMAT = b"1"
ID_BYTES = 16
_TURNS = (0, 16, 32, 48)
_BUFFER = 1 << 16
_LOW = np.uint64(0xFFFFFFFF)
# Nanoseconds: a step of a search that waits for memory, a comparison, one band's share of a call.
_STEP, _COMPARE = 15.0, 0.3


@dataclass(frozen=True)
class Order:
    """Hashes sorted by one word rotated left by ``turn`` bits."""

    word: int
    turn: int

    @property
    def name(self) -> str:
        return f"{self.word}_{self.turn}" if self.word else f"{self.turn}"


@lru_cache(maxsize=16)
def orders(words: int) -> tuple[Order, ...]:
    """The orders of a run of hashes of so many words; the first is that of its rows."""
    return tuple(Order(word, turn) for word in range(words) for turn in (_TURNS if words == 1 else _TURNS[::2]))


def schema(words: int) -> pa.Schema:
    """Columns of a run of hashes of so many words."""
    fields: list[tuple[str, pa.DataType]] = [(name, pa.uint64()) for name in _hash_columns(words)]
    fields.insert(1, ("id", pa.binary(ID_BYTES)))
    for order in orders(words)[1:]:
        fields += [(f"key{order.name}", pa.uint64()), (f"row{order.name}", pa.uint32())]
    return pa.schema(fields, metadata={"lapidary.run": FORMAT})


def _hash_columns(words: int) -> list[str]:
    return ["hash", *(f"hash{word}" for word in range(1, words))]


@dataclass(frozen=True)
class Run:
    """A mapped run. ``columns`` are the words of its hashes, ``keys[k]`` and ``rows[k]`` the k-th of ``orders``."""

    columns: tuple[Words, ...]
    keys: tuple[Words, ...]
    rows: tuple[Index | None, ...]
    ids: Array

    def __len__(self) -> int:
        return len(self.columns[0])

    def hashes(self, rows: NDArray[np.int64] | slice = slice(None)) -> Words:
        """The hashes of these rows, of shape (rows, words)."""
        return np.stack([column[rows] for column in self.columns], axis=1)

    def near(
        self, queries: Words, distance: int, threads: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """(queries, rows) of all that are within ``distance``, in parts of any order; pairs of wide hashes may repeat.

        ``queries`` have the shape (n, words).
        """
        found = orders(len(self.columns))
        bands = _bands(len(self).bit_length(), distance, len(self.columns))
        step = max(1, -(-len(queries) // (threads * 8)))
        spans = [(s, min(s + step, len(queries))) for s in range(0, len(queries), step)]
        with ThreadPoolExecutor(threads, thread_name_prefix="index") as pool:
            for band in bands:
                at = next(
                    k for k, o in enumerate(found) if o.word == band.word and o.turn == 64 - band.shift - band.width
                )
                own = [b for b in bands if b.word == band.word]
                # Sorted as the keys are, so that one look finds in the cache what the look before it brought.
                order = np.argsort(_turned(queries[:, band.word], found[at].turn))
                column = queries[order, band.word]
                array = np.array([(b.shift, b.mask, b.radius) for b in own], np.int64)
                turn, flips = found[at].turn, band.flips()
                look = _Look(column, self.keys[at], turn, array, own.index(band), flips, distance)
                rows = self.rows[at]
                for pairs in pool.map(look, spans):
                    query, place = order[(pairs >> np.uint64(32)).astype(np.int64)], (pairs & _LOW).astype(np.int64)
                    row = place if rows is None else rows[place].astype(np.int64)
                    if len(self.columns) > 1:
                        apart = np.bitwise_count(queries[query] ^ self.hashes(row)).sum(axis=1, dtype=np.int64)
                        query, row = query[apart <= distance], row[apart <= distance]
                    yield query, row


def write_run(path: Path, hashes: Words, ids: Array) -> int:
    """Writes (hash, id) pairs, equal ones once; returns how many there are. ``hashes`` have the shape (n, words)."""
    kind = schema(hashes.shape[1])
    batch = pa.record_batch(sorted_columns(hashes, ids), schema=kind)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, kind) as writer:
        writer.write_batch(batch)
    return int(batch.num_rows)


def sorted_columns(hashes: Words, ids: Array) -> list[Array]:
    """The columns of a run in the order of its schema."""
    id_words = words_in(ids, ">u8")
    order: NDArray[np.int64] = sort_places(hashes).astype(np.int64)
    ordered = hashes[order]
    tied = np.flatnonzero((ordered[1:] == ordered[:-1]).all(axis=1))
    if len(tied):
        # Ids matter among equal hashes only, and those are few: sorting everything by three keys takes thrice as long.
        same = np.unique(np.concatenate([tied, tied + 1]))
        inner = order[same]
        order[same] = inner[np.lexsort((id_words[inner, 1], id_words[inner, 0], *hashes[inner].T[::-1]))]
        fresh = np.ones(len(order), bool)
        same = (id_words[order[tied]] == id_words[order[tied + 1]]).all(axis=1)
        fresh[tied[same] + 1] = False
        order = order[fresh]
    own = hashes[order]
    columns: list[Array] = [pa.array(np.ascontiguousarray(column)) for column in own.T]
    columns.insert(1, fixed_array(id_words[order]))
    for chosen in orders(own.shape[1])[1:]:
        turned = _turned(own[:, chosen.word], chosen.turn)
        row = sort_places(turned[:, np.newaxis])
        columns += [pa.array(turned[row]), pa.array(row)]
    return columns


def _turned(column: Words, turn: int) -> Words:
    if turn == 0:
        return np.ascontiguousarray(column)
    return (column << np.uint64(turn)) | (column >> np.uint64(64 - turn))


def open_run(path: Path, words: int) -> Run:
    """Maps a run of hashes of so many words, however large. Raises ``StoreError`` for a file that is none."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(os.fspath(path)))
        if (reader.schema.metadata or {}).get(b"lapidary.run") != FORMAT or not reader.schema.equals(schema(words)):
            raise StoreError(
                f"{path} is no run of format {FORMAT.decode()} for {64 * words}-bit hashes; build the index anew"
            )
        batch = reader.get_batch(0)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise StoreError(f"{path} is damaged ({error}); build the index anew") from error
    columns = tuple(batch.column(name).to_numpy() for name in _hash_columns(words))
    others = orders(words)[1:]
    keys = [batch.column(f"key{order.name}").to_numpy() for order in others]
    rows = [batch.column(f"row{order.name}").to_numpy() for order in others]
    return Run(columns, (columns[0], *keys), (None, *rows), batch.column("id"))


@dataclass(frozen=True)
class _Look:
    """Looks a span of queries up by one band; gives query << 32 | place."""

    queries: Words
    keys: Words
    rotation: int
    bands: NDArray[np.int64]
    band: int
    flips: NDArray[np.int64]
    distance: int

    def __call__(self, span: tuple[int, int]) -> Words:
        first, last = span
        parts: list[Words] = []
        size = _BUFFER
        while first < last:
            out = np.empty(size, np.uint64)
            at, count = ask(
                self.queries, self.keys, self.rotation, self.bands, self.band, self.flips, self.distance,
                first, last, out,
            )  # fmt: skip
            if at == first:
                size *= 4
            parts.append(out[:count].copy())
            first = at
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)


@lru_cache(maxsize=256)
def _bands(magnitude: int, distance: int, words: int = 1) -> tuple[Band, ...]:
    """The cheapest bands that start where an order does, for a run of about 2^magnitude hashes."""
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"distance is {distance}; Hamming distances from 0 to {MAX_DISTANCE} bits are supported")
    best: tuple[float, tuple[Band, ...]] = (math.inf, ())
    for each in (1, 2, 4) if words == 1 else (1, 2):
        count = min(each * words, distance + 1)
        share, spare = divmod(distance + 1, count)
        radii = [share - 1 + (i < spare) for i in range(count)]
        room = 64 // each
        for width in range(1, min(room, 32) + 1):
            looks = sum(math.comb(width, s) for radius in radii for s in range(min(radius, width) + 1))
            cost = looks * (2 * magnitude * _STEP + _COMPARE * 2.0 ** (magnitude - width))
            if cost < best[0]:
                bands = [
                    Band(i % words, 64 - i // words * room - width, width, min(radius, width))
                    for i, radius in enumerate(radii)
                ]
                best = (cost, tuple(bands))
    return best[1]
