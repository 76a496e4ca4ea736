"""A root of many thousand shards of one sample each, as runs of refine_laion would leave it.

A real run of one sample is the template: its tables, entries and reduces are written once for every shard, with that
shard's own identity, hashes and texts, and with the digests and sums that a run would find. Every ``PER_FILE`` shards
belong to one file of the source, a real tar of one sample: a run that finds a file unchanged does not read it. Pixels
and release tars are hard links to the template's; nothing that is measured here reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation import catalog
from curation.catalog import Conservation
from curation.core import manifest
from curation.core.entries import Entries
from curation.core.entry_columns import PLAIN, SCHEMA, own, parsed
from curation.core.sql import literal
from curation.core.store import Store, encoded
from curation.counts import COUNTS, Counts, Split
from curation.dedupe.earlier import Earlier
from curation.dedupe.incremental import RootDecisions
from curation.dedupe.thumbnail_file import ThumbnailFile
from curation.products import steps_of
from curation.release import finish
from curation.release.differences import tars_of
from curation.release.finish import FinishRelease
from curation.release.funnel import FunnelRow, GoneRows
from curation.release.placing import fingerprint
from curation.release.state import state_of
from curation.release.versions import REMEMBERED, read_sums
from curation.release.versions import sums as release_sums
from curation.report import write as report
from curation.report.choosing import SAMPLE
from curation.sources.planned import RECORD, straight
from schemas.ids import shard_name
from schemas.manifest import ReduceEntry
from schemas.recipe import Dedupe
from tests.support.bench_runs import refine, write_source

PER_FILE = 1000
SETTINGS = ("source.shard_rows=1", "export.shard_size=1", "source.min_side=64", "download.min_side=64")
_SIDE = 64
_OF_RELEASE = ("placements", "released")
_BESIDE = ("colours", "thumbnails")  # the entry of images vouches for them
_LINKS = 30_000  # of one file, below what file systems allow
_CHUNK = 2_000


@dataclass(frozen=True)
class Numbers:
    """What the shard of each number is called, from 0."""

    source: str

    def file(self, n: int) -> str:
        return f"part-{n // PER_FILE:05d}.tar"

    def shard(self, n: int) -> str:
        return shard_name(self.file(n), n % PER_FILE)

    def released(self, n: int) -> str:
        return f"train-{n:06d}"

    def name(self, table: str, n: int) -> str:
        """The shard of a table."""
        return self.released(n) if table in _OF_RELEASE else self.shard(n)

    def sample(self, n: int) -> str:
        return hashlib.sha256(f"sample {n}".encode()).hexdigest()[:32]

    def values(self, n: int) -> dict[str, Any]:
        """The values of columns in which the sample of a number differs from that of others."""
        hashed = hashlib.sha256(f"pixels {n}".encode())
        caption = f"Picture {n} shows a green boat beside a grey table on a sandy beach."
        ids = dict.fromkeys(("sample_id", "keeper_id", "cluster_id"), self.sample(n))
        return ids | {
            "source_file": self.file(n),
            "source_row": n % PER_FILE,
            "local_file": f"file://{self.source}/{self.file(n)}",
            "source_shard": self.shard(n),
            "shard": self.released(n),
            "sha256": hashed.hexdigest(),
            "original_sha256": hashed.hexdigest(),
            "phash": int.from_bytes(hashed.digest()[:8], "big"),
            "phash256": hashed.digest(),
            "alt_text": f"old boat of number {n} on beach stock photo",
            "caption": caption,
            "text": caption,
            "captions": json.dumps({"dense": caption}, separators=(",", ":")),
        }


def make_root(root: Path, source: Path, shards: int, *, tables_too: bool = True) -> None:
    """Makes the root and its source. The release's card and the page are those of the template until a run.

    Without ``tables_too`` there are no tables and no tars but those of the template: the manifest has made-up sums, and
    the card, the page, the catalog and the counts are said to have been made from it. That is enough for a run that
    has nothing to do, as long as it reads none of them.
    """
    _write_sources(source, 1)
    refine(root, source, SETTINGS, lambda table, seconds: None)
    store, numbers = Store(str(root)), Numbers(str(source))
    files = _write_sources(source, -(-shards // PER_FILE))
    fingerprints = {name: _fingerprint(source, name) for name in files}
    tables = sorted(path.name for path in (root / "tables").iterdir())
    write = _write_table if tables_too else _made_up
    sums = {table: write(store, numbers, table, shards) for table in tables}
    linked = ("images/\0.tar", "images/\0_stats.json", "release/\0.tar", "release/metadata/\0.parquet")
    for path in linked if tables_too else ():
        _link(store, numbers, path, shards)
    reduces = {t: e for t in store.names("manifest") if (e := _reduce(store, t)) is not None}
    for table in tables:
        if table not in _BESIDE:
            _write_entries(store, numbers, table, sums, fingerprints)
    for table, entry in reduces.items():
        _write_reduce(store, numbers, entry, sums) if table != "release" else None
    progress = {
        name: {"fingerprint": fingerprints[name], "rows": rows, "complete": True, "shards": rows}
        for number, name in enumerate(files)
        for rows in (min(PER_FILE, shards - number * PER_FILE),)
    }
    store.write(RECORD, json.dumps(progress, sort_keys=True, indent=1).encode())
    if not tables_too:
        _say_finished(store, numbers, shards)


def _made_up(store: Store, numbers: Numbers, table: str, shards: int) -> np.ndarray[Any, Any]:
    seed = int.from_bytes(hashlib.sha256(table.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).integers(0, 256, (shards, 32), np.uint8)


def _say_finished(store: Store, numbers: Numbers, shards: int) -> None:
    """Writes what the end of a run writes, as if it had been made from what the manifest says."""
    steps, recipe = steps_of(store)
    state = state_of(store, steps, recipe)
    forms = ("{}.tar", "metadata/{}.parquet")
    listed = {form.format(numbers.released(n)): f"{n:064x}" for form in forms for n in range(shards)}
    store.write("release/SHA256SUMS", release_sums(listed | read_sums(store)))
    store.write(f"{REMEMBERED}/tars.json", json.dumps(tars_of(store), sort_keys=True).encode())
    (last,) = (step for step in steps if isinstance(step, FinishRelease))
    of = [*last.before, *(step for step in last.beside if step.on)]
    shown = dict.fromkeys(("README.md", "croissant.json", "SHA256SUMS"), "")
    entry = ReduceEntry("release", finish._digest(store, recipe, of), finish._reads(store, of), shown, 0.0, {})
    store.commit_reduce(entry)
    store.write("report/index.html", b"<html></html>")
    known = {"key": report._made_from(store, SAMPLE), "rows": 1, "shown": 1, "thumbnails": 0}
    store.write("report/made_from.json", json.dumps(known).encode())
    funnel = (FunnelRow("release", "kept", None, shards),)
    split = (Split("train", shards, shards),)
    counts = Counts(state, Conservation(shards, shards, 0, 0), funnel, GoneRows(), (), (), split)
    store.write(COUNTS, counts.to_json())
    path = Path(store.path(catalog.CATALOG))
    path.unlink(missing_ok=True)
    with duckdb.connect(path) as made:
        made.execute(f"CREATE MACRO made_from() AS {literal(catalog._made_from(store, state))}")


def index(root: Path) -> None:
    """Makes the root's index of decided images, as its dedupe would have left it."""
    store = Store(str(root))
    decisions = RootDecisions(store, Dedupe())
    present = decisions._present()
    made = store.entries("duplicates").own_sums()
    Earlier.of(store, {shard: (sha, made[shard]) for shard, sha in present.items()}, ThumbnailFile(store))


def _write_sources(source: Path, files: int) -> list[str]:
    """Tars of one sample each; their names."""
    names = [f"part-{number:05d}.tar" for number in range(files)]
    for number, name in enumerate(names):
        if not (source / name).exists():
            write_source(made := source.with_name("one"), 1, _SIDE, _SIDE, number)
            source.mkdir(parents=True, exist_ok=True)
            (made / "part-00000.tar").rename(source / name)
            made.rmdir()
    return names


def _fingerprint(source: Path, name: str) -> str:
    stat = (source / name).stat()
    return f"{stat.st_size}-{stat.st_mtime} file://{source}/{name}"


def _write_table(store: Store, numbers: Numbers, table: str, shards: int) -> np.ndarray[Any, Any]:
    """Writes all shards of a table; their sums, (shards, 32) bytes."""
    template = pq.read_table(store.path(store.table_file(table, numbers.name(table, 0))))
    if not template.num_rows:
        _link(store, numbers, own(table), shards)
        data = store.read(store.table_file(table, numbers.name(table, 0)))
        return np.tile(np.frombuffer(hashlib.sha256(data).digest(), np.uint8), (shards, 1))
    work = partial(_write_some, store, numbers, table, template)
    chunks = [(at, min(shards, at + _CHUNK)) for at in range(0, shards, _CHUNK)]
    with get_context("spawn").Pool(2) as pool:
        return np.frombuffer(b"".join(pool.imap(work, chunks)), np.uint8).reshape(shards, 32)


def _write_some(store: Store, numbers: Numbers, table: str, template: pa.Table, chunk: tuple[int, int]) -> bytes:
    found = []
    for n in range(*chunk):
        rows = template
        for name, value in numbers.values(n).items():
            if name in rows.column_names and rows[name].null_count < rows.num_rows:
                at, kind = rows.column_names.index(name), rows.schema.field(name)
                own_values = [None if old is None else value for old in rows[name].to_pylist()]
                rows = rows.set_column(at, kind, pa.array(own_values, kind.type))
        data = encoded(rows)
        Path(store.path(store.table_file(table, numbers.name(table, n)))).write_bytes(data)
        found.append(hashlib.sha256(data).digest())
    return b"".join(found)


def _link(store: Store, numbers: Numbers, path: str, shards: int) -> None:
    """Hard links of the template's file of this path for all shards; ``\\0`` in it stands for the shard's name."""
    of = numbers.released if path.startswith(("release/", *(f"tables/{t}/" for t in _OF_RELEASE))) else numbers.shard
    first = Path(store.path(path.replace("\0", of(0))))
    for n in range(1, shards):
        target = store.path(path.replace("\0", of(n)))
        if n % _LINKS == 0:
            Path(target).write_bytes(first.read_bytes())
            first = Path(target)
        else:
            os.link(first, target)


def _reduce(store: Store, table: str) -> ReduceEntry | None:
    return store.reduce_entry(table) if table != "sources.json" else None


def _write_entries(
    store: Store,
    numbers: Numbers,
    table: str,
    sums: Mapping[str, np.ndarray[Any, Any]],
    fingerprints: Mapping[str, str],
) -> None:
    """The file of entries of a table, as columns."""
    rows = store.entries(table).rows_of_all()
    n, template = len(sums[table]), rows.slice(0, 1).to_pylist()[0]
    names = [numbers.name(table, number) for number in range(n)]

    def same(text: str) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), [text])

    def all_sums(kind: str) -> pa.Array:
        paths = [path for path, given in parsed(template[kind]) if given is None]
        there = [template[f"{kind[:-1]}_sums"][32 * at :][:32] for at in range(len(paths))]
        parts = [_sums_of(path, sums, n, known) for path, known in zip(paths, there, strict=True)]
        joined = np.hstack(parts) if parts else np.zeros((n, 0), np.uint8)
        return pa.array([row.tobytes() for row in joined], pa.large_binary())

    columns: dict[str, Any] = {
        "shard": pa.array(names),
        "reads": same(template["reads"]),
        "read_sums": all_sums("reads"),
        "writes": same(template["writes"]),
        "write_sums": all_sums("writes"),
        **{name: pa.array([template[name]] * n, SCHEMA.field(name).type) for name in PLAIN if name != "undecided"},
        "undecided": pa.array(np.zeros(n, np.int64)),
    }
    columns |= {name: same(template[name]) for name in ("digest", "worker")}
    if template["reads"].startswith('[["source:'):
        files = [
            json.dumps([[path, sum_] for path, sum_ in straight(f, fingerprints[f]).items()]) for f in fingerprints
        ]
        at = pa.array(np.arange(n, dtype=np.int32) // PER_FILE)
        columns["reads"] = pa.DictionaryArray.from_arrays(at, files)
    found = pa.table([columns[f.name] for f in SCHEMA], SCHEMA)
    data = manifest._encoded(Entries(table, found.sort_by("shard").combine_chunks()).rows_of_all())
    name = f"{1:08d}-{hashlib.sha256(data).hexdigest()[:16]}.parquet"
    store.write(f"manifest/{table}/{manifest.FOLDER}/{name}", data)
    for shard in manifest.small_shards(store, table):
        store.remove(f"manifest/{table}/{shard}.json")


def _sums_of(path: str, sums: Mapping[str, np.ndarray[Any, Any]], shards: int, known: bytes) -> np.ndarray[Any, Any]:
    """The sums of a path for all shards: those of a table, or that of the template's file."""
    table = next((table for table in sums if own(table) == path), None)
    return np.tile(np.frombuffer(known, np.uint8), (shards, 1)) if table is None else sums[table]


def _write_reduce(
    store: Store, numbers: Numbers, template: ReduceEntry, sums: Mapping[str, np.ndarray[Any, Any]]
) -> None:
    table = template.table
    read = sorted({name.split("/")[1] for name in template.reads})
    reads = {s.table_file(t, shard): sha for s in (store,) for t in read for shard, sha in _own(store, t)}
    shards = dict(_own(store, table))
    state = {
        "repeats": lambda: {"shards": sorted(shards)},
        "duplicates": lambda: {"decided": RootDecisions(store, Dedupe())._present(), "linked": {}},
        "placements": lambda: {
            "shards": {numbers.released(n): fingerprint([numbers.sample(n)]) for n in range(len(shards))}
        },
    }.get(table, dict)()
    store.commit_reduce(ReduceEntry(table, template.digest, reads, shards, 1.0, state))


def _own(store: Store, table: str) -> Iterator[tuple[str, str]]:
    yield from store.entries(table).own_sums().items()
