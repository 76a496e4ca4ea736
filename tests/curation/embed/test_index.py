"""An index of many vectors: what it finds, of how many rows it reads the vectors, and how it grows and is mended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from curation.core.store import Store
from curation.embed.index import FOLDER, SearchIndex, ids_in, open_index
from curation.embed.vectors import Vectors
from schemas.arrow import schema_of
from schemas.embed import Embedding
from schemas.manifest import ShardEntry
from tests.support.vectors import drawn

COUNT, WIDTH, FLAT = 6000, 32, 1000


def add(store: Store, shard: str, vectors: Vectors) -> None:
    """A finished shard of embeddings."""
    rows = [row.tobytes() for row in vectors.rows]
    found = {"sample_id": vectors.ids, "vector": rows, "model": ["by hand"] * len(rows)}
    sha, size = store.write_table(Embedding, shard, pa.table(found, schema=schema_of(Embedding)))
    count, files = len(vectors.rows), {store.table_file(Embedding.table, shard): sha}
    store.commit(ShardEntry(Embedding.table, shard, "by hand", {}, files, count, count, size, 0.0, "local"))


def part(vectors: Vectors, first: int, last: int) -> Vectors:
    return Vectors(vectors.rows[first:last], vectors.ids[first:last], (("part", 0, last - first),))


@pytest.fixture
def vectors() -> Vectors:
    return drawn(COUNT, WIDTH)


@pytest.fixture
def store(vectors: Vectors, tmp_path: Path) -> Store:
    return filled(str(tmp_path / "root"), vectors)


def filled(url: str, vectors: Vectors) -> Store:
    made = Store(url)
    add(made, "a", part(vectors, 0, COUNT // 2))
    add(made, "b", part(vectors, COUNT // 2, COUNT))
    return made


def share_of_the_likest(index: SearchIndex, rows: NDArray[np.float32], asked: range) -> float:
    """How many of the ten likest are among the first 24, on average."""
    numbers = np.array([int(sample, 16) for sample in ids_in(index)])
    shares = []
    for at in asked:
        likest = np.argsort(-(rows[numbers] @ rows[at]))[:10]
        found = [int(hit.sample_id, 16) for hit in index.search(rows[at], 24)]
        shares.append(np.isin(numbers[likest], found).mean())
    return float(np.mean(shares))


@pytest.mark.parametrize("place", ["{folder}/root", "memory://{folder}/root"], ids=["disk", "object store"])
def test_the_likest_are_found_with_their_cosines(vectors: Vectors, place: str, tmp_path: Path) -> None:
    store = filled(place.format(folder=tmp_path), vectors)
    rows, index = vectors.block(slice(None)), open_index(store, flat=FLAT)
    assert index.trained == COUNT and share_of_the_likest(index, rows, range(0, COUNT, 600)) >= 0.9
    for at in range(0, COUNT, 600):
        hits = index.search(rows[at], 24)
        wanted = np.array([rows[int(hit.sample_id, 16)] @ rows[at] for hit in hits])
        assert np.allclose([hit.cosine for hit in hits], wanted, atol=1e-5)
        assert (np.diff(wanted) <= 1e-5).all() and hits[0].sample_id == f"{at:032x}"
    assert not open_index(store, flat=FLAT).made


def test_of_few_rows_the_vectors_are_read(vectors: Vectors, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    open_index(store, flat=FLAT)
    opened, read = open_index(store, flat=FLAT), []
    assert not opened.made
    ranges = Store.read_ranges
    monkeypatch.setattr(Store, "read_ranges", lambda s, name, at: read.extend(at) or ranges(s, name, at))
    assert len(opened.search(vectors.block(slice(0, 1))[0], 24)) == 24
    assert 24 <= len(read) <= 400 and len(set(read)) == len(read)


def test_what_comes_later_is_found_and_nothing_is_written_twice(vectors: Vectors, tmp_path: Path) -> None:
    store, rows = Store(str(tmp_path / "root")), vectors.block(slice(None))
    add(store, "a", part(vectors, 0, COUNT // 2))
    before = open_index(store, flat=FLAT)
    add(store, "b", part(vectors, COUNT // 2, COUNT))
    grown = open_index(store, flat=FLAT)
    assert before.exact is not None and grown.exact is not None
    assert grown.trained == COUNT // 2 and grown.exact.parts[:1] == before.exact.parts and len(grown.exact) == COUNT
    assert sorted(store.names(FOLDER, ".f16")) == sorted(name for name, _ in grown.exact.parts)
    assert share_of_the_likest(grown, rows, range(100, COUNT, 600)) >= 0.9
    assert grown.search(rows[-1], 1)[0].sample_id == f"{COUNT - 1:032x}"


@pytest.mark.parametrize("harm", ["missing", "short"])
def test_an_index_without_its_vectors_is_made_anew(vectors: Vectors, store: Store, harm: str) -> None:
    open_index(store, flat=FLAT)
    (name,) = store.names(FOLDER, ".f16")
    path = Path(store.path(f"{FOLDER}/{name}"))
    path.unlink() if harm == "missing" else path.write_bytes(path.read_bytes()[:-1])
    mended = open_index(store, flat=FLAT)
    assert mended.made and path.stat().st_size == 2 * WIDTH * COUNT
    row = vectors.block(slice(7, 8))[0]
    assert mended.search(row, 1)[0].sample_id == f"{7:032x}"
