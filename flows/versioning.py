"""A run that changes a release makes it the next version by itself.

``versions/`` in a root holds what its newest version holds: of each sample hashes of its texts and pixels, and the sums
of the tars. A run compares the release that it leaves with that, and writes
``release/VERSION`` and ``release/CHANGELOG.md``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from curation import catalog
from curation.core.database import registered
from curation.core.gathered import kept_rows
from curation.core.sql import literal
from curation.core.store import Store
from curation.release.differences import Differences, differences, tars_of
from curation.release.versions import CHANGELOG, RELEASE, REMEMBERED, SUMS, VERSION, next_version, read_sums, vouch
from schemas.arrays import strings
from schemas.records import Released

_SAMPLES, _TARS = f"{REMEMBERED}/samples.parquet", f"{REMEMBERED}/tars.json"
_KEPT = "samples"
_COLUMNS = {"sample_id", "caption", "captions", "sha256"}
_METADATA = f"{RELEASE}metadata"
_HASHED = """
SELECT sample_id, md5(coalesce(caption, '') || chr(0) || coalesce(captions, '')) AS caption,
    NULL::VARCHAR AS captions, sha256
FROM batch
"""
_OF_ALL = "CREATE OR REPLACE TABLE now (sample_id VARCHAR, caption VARCHAR, captions VARCHAR, sha256 VARCHAR)"
_NOW = "FROM now ORDER BY sample_id"


def remember(store: Store, *, again: bool = False) -> None:
    """Keeps what the release of a root holds, unless that is known; ``again``: as it is now, without a new version.

    Call it while holding the root. Nothing is done where no release is finished.
    """
    if not _is_finished(store) or (store.exists(_TARS) and not again):
        return
    store.remove(_TARS)
    with duckdb.connect() as database:
        path = store.scratch(_SAMPLES)
        try:
            _hash(store, database)
            database.execute(f"COPY ({_NOW}) TO {literal(str(path))} (FORMAT parquet)")
            store.publish(_SAMPLES, path)
        finally:
            path.unlink(missing_ok=True)
    store.write(_TARS, json.dumps(tars_of(store), sort_keys=True).encode())


def raise_version(store: Store) -> int | None:
    """Makes the release the next version of what was remembered; its number, None where nothing has changed.

    Call it while holding the root. One that is killed is ended by the next run.
    """
    if not _is_finished(store) or not store.exists(_TARS):
        remember(store)
        return None
    tars = tars_of(store)
    before: dict[str, str] = json.loads(store.read(_TARS))
    if tars == before:
        return None
    found = _compared(store, before, tars)
    lines = [*found.lines(), f"contents {_contents(tars)}"]
    files = _told_already(store, lines[-1]) or next_version(store, time.strftime("%Y-%m-%d", time.gmtime()), lines)
    vouch(store, files)
    remember(store, again=True)
    return int(files[VERSION])


def _told_already(store: Store, contents: str) -> dict[str, bytes] | None:
    """The files of the newest version, where that is of these contents: a killed run wrote the changelog, or more."""
    name = RELEASE + CHANGELOG
    if not store.exists(name):
        return None
    data = store.read(name)
    newest = data.decode("utf-8", "replace").partition("\n## Version ")[2].partition("\n## ")[0]
    number = newest.partition(" ")[0]
    if f"- {contents}" not in newest.splitlines() or not number.isdecimal():
        return None
    return {VERSION: f"{number}\n".encode(), CHANGELOG: data}


def _compared(store: Store, before: Mapping[str, str], after: Mapping[str, str]) -> Differences:
    with catalog.connect(store.url, lasting=False, documented=False) as database:
        with registered(database, "remembered", store.read_parquet(_SAMPLES)):
            database.execute("CREATE TABLE before AS FROM remembered")
        _hash(store, database)
        database.execute(f"CREATE TABLE after AS {_NOW}")
        return differences(database, before, after, catalog=True)


def _hash(store: Store, database: duckdb.DuckDBPyConnection) -> None:
    """Fills the table ``now`` with the samples of the release; of shards that stood before their hashes are known."""
    begin, end = f"{_METADATA.removeprefix(RELEASE)}/", ".parquet"
    sums = read_sums(store, RELEASE).items()
    keys = {
        name.removeprefix(begin).removesuffix(end): sha
        for name, sha in sums
        if name.startswith(begin) and name.endswith(end)
    }
    database.execute(_OF_ALL)
    for rows in kept_rows(store, _KEPT, keys, partial(_hashed, store, database)):
        with registered(database, "batch", rows):
            database.execute("INSERT INTO now SELECT sample_id, caption, captions, sha256 FROM batch")


def _hashed(store: Store, database: duckdb.DuckDBPyConnection, shards: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    for shard in shards:
        rows = store.read_parquet(f"{_METADATA}/{shard}.parquet", sorted(_COLUMNS))
        with registered(database, "batch", rows):
            hashed = database.sql(_HASHED).to_arrow_table()
        yield shard, hashed


def _contents(tars: Mapping[str, str]) -> str:
    """Tells two states of a release apart."""
    return hashlib.sha256(json.dumps(tars, sort_keys=True).encode()).hexdigest()[:16]


def _is_finished(store: Store) -> bool:
    """Whether a root has a release of samples whose last step has ended."""
    if store.reduce_entry("release") is None or not store.exists(RELEASE + SUMS):
        return False
    # To list the metadata of many thousand shards takes an object store a request a thousand.
    shards = strings(store.entries(Released.table).rows_of_all()["shard"].slice(0, 1))
    file_of = f"{_METADATA}/{shards[0]}.parquet" if shards else ""
    if not shards or not store.exists(file_of):
        return False
    with store.filesystem.open(store.path(file_of), "rb") as file:
        return set(pq.read_schema(file).names) >= _COLUMNS
