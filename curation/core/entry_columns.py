"""How entries stand in columns.

Sums are kept as bytes, and of a path only what is not the shard's name, so that most paths of a table are one:

    shard        string, sorted
    reads        which files were read, as JSON: [[path, sum or null], …]; ``\\0`` in a path stands for the shard's name
    read_sums    the sums that are null in ``reads``, 32 bytes each, in its order
    writes, write_sums    the same of the files that were written
    digest, worker, rows_in, rows_out, bytes_out, seconds, undecided    as in ``ShardEntry``
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from schemas.arrays import Array
from schemas.manifest import ShardEntry

_NAMES = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "shard": pa.string(),
        "digest": _NAMES,
        "reads": _NAMES,
        "read_sums": pa.large_binary(),
        "writes": _NAMES,
        "write_sums": pa.large_binary(),
        "rows_in": pa.int64(),
        "rows_out": pa.int64(),
        "bytes_out": pa.int64(),
        "seconds": pa.float64(),
        "worker": _NAMES,
        "undecided": pa.int64(),
    }
)
PLAIN = ("digest", "rows_in", "rows_out", "bytes_out", "seconds", "worker", "undecided")
SUM = 32  # bytes


def own(table: str) -> str:
    """The path of a shard of a table, as ``reads`` has it."""
    return f"tables/{table}/\0.parquet"


def rows_of(entries: Sequence[ShardEntry]) -> pa.Table:
    """The entries as columns of ``SCHEMA``, in their order."""
    reads = [kind_of(entry.reads, entry.shard) for entry in entries]
    writes = [kind_of(entry.writes, entry.shard) for entry in entries]
    columns: dict[str, list[Any]] = {
        "shard": [entry.shard for entry in entries],
        "reads": [kind for kind, _ in reads],
        "read_sums": [sums for _, sums in reads],
        "writes": [kind for kind, _ in writes],
        "write_sums": [sums for _, sums in writes],
        **{name: [getattr(entry, name) for entry in entries] for name in PLAIN},
    }
    return pa.table({f.name: _column(columns[f.name], f.type) for f in SCHEMA}, SCHEMA)


def _column(values: list[Any], kind: pa.DataType) -> Array:
    return pa.array(values, pa.string()).dictionary_encode() if kind == _NAMES else pa.array(values, kind)


def kind_of(files: Mapping[str, str], shard: str) -> tuple[str, bytes]:
    """What files of an entry have in common with those of others, and their sums."""
    kind: list[tuple[str, str | None]] = []
    sums = []
    for path, value in sorted((_unnamed(path, shard), value) for path, value in files.items()):
        data = _sum(value)
        kind.append((path, value if data is None else None))
        sums.append(data or b"")
    return json.dumps(kind), b"".join(sums)


def _unnamed(path: str, shard: str) -> str:
    """The path with ``\0`` for the shard's name where its file begins with it: a short name may stand elsewhere too."""
    folder, slash, file = path.rpartition("/")
    return f"{folder}{slash}\0{file.removeprefix(shard)}" if file.startswith(f"{shard}.") else path


def _sum(value: str) -> bytes | None:
    """The bytes of a sha256; None for what is none, such as the fingerprint of a source."""
    if len(value) != 2 * SUM:
        return None
    try:
        data = bytes.fromhex(value)
    except ValueError:
        return None
    return data if data.hex() == value else None


@lru_cache(maxsize=1 << 14)
def parsed(kind: str) -> tuple[tuple[str, str | None], ...]:
    """The paths of a value of ``reads`` or ``writes``, each with its sum or None."""
    return tuple((path, value) for path, value in json.loads(kind))


def files_of(kind: str, sums: bytes, shard: str) -> dict[str, str]:
    """The files of one entry with their sums, as the entry has them."""
    found, at = {}, 0
    for path, value in parsed(kind):
        if value is None:
            value, at = sums[at : at + SUM].hex(), at + SUM
        found[path.replace("\0", shard)] = value
    return dict(sorted(found.items()))
