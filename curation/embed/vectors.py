"""All embeddings of a root as one array on disk: float16 rows in the order of shards, mapped into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.core.errors import StoreError
from curation.core.store import Store
from schemas.arrays import Array, Chunked, whole
from schemas.embed import Embedding

Half = NDArray[np.float16]


@dataclass(frozen=True)
class Vectors:
    """Rows of unit length with the samples that they are of; ``shards`` are (name, first row, rows)."""

    rows: Half
    ids: Array
    shards: tuple[tuple[str, int, int], ...]

    def block(self, at: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Some rows as float32, of unit length again."""
        return unit(self.rows[at])


def unit(rows: Half) -> NDArray[np.float32]:
    """Rows as float32, of unit length."""
    found: NDArray[np.float32] = np.array(rows, np.float32)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-12))
    return found


def shard_vectors(store: Store, shard: str) -> tuple[Half, Chunked]:
    """The embeddings of a shard, (n, width), and their sample_ids. Raises ``StoreError`` for rows of several widths."""
    table = store.read_table(Embedding, shard, ["sample_id", "vector"])
    vectors = [v or b"" for v in table["vector"].to_pylist()]
    if len({len(v) for v in vectors}) > 1:
        raise StoreError(
            f"{store.path(store.table_file(Embedding.table, shard))} has embeddings of several widths; "
            f"{store.how_to_redo(Embedding.table, shard)} and run again to redo it"
        )
    width = len(vectors[0]) // 2 if vectors else 0
    return np.frombuffer(b"".join(vectors), "<f2").reshape(len(vectors), width), table["sample_id"]


@contextmanager
def all_vectors(store: Store, shards: Sequence[str] | None = None) -> Iterator[Vectors]:
    """The embeddings of all finished shards, or of these, in a temporary file of 2 bytes a number.

    Raises ``StoreError`` where shards have other widths: two models made them.
    """
    names = sorted(store.shards(Embedding.table)) if shards is None else list(shards)
    ids: list[Chunked] = []
    places: list[tuple[str, int, int]] = []
    width = count = 0
    with tempfile.TemporaryDirectory(prefix="lapidary-") as folder:
        path = Path(folder) / "vectors.f16"
        with path.open("wb") as file:
            for shard in names:
                rows, own = shard_vectors(store, shard)
                if len(rows) and width not in (0, rows.shape[1]):
                    raise StoreError(
                        f"shard {shard} has embeddings of width {rows.shape[1]}, others of {width}: two models made "
                        "them; run again, so that all are made by one"
                    )
                width = rows.shape[1] or width
                rows.tofile(file)
                ids.append(own)
                places.append((shard, count, len(rows)))
                count += len(rows)
        mapped: Half = np.zeros((0, width), np.float16)
        if count:
            mapped = np.memmap(path, np.float16, "r", shape=(count, width))
        joined = pa.chunked_array([c for a in ids for c in a.chunks] or [pa.array([], pa.string())])
        yield Vectors(mapped, whole(joined), tuple(places))
