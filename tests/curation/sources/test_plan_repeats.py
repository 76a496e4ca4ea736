"""The first says it, the later ones repeat it; what was decided stays decided."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.core import database
from curation.core.errors import StoreError
from curation.core.job import Outcome
from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.sources import repeats_stage as repeats
from curation.sources.discover import open_source
from curation.sources.planner import plan
from curation.sources.repeats_stage import RepeatReduce
from schemas.arrow import Record, rows_of, schema_of
from schemas.reasons import Reason
from schemas.recipe import Source
from schemas.records import Repeat, SourceRow
from tests.support.sources import Item, items, write_parquet

RECIPE = Source(shard_rows=7, min_side=200)


def decide(root: Path, source: Path, most: int = 2) -> dict[str, list[Repeat]]:
    """Plans, looks for repeats, and returns them by shard in source order."""
    store = Store(str(root))
    outcomes: list[Outcome] = []
    names = plan(store, open_source([str(source)]), RECIPE, outcomes.append)
    totals = run_reduce(store, RepeatReduce(most), outcomes.append)
    assert not totals.failed
    return {n: list(rows_of(Repeat, store.read_table(Repeat, n))) for n in names}


def found(root: Path, source: Path, most: int = 2) -> list[tuple[str, int, Reason]]:
    return [(r.source_file, r.source_row, r.reason) for rows in decide(root, source, most).values() for r in rows]


def files(root: Path) -> dict[str, str]:
    paths = sorted((root / "tables" / "repeats").iterdir())
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def same(url: int, text: str, width: int = 640) -> Item:
    return Item(f"http://a/{url}", text, width)


def expected(rows: Sequence[SourceRow], most: int) -> list[tuple[str, int, Reason]]:
    """The definition, row by row."""
    seen: set[str] = set()
    texts: Counter[str] = Counter()
    repeated = []
    for row in rows:
        if row.reason is not None:
            continue
        if row.sample_id in seen:
            repeated.append((row.source_file, row.source_row, Reason.REPEATED_ROW))
            continue
        seen.add(row.sample_id)
        if row.alt_text.strip() and most:
            texts[row.alt_text] += 1
            if texts[row.alt_text] > most:
                repeated.append((row.source_file, row.source_row, Reason.REPEATED_TEXT))
    return repeated


def test_the_first_of_equal_rows_goes_on_and_the_others_name_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_parquet(source / "a.parquet", [*items(10), items(10)[3]])
    write_parquet(source / "b.parquet", [items(10)[3], *items(3, 20)])
    decided = decide(tmp_path / "root", source)
    repeats = [r for rows in decided.values() for r in rows]
    assert [(r.source_file, r.source_row, r.reason, r.detail) for r in repeats] == [
        ("a.parquet", 10, Reason.REPEATED_ROW, "repeats a.parquet:3"),
        ("b.parquet", 0, Reason.REPEATED_ROW, "repeats a.parquet:3"),
    ]
    assert len({r.sample_id for r in repeats}) == 1


def test_a_text_goes_on_as_often_as_the_recipe_allows(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", [same(i, "stock photo") for i in range(6)])
    repeats = [r for rows in decide(tmp_path / "root", source, 4).values() for r in rows]
    assert [(r.source_row, r.detail) for r in repeats] == [
        (4, "the same text stood in 4 rows before"),
        (5, "the same text stood in 5 rows before"),
    ]
    assert found(tmp_path / "any", source, 0) == []


def test_empty_and_blank_texts_may_occur_any_number_of_times(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", [same(i, ("", " ", "\t\n", "\u2003")[i % 4]) for i in range(40)])
    assert found(tmp_path / "root", source) == []


def test_texts_are_equal_to_the_letter_only(tmp_path: Path) -> None:
    texts = ["a", "A", "a ", "a\x00", "a\x00b", "ä", "a\u0308", "x" * 100_000, "x" * 100_001]
    source = write_parquet(tmp_path / "a.parquet", [same(i, t) for i, t in enumerate(texts)])
    assert found(tmp_path / "root", source, 1) == []


def test_rejected_and_repeated_rows_are_not_in_the_competition(tmp_path: Path) -> None:
    tiny = same(0, "text", width=10)
    rows = [tiny, tiny, same(1, "text"), same(1, "text"), same(1, "text"), same(2, "text"), same(3, "text")]
    source = write_parquet(tmp_path / "a.parquet", rows)
    assert found(tmp_path / "root", source, 2) == [
        ("a.parquet", 3, Reason.REPEATED_ROW),
        ("a.parquet", 4, Reason.REPEATED_ROW),
        ("a.parquet", 6, Reason.REPEATED_TEXT),
    ]


def test_every_shard_of_rows_has_its_shard_of_repeats(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", items(20))
    decided = decide(tmp_path / "root", source)
    assert [len(rows) for rows in decided.values()] == [0, 0, 0]
    store = Store(str(tmp_path / "root"))
    assert store.entries("repeats").keys() == store.entries("rows").keys()
    assert store.read_table(Repeat, next(iter(decided))).schema.equals(schema_of(Repeat))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(["", "a", "b", "c"]), st.sampled_from([10, 640])), max_size=60
    ),
    most=st.integers(0, 3),
)
def test_decisions_are_those_of_the_definition(
    rows: list[tuple[int, str, int]], most: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("repeats")
    cut = len(rows) // 2
    # A file name that sorts otherwise than its shards' names.
    write_parquet(folder / "source" / "z.parquet", [same(*r) for r in rows[cut:]])
    write_parquet(folder / "source" / "a b.parquet", [same(*r) for r in rows[:cut]] + items(1))
    decided = found(folder / "root", folder / "source", most)
    store = Store(str(folder / "root"))
    names = plan(store, open_source([str(folder / "source")]), RECIPE, lambda _: None)
    planned = [r for n in names for r in rows_of(SourceRow, store.read_table(SourceRow, n))]
    assert decided == expected(planned, most)


def test_decisions_for_old_shards_are_the_same_bytes_after_growth(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    shuffled = [same(i % 30, f"text {i % 11}") for i in range(90)]
    random.Random(3).shuffle(shuffled)
    write_parquet(source / "m.parquet", shuffled)
    decide(root, source)
    before = files(root)
    # New files stand before and behind the old one in name order, and repeat it.
    write_parquet(source / "a.parquet", shuffled[:20] + items(3))
    write_parquet(source / "z.parquet", shuffled[20:40] + items(3))
    grown = decide(root, source)
    assert before.items() <= files(root).items()
    new = {(r.source_file, r.reason) for rows in grown.values() for r in rows if r.source_file != "m.parquet"}
    assert ("a.parquet", Reason.REPEATED_ROW) in new
    assert ("z.parquet", Reason.REPEATED_ROW) in new
    again = [o.status for o in _rerun(root)]
    assert set(again) == {"skipped"}


def _rerun(root: Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    run_reduce(Store(str(root)), RepeatReduce(2), outcomes.append)
    return outcomes


def test_growth_twice_keeps_the_order_of_the_first_time(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    for day, name in enumerate("mzabq"):
        write_parquet(source / f"{name}.parquet", [*items(12), *items(5, 100 * day + 100)])
        earlier = files(root) if day else {}
        decided = decide(root, source)
        assert earlier.items() <= files(root).items()
        by_file = Counter(r.source_file for rows in decided.values() for r in rows)
        assert by_file["m.parquet"] == 0
        assert all(by_file[f"{n}.parquet"] == 12 for n in "mzabq"[1 : day + 1])


def test_the_shape_of_the_shards_changes_no_decision(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", [same(i * i % 17, f"t{i * i % 5}") for i in range(60)])
    decided = []
    for shard_rows in (1, 7, 1000):
        store = Store(str(tmp_path / f"root-{shard_rows}"))
        recipe = Source(shard_rows=shard_rows)
        names = plan(store, open_source([str(source)]), recipe, lambda _: None)
        run_reduce(store, RepeatReduce(2), lambda _: None)
        tables = pa.concat_tables([store.read_table(Repeat, n) for n in names])
        decided.append(tables.to_pylist())
    assert decided[0] == decided[1] == decided[2]
    assert decided[0]


def test_more_than_fits_in_memory_is_spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_parquet(tmp_path / "a.parquet", [*items(150_000), *items(1000)])
    recipe = Source(shard_rows=50_000)
    store = Store(str(tmp_path / "root"))
    plan(store, open_source([str(source)]), recipe, lambda _: None)
    monkeypatch.setattr(database, "_OF_A_THREAD", 24)
    run_reduce(store, RepeatReduce(10), lambda _: None)
    total = duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/root/tables/repeats/*.parquet'").fetchall()
    assert total == [(1000,)]


def test_a_full_temporary_folder_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_parquet(tmp_path / "a.parquet", items(100_000))
    store = Store(str(tmp_path / "root"))
    plan(store, open_source([str(source)]), Source(shard_rows=50_000), lambda _: None)
    monkeypatch.setattr(database, "_OF_A_THREAD", 4)
    monkeypatch.setattr(repeats, "_LOADED", f"SET max_temp_directory_size = '1MB'; {repeats._LOADED}")
    with pytest.raises(StoreError, match=r"cannot look for repeats: .*Memory.*; free space in .* or set TMPDIR"):
        run_reduce(store, RepeatReduce(10), lambda _: None)


def test_a_source_that_grows_has_its_new_shards_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a root whose gathered rows are gone comes to the same."""
    source, root = tmp_path / "source", tmp_path / "root"
    write_parquet(source / "a.parquet", items(140))
    decide(root, source)
    read: list[str] = []
    read_table = Store.read_table

    def noted(store: Store, record: type[Record], shard: str, columns: Sequence[str] | None = None) -> pa.Table:
        read.append(shard)
        return read_table(store, record, shard, columns)

    monkeypatch.setattr(Store, "read_table", noted)
    write_parquet(source / "b.parquet", [items(140)[3], *items(5, 200)])
    store = Store(str(root))
    plan(store, open_source([str(source)]), RECIPE, lambda _: None)
    run_reduce(store, RepeatReduce(2), lambda _: None)
    assert set(read) == {shard for shard in store.shards("rows") if shard.startswith("b-")} and len(read) == 1
    grown = files(root)
    shutil.rmtree(root / "gathered")
    store.retire("repeats", store.shards("repeats")[0])
    run_reduce(store, RepeatReduce(2), lambda _: None)
    assert files(root) == grown and len(set(read)) == 21
