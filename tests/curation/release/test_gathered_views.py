"""Views over gathered rows say what those over the tables say, and a grown root is packed by its new shards."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from curation.catalog import connect
from curation.core.gathered import FOLDER
from curation.core.gathered_tables import gather, parts_of
from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.release import placing
from schemas.captions import CaptionCheck
from schemas.records import Duplicate, ImageRow, Placement, Released, SourceRow
from tests.support.release_steps import pack_reduce
from tests.support.roots import Row, World, add_shard, every_ending, make_world, release

SHARDS = 70
RECORDS = (SourceRow, ImageRow, Duplicate, CaptionCheck, Placement, Released)
VIEWS = (*(record.table for record in RECORDS), "samples", "funnel")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A root of many small shards that are gathered, and one more that is not."""
    found = make_world(str(tmp_path / "root"), shards=[every_ending(1), *[[Row()]] * (SHARDS - 1)])
    release(found)
    gather(found.store, RECORDS)
    add_shard(found, "later.parquet", [Row(), Row("gone")])
    return found


def rows_of(world: World, *, lasting: bool) -> dict[str, list[str]]:
    with connect(world.store.url, lasting=lasting) as views:
        return {view: sorted(map(str, views.execute(f"FROM {view}").fetchall())) for view in VIEWS}


def apart(store: Store) -> int:
    return len(parts_of(store, SourceRow, store.shards(SourceRow.table))[1])


def test_gathered_rows_are_those_of_the_tables(world: World) -> None:
    assert apart(world.store) == 1
    assert rows_of(world, lasting=False) == rows_of(world, lasting=True)


def test_a_shard_that_was_written_anew_is_read_where_it_stands(world: World) -> None:
    before = rows_of(world, lasting=False)
    shard = world.store.shards(SourceRow.table)[3]
    entry = world.store.entry(SourceRow.table, shard)
    assert entry is not None
    rows = world.store.read_table(SourceRow, shard)
    rows = rows.set_column(rows.column_names.index("alt_text"), "alt_text", [["another text"] * rows.num_rows])
    sha, _ = world.store.write_table(SourceRow, shard, rows)
    world.store.commit(type(entry)(**{n: getattr(entry, n) for n in entry.__slots__} | {"writes": {
        world.store.table_file(SourceRow.table, shard): sha}}))  # fmt: skip
    after = rows_of(world, lasting=False)
    assert apart(world.store) == 2 and after != before and after == rows_of(world, lasting=True)


def test_a_shard_that_is_gone_is_in_no_view(world: World) -> None:
    world.store.retire(SourceRow.table, world.store.shards(SourceRow.table)[5])
    assert rows_of(world, lasting=False) == rows_of(world, lasting=True)


def test_a_damaged_table_is_not_gathered(world: World) -> None:
    shutil.rmtree(world.store.path(FOLDER))
    shard = world.store.shards(SourceRow.table)[0]
    file = Path(world.store.path(world.store.table_file(SourceRow.table, shard)))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    gather(world.store, RECORDS)
    assert parts_of(world.store, SourceRow, world.store.shards(SourceRow.table))[1] == {shard}


def test_a_root_that_grows_writes_and_compares_its_new_placements_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in Path(world.store.path("tables/placements")).iterdir()}
    made: list[str] = []
    fingerprint = placing.fingerprint

    def noted(ids: Sequence[str]) -> str:
        made.extend(ids)
        return fingerprint(ids)

    monkeypatch.setattr("curation.release.pack_stage.fingerprint", noted)
    totals = run_reduce(world.store, pack_reduce(world.recipe), lambda _: None)
    assert (totals.done, totals.skipped, len(made)) == (1, len(before), 1)
    after = {p.name: p.stat().st_mtime_ns for p in Path(world.store.path("tables/placements")).iterdir()}
    assert before.items() <= after.items() and len(after) == len(before) + 1
    assert len(rows_of(world, lasting=False)[Placement.table]) == len(rows_of(world, lasting=True)[Placement.table])
