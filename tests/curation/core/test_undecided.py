"""Rows without a verdict: the others go on, the same command works on these alone, and the end is the same."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from curation.core.engines.local import LocalEngine
from curation.core.job import Outcome
from curation.core.pipeline import Totals, run_segment
from curation.core.stage import Shard, Stage, Work, setting
from curation.core.store import Store
from schemas.arrow import rows_of, table_of
from tests.support.kills import every_kill
from tests.support.toy import Double, Doubled, Number, Shift, Shifted, fingerprint, write_numbers


@dataclasses.dataclass(frozen=True)
class Flaky(Double):
    """Doubles numbers; those of ``missing`` get no verdict today."""

    missing: tuple[int, ...] = setting((), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        def work(shard: Shard) -> pa.Table:
            numbers = list(rows_of(Number, self._work_on(shard)))
            decided = [n for n in numbers if n.value not in self.missing]
            if len(decided) < len(numbers):
                shard.leave_undecided(len(numbers) - len(decided), "the server was away")
            return table_of(Doubled, [Doubled(n.sample_id, n.value * self.factor) for n in decided])

        yield work

    def _work_on(self, shard: Shard) -> pa.Table:
        if shard.name == self.bad_shard:
            raise RuntimeError("told to fail")
        return shard.read(Number)


def run(store: Store, flaky: Stage, seen: list[Outcome] | None = None) -> Totals:
    outcomes: list[Outcome] = [] if seen is None else seen
    return run_segment(store, LocalEngine(), [flaky, Shift()], store.shards("numbers"), outcomes.append)


def values(store: Store) -> list[int]:
    tables = [store.read_table(Shifted, shard) for shard in store.shards("shifted")]
    return [v for table in tables for v in table.column("value").to_pylist()]


def made(url: Path) -> Store:
    store = Store(str(url))
    write_numbers(store, 3)
    return store


def bytes_of(store: Store) -> dict[str, str]:
    return fingerprint(store, "tables", "files")


def test_the_others_go_on_and_the_shard_is_told_as_failed(tmp_path: Path) -> None:
    store = made(tmp_path)
    totals = run(store, Flaky(missing=(7,)))
    assert [(f.shard, f.error) for f in totals.failed] == [("s-00001", "the server was away")]
    assert values(store) == [2 * v + 1 for v in range(15) if v != 7]
    assert {s: f.error for s, f in store.failures("doubled").items()} == {"s-00001": "the server was away"}
    assert store.entries("doubled")["s-00001"].undecided == 1
    assert b"undecided" not in store.entries("doubled")["s-00000"].to_json()


def test_the_same_run_again_does_that_shard_alone_and_ends_as_if_nothing_had_failed(tmp_path: Path) -> None:
    whole, store = made(tmp_path / "whole"), made(tmp_path / "root")
    run(whole, Flaky())
    run(store, Flaky(missing=(7,)))
    totals = run(store, Flaky())
    assert (totals.done, totals.skipped, totals.failed) == (2, 4, [])
    assert bytes_of(store) == bytes_of(whole) and store.failures("doubled") == {}
    assert fingerprint(store, "manifest").keys() == fingerprint(whole, "manifest").keys()
    assert (run(store, Flaky()).done, run(store, Flaky()).skipped) == (0, 6)


def test_rows_that_fail_again_cost_the_later_stages_nothing(tmp_path: Path) -> None:
    store = made(tmp_path)
    run(store, Flaky(missing=(7,)))
    before = bytes_of(store)
    totals = run(store, Flaky(missing=(7,)))
    assert (totals.done, totals.skipped, len(totals.failed)) == (0, 5, 1)
    assert bytes_of(store) == before


def test_a_worse_day_takes_nothing_back(tmp_path: Path) -> None:
    store = made(tmp_path)
    run(store, Flaky(missing=(7,)))
    totals = run(store, Flaky(bad_shard="s-00001"))
    assert [f.shard for f in totals.failed] == ["s-00001"]
    assert values(store) == [2 * v + 1 for v in range(15) if v != 7]
    assert run(store, Flaky()).failed == [] and values(store) == [2 * v + 1 for v in range(15)]


@pytest.mark.parametrize("second", [(), (8,), (7,)])
def test_a_kill_at_any_instant_changes_no_byte_of_the_end(
    second: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(tmp_path / "whole")
    run(whole, Flaky())
    number = count()
    for missing, later in (((7,), second), (second, ())):

        def prepare(missing: tuple[int, ...] = missing, later: tuple[int, ...] = later) -> Callable[[], object]:
            nonlocal store
            store = made(tmp_path / f"killed-{next(number)}")
            run(store, Flaky(missing=missing))
            return lambda: run(store, Flaky(missing=later))

        store = whole
        for _ in every_kill(prepare, monkeypatch):
            for shard, entry in store.entries("doubled").items():
                data = store.read(store.table_file("doubled", shard))
                assert hashlib.sha256(data).hexdigest() == entry.writes[store.table_file("doubled", shard)]
            run(store, Flaky())
            assert bytes_of(store) == bytes_of(whole)
