"""``lapidary what-if`` over a root of a million rows: seconds from the call to the written page, a question each."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.core.pipeline import run_reduce
from curation.core.run import Barrier
from curation.core.store import Store
from curation.products import steps_of
from curation.scores.scorer import record_of
from curation.scores.sharpness import Sharpness
from curation.what_if.write import what_if
from schemas.arrow import Record
from schemas.captions import Caption, CaptionCheck, Score
from schemas.ids import shard_name
from schemas.manifest import ShardEntry
from schemas.records import Duplicate, ImageRow, Placement, Released, Repeat, SourceRow
from tests.support.report_roots import large_root
from tests.support.roots import picture, recipe

GOAL = 3.0
SHARD = 10_000
TABLES: tuple[type[Record], ...] = (SourceRow, Repeat, ImageRow, Duplicate, Caption, CaptionCheck, Score)
QUESTIONS = {
    "thresholds": ["scores.sharpness.min=40", "source.min_aesthetic=5.5"],
    "similarity": ["scores.min_caption_similarity=0.27"],
    "prefer": ['export.prefer=["short"]'],
    "no_fallback": ["export.alt_text_fallback=false"],
    "both": ["scores.min_caption_similarity=0.25", "source.min_aesthetic=5.5"],
}


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
            _write(store, record, shard, _renamed(table, number, file, rng))
        ids = made[ImageRow].filter(pc.is_null(made[ImageRow]["reason"]))
        ids = _renamed(ids.select(["sample_id"]), number, file, rng)["sample_id"]
        columns = {c.name: pa.array(rng.lognormal(4.5, 0.8, len(ids))) for c in Sharpness().columns}
        _write(store, record_of(Sharpness()), shard, pa.table({"sample_id": ids, **columns}))
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


def _write(store: Store, record: type[Record], shard: str, table: pa.Table) -> None:
    sha, size = store.write_table(record, shard, table)
    count = table.num_rows
    entry = ShardEntry(
        *(record.table, shard, "by hand", {}, {store.table_file(record.table, shard): sha}),
        *(count, count, size, 0.0, "local"),
    )
    store.commit(entry)


def release(store: Store) -> None:
    """Packs, and writes the table of released samples alone: what-if reads nothing else of a release."""
    for step in steps_of(store)[0]:
        if isinstance(step, Barrier) and step.reduce.writes is Placement:
            run_reduce(store, step.reduce, lambda _: None)
    for shard in store.shards(Placement.table):
        placed = store.read_table(Placement, shard, ["sample_id", "split", "shard"])
        zeros = pa.array(np.zeros(len(placed), np.int64))
        _write(store, Released, shard, placed.append_column("offset", zeros).append_column("size", zeros))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--root", help="a root that this made before; a new one is made where there is none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=QUESTIONS, nargs="*", default=list(QUESTIONS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = asked.root or f"{folder}/root"
        if not Store(url).count(Released.table):
            if not Store(url).count(SourceRow.table):
                made_root(url, asked.rows)
            release(Store(url))
        for question, _ in product(asked.only, range(asked.rounds)):
            started, cpu = time.perf_counter(), time.process_time()
            found = what_if(Store(url), QUESTIONS[question])
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            load = Path("/proc/loadavg").read_text().split()[0]
            print(f"what_if_{asked.rows} {question} seconds={seconds:.2f} cpu={cpu:.2f} load={load} goal<={GOAL:.0f} "
                  f"moved={found.answer.moved} kept={found.answer.kept}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
