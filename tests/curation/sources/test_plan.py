"""Every row of the source becomes a row of the plan, once, in its place; and nothing is planned twice."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation.core.entries import Entries
from curation.core.errors import SourceError, StoreError
from curation.core.job import Outcome
from curation.core.store import Store
from curation.sources.discover import open_source
from curation.sources.filters import source_rows
from curation.sources.planned import RECORD
from curation.sources.planner import plan
from curation.sources.preview import preview
from curation.sources.source_file import SourceFile
from curation.sources.source_metadata import SourceMetadata
from schemas.arrow import rows_of, schema_of, table_of
from schemas.ids import content_url, sample_id, shard_name
from schemas.manifest import ShardEntry
from schemas.recipe import Source
from schemas.records import GoneRow, ImageRow, SourceRow
from tests.support.kills import every_kill
from tests.support.sources import Item, img2dataset_members, items, write_cc12m, write_parquet, write_tar

TEN = Source(shard_rows=10)


def run(root: Path, source: Path | str, recipe: Source = TEN) -> tuple[list[str], list[Outcome]]:
    outcomes: list[Outcome] = []
    names = plan(Store(str(root)), open_source([str(source)]), recipe, outcomes.append)
    return names, outcomes


def rows(root: Path, names: Sequence[str]) -> pa.Table:
    store = Store(str(root))
    return pa.concat_tables(store.read_table(SourceRow, n) for n in names)


def tables(root: Path) -> dict[str, str]:
    """Every file under ``tables`` by the hash of its bytes."""
    found = sorted((root / "tables").rglob("*.parquet"))
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def done(outcomes: Sequence[Outcome]) -> int:
    return sum(o.status == "done" for o in outcomes)


def test_every_source_row_is_planned_once_in_its_place(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_parquet(source / "a.parquet", items(25))
    write_parquet(source / "b.parquet", [])
    write_cc12m(source / "c.tsv", items(10, 100))
    names, outcomes = run(tmp_path / "root", source)
    parts = [("a.parquet", 0), ("a.parquet", 1), ("a.parquet", 2), ("c.tsv", 0)]
    assert names == [shard_name(file, part) for file, part in parts]
    assert [(o.table, o.shard, o.status, o.rows_out) for o in outcomes] == [
        ("rows", name, "done", count) for name, count in zip(names, (10, 10, 5, 10), strict=True)
    ]
    table = rows(tmp_path / "root", names)
    assert table.schema.equals(schema_of(SourceRow))
    wanted = [*items(25), *items(10, 100)]
    assert table["url"].to_pylist() == [i.url for i in wanted]
    assert table["sample_id"].to_pylist() == [sample_id(i.url or "", i.text or "") for i in wanted]
    assert table["source_row"].to_pylist() == [*range(25), *range(10)]
    assert table["source_file"].to_pylist() == ["a.parquet"] * 25 + ["c.tsv"] * 10
    assert table["reason"].null_count == 35


def test_rejected_rows_stay_with_reason_and_detail(tmp_path: Path) -> None:
    good = items(1)[0]
    source = write_parquet(
        tmp_path / "a.parquet",
        [good, Item(None, "no url"), Item("http://a/1", None), Item("http://a/2", "x", width=50), Item("", "blank")],
    )
    names, _ = run(tmp_path / "root", source)
    table = rows(tmp_path / "root", names)
    assert table["reason"].to_pylist() == [None, "no_url", None, "claimed_too_small", "no_url"]
    assert table["detail"].to_pylist()[3] == "50x480: a side is below 200"
    assert table["alt_text"].to_pylist()[2] == ""
    assert table["sample_id"][2].as_py() == sample_id("http://a/1", "")
    assert table["url"].to_pylist()[1] is None


def test_expected_hashes_are_hex_or_null(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text(f"url,text,md5,sha256\nhttp://a/1,t,{'AB' * 16},xyz\nhttp://a/2,t,,{'0f' * 32}\n")
    names, _ = run(tmp_path / "root", source)
    table = rows(tmp_path / "root", names)
    assert table["expected_md5"].to_pylist() == ["ab" * 16, None]
    assert table["expected_sha256"].to_pylist() == [None, "0f" * 32]


def test_claimed_sizes_are_whole_positive_pixels_or_null(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("url,text,width,height\nu,t,640.0,479.9\nu,t,nan,0\nu,t,1e12,-5\nu,t,inf,\n")
    names, _ = run(tmp_path / "root", source)
    table = rows(tmp_path / "root", names)
    assert table["claimed_width"].to_pylist() == [640, None, None, None]
    assert table["claimed_height"].to_pylist() == [479, None, None, None]


def test_the_bytes_of_a_shard_do_not_depend_on_the_readers_batches(tmp_path: Path) -> None:
    claims = [SourceMetadata(url=f"http://a/{i}", alt_text=f"{i} " * 300, width=10 + i) for i in range(5000)]
    whole = table_of(SourceMetadata, claims)
    parts = pa.concat_tables(
        [table_of(SourceMetadata, claims[a:b]) for a, b in [(0, 1), (1, 700), (700, 4999), (4999, 5000)]]
    )
    store = Store(str(tmp_path))
    written = {store.write_table(SourceRow, "a", source_rows("a", 0, t, TEN)) for t in (whole, parts)}
    assert len(written) == 1


def test_local_pixels_are_known_by_their_url_or_their_bytes(tmp_path: Path) -> None:
    members = [*img2dataset_members(items(1), lambda i: b"one"), ("x.png", b"two"), ("x.txt", b"a text")]
    names, _ = run(tmp_path / "root", write_tar(tmp_path / "x.tar", members))
    table = rows(tmp_path / "root", names)
    (item,) = items(1)
    content = content_url(hashlib.sha256(b"two").hexdigest())
    assert table["sample_id"].to_pylist() == [sample_id(item.url or "", item.text or ""), sample_id(content, "a text")]
    assert table["url"].to_pylist() == [item.url, None]
    assert table["local_size"].to_pylist() == [3, 3]


def test_a_finished_plan_reads_no_row_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    write_parquet(source / "a.parquet", items(25))
    write_cc12m(source / "c.tsv", items(10, 100))
    names, _ = run(tmp_path / "root", source)
    record = (tmp_path / "root" / RECORD).stat().st_mtime_ns

    def never(*_: Any) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(SourceFile, "read", never)
    monkeypatch.setattr(Entries, "_entry", never)  # of many thousand shards none is looked at by itself
    again, outcomes = run(tmp_path / "root", source)
    assert again == names
    assert {o.status for o in outcomes} == {"skipped"} and sum(o.shards for o in outcomes) == 4
    assert (tmp_path / "root" / RECORD).stat().st_mtime_ns == record


def test_a_lost_record_costs_reading_only(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", items(25))
    names, _ = run(tmp_path / "root", source)
    before = tables(tmp_path / "root")
    for damage in (b"", b"[]", b'{"a.parquet": 7}', b'{"a.parquet": {"rows": 1}}'):
        (tmp_path / "root" / RECORD).write_bytes(damage)
        again, outcomes = run(tmp_path / "root", source)
        assert again == names
        assert done(outcomes) == 0
        assert tables(tmp_path / "root") == before


def test_a_source_that_grows_adds_shards_and_renames_none(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_parquet(source / "b.parquet", items(25))
    names, _ = run(tmp_path / "root", source)
    before = tables(tmp_path / "root")
    write_parquet(source / "a.parquet", items(7, 50))
    grown, outcomes = run(tmp_path / "root", source)
    assert [n for n in grown if n in names] == names
    assert done(outcomes) == 1
    assert before.items() <= tables(tmp_path / "root").items()


def fetched(root: Path, name: str, tried: Sequence[str]) -> None:
    """As if the download of these samples of a shard had been tried."""
    store = Store(str(root))
    store.write_table(ImageRow, name, pa.table({"sample_id": list(tried)}))
    store.commit(ShardEntry(ImageRow.table, name, "", {}, {}, len(tried), len(tried), 1, 0.0, "test"))


def state(root: Path, names: Sequence[str]) -> dict[str, tuple[str, int, str | None]]:
    """Where each row stands: url -> shard, number and reason."""
    store = Store(str(root))
    found = {}
    for name in names:
        for row in rows_of(SourceRow, store.read_table(SourceRow, name)):
            found[row.url or ""] = (name, row.source_row, row.reason)
    return found


def gone(root: Path) -> set[int]:
    store = Store(str(root))
    return {n for s in store.shards("gone") for n in store.read_table(GoneRow, s)["source_row"].to_pylist()}


def test_a_file_that_grows_changes_no_shard(tmp_path: Path) -> None:
    source = tmp_path / "a.tsv"
    write_cc12m(source, items(25))
    names, _ = run(tmp_path / "root", source)
    before = tables(tmp_path / "root")
    write_cc12m(source, items(32))
    grown, _ = run(tmp_path / "root", source)
    assert grown == [*names, shard_name("a.tsv", 3)]
    assert before.items() <= tables(tmp_path / "root").items()
    assert rows(tmp_path / "root", grown)["source_row"].to_pylist() == list(range(32))


@pytest.mark.parametrize("write", [write_parquet, write_cc12m])
def test_rows_are_known_by_their_content_wherever_they_stand(
    write: Callable[[Path, Sequence[Item]], Path], tmp_path: Path
) -> None:
    source, root = tmp_path / "a.list", tmp_path / "root"
    source = source.with_suffix(".parquet" if write is write_parquet else ".tsv")
    write(source, items(25))
    names, _ = run(root, source)
    before, stood = tables(root), state(root, names)
    for at, new in ((0, items(3, 100)), (14, items(12, 200)), (40, items(1, 300))):
        listed = [*state(root, names)]
        now = [Item(u, f"a picture of thing number {u.rsplit('/', 1)[1][:-4]}") for u in listed]
        write(source, [*now[:at], *new, *now[at:]])
        names, _ = run(root, source)
    assert before.items() <= tables(root).items()
    after = state(root, names)
    assert stood.items() <= after.items()
    assert [after[i.url or ""][1] for i in (*items(3, 100), *items(12, 200), *items(1, 300))] == list(range(25, 41))
    assert not gone(root)


def test_rows_that_are_gone_stay_if_they_were_fetched_and_come_back(tmp_path: Path) -> None:
    source, root = write_parquet(tmp_path / "a.parquet", items(25)), tmp_path / "root"
    names, _ = run(root, source)
    before, stood = tables(root), state(root, names)
    ids = rows(root, names[:1])["sample_id"].to_pylist()
    fetched(root, names[0], ids[:4])
    write_parquet(source, items(21, 4))
    shorter, _ = run(root, source)
    assert shorter == names
    assert {n: h for n, h in tables(root).items() if "/rows/" in n} == {
        n: h for n, h in before.items() if "/rows/" in n
    }
    assert gone(root) == {0, 1, 2, 3}
    write_parquet(source, items(19, 6))
    run(root, source)
    reasons = [reason for _, _, reason in state(root, names).values()]
    assert reasons == [None] * 4 + ["gone_from_source"] * 2 + [None] * 19
    assert gone(root) == set(range(6))
    write_parquet(source, items(25))
    run(root, source)
    assert state(root, names) == stood
    assert {n: h for n, h in tables(root).items() if "/rows/" in n} == {
        n: h for n, h in before.items() if "/rows/" in n
    }
    assert not gone(root)


def test_a_file_that_is_gone_keeps_its_shards_and_what_was_fetched(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    write_parquet(source / "a.parquet", items(25))
    write_parquet(source / "b.parquet", items(5, 50))
    names, _ = run(root, source)
    before = tables(root)
    fetched(root, names[0], rows(root, names[:1])["sample_id"].to_pylist())
    (source / "a.parquet").rename(tmp_path / "aside.parquet")
    shrunk, _ = run(root, source)
    assert shrunk == names[3:] + names[:3]
    assert tables(root)[f"tables/rows/{names[0]}.parquet"] == before[f"tables/rows/{names[0]}.parquet"]
    assert [reason for _, _, reason in state(root, names[1:3]).values()] == ["gone_from_source"] * 15
    again, outcomes = run(root, source)
    assert (again, done(outcomes)) == (shrunk, 0)
    (tmp_path / "aside.parquet").rename(source / "a.parquet")
    back, _ = run(root, source)
    assert back == names
    assert before.items() <= tables(root).items()
    assert not gone(root)


def test_filters_judge_rows_that_are_gone_too(tmp_path: Path) -> None:
    told = [Item(f"http://a/{i}", f"text {i}", similarity=i / 10) for i in range(10)]
    source, root = write_parquet(tmp_path / "a.parquet", told), tmp_path / "root"
    names, _ = run(root, source)
    fetched(root, names[0], rows(root, names)["sample_id"].to_pylist())
    before = tables(root)
    write_parquet(source, told[5:])
    run(root, source, TEN.model_copy(update={"min_similarity": 0.35}))
    reasons = [reason for _, _, reason in state(root, names).values()]
    assert reasons == ["low_similarity"] * 4 + [None] * 6
    run(root, source)
    assert {n: h for n, h in tables(root).items() if n in before} == before


def test_a_row_that_is_said_twice_is_gone_only_once(tmp_path: Path) -> None:
    """The planned row whose other columns are the same is the one that stays."""
    wide, small = Item("http://a/1", "text"), Item("http://a/1", "text", width=10)
    source, root = write_parquet(tmp_path / "a.parquet", [small, wide, wide]), tmp_path / "root"
    names, _ = run(root, source)
    write_parquet(source, [wide])
    run(root, source)
    table = rows(root, names)
    assert table["claimed_width"].to_pylist() == [10, 640, 640]
    assert gone(root) == {0, 2}


def test_rows_of_a_shard_that_was_lost_take_their_old_place(tmp_path: Path) -> None:
    source, root = write_parquet(tmp_path / "a.parquet", items(45)), tmp_path / "root"
    names, _ = run(root, source)
    before = tables(root)
    for lost in ([1], [4], [1, 2], [0, 3]):
        for at in lost:
            (root / "manifest" / "rows" / f"{names[at]}.json").unlink()
        again, _ = run(root, source)
        assert again == names
        assert tables(root) == before


@pytest.mark.parametrize(("limit", "counts"), [(1, [1]), (10, [10]), (25, [10, 10, 5]), (32, [10, 10, 10, 2])])
def test_limit_takes_the_first_rows_in_source_order(limit: int, counts: list[int], tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_parquet(source / "a.parquet", items(30))
    write_parquet(source / "b.parquet", items(30, 50))
    root = tmp_path / "root"
    limited = TEN.model_copy(update={"limit": limit})
    names, _ = run(root, source, limited)
    assert [rows(root, [n]).num_rows for n in names] == counts
    assert rows(root, names)["url"].to_pylist() == [i.url for i in [*items(30), *items(30, 50)]][:limit]
    again, outcomes = run(root, source, limited)
    assert (again, done(outcomes)) == (names, 0)
    before = tables(root)
    everything, _ = run(root, source)
    assert before.items() <= tables(root).items()
    assert rows(root, everything)["url"].to_pylist() == [i.url for i in [*items(30), *items(30, 50)]]
    whole = tables(root)
    back, outcomes = run(root, source, limited)
    assert (back, done(outcomes)) == (names, 0)
    assert tables(root) == whole


def test_settings_that_judge_otherwise_redo_the_rows_and_free_ones_do_not(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", items(25))
    run(tmp_path / "root", source)
    _, outcomes = run(tmp_path / "root", source, TEN.model_copy(update={"max_text_repeats": 3}))
    assert done(outcomes) == 0
    _, outcomes = run(tmp_path / "root", source, TEN.model_copy(update={"min_side": 10_000}))
    assert done(outcomes) == 3
    before = tables(tmp_path / "root")
    _, outcomes = run(tmp_path / "root", source, Source(shard_rows=20, min_side=10_000))
    assert tables(tmp_path / "root") == before
    write_parquet(source, items(50))
    names, _ = run(tmp_path / "root", source, Source(shard_rows=20))
    assert [rows(tmp_path / "root", [n]).num_rows for n in names] == [10, 10, 5, 20, 5]


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it."""


def test_a_plan_killed_at_any_write_resumes_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    write_parquet(source / "a.parquet", items(25))
    write_cc12m(source / "b.tsv", items(20, 100))
    names, _ = run(tmp_path / "whole", source)
    whole = tables(tmp_path / "whole")
    write = Store.write
    remaining = [0]

    def dying(self: Store, name: str, data: bytes) -> str:
        if remaining[0] == 0:
            raise Killed
        remaining[0] -= 1
        return write(self, name, data)

    for writes in range(21):
        root = tmp_path / f"root-{writes}"
        remaining[0] = writes
        with monkeypatch.context() as patch:
            patch.setattr(Store, "write", dying)
            with pytest.raises(Killed):
                run(root, source)
        resumed, outcomes = run(root, source)
        assert resumed == names
        assert tables(root) == whole
        assert done(outcomes) <= 5 - writes // 4 + 1  # two tables a shard, each with its entry


def test_a_changed_plan_killed_anywhere_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, new = tmp_path / "source", tmp_path / "new"
    write_parquet(source / "a.parquet", items(25))
    write_parquet(source / "b.parquet", items(5, 100))
    names, _ = run(tmp_path / "first", source)
    fetched(tmp_path / "first", names[0], rows(tmp_path / "first", names[:1])["sample_id"].to_pylist()[:2])
    shuffled = [*items(15, 200), *items(10, 15), *items(1), *items(12, 2), *items(2)]
    write_parquet(new / "a.parquet", shuffled)
    recipe = TEN.model_copy(update={"min_words": 2})
    roots: list[Path] = []

    def prepare() -> Callable[[], object]:
        roots.append(tmp_path / f"root-{len(roots)}")
        shutil.copytree(tmp_path / "first", roots[-1])
        return lambda: run(roots[-1], new, recipe)

    for _ in every_kill(prepare, monkeypatch):
        run(roots[-1], new, recipe)
    assert len(roots) > 15
    assert all(tables(root) == tables(roots[-1]) for root in roots)


def damaged_files(folder: Path) -> dict[str, Path]:
    """Files that are damaged in every way that is found before, or only while, their rows are read."""
    folder.mkdir(parents=True)
    tar = write_tar(folder / "cut.tar", [(f"{i}.jpg", b"x" * 600) for i in range(9)])
    tar.write_bytes(tar.read_bytes()[: 1536 * 6 + 100])
    packed = folder / "packed.tar"
    packed.write_bytes(gzip.compress(write_tar(folder / "plain", [("a.jpg", b"x")]).read_bytes()))
    short = write_parquet(folder / "short.parquet", items(25))
    short.write_bytes(short.read_bytes()[:-30])
    broken = folder / "broken.parquet"
    write_parquet(broken, items(5000), group=1000)
    data = broken.read_bytes()
    broken.write_bytes(data[:4] + b"\x55" * 4000 + data[4004:])
    listed = folder / "cut.tsv.gz"
    lines = (f"http://a/{hashlib.sha256(b'%d' % i).hexdigest()}\tx\n" for i in range(2000))
    listed.write_bytes(gzip.compress("".join(lines).encode())[:-20])
    nothing = folder / "nothing.parquet"
    nothing.symlink_to("nowhere")
    return {p.name: p for p in (tar, packed, short, broken, listed, nothing)}


@pytest.mark.parametrize(
    "name", ["cut.tar", "packed.tar", "short.parquet", "broken.parquet", "cut.tsv.gz", "nothing.parquet"]
)
@pytest.mark.parametrize("place", ["a", "z"])
def test_a_damaged_file_costs_its_shard_alone(name: str, place: str, tmp_path: Path) -> None:
    damaged = damaged_files(tmp_path / "damaged")[name]
    source, root = tmp_path / "source", tmp_path / "root"
    good = "b.tar" if name.endswith(".tar") else "b.parquet"
    if name.endswith(".tar"):
        write_tar(source / "b.tar", [(f"{i}.jpg", b"y") for i in range(25)])
    else:
        write_parquet(source / "b.parquet", items(25, 500))
    bad = source / f"{place}.{name.split('.', 1)[1]}"
    bad.write_bytes(damaged.read_bytes()) if damaged.exists() else bad.symlink_to("nowhere")
    names, outcomes = run(root, source)
    assert [n for n in names if n.startswith("b-")] == [shard_name(good, part) for part in range(3)]
    (failed,) = [o for o in outcomes if o.status == "failed"]
    assert failed.shard.startswith(shard_name(bad.name, 0)[:-5])
    assert bad.name in failed.error
    assert failed.shard not in names
    store = Store(str(root))
    assert store.failures("rows").keys() == {failed.shard}
    seen = preview(open_source([str(source)]), TEN)
    assert [bad.name in error for error in seen.damaged] == [True]
    # The next run tries it again, and nothing else.
    again, outcomes = run(root, source)
    assert again == names
    assert [o.shard for o in outcomes if o.status != "skipped"] == [failed.shard]
    # Once it is whole it is read like any other, and the failure is forgotten.
    bad.unlink()
    if name.endswith(".tar"):
        write_tar(bad, [(f"{i}.jpg", b"z") for i in range(12)])
    else:
        bad.write_bytes(gzip.compress(b"http://a/0\tx\n" * 12)) if bad.suffix == ".gz" else write_parquet(
            bad, items(12)
        )
    mended, _ = run(root, source)
    assert rows(root, mended).num_rows - len(gone(root)) == 37
    assert store.failures("rows") == {}


def test_where_every_file_is_damaged_the_run_ends_before_any_work(tmp_path: Path) -> None:
    for name, path in damaged_files(tmp_path / "damaged").items():
        if name in ("cut.tar", "broken.parquet", "cut.tsv.gz"):
            continue  # their first rows are whole
        with pytest.raises(SourceError, match=name.split(".")[0]):
            open_source([str(path)] if path.exists() else [str(path.parent / "nothing*")])


def test_what_stood_before_the_damage_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.sources.sidecars.BATCH", 2)
    tar = damaged_files(tmp_path / "damaged")["cut.tar"]
    names, outcomes = run(tmp_path / "root", tar, Source(shard_rows=2))
    assert [o.status for o in outcomes] == ["done", "done", "failed"]
    assert outcomes[-1].shard == shard_name("cut.tar", 2)
    assert rows(tmp_path / "root", names).num_rows == 4


def test_a_failure_of_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    write_tar(source / "b.tar", [("1.jpg", b"y")])
    cut = source / "a.tar"
    cut.write_bytes(damaged_files(tmp_path / "damaged")["cut.tar"].read_bytes())
    run(root, source)
    assert len(Store(str(root)).failures("rows")) == 1
    cut.unlink()
    run(root, source)
    assert Store(str(root)).failures("rows") == {}


def test_a_full_disk_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_parquet(tmp_path / "a.parquet", items(25))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="No space left"):
        run(tmp_path / "root", source)
