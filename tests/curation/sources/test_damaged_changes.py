"""A changed and damaged file is reported, what was planned of it stays, and once it is whole all is done."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from curation.core.job import Outcome
from curation.core.store import Store
from curation.sources.discover import open_source
from curation.sources.planner import plan
from schemas.ids import shard_name
from schemas.recipe import Source
from schemas.records import GoneRow, SourceRow
from tests.support.sources import Item, items, write_parquet

ROWS = 4000


def _parquet(path: Path, rows: list[Item]) -> None:
    write_parquet(path, rows, group=1000)


def _zipped(path: Path, rows: list[Item]) -> None:
    # Hashes do not compress: what stands in front of a cut is more than one batch.
    lines = (f"{r.url}\t{r.text} {hashlib.sha256((r.url or '').encode()).hexdigest()}\n" for r in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


def _overwritten(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + b"\x55" * 4000 + data[at + 4000 :]


FILES: dict[str, tuple[Callable[[Path, list[Item]], None], Callable[[bytes], bytes]]] = {
    "a.parquet": (_parquet, _overwritten),
    "a.tsv.gz": (_zipped, lambda data: data[: len(data) * 3 // 4]),
}


def run(root: Path, source: Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    plan(Store(str(root)), open_source([str(source)]), Source(shard_rows=1000), outcomes.append)
    return outcomes


def tables(root: Path) -> dict[str, str]:
    found = sorted((root / "tables").rglob("*.parquet"))
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_change_loses_nothing_and_is_told(name: str, tmp_path: Path) -> None:
    write, damage = FILES[name]
    source, root, straight = tmp_path / "source", tmp_path / "root", tmp_path / "straight"
    changed = [*items(100, 10_000), *items(ROWS)[:3500], *items(400, 20_000)]

    write(source / name, items(ROWS))
    write_parquet(source / "b.parquet", items(10, 30_000))
    run(root, source)
    shutil.copytree(root, straight)
    before = tables(root)

    write(source / name, changed)
    whole = (source / name).read_bytes()
    (source / name).write_bytes(damage(whole))
    write_parquet(source / "b.parquet", items(13, 30_000))
    outcomes = run(root, source)

    failed = shard_name(name, ROWS // 1000)
    assert [o.shard for o in outcomes if o.status == "failed"] == [failed]
    assert Store(str(root)).failures(SourceRow.table).keys() == {failed}
    stem = failed.rpartition("-")[0]
    assert {n: sha for n, sha in tables(root).items() if stem in n} == {n: s for n, s in before.items() if stem in n}
    assert not Store(str(root)).shards(GoneRow.table)
    # The other file's new rows are planned.
    assert Store(str(root)).read_table(SourceRow, shard_name("b.parquet", 1)).num_rows == 3

    (source / name).write_bytes(whole)
    assert [o for o in run(root, source) if o.status == "failed"] == []
    run(straight, source)
    assert tables(root) == tables(straight)
    assert Store(str(root)).failures(SourceRow.table) == {}


def test_a_file_that_is_restored_as_it_was_has_not_failed_any_more(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    write_parquet(source / "b.parquet", items(10, 30_000))
    _parquet(source / "a.parquet", items(ROWS))
    kept = shutil.copy2(source / "a.parquet", tmp_path / "kept")
    run(root, source)
    data = (source / "a.parquet").read_bytes()
    (source / "a.parquet").write_bytes(_overwritten(data))
    os.utime(source / "a.parquet", ns=(1, 1))
    assert [o.status for o in run(root, source)].count("failed") == 1
    shutil.copy2(kept, source / "a.parquet")
    assert {o.status for o in run(root, source)} == {"skipped"}
    assert Store(str(root)).failures(SourceRow.table) == {}
