"""A list in an object store that changes is planned as the same list in a folder is; so is a root that lies there.

The store is moto's, on 127.0.0.1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.job import Outcome
from curation.core.store import Store
from curation.sources.discover import open_source
from curation.sources.planner import plan
from schemas.recipe import Source
from schemas.records import GoneRow, ImageRow, SourceColumns, SourceRow
from tests.support.object_store import bucket

__all__ = ["bucket"]

RECIPE = Source(shard_rows=10, min_side=0)
FIRST = range(100, 137)
# Rows in front, in the middle and behind, some that are gone, one that comes twice.
LATER = [*range(7), *range(100, 112), 500, *range(115, 137), 101, *range(600, 620)]


def as_parquet(numbers: Sequence[int]) -> bytes:
    columns = {"url": [f"http://a/{n}.jpg" for n in numbers], "text": [f"text {n}" for n in numbers]}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({**columns, "rank": list(numbers)}), sink, row_group_size=8)
    return sink.getvalue().to_pybytes()


def as_lines(numbers: Sequence[int]) -> bytes:
    records = ({"url": f"http://a/{n}.jpg", "text": f"text {n}", "rank": n} for n in numbers)
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def planned(root: str, source: str) -> list[str]:
    statuses: list[str] = []

    def report(outcome: Outcome) -> None:
        statuses.append(outcome.status)

    plan(Store(root), open_source([source]), RECIPE, report)
    return statuses


def tables(root: str) -> dict[str, bytes]:
    store = Store(root)
    found = [(r, shard) for r in (SourceRow, SourceColumns, GoneRow) for shard in store.shards(r.table)]
    return {name: store.read(name) for r, shard in found for name in [store.table_file(r.table, shard)]}


@pytest.mark.parametrize(("write", "name"), [(as_parquet, "list.parquet"), (as_lines, "list.jsonl")])
@pytest.mark.parametrize("remote_root", [False, True])
def test_a_list_in_an_object_store_changes_as_one_in_a_folder_does(
    write: Callable[[Sequence[int]], bytes], name: str, remote_root: bool, bucket: str, tmp_path: Path
) -> None:
    place = f"{bucket}/{tmp_path.name}"
    root = f"{place}/root" if remote_root else str(tmp_path / "remote")
    (tmp_path / "lists").mkdir()
    for numbers in (FIRST, LATER):
        data = write(numbers)
        (tmp_path / "lists" / name).write_bytes(data)
        with fsspec.open(f"{place}/lists/{name}", "wb") as file:
            file.write(data)
        planned(str(tmp_path / "local"), str(tmp_path / "lists"))
        planned(root, f"{place}/lists")
        assert set(planned(root, f"{place}/lists")) == {"skipped"}  # what did not change is not planned again
    expected = tables(str(tmp_path / "local"))
    assert tables(root) == expected and any(GoneRow.table in name for name in expected)
    assert not Store(root).shards(ImageRow.table)
