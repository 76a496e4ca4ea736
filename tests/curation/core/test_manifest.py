"""Entries in one file for many shards are what they were as small files, whenever the change is cut short."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.core import manifest
from curation.core.engines.local import LocalEngine
from curation.core.entries import Entries
from curation.core.errors import StoreError
from curation.core.job import Outcome
from curation.core.kept_listing import at_work, keeping
from curation.core.manifest import Compacted, compact, state, take_out
from curation.core.pipeline import Totals, run_reduce, run_segment, unfinished
from curation.core.stage import digest
from curation.core.store import Store
from curation.core.vouched import read_vouched
from flows.redo import main as redo
from schemas.manifest import ShardEntry
from tests.support.kills import every_kill
from tests.support.toy import Double, Rank, Shift, fingerprint, write_numbers

TABLES = ("numbers", "doubled", "shifted", "ranked")


def run(store: Store, double: Double | None = None, report: Callable[[Outcome], None] = lambda _: None) -> Totals:
    shards = store.shards("numbers")
    totals = run_segment(store, LocalEngine(), [double or Double(), Shift()], shards, report)
    run_reduce(store, Rank(), report)
    return totals


def finished(url: str, shards: int = 4) -> Store:
    store = Store(url)
    write_numbers(store, shards)
    run(store)
    return store


def all_entries(store: Store) -> dict[str, dict[str, ShardEntry]]:
    return {table: dict(store.entries(table)) for table in TABLES}


def compact_all(store: Store, least: int = 1) -> None:
    for table in TABLES:
        compact(store, table, least)


@pytest.fixture(params=["disk", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return finished(str(tmp_path / "a root") if request.param == "disk" else f"memory://{tmp_path.name}/root")


SUMS = st.binary(min_size=1, max_size=2).map(lambda data: hashlib.sha256(data).hexdigest())
FILES = st.dictionaries(
    st.sampled_from(["tables/t/{}.parquet", "images/{}.tar", "source:a list", "rows", "a{}b{}"]),
    st.one_of(SUMS, SUMS.map(str.upper), st.text(st.characters(codec="utf-8"), max_size=70)),
    max_size=4,
)


@st.composite
def entry(draw: st.DrawFn, shard: str) -> ShardEntry:
    def named(files: dict[str, str]) -> dict[str, str]:
        return {path.replace("{}", shard): value for path, value in files.items()}

    numbers = [draw(st.integers(0, 2**40)) for _ in range(4)]
    seconds = draw(st.floats(0, 1e6, allow_nan=False))
    digest, worker = draw(st.sampled_from(["d", "e"])), draw(st.text("ab:", max_size=3))
    reads, writes = named(draw(FILES)), named(draw(FILES))
    return ShardEntry("t", shard, digest, reads, writes, *numbers[:3], seconds, worker, numbers[3])


@given(st.sets(st.sampled_from(["a", "t", "s-1", "a b", "é", "tables"]), max_size=5).flatmap(
    lambda names: st.tuples(*(entry(name) for name in sorted(names)))
))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_columns_give_back_the_entries_they_were_made_of(made: tuple[ShardEntry, ...]) -> None:
    found = Entries.of("t", made)
    assert dict(found) == {e.shard: e for e in made} and list(found) == sorted(e.shard for e in made)
    assert found.alone() <= found.keys()
    own = {e.shard: e.writes.get(f"tables/t/{e.shard}.parquet") for e in made}
    if all(sha is not None for sha in own.values()):
        assert found.own_sums() == own


def test_a_compacted_root_is_the_same_root(store: Store) -> None:
    before, bytes_before = all_entries(store), fingerprint(store, "tables", "files")
    compact_all(store)
    assert not store.names("manifest/doubled", ".json") and store.names("manifest/ranked", ".json") == ["_reduce.json"]
    assert all_entries(store) == before
    assert {table: store.shards(table) for table in TABLES} == {table: sorted(found) for table, found in before.items()}
    assert store.entry("doubled", "s-00002") == before["doubled"]["s-00002"] and store.entry("doubled", "x") is None
    seen: list[Outcome] = []
    totals = run(store, report=seen.append)
    assert (totals.done, totals.skipped, totals.failed) == (0, 8, []) and {o.status for o in seen} == {"skipped"}
    assert sum(o.shards for o in seen) == 12 and fingerprint(store, "tables", "files") == bytes_before
    assert unfinished(store, Double(factor=3), before["numbers"]) == set(before["numbers"])


def test_the_state_of_a_table_is_the_hash_of_its_entries_wherever_they_lie(store: Store) -> None:
    small = {table: state(store, table)[0] for table in (*TABLES, "never begun")}
    assert small == {table: store.entries(table).fingerprint() for table in small}
    compact_all(store)
    assert {table: state(store, table)[0] for table in small} == small
    store.retire("doubled", "s-00001")
    assert state(store, "doubled")[0] == store.entries("doubled").fingerprint() != small["doubled"]


def test_a_few_small_files_stay_as_they_are(store: Store) -> None:
    before = fingerprint(store, "manifest")
    compact_all(store, 5)
    assert fingerprint(store, "manifest") == before


def test_what_is_done_anew_counts_before_what_was_compacted(store: Store) -> None:
    compact_all(store)
    assert run(store, Double(factor=5)).done == 8
    changed = all_entries(store)
    assert {e.digest for e in changed["doubled"].values()} == {digest(Double(factor=5))}
    compact_all(store)
    assert all_entries(store) == changed and run(store, Double(factor=5)).done == 0
    assert Compacted.of(store, "doubled").number == 2 and Compacted.of(store, "doubled").stale == ()


def test_a_shard_that_leaves_a_table_stays_out_of_it(store: Store) -> None:
    compact_all(store)
    store.retire("doubled", "s-00001")
    left = ["s-00000", "s-00002", "s-00003"]
    assert store.shards("doubled") == left == list(store.entries("doubled"))
    assert store.entry("doubled", "s-00001") is None and store.count("doubled") == 3
    take_out(store, "doubled", "s-00001")  # as often as one likes
    compact_all(store)
    assert store.shards("doubled") == left
    assert run(store).done == 1 and store.count("doubled") == 4


def test_compaction_that_is_killed_anywhere_loses_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every change of it, with an older file and a shard that was taken out of that."""
    made = finished(str(tmp_path / "made"))
    compact(made, "doubled", 1)
    run(made, Double(factor=5))
    made.retire("doubled", "s-00002")
    expected = all_entries(made)
    root = tmp_path / "root"
    at = Store(str(root))

    def prepare() -> Callable[[], object]:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(tmp_path / "made", root)
        return lambda: compact_all(at)

    kills = 0
    for kills, _ in enumerate(every_kill(prepare, monkeypatch), 1):  # noqa: B007
        assert all_entries(at) == expected
        at.retire("ranked", "s-00003")
        assert "s-00003" not in at.shards("ranked")
        compact_all(at)
        assert dict(at.entries("doubled")) == expected["doubled"] and not Compacted.of(at, "doubled").stale
        assert at.shards("ranked") == ["s-00000", "s-00001", "s-00002"]
        # A small file that the kill has left over may not bring back what its shard was before.
        assert run(at, Double(factor=7)).done == 8 and run(at, Double(factor=7)).done == 0
    assert kills > 20 and all_entries(at) == expected


def test_readers_miss_nothing_while_entries_are_compacted(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    names = write_numbers(store, 60)
    sums = store.entries("numbers").own_sums()
    over = threading.Event()

    def again_and_again() -> None:
        while not over.is_set():
            compact(store, "numbers", 1)
            for shard in names:
                store.commit(dataclasses.replace(store.entries("numbers")[shard], worker="again"))

    changing = threading.Thread(target=again_and_again)
    changing.start()
    try:
        for _ in range(40):
            assert store.shards("numbers") == names
            assert store.entries("numbers").own_sums() == sums
            assert store.entry("numbers", names[7]) is not None
    finally:
        over.set()
        changing.join()


def test_one_listing_serves_all_looks_until_the_manifest_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = finished(f"memory://{tmp_path.name}/listed")
    listed: list[str] = []
    below = Store.names_below

    def noted(self: Store, folder: str) -> list[str]:
        listed.append(folder)
        return below(self, folder)

    monkeypatch.setattr(Store, "names_below", noted)
    with keeping(store.url):
        for table in ("numbers", "doubled", "never"):
            assert len(store.entries(table)) == store.count(table) == (0 if table == "never" else 4)
            assert not store.failures(table)
        assert store.tables() >= {"numbers", "doubled"} and listed == ["manifest"]
        manifest.take_out(store, "doubled", "s-00001")
        listed.clear()
        assert store.count("doubled") == 3 and listed == ["manifest"]
        with at_work(store.url) as begin:
            assert store.count("doubled") == 3 and listed == ["manifest"]
            begin()  # workers of other processes write there from here on
            assert store.count("doubled") == 3 and listed[1:] == ["manifest/doubled"]
        assert store.count("doubled") == 3 and listed[2:] == ["manifest"]
    assert store.count("doubled") == 3 and listed[3:] == ["manifest/doubled"]


def test_a_listing_that_is_behind_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # as if nothing were finished, or all of it
    monkeypatch.setattr(manifest, "_PAUSE", 0.0)
    names = type(store).names
    before = store.names("manifest/doubled")
    compact_all(store)

    def behind(self: Store, folder: str, suffix: str = "") -> list[str]:
        return (
            [n for n in before if n.endswith(suffix)] if folder == "manifest/doubled" else names(self, folder, suffix)
        )

    monkeypatch.setattr(Store, "names", behind)
    assert store.count("doubled") == 4  # the files are gone, but their entries are among the compacted ones
    monkeypatch.setattr(
        Store, "names_below", lambda self, folder: before if folder == "manifest/doubled" and not self.is_local else []
    )
    with pytest.raises(StoreError, match="listings are behind; run again"):
        store.entries("doubled")


def test_damage_is_named_with_a_way_back_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = finished(str(tmp_path / "root"))
    bytes_before = fingerprint(store, "tables", "files")
    compact_all(store)
    name, sha = store.table_file("doubled", "s-00001"), store.entries("doubled").own_sums()["s-00001"]
    Path(store.path(name)).write_bytes(b"other bytes")
    with pytest.raises(StoreError) as raised:
        read_vouched(store, name, sha)
    command = f"python -m flows.redo {store.url} doubled s-00001"
    assert f"or begin {command} and run again" in str(raised.value)
    assert redo(command.split()[3:]) == 0 and "1 shard of doubled" in capsys.readouterr().out
    assert run(store).done == 1 and fingerprint(store, "tables", "files") == bytes_before
    # Its entry is a small file again, and an older one is compacted: that one is out.
    assert store.how_to_redo("doubled", "s-00001") == f"delete {store.path('manifest/doubled/s-00001.json')}"
    Path(store.path("manifest/doubled/s-00001.json")).unlink()
    assert "s-00001" not in store.entries("doubled") and run(store).done == 1
    assert redo([store.url, "doubled", "s-00001", "nowhere"]) == 2
    assert "doubled has no finished shard nowhere; it has 4: s-00000" in capsys.readouterr().err
    assert redo([store.url, "nothing", "x"]) == 2 and "it has doubled, numbers" in capsys.readouterr().err


def test_a_damaged_file_of_entries_is_named(tmp_path: Path) -> None:
    store = finished(str(tmp_path / "root"))
    compact_all(store)
    file = Path(store.path(Compacted.of(store, "doubled").path))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    manifest._read_once.cache_clear()
    with pytest.raises(StoreError, match=r"is damaged .* delete .* all shards that it has the entries of done anew"):
        store.entries("doubled")
    file.unlink()
    assert run(store).done == 4  # of doubled alone: what follows comes out the same


def test_a_whole_table_is_done_anew_when_its_folder_is_deleted(tmp_path: Path) -> None:
    store = finished(str(tmp_path / "root"))
    before = fingerprint(store, "tables", "files")
    compact_all(store)
    shutil.rmtree(store.path("manifest/doubled"))
    assert run(store).done == 4 and fingerprint(store, "tables", "files") == before


def test_undecided_rows_keep_a_compacted_shard_unfinished(store: Store) -> None:
    left: Any = dataclasses.replace(store.entries("doubled")["s-00001"], undecided=2)
    store.commit(left)
    compact_all(store)
    assert unfinished(store, Double(), store.shards("numbers")) == {"s-00001"}
    assert run(store).done == 1
