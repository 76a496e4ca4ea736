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

from curation.core.pipeline import run_reduce
from curation.core.run import Barrier
from curation.core.store import Store
from curation.products import steps_of
from curation.what_if.write import what_if
from schemas.records import Placement, Released, SourceRow
from tests.support.bench_roots import made_root, write_shard

GOAL = 3.0
QUESTIONS = {
    "thresholds": ["scores.sharpness.min=40", "source.min_aesthetic=5.5"],
    "similarity": ["scores.min_caption_similarity=0.27"],
    "prefer": ['export.prefer=["short"]'],
    "no_fallback": ["export.alt_text_fallback=false"],
    "both": ["scores.min_caption_similarity=0.25", "source.min_aesthetic=5.5"],
}


def release(store: Store) -> None:
    """Packs, and writes the table of released samples alone: what-if reads nothing else of a release."""
    for step in steps_of(store)[0]:
        if isinstance(step, Barrier) and step.reduce.writes is Placement:
            run_reduce(store, step.reduce, lambda _: None)
    for shard in store.shards(Placement.table):
        placed = store.read_table(Placement, shard, ["sample_id", "split", "shard"])
        zeros = pa.array(np.zeros(len(placed), np.int64))
        write_shard(store, Released, shard, placed.append_column("offset", zeros).append_column("size", zeros))


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
