"""Roots of a million rows and more for benches: one shard is made row by row, the others are that one renamed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.core.store import Store
from curation.scores.scorer import record_of
from curation.scores.sharpness import Sharpness
from schemas.arrow import Record
from schemas.captions import Caption, CaptionCheck, Score
from schemas.ids import shard_name
from schemas.manifest import ShardEntry
from schemas.records import Duplicate, ImageRow, Repeat, SourceRow
from tests.support.report_roots import large_root
from tests.support.roots import picture, recipe

SHARD = 10_000
TABLES: tuple[type[Record], ...] = (SourceRow, Repeat, ImageRow, Duplicate, Caption, CaptionCheck, Score)


def made_root(url: str, rows: int) -> Store:
    """A root of so many rows with aesthetic scores, similarities and a table of sharpness, drawn by seed.

    One shard is made row by row; the others are that one under other names, ids and scores.
    """
    large_root(url, 1, SHARD, [picture(n) for n in range(64)], recipe(images=False, shard_size=SHARD))
    store, rng = Store(url), np.random.default_rng(0)
    (first,) = store.shards(SourceRow.table)
    made = {
        record: store.read_table(record, first)
        for record in TABLES
        if store.exists(store.table_file(record.table, first))
    }
    for number in range(rows // SHARD):
        file = f"large-{number}.parquet"
        shard = shard_name(file, 0)
        if number:
            store.write(store.images_file(shard), store.read(store.images_file(first)))
        for record, table in made.items():
            write_shard(store, record, shard, _renamed(table, number, file, rng))
        ids = made[ImageRow].filter(pc.is_null(made[ImageRow]["reason"]))
        ids = _renamed(ids.select(["sample_id"]), number, file, rng)["sample_id"]
        columns = {c.name: pa.array(rng.lognormal(4.5, 0.8, len(ids))) for c in Sharpness().columns}
        write_shard(store, record_of(Sharpness()), shard, pa.table({"sample_id": ids, **columns}))
    return store


def _renamed(table: pa.Table, number: int, file: str, rng: np.random.Generator) -> pa.Table:
    """The rows of a shard as those of another one."""
    for at, field in enumerate(table.schema):
        column = table.column(at)
        if field.name in ("sample_id", "keeper_id", "cluster_id"):
            column = pc.binary_join_element_wise(f"{number:08x}", pc.utf8_slice_codeunits(column, 8), "")
        elif field.name == "source_file":
            column = pa.array([file] * len(table), field.type)
        elif field.name == "aesthetic":
            column = pa.array(rng.normal(5.5, 0.6, len(table)), field.type)
        elif field.name == "similarity":  # of texts, or of the source's own model
            column = pa.array(rng.normal(0.27, 0.04, len(table)), field.type)
        table = table.set_column(at, field, column)
    return table


def write_shard(store: Store, record: type[Record], shard: str, table: pa.Table) -> None:
    """A finished shard of a table."""
    sha, size = store.write_table(record, shard, table)
    count = table.num_rows
    entry = ShardEntry(
        *(record.table, shard, "by hand", {}, {store.table_file(record.table, shard): sha}),
        *(count, count, size, 0.0, "local"),
    )
    store.commit(entry)
