"""What it costs to find "nothing to do" in a root of many shards and ten tables::

    bench_manifest.py [SHARDS] [--small] [--s3]

The root has a manifest only, as runs leave it: a file of entries a table, or with ``--small`` a file for each shard, as
it is before the first step has ended. Eight tables are a segment's, the last one is a reduce's over the two before it.
With ``--s3`` the root is a bucket of moto's server on loopback, in another process. Seconds are of processor time; the
wall's depend on other work.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.core import manifest
from curation.core.engines.local import LocalEngine
from curation.core.entries import Entries
from curation.core.entry_columns import SCHEMA
from curation.core.pipeline import run_reduce, run_segment
from curation.core.stage import Reduction, Resources, Stage, Work, digest, setting
from curation.core.store import Store
from schemas.arrow import Record
from schemas.manifest import ReduceEntry
from tests.support.bench_requests import count_requests, object_store

TABLES = 10
SHARDS = 200_000


def record(number: int) -> type[Record]:
    made = dataclasses.make_dataclass(f"Row{number}", [("sample_id", str)], bases=(Record,), frozen=True)
    made.table = f"table_{number}"  # type: ignore[attr-defined]
    return made


RECORDS = [record(number) for number in range(TABLES)]


@dataclasses.dataclass(frozen=True)
class Step:
    """Reads the two tables before its own."""

    number: int
    version: ClassVar[int] = 1
    resources: Resources = setting(Resources(), digest=False)

    @property
    def name(self) -> str:
        return f"step_{self.number}"

    @property
    def reads(self) -> tuple[type[Record], ...]:
        return tuple(RECORDS[max(0, self.number - 2) : self.number])

    @property
    def writes(self) -> type[Record]:
        return RECORDS[self.number]

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._work

    def _work(self, shard: Any) -> pa.Table:
        raise AssertionError(f"{shard.name} is finished")

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        raise AssertionError("the reduce is finished")


def stages() -> list[Stage]:
    return [Step(number) for number in range(1, TABLES - 1)]


def sums(number: int, shards: int) -> np.ndarray[Any, Any]:
    """The sums of a table's shards, (shards, 32) bytes."""
    return np.random.default_rng(number).integers(0, 256, (shards, 32), np.uint8)


def entries(number: int, names: list[str]) -> Entries:
    """A table's entries, made as columns."""
    n, last = len(names), number == TABLES - 1
    reads = () if number == 0 or last else Step(number).reads
    kinds = [
        manifest_kind(sorted(f"tables/{r.table}/\0.parquet" for r in reads)),
        manifest_kind([f"tables/{RECORDS[number].table}/\0.parquet"]),
    ]
    read = np.hstack([sums(RECORDS.index(r), n) for r in reads]) if reads else np.zeros((n, 0), np.uint8)

    def same(text: str) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), [text])

    columns = {
        "shard": pa.array(names),
        "digest": same(digest(Step(number)) if number else "source"),
        "reads": same(kinds[0]),
        "read_sums": pa.array([row.tobytes() for row in read], pa.large_binary()),
        "writes": same(kinds[1]),
        "write_sums": pa.array([row.tobytes() for row in sums(number, n)], pa.large_binary()),
        **{name: pa.array(np.full(n, 1000)) for name in ("rows_in", "rows_out", "bytes_out")},
        "seconds": pa.array(np.full(n, 1.5)),
        "worker": same("10.0.0.1:4711"),
        "undecided": pa.array(np.zeros(n, np.int64)),
    }
    return Entries(RECORDS[number].table, pa.table([columns[f.name] for f in SCHEMA], SCHEMA))


def manifest_kind(paths: list[str]) -> str:
    import json

    return json.dumps([[path, None] for path in paths])


def make(url: str, shards: int, *, small: bool) -> None:
    store = Store(url)
    names = [f"part-{n // 100:05d}-{n % 100:05d}" for n in range(shards)]
    for number in range(TABLES):
        found = entries(number, names)
        folder = f"manifest/{found.table}"
        if small:
            for entry in found.values():
                store.write(f"{folder}/{entry.shard}.json", entry.to_json())
        else:
            data = manifest._encoded(found.rows_of_all())
            name = f"{1:08d}-{hashlib.sha256(data).hexdigest()[:16]}.parquet"
            store.write(f"{folder}/{manifest.FOLDER}/{name}", data)
    reduce = Step(TABLES - 1)
    files = [(r, s, sha) for r in reduce.reads for s, sha in store.entries(r.table).own_sums().items()]
    reads = {store.table_file(r.table, shard): sha for r, shard, sha in files}
    own = store.entries(reduce.writes.table).own_sums()
    store.commit_reduce(ReduceEntry(reduce.writes.table, digest(reduce), reads, own, 1.0, {}))


def look(url: str) -> None:
    """Opens the root, plans, and finds nothing to do."""
    asked = count_requests()
    started, cpu = time.perf_counter(), time.process_time()
    store = Store(url)
    skipped = 0

    def report(outcome: Any) -> None:
        nonlocal skipped
        skipped += outcome.shards

    names = store.shards(RECORDS[0].table)
    totals = run_segment(store, LocalEngine(), stages(), names, report)
    reduced = run_reduce(store, Step(TABLES - 1), report)
    assert totals.done == 0 and not totals.failed and reduced.done == 0 and skipped == len(names) * (TABLES - 1)
    for one in RECORDS:
        assert not manifest.compact(store, one.table) or "--small" in sys.argv
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    seconds, wall = time.process_time() - cpu, time.perf_counter() - started
    print(
        f"manifest_{len(names)}_shards_{TABLES}_tables cpu={seconds:.1f}s wall={wall:.1f}s peak={peak:.0f}MiB "
        f"requests={len(asked)}"
    )


@contextmanager
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as made:
        yield f"{made}/root"


def main() -> None:
    if sys.argv[1:2] == ["look"]:
        look(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", nargs="?", type=int, default=SHARDS)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--s3", action="store_true")
    words = parser.parse_args()
    with object_store() if words.s3 else folder() as url:
        make(url, words.shards, small=words.small)
        small = ["--small"] if words.small else []
        subprocess.run([sys.executable, __file__, "look", url, *small], check=True)


if __name__ == "__main__":
    main()
