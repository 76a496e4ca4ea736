"""What a root asks of an object store holds on stores that are not Amazon's; on Swift's s3api with ``--chaos``."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.errors import RootInUse
from curation.core.lock import hold
from curation.core.owner import BEAT, LOCK
from curation.core.root import open_root
from curation.core.store import Store
from curation.sources.discover import open_source
from curation.sources.planner import plan
from schemas.recipe import Source
from schemas.records import SourceRow
from tests.support.holder import having_it_of, held_by_another
from tests.support.object_store import bucket

__all__ = ["bucket"]

NAMES = [f"many/{number} é+&.json" for number in range(40)]
RUNS = 6


def test_files_are_written_read_moved_and_removed(bucket: str, tmp_path: Path) -> None:
    store = open_root(f"{bucket}/some/prefix", shared=True)
    for name in NAMES:
        store.write(name, name.encode())
    assert [f"many/{name}" for name in store.names("many")] == sorted(NAMES)
    assert store.read_all([*NAMES, "many/none"]) == {name: name.encode() for name in NAMES}
    store.move(NAMES[0], "moved/é")
    assert store.read("moved/é") == NAMES[0].encode() and not store.exists(NAMES[0])
    store.remove_all(NAMES)  # the one that was moved among them
    assert not store.names("many") and store.names("moved") == ["é"]
    store.remove("many/none")
    store.write("empty", b"")
    assert store.read("empty") == b""


def test_a_file_that_goes_in_many_parts_is_the_same_file(bucket: str, tmp_path: Path) -> None:
    store = Store(f"{bucket}/r")
    data = os.urandom(2**20) * 110  # s3fs sends more than 100 MiB in parts
    (tmp_path / "file").write_bytes(data)
    store.publish("published", tmp_path / "file")
    store.move("published", "moved")
    store.fetch("moved", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    assert store.read_ranges("moved", [(0, 3), (109 * 2**20, 200 * 2**20)]) == [data[:3], data[109 * 2**20 :]]
    assert store.names("") == ["moved"]


def test_a_root_is_free_at_once_when_its_holder_is_killed(bucket: str) -> None:
    url = f"{bucket}/r"
    with held_by_another(url) as other:
        with pytest.raises(RootInUse, match=f"in use by process {other.pid} on"), hold(Store(url)):
            pass
        other.kill()
        other.wait()
        with hold(Store(url)) as lock:
            lock.check()
    assert not Store(url).exists(LOCK) and not Store(url).exists(BEAT)


def test_of_runs_that_start_together_one_has_the_root(bucket: str) -> None:
    assert len(having_it_of(RUNS, f"{bucket}/r")) == 1


def test_a_list_is_read_and_followed_as_it_grows(bucket: str, tmp_path: Path) -> None:
    """A source in the bucket, a root in the bucket: both as in folders."""
    (tmp_path / "lists").mkdir()
    for part, rows in enumerate((range(25), range(25, 60))):
        columns = {"url": [f"http://a/{n}.jpg" for n in rows], "text": [f"text {n}" for n in rows]}
        local = tmp_path / "lists" / f"part-{part}.parquet"
        pq.write_table(pa.table(columns), local)
        Store(f"{bucket}/lists").write(local.name, local.read_bytes())
        found: list[dict[str, bytes]] = []
        for root, source in ((f"{bucket}/root", f"{bucket}/lists"), (str(tmp_path / "root"), str(tmp_path / "lists"))):
            store = Store(root)
            plan(store, open_source([source]), Source(shard_rows=10, min_side=0), lambda _: None)
            names = [store.table_file(SourceRow.table, shard) for shard in store.shards(SourceRow.table)]
            found.append(store.read_all(names))
        assert found[0] == found[1] and found[0]
