"""What ``warm`` compiles is all that a run's decisions need."""

from __future__ import annotations

from pathlib import Path

from numba.core import event

from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.dedupe.reduce import DedupeReduce
from curation.dedupe.warm import warm
from schemas.recipe import Dedupe
from schemas.records import Duplicate
from tests.support.data_sets import folder_of, jpeg, root_of


def test_a_run_compiles_nothing_more(tmp_path: Path) -> None:
    warm()
    pictures = {
        f"{n}{change[:4]}": (jpeg(n, change), f"text {n} {change}") for n in range(3) for change in ("", "grey")
    }
    with event.install_recorder("numba:compile") as recorded:
        store = Store(root_of(tmp_path / "root", folder_of(tmp_path / "pictures", pictures)))
        run_reduce(store, DedupeReduce(Dedupe()), lambda outcome: None)
    removed = [store.read_table(Duplicate, shard)["reason"].drop_null() for shard in store.shards(Duplicate.table)]
    assert sum(map(len, removed)) == 3
    assert [e.data["dispatcher"].py_func.__name__ for _, e in recorded.buffer if e.is_start] == []
