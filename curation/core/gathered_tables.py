"""The tables of a root with their small shards gathered: a scan opens a few files, not one for each shard.

Rows stand in the tables all the same; ``gathered/tables/TABLE/`` has copies of them (see ``gathered``). Shards of many
rows have none: what they cost is their rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.gathered import FEWEST, Gathered, Part, groups
from curation.core.store import Store
from schemas.arrays import strings
from schemas.arrow import Record, schema_of

LEAST = 64
"""Small shards of a table that lie apart and are worth a file."""
_ROWS = 256  # of a small shard


def gather(store: Store, records: Collection[type[Record]]) -> None:
    """Gathers the small shards of these tables. Call it while holding the root, where they have changed."""
    for record in records:
        if store.count(record.table) >= LEAST:
            found = _gathered(store, record)
            if len(found.lacking) >= LEAST:
                for group in groups(_whole(store, record, found)):
                    found = found.add(group) if len(group) >= LEAST else found


def parts_of(store: Store, record: type[Record], shards: Collection[str]) -> tuple[Sequence[Part], frozenset[str]]:
    """The files with gathered rows of these finished shards, and the shards that are read where they stand."""
    if len(shards) < FEWEST:
        return (), frozenset(shards)
    wanted = frozenset(shards)
    parts = [part.only(wanted) for part in _gathered(store, record).parts if not part.shards.isdisjoint(wanted)]
    return parts, wanted.difference(*(part.shards for part in parts))


def _gathered(store: Store, record: type[Record]) -> Gathered:
    """What is gathered of a table's small shards. The key says the columns too: a later release may have others."""
    entries = store.entries(record.table)
    rows = entries.rows_of_all()
    sums, form = entries.own_sums(), hashlib.sha256(str(schema_of(record)).encode()).hexdigest()[:16]
    sizes = zip(strings(rows["shard"]), rows["rows_out"].to_numpy().tolist(), strict=True)
    keys = {shard: f"{sums[shard]} {form}" for shard, size in sizes if size <= _ROWS}
    return Gathered.of(store, f"tables/{record.table}", keys)


def _whole(store: Store, record: type[Record], found: Gathered) -> Iterator[tuple[str, pa.Table]]:
    """The lacking shards that can be read and are what their entries vouch for."""
    names = {store.table_file(record.table, shard): shard for shard in found.lacking}
    for at in range(0, len(names), LEAST):
        for name, data in store.read_all(list(names)[at : at + LEAST]).items():
            shard = names[name]
            if hashlib.sha256(data).hexdigest() == found.keys[shard].partition(" ")[0]:
                rows = pq.read_table(pa.BufferReader(data))
                if rows.schema.equals(schema_of(record)):
                    yield shard, rows
