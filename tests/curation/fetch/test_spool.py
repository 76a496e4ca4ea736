"""What an interrupted download keeps of a shard: whole records, of this shard only, and no verdict by accident."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from curation.core.store import Store
from curation.fetch.process_row import RowResult, _blank
from curation.fetch.spool import Spool, remove_finished, spool_path
from schemas.manifest import ShardEntry
from schemas.reasons import Reason
from tests.support.source_rows import source_row

BLANK = _blank(source_row(0, "http://a.example/0.jpg"))
RESULTS = [
    RowResult(replace(BLANK, width=3, phash=2**64 - 1, phash256=bytes(32), colours=b"\xff\0"), b"\xff\xd8 pixels"),
    RowResult(replace(BLANK, reason=Reason.HTTP_404, detail="status 404 · ünd \n so on", http_status=404)),
    RowResult(replace(BLANK, size=0, unchanged=True), b""),
]


def write(path: Path, key: str = "key") -> bytes:
    with Spool(path, key) as spool:
        for row, result in enumerate(RESULTS):
            spool.add([(10 * row, result)])
    return path.read_bytes()


def kept(path: Path, key: str = "key") -> dict[int, RowResult]:
    with Spool(path, key) as spool:
        return {row: spool.result(row) for row in spool.rows}


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path / "a.rows")
    assert kept(tmp_path / "a.rows") == {0: RESULTS[0], 10: RESULTS[1], 20: RESULTS[2]}


def test_a_file_cut_anywhere_keeps_its_whole_records_and_takes_further_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.rows"
    whole = write(path)
    counts = set()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        found = kept(path)
        counts.add(len(found))
        assert found == {10 * row: RESULTS[row] for row in range(len(found))}
        with Spool(path, "key") as spool:
            spool.add([(99, RESULTS[0])])
        assert kept(path)[99] == RESULTS[0]
    assert counts == {0, 1, 2, 3}


def test_damage_is_never_taken_for_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.rows"
    whole = write(path)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        found = kept(path)
        assert len(found) < len(RESULTS) and all(found[row] == RESULTS[row // 10] for row in found)


def test_another_key_empties_it(tmp_path: Path) -> None:
    write(tmp_path / "a.rows")
    assert kept(tmp_path / "a.rows", "other") == {}
    assert kept(tmp_path / "a.rows") == {}


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.HTTP_5XX, Reason.NAME_NOT_RESOLVED, Reason.HTTP_429])
def test_what_may_pass_is_asked_again(reason: Reason, tmp_path: Path) -> None:
    with Spool(tmp_path / "a.rows", "key") as spool:
        spool.add([(0, RowResult(replace(BLANK, reason=reason))), (1, RESULTS[1])])
    assert list(kept(tmp_path / "a.rows")) == [1]


def test_a_second_worker_does_without(tmp_path: Path) -> None:
    with Spool(tmp_path / "a.rows", "key"), pytest.raises(BlockingIOError):
        Spool(tmp_path / "a.rows", "key")


@pytest.mark.parametrize("url", ["{}/root", "memory://spools/root"])
def test_what_a_worker_left_that_died_behind_its_commit_is_removed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(url.format(tmp_path))
    done = ShardEntry("images", "done", "today", {}, {}, 0, 0, 0, 0.0, "w")
    for entry in (
        done,
        replace(done, shard="undecided", undecided=1),
        replace(done, shard="of-others", digest="other"),
    ):
        store.commit(entry)
    paths = {shard: spool_path(store, shard) for shard in ("done", "undecided", "of-others", "begun")}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    remove_finished(store, "today")
    assert {shard for shard, path in paths.items() if path.exists()} == {"undecided", "of-others", "begun"}
    for shard in paths:
        store.commit(replace(done, shard=shard))
    remove_finished(store, "today")
    assert not paths["done"].parent.exists()
    remove_finished(store, "today")
