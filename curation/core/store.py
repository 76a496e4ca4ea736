"""A dataset root: tables, images, manifest. Data first, entry last."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from curation.core import manifest
from curation.core.entries import Entries
from curation.core.errors import MissingFile
from curation.core.files import Files, one_line, shown
from curation.core.invocation import command_with
from schemas.arrow import Record
from schemas.manifest import ReduceEntry, ShardEntry, ShardFailure

__all__ = ["HeldStore", "Store", "encoded", "one_line", "shown", "untouched"]


_IMAGES = "images"  # the table that ``images_file`` belongs to


class Store(Files):
    """The files of a root with its tables and its manifest."""

    # Tables

    @staticmethod
    def table_file(table: str, shard: str) -> str:
        return f"tables/{table}/{shard}.parquet"

    @staticmethod
    def images_file(shard: str) -> str:
        return f"images/{shard}.tar"

    @staticmethod
    def stored_file(shard: str) -> str:
        """What is known of every image in ``images_file(shard)``; only shards that were redone have it."""
        return f"images/{shard}.stored.parquet"

    def read_parquet(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A Parquet file, or some columns of it. Raises ``StoreError``."""
        data = self.read(name)
        return pq.read_table(pa.BufferReader(data), columns=None if columns is None else list(columns))

    def read_table(self, record: type[Record], shard: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One shard of a table, or some columns of it. Raises ``StoreError``."""
        return self.read_parquet(self.table_file(record.table, shard), columns)

    def write_table(self, record: type[Record], shard: str, table: pa.Table) -> tuple[str, int]:
        """Publishes a shard of a table; returns the sha256 and the number of its bytes."""
        data = encoded(table)
        return self.write(self.table_file(record.table, shard), data), len(data)

    def rewrite_table(self, record: type[Record], shard: str, table: pa.Table, before: str | None) -> tuple[str, int]:
        """``write_table`` over a finished shard whose bytes have the sha256 ``before``.

        Where they become others its entry goes first: at no instant does one vouch for bytes that are not there.
        """
        data = encoded(table)
        return self.rewrite(record, shard, data, before), len(data)

    def rewrite(self, record: type[Record], shard: str, data: bytes, before: str | None) -> str:
        """``rewrite_table`` with the bytes of the table; returns their sha256."""
        if before is not None and hashlib.sha256(data).hexdigest() != before:
            self.retire(record.table, shard)
        return self.write(self.table_file(record.table, shard), data)

    # Manifest

    def tables(self) -> frozenset[str]:
        """The tables that the manifest may know shards of: one listing tells that there are none of the others."""
        return manifest.tables(self)

    def shards(self, table: str) -> list[str]:
        """Names of a table's finished shards, whatever settings made them; sorted."""
        return manifest.shards(self, table)

    def count(self, table: str) -> int:
        """How many shards of a table are finished."""
        return len(self.shards(table))

    def entry(self, table: str, shard: str) -> ShardEntry | None:
        """The entry of one finished shard of a table; None where it is not finished."""
        return manifest.entry(self, table, shard)

    def entries(self, table: str) -> Entries:
        """All finished shards of a table by name, whatever settings made them."""
        return manifest.entries(self, table)

    def failures(self, table: str) -> dict[str, ShardFailure]:
        """All failed shards of a table by name."""
        names = self.failure_files(table)
        return {f.shard: f for f in manifest.load_all(self, f"manifest/{table}", names, ShardFailure.from_json)}

    def failure_files(self, table: str) -> list[str]:
        """Names of the files that tell of a table's failed shards; sorted."""
        return manifest.Listed.of(self, table).failed

    def commit(self, entry: ShardEntry) -> None:
        """Publishes an entry, after everything that it vouches for, and clears an earlier failure."""
        self.write(f"manifest/{entry.table}/{entry.shard}.json", entry.to_json())
        self.forget_failure(entry.table, entry.shard)

    def commit_failure(self, failure: ShardFailure) -> None:
        self.write(f"manifest/{failure.table}/{failure.shard}{manifest.FAILED}", failure.to_json())

    def forget_failure(self, table: str, shard: str) -> None:
        """Removes the record of a failed shard."""
        self.remove(f"manifest/{table}/{shard}{manifest.FAILED}")

    def retire(self, table: str, shard: str) -> None:
        """Takes a shard out of a table: its proof first, then its data."""
        manifest.take_out(self, table, shard)
        self.forget_failure(table, shard)
        self.remove(self.table_file(table, shard))

    def how_to_redo(self, table: str, shard: str) -> str:
        """What a user does, before running again, to have a shard done anew; in the imperative."""
        own = f"manifest/{table}/{shard}.json"
        by_hand = table != _IMAGES  # of which more is known than the entry says
        with contextlib.suppress(Exception):  # this says what to do about an error, and must not become another one
            if by_hand and self.exists(own) and not manifest.marks(self, table, shard):
                return f"delete {self.path(own)}"
        return f"begin {command_with('flows.redo', shown(self.url), table, shard)}"

    def reduce_entry(self, table: str) -> ReduceEntry | None:
        """The last finished reduce of a table."""
        try:
            return manifest.load(self, f"manifest/{table}/{manifest.REDUCE}", ReduceEntry.from_json)
        except MissingFile:
            return None

    def commit_reduce(self, entry: ReduceEntry) -> None:
        self.write(f"manifest/{entry.table}/{manifest.REDUCE}", entry.to_json())


class HeldStore(Store):
    """A root in which some tables have the finished shards that they had when it was opened, for one reader's work.

    It sees one state of them, with one listing each; what others finish, or a listing that tells of former times,
    reaches it no more. In another process it is such a store without anything held.
    """

    def __init__(self, store: Store, tables: Iterable[str]) -> None:
        super().__init__(store.url)
        object.__setattr__(self, "_held", {table: store.entries(table) for table in tables})

    def shards(self, table: str) -> list[str]:
        held = self._of(table)
        return super().shards(table) if held is None else held.names()

    def entry(self, table: str, shard: str) -> ShardEntry | None:
        held = self._of(table)
        return super().entry(table, shard) if held is None else held.get(shard)

    def entries(self, table: str) -> Entries:
        held = self._of(table)
        return super().entries(table) if held is None else Entries(table, held.rows_of_all())

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:  # type: ignore[override]  # the class of what is made
        return Store, (self.url,)

    def _of(self, table: str) -> Entries | None:
        held: dict[str, Entries] = self._held  # type: ignore[attr-defined]  # a frozen class takes no field so
        return held.get(table)


def encoded(table: pa.Table) -> bytes:
    """A shard's Parquet: the same rows give the same bytes on every machine."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=64 * 1024, use_dictionary=True)
    return bytes(sink.getvalue().to_pybytes())


def untouched(last: ReduceEntry | None, present: Entries) -> set[str]:
    """The shards that are as the last finished reduce of their table left them, of all that are ``present``."""
    if last is None:
        return set()
    sums = present.own_sums()
    return {shard for shard in present.alone() if last.shards.get(shard, "") == sums[shard]}
