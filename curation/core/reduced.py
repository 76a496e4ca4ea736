"""Whether a reduce is finished: for today's digest, and for the tables that it follows from as they are."""

from __future__ import annotations

from curation.core.entries import Entries
from curation.core.stage import Reduce, digest, followed
from curation.core.store import Store, untouched
from schemas.manifest import ReduceEntry


def is_finished(store: Store, reduce: Reduce) -> bool:
    """Whether the table of a reduce is what it would write now, as its entries say; a run leaves it alone then."""
    table = reduce.writes.table
    last = store.reduce_entry(table)
    return last is not None and stands(last, store.entries(table), digest(reduce), reads_of(store, reduce))


def stands(last: ReduceEntry, present: Entries, today: str, reads: dict[str, str]) -> bool:
    """Whether a finished reduce has today's digest and today's input, and all its shards are as it left them."""
    whole = untouched(last, present) == last.shards.keys() == present.keys()
    return whole and last.digest == today and last.reads == reads


def reads_of(store: Store, reduce: Reduce) -> dict[str, str]:
    """The files that a reduce follows from, with their sha256, as the store lists them at this moment."""
    found: dict[str, str] = {}
    for record in followed(reduce):
        sums = store.entries(record.table).own_sums()
        found |= {store.table_file(record.table, shard): sha for shard, sha in sums.items()}
    return found
