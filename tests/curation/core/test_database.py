"""What a computation's memory does not hold goes to a folder, which is gone afterwards; and object stores are read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from curation.core import database
from curation.core.database import let_read, scratch_database
from curation.core.errors import StoreError
from curation.core.store import Store
from flows.diff import main as diff
from tests.support.object_store import bucket

__all__ = ["bucket"]

SORTED = "CREATE TABLE sorted AS SELECT sha256(n::VARCHAR) AS text FROM range({}) t(n) ORDER BY text"


def test_what_memory_does_not_hold_is_spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_OF_A_THREAD", 32)
    folder = tmp_path / "what? ever" / "spilled"
    with scratch_database("sort", folder) as made:
        made.execute(SORTED.format(1_500_000))  # 100 MB
        assert list(folder.iterdir())
        assert made.execute("SELECT count(DISTINCT text) FROM sorted").fetchone() == (1_500_000,)
    assert not folder.exists()


@pytest.mark.parametrize("folder", ["spilled", None])
def test_no_room_is_said_with_the_place(folder: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    room = f"free space in {tmp_path}{'' if folder else ' or set TMPDIR'}$"
    with (
        pytest.raises(StoreError, match=f"^cannot sort: Out of Memory Error: .*; {room}"),
        scratch_database("sort", tmp_path / folder if folder else None) as made,
    ):
        made.execute("SET max_temp_directory_size = '1MB'; SET memory_limit = '16MB'")
        made.execute(SORTED.format(1_000_000))
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_otherwise_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(duckdb.IOException, match="missing"), scratch_database("read") as made:
        made.execute(f"FROM '{tmp_path}/missing.parquet'")


def _write(store: Store, name: str, **columns: Sequence[object]) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    store.write(name, sink.getvalue())


def test_a_query_asks_an_object_store_for_bytes_alone(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = Store(f"{bucket}/root"), list[str]()
    for shard in range(4):
        _write(store, f"tables/rows/{shard}.parquet", row=[shard, 10])
    ask = s3fs.S3FileSystem._call_s3

    async def noted(self: Any, method: str, *words: Any, **options: Any) -> Any:
        asked.append(method)
        return await ask(self, method, *words, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", noted)
    with duckdb.connect() as made:
        let_read(made, store)
        made.execute(f"CREATE VIEW rows AS FROM '{bucket}/root/tables/rows/*.parquet'")
        asked.clear()
        assert made.execute("SELECT sum(row) FROM rows").fetchone() == (46,)
    assert asked and set(asked) == {"get_object"}


def test_stores_of_one_kind_are_read_and_compared_together(
    bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [f"{bucket}/old", f"{bucket}/new", str(tmp_path)]
    for held, place in enumerate(places):
        ids = [f"sample {n}" for n in range(2 + held)]
        _write(Store(place), "metadata/train-000000.parquet", sample_id=ids, caption=ids, captions=ids, sha256=ids)
        Store(place).write("SHA256SUMS", b"")
    for old, new in ((places[0], places[1]), (places[1], places[2])):
        assert diff([old, new]) == 0
        assert "1 sample added" in capsys.readouterr().out
