"""A preview says what the plan would come to, and touches nothing."""

from __future__ import annotations

from pathlib import Path

from curation.core.store import Store
from curation.sources.discover import open_source
from curation.sources.planner import plan
from curation.sources.preview import Preview, preview
from schemas.reasons import Reason
from schemas.recipe import Source
from schemas.records import SourceRow
from tests.support.sources import Item, img2dataset_members, items, write_cc12m, write_parquet, write_tar

RECIPE = Source(shard_rows=10)


def mixed(folder: Path) -> Path:
    bad = [Item("http://a/1", "t", width=20), Item("http://a/2", "t", punsafe=0.9), Item(None, "t")]
    write_parquet(folder / "a.parquet", [*items(25), *bad])
    write_parquet(folder / "b.parquet", items(5), "coyo-700m")
    write_cc12m(folder / "c.tsv", items(12))
    return folder


def seen(source: Path, recipe: Source = RECIPE, most: int = 1_000_000) -> Preview:
    return preview(open_source([str(source)]), recipe, most)


def test_rows_funnel_and_shards_are_those_of_the_plan(tmp_path: Path) -> None:
    source = mixed(tmp_path / "source")
    result = seen(source)
    assert result.rows == {"laion-2b": 28, "coyo-700m": 5, "url-caption": 12}
    assert [(s.reason, s.rejected, s.left) for s in result.funnel] == [
        (Reason.NO_URL, 1, 44),
        (Reason.CLAIMED_TOO_SMALL, 1, 43),
        (Reason.UNSAFE, 1, 42),
    ]
    assert (result.total, result.judged, result.exact, result.passing) == (45, 45, True, 42)
    store = Store(str(tmp_path / "root"))
    names = plan(store, open_source([str(source)]), RECIPE, lambda _: None)
    assert result.shards == len(names)
    assert result.passing == sum(store.read_table(SourceRow, n)["reason"].null_count for n in names)


def test_nothing_is_written(tmp_path: Path) -> None:
    source = mixed(tmp_path / "source")
    before = sorted(tmp_path.rglob("*"))
    seen(source)
    assert sorted(tmp_path.rglob("*")) == before


def test_limit_counts_only_the_rows_that_would_be_planned(tmp_path: Path) -> None:
    result = seen(mixed(tmp_path / "source"), RECIPE.model_copy(update={"limit": 30}))
    assert (result.rows, result.shards) == ({"laion-2b": 28, "coyo-700m": 2}, 4)


def test_of_a_very_long_list_a_part_stands_for_the_whole(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", [Item(f"u{i}", "t", width=(20, 640)[i % 2]) for i in range(1000)])
    result = seen(source, most=100)
    assert (result.total, result.judged, result.exact, result.passing, result.shards) == (1000, 100, False, 500, 100)


def test_pixels_are_counted_too(tmp_path: Path) -> None:
    members = [*img2dataset_members(items(3), lambda i: b"x"), ("lost.txt", b"no image")]
    result = seen(write_tar(tmp_path / "x.tar", members))
    assert (result.rows, result.passing) == ({"webdataset": 4}, 3)
    assert result.funnel[0].reason == Reason.FILE_MISSING


def test_rows_without_text_or_url_and_duplicates_are_counted(tmp_path: Path) -> None:
    rows = [
        *items(3),
        Item("http://a/1", None),
        Item("http://a/2", "  "),
        Item(None, "no url"),
        Item("", "no url"),
        *items(2),  # twice
        Item("http://a/3", "small", width=20),
        Item("http://a/3", "small", width=20),  # rejected before it could repeat anything
    ]
    source = write_parquet(tmp_path / "a.parquet", rows)
    result = seen(source)
    assert (result.without_text, result.without_url, result.duplicates) == (2, 2, 2)
    ((columns, file),) = result.columns
    assert "text from 'TEXT', url from 'URL'" in columns and file == "a.parquet"
    store = Store(str(tmp_path / "root"))
    names = plan(store, open_source([str(source)]), RECIPE, lambda _: None)
    passed = [r for n in names for r in store.read_table(SourceRow, n).to_pylist() if r["reason"] is None]
    assert result.duplicates == len(passed) - len({r["sample_id"] for r in passed})


def test_a_damaged_file_counts_for_nothing(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "a.tar", img2dataset_members(items(3), lambda i: b"x"))
    cut = tmp_path / "b.tar"
    cut.write_bytes(whole.read_bytes()[:-4096])
    write_tar(tmp_path / "c.tar", img2dataset_members(items(3), lambda i: b"x"))
    result = seen(tmp_path)
    assert (len(result.damaged), result.judged, result.duplicates) == (1, 6, 3)


def test_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", items(3))
    (tmp_path / "more.jsonl").write_text("{}")
    assert ["more.jsonl" in note for note in seen(tmp_path).unread] == [True]
