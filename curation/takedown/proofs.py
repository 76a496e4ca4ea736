"""The manifest after a takedown: every entry vouches for the new bytes, so that no stage has anything to do.

But for semantic duplicates whose keeper went: they do not go along, so the next run lets another of them keep.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping

from curation.core.store import Store
from curation.takedown.changes import Changes
from schemas.arrays import strings
from schemas.embed import SemanticDuplicate
from schemas.manifest import ReduceEntry, ShardEntry
from schemas.records import Placement, Released

_REDUCE = "_reduce.json"
_ANEW = ("release", Released.table)  # what the last steps write: they run again, and find their input changed


def put_entries(
    changes: Changes,
    source: Iterable[str],
    release: Mapping[str, tuple[str, str] | None],
    gone: Collection[str],
) -> None:
    """New versions of the entries of these shards, and of all reduces.

    ``release`` has for each shard the fingerprint of its samples before and after, or None where it is gone; ``gone``
    are the samples that go.
    """
    store = changes.store
    tables = [name for name in store.names("manifest") if not name.endswith(".json") and name not in _ANEW]
    for table in tables:
        for shard in (*source, *release):
            name = f"manifest/{table}/{shard}.json"
            entry = None if name in changes.removed else store.entry(table, shard)
            if entry is not None:
                changes.put(name, _shard_entry(entry, changes).to_json(), entry.to_json())
        name = f"manifest/{table}/{_REDUCE}"
        if store.exists(name):
            before = store.read(name)
            reduced = ReduceEntry.from_json(before)
            if table == SemanticDuplicate.table and _lost_keepers(store, gone):
                reduced = dataclasses.replace(reduced, reads={})  # it runs again, and knows the keepers that are left
            changes.put(name, _reduce_entry(reduced, changes, release).to_json(), before)


def _lost_keepers(store: Store, gone: Collection[str]) -> bool:
    """Whether a sample that stays is a semantic duplicate of one that goes."""
    for shard in store.shards(SemanticDuplicate.table):
        found = store.read_table(SemanticDuplicate, shard, ["sample_id", "keeper_id"])
        pairs = zip(strings(found["sample_id"]), strings(found["keeper_id"]), strict=True)
        if any(keeper in gone and sample not in gone for sample, keeper in pairs):
            return True
    return False


def _shard_entry(entry: ShardEntry, changes: Changes) -> ShardEntry:
    table = Store.table_file(entry.table, entry.shard)
    return dataclasses.replace(
        entry,
        reads=_replaced(entry.reads, changes),
        writes=_replaced(entry.writes, changes),
        rows_out=changes.rows.get(table, entry.rows_out),
        bytes_out=entry.bytes_out + sum(changes.grown.get(name, 0) for name in entry.writes),
    )


def _reduce_entry(entry: ReduceEntry, changes: Changes, release: Mapping[str, tuple[str, str] | None]) -> ReduceEntry:
    """Its state is its own: sha256 of files and of samples are replaced in it wherever they stand."""
    of_table = {shard: Store.table_file(entry.table, shard) for shard in entry.shards}
    shards = {
        shard: _new(changes, of_table[shard], sha)
        for shard, sha in entry.shards.items()
        if of_table[shard] not in changes.removed
    }
    state = json.dumps(entry.state)
    for was, becomes in changes.shas.values():
        state = state.replace(was, becomes)
    if entry.table == Placement.table:
        for pair in release.values():
            state = state.replace(*pair) if pair is not None else state
    told = json.loads(state)
    if entry.table == Placement.table:
        gone = {shard for shard, pair in release.items() if pair is None}
        told = {**told, "shards": {s: f for s, f in told.get("shards", {}).items() if s not in gone}}
    return dataclasses.replace(entry, reads=_replaced(entry.reads, changes), shards=shards, state=told)


def _replaced(files: Mapping[str, str], changes: Changes) -> dict[str, str]:
    return {name: _new(changes, name, sha) for name, sha in files.items()}


def _new(changes: Changes, name: str, sha: str) -> str:
    """What a file's sha256 becomes; one that was another already stays, and what rests on it is made anew."""
    was, becomes = changes.shas.get(name, (None, sha))
    return becomes if was == sha else sha
