"""What a computation's memory does not hold goes to a folder, which is gone afterwards."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from curation.core import database
from curation.core.database import scratch_database
from curation.core.errors import StoreError

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
