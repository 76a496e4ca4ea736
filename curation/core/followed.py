"""The files that a reduce follows from: whether they are those of its last finished run."""

from __future__ import annotations

from curation.core.stage import Reduce, followed
from curation.core.store import Store
from schemas.manifest import ReduceEntry


def same_reads(store: Store, reduce: Reduce, last: ReduceEntry) -> bool:
    """Whether a reduce follows today from the files that it followed from when it was last finished.

    Many thousand files are compared one by one, without a second list of them.
    """
    count = 0
    for record in dict.fromkeys(followed(reduce)):
        for shard, sha in store.entries(record.table).own_sums().items():
            if last.reads.get(store.table_file(record.table, shard)) != sha:
                return False
            count += 1
    return count == len(last.reads)


def reads_of(store: Store, reduce: Reduce) -> dict[str, str]:
    """The files that a reduce follows from, with their sha256, as the store lists them at this moment."""
    found: dict[str, str] = {}
    for record in followed(reduce):
        sums = store.entries(record.table).own_sums()
        found |= {store.table_file(record.table, shard): sha for shard, sha in sums.items()}
    return found
