"""A run: a file of hashes that is sorted in four ways, so that it can be asked without being read.

Format 1 is an Arrow IPC file with one record batch, uncompressed, so that it is mapped as it lies (Parquet
would have to be decoded). Its rows are (hash, id), sorted by both and without equal ones. Columns:

    hash     uint64                 the hashes
    id       fixed_size_binary[16]  what they belong to, e.g. a sample_id
    key16    uint64, sorted         the hashes rotated left by 16 bits; likewise key32 and key48
    row16    uint32                 the row of each key16; likewise row32 and row48

60 bytes a hash. The first w bits of a rotated hash are any w bits from 0, 16, 32 or 48 on, so the
hashes that agree in such a band lie together in one of the four orders.
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

from curation.dedupe.bands import MAX_DISTANCE, Band
from curation.dedupe.index_kernels import ask
from curation.dedupe.kernels import Index, Words
from curation.errors import StoreError

FORMAT = b"1"
ID_BYTES = 16
_TURNS = (0, 16, 32, 48)
_BUFFER = 1 << 16
# Nanoseconds: a step of a search that waits for memory, a comparison, one band's share of a call.
_STEP, _COMPARE = 15.0, 0.3

SCHEMA = pa.schema(
    [("hash", pa.uint64()), ("id", pa.binary(ID_BYTES))]
    + [(f"{name}{turn}", kind) for turn in _TURNS[1:] for name, kind in (("key", pa.uint64()), ("row", pa.uint32()))],
    metadata={"lapidary.run": FORMAT},
)


@dataclass(frozen=True)
class Run:
    """A mapped run. ``keys[b]`` and ``rows[b]`` are its order by the hash rotated by 16 * b bits."""

    keys: tuple[Words, ...]
    rows: tuple[Index | None, ...]
    ids: pa.Array

    def __len__(self) -> int:
        return len(self.keys[0])

    @property
    def hashes(self) -> Words:
        """Sorted."""
        return self.keys[0]

    def near(
        self, queries: Words, distance: int, threads: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """(queries, rows) of all that are within ``distance``, in parts of any order."""
        bands = _bands(len(self).bit_length(), distance)
        array = np.array([(b.shift, b.mask, b.radius) for b in bands], np.int64)
        step = max(1, -(-len(queries) // (threads * 8)))
        spans = [(s, min(s + step, len(queries))) for s in range(0, len(queries), step)]
        with ThreadPoolExecutor(threads, thread_name_prefix="index") as pool:
            for index, band in enumerate(bands):
                turn = (64 - band.shift - band.width) // 16
                flips, rows = band.flips(), self.rows[turn]

                def look(
                    span: tuple[int, int], index: int = index, turn: int = turn, flips: NDArray[np.int64] = flips
                ) -> Words:
                    return _ask_all(queries, self.keys[turn], turn * 16, array, index, flips, distance, span)

                for found in pool.map(look, spans):
                    place = (found & np.uint64(0xFFFFFFFF)).astype(np.int64)
                    row = place if rows is None else rows[place].astype(np.int64)
                    yield (found >> np.uint64(32)).astype(np.int64), row


def write_run(path: Path, hashes: Words, ids: pa.Array) -> int:
    """Writes (hash, id) pairs, equal ones once; returns how many there are."""
    batch = pa.record_batch(sorted_columns(hashes, ids), schema=SCHEMA)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_batch(batch)
    return int(batch.num_rows)


def sorted_columns(hashes: Words, ids: pa.Array) -> list[pa.Array]:
    """The columns of a run in the order of ``SCHEMA``."""
    told = np.frombuffer(ids.buffers()[1], ">u8", count=2 * (ids.offset + len(ids)))[2 * ids.offset :].reshape(-1, 2)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    tied = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(tied):
        # Ids matter among equal hashes only, and those are few: sorting everything by three keys takes thrice as long.
        crowd = np.unique(np.concatenate([tied, tied + 1]))
        inner = order[crowd]
        order[crowd] = inner[np.lexsort((told[inner, 1], told[inner, 0], hashes[inner]))]
        fresh = np.ones(len(order), bool)
        same = (told[order[tied]] == told[order[tied + 1]]).all(axis=1)
        fresh[tied[same] + 1] = False
        order = order[fresh]
    own = hashes[order]
    whole = np.ascontiguousarray(told[order])
    columns = [
        pa.array(own),
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(own), [None, pa.py_buffer(whole)]),
    ]
    for turn in _TURNS[1:]:
        turned = (own << np.uint64(turn)) | (own >> np.uint64(64 - turn))
        row = np.argsort(turned, kind="stable").astype(np.uint32)
        columns += [pa.array(turned[row]), pa.array(row)]
    return columns


def open_run(path: Path) -> Run:
    """Maps a run, however large it is. Raises ``StoreError`` for a file that is none."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(os.fspath(path)))
        if (reader.schema.metadata or {}).get(b"lapidary.run") != FORMAT or not reader.schema.equals(SCHEMA):
            raise StoreError(f"{path} is no run of format {FORMAT.decode()}; build the index anew")
        batch = reader.get_batch(0)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise StoreError(f"{path} is damaged ({error}); build the index anew") from error
    keys = [batch.column("hash"), *(batch.column(f"key{turn}") for turn in _TURNS[1:])]
    rows = [batch.column(f"row{turn}").to_numpy() for turn in _TURNS[1:]]
    return Run(tuple(key.to_numpy() for key in keys), (None, *rows), batch.column("id"))


def _ask_all(
    queries: Words, keys: Words, rotation: int, bands: NDArray[np.int64], band: int,
    flips: NDArray[np.int64], distance: int, span: tuple[int, int],
) -> Words:  # fmt: skip
    first, last = span
    parts: list[Words] = []
    size = _BUFFER
    while first < last:
        out = np.empty(size, np.uint64)
        at, count = ask(queries, keys, rotation, bands, band, flips, distance, first, last, out)
        if at == first:
            size *= 4
        parts.append(out[:count].copy())
        first = at
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


@lru_cache(maxsize=256)
def _bands(magnitude: int, distance: int) -> tuple[Band, ...]:
    """The cheapest bands that start at multiples of 16 bits, for a run of about 2^magnitude hashes."""
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"distance is {distance}; Hamming distances from 0 to {MAX_DISTANCE} bits are supported")
    best: tuple[float, tuple[Band, ...]] = (math.inf, ())
    for count in (1, 2, 4):
        if count > distance + 1:
            break
        share, spare = divmod(distance + 1, count)
        radii = [share - 1 + (i < spare) for i in range(count)]
        for width in range(1, min(64 // count, 32) + 1):
            looks = sum(math.comb(width, s) for radius in radii for s in range(min(radius, width) + 1))
            cost = looks * (2 * magnitude * _STEP + _COMPARE * 2.0 ** (magnitude - width))
            if cost < best[0]:
                room = 64 // count
                bands = [Band(0, 64 - i * room - width, width, min(r, width)) for i, r in enumerate(radii)]
                best = (cost, tuple(bands))
    return best[1]
