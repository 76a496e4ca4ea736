"""The index of a root's embeddings: made when it is first asked for, then added to as the root grows.

It lies in ``index/embeddings``: a faiss index, the sample_ids of its rows, of a large root the vectors themselves, and
last ``index.json``, which names all of them and the shards that are in it. A writer that is killed leaves the former
index. A takedown removes the folder.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.core.errors import RootError, StoreError
from curation.core.store import Store
from curation.embed.exact import SUFFIX, ExactRows
from curation.embed.vectors import all_vectors
from schemas.arrays import Array, strings, whole
from schemas.embed import Embedding

FOLDER = "index/embeddings"
FLAT = 200_000
"""Rows up to which every one is compared; above, those of the nearest lists by product quantisation (IVF-PQ), and of
these the likest by their vectors."""
_META = f"{FOLDER}/index.json"
_VERSION = 2
_BYTES = 64  # of a row's code; a divisor of the width, or less
_PROBED = 32
_COMPARED = 400  # of the likest by their codes: codes alone find six of the ten likest among the first 24, so many all
_TRAINED = 64  # rows for each list
_BLOCK = 16_384
_GROWN = 4  # an index is trained anew when it has so many times the rows that it was trained on


@dataclass(frozen=True)
class Hit:
    """A sample that was found, and its cosine."""

    sample_id: str
    cosine: float


@dataclass
class SearchIndex:
    """An opened index. ``shards`` are the embeddings' shards in it, each with the sha256 of its file.

    ``exact`` are the vectors of its rows, where its own cosines are estimates.
    """

    faiss: Any
    ids: Array
    shards: dict[str, str]
    trained: int
    width: int
    exact: ExactRows | None = None
    made: bool = False

    def search(self, query: NDArray[np.float32], most: int) -> list[Hit]:
        """The samples that are most like a vector of unit length, (width,), the likest first."""
        if not self.faiss.ntotal:
            return []
        asked = np.ascontiguousarray(query.reshape(1, -1), np.float32)
        (cosines,), (rows,) = self.faiss.search(asked, most if self.exact is None else max(_COMPARED, 4 * most))
        cosines, rows = cosines[rows >= 0], rows[rows >= 0]
        if self.exact is not None:
            rows = np.sort(rows)  # in the order of their places in the files
            cosines = self.exact.cosines(rows, asked[0])
            best = np.argsort(-cosines, kind="stable")[:most]
            cosines, rows = cosines[best], rows[best]
        found = zip(rows.tolist(), cosines.tolist(), strict=True)
        return [Hit(str(self.ids[row].as_py()), cosine) for row, cosine in found]


def open_index(store: Store, *, flat: int = FLAT) -> SearchIndex:
    """The index of all embeddings that the root has now; shards that came since are added, and it is written.

    Raises ``RootError`` where the root has no embeddings.
    """
    there = _shas(store)
    if not there:
        raise RootError(
            f"{store.url} has no embeddings; name a CLIP-like checkpoint in embed.model and run the root again: it "
            "reads the stored pictures, and fetches nothing"
        )
    found = _read(store)
    if found is not None and found.shards == there:
        return found
    if found is None or not _grows(found, there, flat):
        found = _made(store, there, flat)
    else:
        _add(found, store, [s for s in there if s not in found.shards])
        found.shards = there
    found.made = True
    _write(store, found)
    return found


def _shas(store: Store) -> dict[str, str]:
    """The finished shards of embeddings, each with the sha256 of its file."""
    entries = store.entries(Embedding.table)
    return {shard: entries[shard].writes[store.table_file(Embedding.table, shard)] for shard in sorted(entries)}


def _grows(found: SearchIndex, there: dict[str, str], flat: int) -> bool:
    """Whether the index can take what has come, without what it holds having changed."""
    stands = found.shards.items() <= there.items()
    return (
        stands
        and (found.trained == 0 or found.faiss.ntotal < _GROWN * found.trained)
        and (found.trained > 0 or found.faiss.ntotal <= flat)
    )


def _made(store: Store, there: dict[str, str], flat: int) -> SearchIndex:
    import faiss

    with all_vectors(store, list(there)) as vectors:
        count, width = vectors.rows.shape
        if count <= flat:
            index: Any = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        else:
            lists = max(1, int(2 * np.sqrt(count)))
            index = faiss.IndexIVFPQ(
                faiss.IndexFlatIP(width), width, lists, _code_bytes(width), 8, faiss.METRIC_INNER_PRODUCT
            )
            index.cp.seed, index.cp.niter, index.cp.max_points_per_centroid = 0, 10, _TRAINED
            rng = np.random.default_rng(0)
            index.train(vectors.block(np.sort(rng.choice(count, min(count, lists * _TRAINED), replace=False))))
        for at in range(0, count, _BLOCK):
            index.add(vectors.block(slice(at, at + _BLOCK)))
        if count <= flat:
            return SearchIndex(index, vectors.ids, there, 0, width)
        exact = ExactRows(store, FOLDER, width).added(vectors)
        return _probing(SearchIndex(index, vectors.ids, there, count, width, exact))


def _code_bytes(width: int) -> int:
    return next(n for n in range(min(_BYTES, width), 0, -1) if width % n == 0)


def _probing(found: SearchIndex) -> SearchIndex:
    if found.trained:
        found.faiss.nprobe = _PROBED
    return found


def _add(found: SearchIndex, store: Store, shards: Sequence[str]) -> None:
    with all_vectors(store, shards) as vectors:
        if len(vectors.rows) and vectors.rows.shape[1] != found.width:
            raise StoreError(
                f"new embeddings have width {vectors.rows.shape[1]}, those of the index {found.width}: two models made "
                f"them; run the root again, and remove {FOLDER}"
            )
        for at in range(0, len(vectors.rows), _BLOCK):
            found.faiss.add(vectors.block(slice(at, at + _BLOCK)))
        found.ids = pa.concat_arrays([found.ids, vectors.ids])
        if found.exact is not None and len(vectors.rows):
            found.exact = found.exact.added(vectors)


def _read(store: Store) -> SearchIndex | None:
    """The index that was written; None where there is none, or it is damaged."""
    import faiss

    try:
        known = json.loads(store.read(_META)) if store.exists(_META) else None
        if known is None or known["version"] != _VERSION:
            return None
        data, ids = (store.read(f"{FOLDER}/{known[name]}") for name in ("index", "ids"))
        if _named(data, "faiss") != known["index"] or _named(ids, "parquet") != known["ids"]:
            return None
        index = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        column = whole(pq.read_table(io.BytesIO(ids))["sample_id"])
        trained = int(known["trained"])
        parts = tuple((str(name), int(rows)) for name, rows in known["rows"])
        exact = ExactRows(store, FOLDER, index.d, parts) if trained else None
        if len(column) != index.ntotal or (exact is not None and not (len(exact) == index.ntotal and exact.stands)):
            return None
        return _probing(SearchIndex(index, column, known["shards"], trained, index.d, exact))
    except (StoreError, ValueError, KeyError, TypeError, RuntimeError, pa.ArrowException):
        return None


def _write(store: Store, found: SearchIndex) -> None:
    import faiss

    data = faiss.serialize_index(found.faiss).tobytes()
    sink = io.BytesIO()
    pq.write_table(pa.table({"sample_id": found.ids}), sink)
    names = {"index": _named(data, "faiss"), "ids": _named(sink.getvalue(), "parquet")}
    store.write(f"{FOLDER}/{names['index']}", data)
    store.write(f"{FOLDER}/{names['ids']}", sink.getvalue())
    rows = found.exact.parts if found.exact is not None else ()
    known = {"version": _VERSION, **names, "rows": rows, "trained": found.trained, "shards": found.shards}
    store.write(_META, json.dumps(known, sort_keys=True).encode())
    kept = {*names.values(), *(name for name, _ in rows)}
    for suffix in (".faiss", ".parquet", SUFFIX):
        for stale in store.names(FOLDER, suffix):
            if stale not in kept:
                store.remove(f"{FOLDER}/{stale}")


def _named(data: bytes, suffix: str) -> str:
    """A name by content: what was written half is not taken for whole."""
    return f"{hashlib.sha256(data).hexdigest()[:32]}.{suffix}"


def ids_in(found: SearchIndex) -> list[str]:
    """The samples of the index, in the order of its rows."""
    return strings(found.ids)
