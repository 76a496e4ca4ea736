"""What a reduce follows from and what it makes, against its last finished run: only what differs is written."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import pyarrow as pa

from curation.core.entries import Entries
from curation.core.job import Outcome
from curation.core.stage import Reduce, digest, followed
from curation.core.store import Store, encoded, untouched
from schemas.arrow import Record, conform, schema_of
from schemas.manifest import ReduceEntry, ShardEntry


def is_finished(store: Store, reduce: Reduce) -> bool:
    """Whether the table of a reduce is what it would write now, as its entries say; a run leaves it alone then."""
    table = reduce.writes.table
    last = store.reduce_entry(table)
    return last is not None and stands(store, reduce, last, store.entries(table), digest(reduce))


def stands(store: Store, reduce: Reduce, last: ReduceEntry, present: Entries, today: str) -> bool:
    """Whether a finished reduce has today's digest and today's input, and all its shards are as it left them."""
    whole = untouched(last, present) == last.shards.keys() == present.keys()
    return whole and last.digest == today and _same_reads(store, reduce, last)


def _same_reads(store: Store, reduce: Reduce, last: ReduceEntry) -> bool:
    """Whether a reduce follows today from the files that it followed from when it was last finished.

    Many thousand files are compared one by one, without a second list of them.
    """
    count = 0
    for record in dict.fromkeys(followed(reduce)):
        before, behind = store.table_file(record.table, "\0").split("\0")
        sums = store.entries(record.table).own_sums()
        if any(last.reads.get(f"{before}{shard}{behind}") != sha for shard, sha in sums.items()):
            return False
        count += len(sums)
    return count == len(last.reads)


def reads_of(store: Store, reduce: Reduce) -> dict[str, str]:
    """The files that a reduce follows from, with their sha256, as the store lists them at this moment."""
    found: dict[str, str] = {}
    for record in followed(reduce):
        sums = store.entries(record.table).own_sums()
        found |= {store.table_file(record.table, shard): sha for shard, sha in sums.items()}
    return found


def publish(
    store: Store, reduce: Reduce, current: str, shard: str, rows: pa.Table, there: ShardEntry | None
) -> Outcome | None:
    """Writes and commits a shard of a reduce; None where its entry says that it is there, of today's settings."""
    table = reduce.writes.table
    name = store.table_file(table, shard)
    before = None if there is None else there.writes[name]
    data, sha256 = _encoded(reduce.writes, rows)
    size = len(data)
    if there is not None and there.digest == current and there.writes == {name: sha256}:
        return None
    store.rewrite(reduce.writes, shard, data, before)
    entry = ShardEntry(
        table=table,
        shard=shard,
        digest=current,
        reads={},
        writes={name: sha256},
        rows_in=rows.num_rows,
        rows_out=rows.num_rows,
        bytes_out=size,
        seconds=0.0,
        worker="reduce",
    )
    store.commit(entry)
    return Outcome(0, table, shard, "done", rows.num_rows, rows.num_rows, size, entry=entry)


def _encoded(record: type[Record], rows: pa.Table) -> tuple[bytes, str]:
    """The bytes of a shard, and their sha256."""
    if not rows.num_rows:
        return _empty(record)  # type: ignore[arg-type]  # protocols hide that classes can be hashed
    data = encoded(conform(record, rows))
    return data, hashlib.sha256(data).hexdigest()


@lru_cache
def _empty(record: type[Record]) -> tuple[bytes, str]:
    """The same of a shard without rows: a table of what is seldom found may have many thousand of them."""
    data = encoded(schema_of(record).empty_table())
    return data, hashlib.sha256(data).hexdigest()
