"""What a segment and a reduce promise: finished work is skipped, a failure costs its shard, bytes never vary."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation.core import manifest
from curation.core.engines.local import LocalEngine
from curation.core.errors import EndpointsGone, StoreError
from curation.core.files import Files
from curation.core.job import Outcome
from curation.core.pipeline import Totals, run_reduce, run_segment
from curation.core.stage import Reduction, digest
from curation.core.store import Store
from tests.support.kills import every_kill, killed_at
from tests.support.listing_store import Elsewhere, another_client
from tests.support.toy import Double, Rank, Shift, Shifted, fingerprint, write_numbers


def run(store: Store, shards: list[str], double: Double | None = None, shift: Shift | None = None) -> Totals:
    return run_segment(store, LocalEngine(), [double or Double(), shift or Shift()], shards, lambda _: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


def test_every_shard_passes_every_stage(store: Store) -> None:
    shards = write_numbers(store, 3)
    totals = run(store, shards)
    assert (totals.done, totals.skipped, totals.failed) == (6, 0, [])
    assert store.read_table(Shifted, shards[2]).column("value").to_pylist() == [21, 23, 25, 27, 29]


def test_a_second_run_does_nothing(store: Store) -> None:
    shards = write_numbers(store, 3)
    run(store, shards)
    before = fingerprint(store, "tables", "files", "manifest")
    totals = run(store, shards)
    assert (totals.done, totals.skipped) == (0, 6)
    assert fingerprint(store, "tables", "files", "manifest") == before


def test_a_changed_setting_redoes_its_stage_and_what_follows_only(store: Store) -> None:
    shards = write_numbers(store, 3)
    run(store, shards)
    totals = run(store, shards, shift=Shift(by=7))
    assert (totals.done, totals.skipped) == (3, 3)
    totals = run(store, shards, Double(factor=3), Shift(by=7))
    assert (totals.done, totals.skipped) == (6, 0)


def test_a_stage_that_writes_the_same_bytes_spares_what_follows(store: Store) -> None:
    shards = write_numbers(store, 2)
    run(store, shards)

    class Renamed(Double):
        version = 2

    totals = run(store, shards, Renamed())
    assert (totals.done, totals.skipped) == (2, 2)


def test_a_setting_that_changes_no_byte_is_not_in_the_digest() -> None:
    assert digest(Double(pause=1.0)) == digest(Double())
    assert digest(Double(factor=3)) != digest(Double())


def test_a_failure_costs_its_shard_and_is_recorded_until_it_succeeds(store: Store) -> None:
    shards = write_numbers(store, 3)
    seen: list[Outcome] = []
    totals = run_segment(store, LocalEngine(), [Double(bad_shard=shards[1]), Shift()], shards, seen.append)
    assert totals.done == 4
    assert [f.shard for f in totals.failed] == [shards[1]]
    failure = store.failures("doubled")[shards[1]]
    assert failure.error == "RuntimeError: told to fail"
    assert "toy.py" in failure.traceback
    assert {o.shard for o in seen if o.status == "failed"} == {shards[1]}
    assert run(store, shards).done == 2
    assert store.failures("doubled") == {}


def test_a_run_stops_when_no_server_is_left_and_keeps_what_is_finished(store: Store) -> None:
    shards = write_numbers(store, 4)
    with pytest.raises(EndpointsGone, match="no server answers"):
        run(store, shards, Double(bad_shard=shards[2], fault="gone"))
    assert len(store.entries("doubled")) == 2
    assert run(store, shards).failed == []


def test_an_interrupted_run_ends_byte_identical(store: Store, tmp_path: Path) -> None:
    whole = Store(str(tmp_path / "whole"))
    run(whole, write_numbers(whole, 5))
    run_reduce(whole, Rank(), lambda _: None)
    shards = write_numbers(store, 5)
    for stop_at in shards:
        with pytest.raises(EndpointsGone):
            run(store, shards, Double(bad_shard=stop_at, fault="gone"))
    run(store, shards)
    run_reduce(store, Rank(), lambda _: None)
    assert fingerprint(store, "tables", "files") == fingerprint(whole, "tables", "files")


def test_a_run_on_an_object_store_resumed_with_workers_elsewhere_finishes_everything(tmp_path: Path) -> None:
    store = Store(f"listing://{tmp_path.name}/root")
    shards = write_numbers(store, 5)
    double = Double(bad_shard=shards[3], fault="gone")
    with pytest.raises(EndpointsGone):
        run_segment(store, Elsewhere(), [double], shards, lambda _: None)
    resumed = another_client(store)
    assert run_segment(resumed, Elsewhere(), [Double()], shards, lambda _: None).done == 2
    # The next segment, as the run's own process sees the table.
    assert run_segment(resumed, Elsewhere(), [Shift()], resumed.shards("doubled"), lambda _: None).done == 5
    assert run_reduce(resumed, Rank(), lambda _: None).done == 5


def test_data_without_its_entry_is_not_finished(store: Store) -> None:
    shards = write_numbers(store, 2)
    run(store, shards)
    store.remove(f"manifest/doubled/{shards[0]}.json")
    assert run(store, shards).done == 1


def test_what_no_longer_follows_from_the_recipe_is_gone_before_it_is_redone(store: Store) -> None:
    shards = write_numbers(store, 2)
    run(store, shards)
    with pytest.raises(EndpointsGone):
        run(store, shards, Double(factor=5, bad_shard=shards[0], fault="gone"))
    assert shards[0] not in store.entries("doubled")
    assert not store.exists(store.table_file("doubled", shards[0]))


def test_a_reduce_runs_again_only_when_its_input_changed(store: Store) -> None:
    run(store, write_numbers(store, 3))
    assert run_reduce(store, Rank(), lambda _: None).done == 3
    assert run_reduce(store, Rank(), lambda _: None).skipped == 3
    entry = store.reduce_entry("ranked")
    assert entry is not None and entry.state == {"runs": 1}
    run(store, write_numbers(store, 4))
    totals = run_reduce(store, Rank(), lambda _: None)
    assert (totals.done, totals.skipped) == (1, 3)  # the others came out as they stand
    entry = store.reduce_entry("ranked")
    assert entry is not None and entry.state == {"runs": 2}


def test_a_reduce_writes_only_the_shards_that_came_out_otherwise(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run(store, write_numbers(store, 3))
    run_reduce(store, Rank(), lambda _: None)
    run(store, write_numbers(store, 4))
    written: list[str] = []
    write = Store.write

    def noted(self: Store, name: str, data: bytes) -> str:
        written.append(name)
        return write(self, name, data)

    monkeypatch.setattr(Store, "write", noted)
    run_reduce(store, Rank(), lambda _: None)
    assert written == [
        "tables/ranked/s-00003.parquet",
        "manifest/ranked/s-00003.json",
        "manifest/ranked/_reduce.json",
    ]


def test_a_reduce_retires_shards_that_it_no_longer_writes(store: Store) -> None:
    shards = write_numbers(store, 3)
    run(store, shards)
    run_reduce(store, Rank(), lambda _: None)
    store.retire("shifted", shards[0])
    run_reduce(store, Rank(), lambda _: None)
    assert sorted(store.entries("ranked")) == shards[1:]
    assert not store.exists(store.table_file("ranked", shards[0]))


@dataclasses.dataclass(frozen=True)
class Copied(Rank):
    """Ranks twice, once more under other names that come first."""

    twice: bool = False

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return Reduction(self._tables(super().run(store, previous).shards))

    def _tables(self, ranked: Iterator[tuple[str, pa.Table]]) -> Iterator[tuple[str, pa.Table]]:
        tables = list(ranked)
        yield from ((f"a-{shard}", table) for shard, table in tables if self.twice)
        yield from tables


def test_a_reduce_is_not_finished_while_shards_of_an_interrupted_other_one_lie_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = write_numbers(store, 3)
    run(store, shards)
    run_reduce(store, Copied(), lambda _: None)
    assert killed_at(4, lambda: run_reduce(store, Copied(twice=True), lambda _: None), monkeypatch)
    assert sorted(store.entries("ranked")) == ["a-s-00000", *shards]
    run_reduce(store, Copied(), lambda _: None)
    assert sorted(store.entries("ranked")) == shards
    assert run_reduce(store, Copied(), lambda _: None).skipped == 3


@dataclasses.dataclass(frozen=True)
class Unhurried(Rank):
    """Asks for its shards a second time."""

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        ranked, there = super().run(store, previous), store.shards("shifted")
        return Reduction((shard, table) for shard, table in ranked.shards if shard in there)


def test_a_listing_of_former_times_at_any_moment_of_a_reduce_leaves_nothing_that_counts_and_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, asked, moments = manifest.Listed.of, 0, 0
    for stale in range(1, 100):
        store = Store(f"listing://{tmp_path.name}/{stale}")
        shards, asked = write_numbers(store, 3), 0
        run(store, shards)

        def look(files: Files, table: str, stale: int = stale) -> manifest.Listed:
            nonlocal asked
            asked += table == "shifted"
            found = listed(files, table)
            behind = table == "shifted" and asked == stale
            return dataclasses.replace(found, names=found.names[:-1]) if behind else found

        with monkeypatch.context() as patch:
            patch.setattr(manifest.Listed, "of", look)
            with suppress(StoreError):
                run_reduce(store, Unhurried(), lambda _: None)
        assert store.reduce_entry("ranked") is None or store.shards("ranked") == shards
        run_reduce(store, Unhurried(), lambda _: None)
        assert store.shards("ranked") == shards
        if asked < stale:
            break
        moments += 1
    assert moments > 1


def test_a_reduce_killed_at_any_change_leaves_no_entry_that_vouches_for_other_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots: list[Store] = []

    def prepare() -> Callable[[], object]:
        store = Store(str(tmp_path / str(len(roots))))
        roots.append(store)
        shards = write_numbers(store, 2)
        run(store, shards)
        run_reduce(store, Rank(), lambda _: None)
        run(store, shards, Double(factor=-2))
        return lambda: run_reduce(store, Rank(), lambda _: None)

    for _ in every_kill(prepare, monkeypatch):
        for entry in roots[-1].entries("ranked").values():
            assert {n: hashlib.sha256(roots[-1].read(n)).hexdigest() for n in entry.writes} == entry.writes
        run_reduce(roots[-1], Rank(), lambda _: None)
    bytes_of = [fingerprint(store, "tables/ranked") for store in roots]
    assert len(roots) > 8 and all(found == bytes_of[-1] for found in bytes_of)


def test_shards_whose_input_is_missing_are_left_out(store: Store) -> None:
    shards = write_numbers(store, 2)
    totals = run(store, [*shards, "not-there"])
    assert (totals.done, totals.failed) == (4, [])
