"""A file that has changed, or that other settings judge: its rows are looked up among the planned ones.

A row that was planned before stays in its shard; new rows go into new shards behind the file's other shards.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.blocklists.rows import RowLists
from curation.core.errors import StoreError
from curation.core.store import Store
from curation.sources.filters import source_columns, source_rows
from curation.sources.matching import Matching
from curation.sources.merging import fetched_ids, gone_rows, merged_beside, merged_rows, readable, renumbered
from curation.sources.news_files import NewsList, articles
from curation.sources.planned import Planned, matched
from curation.sources.row_spool import Rows, RowSpool
from curation.sources.same_urls import SameUrls
from curation.sources.source_file import SourceFile
from curation.sources.tables import pieces
from curation.sources.tombstones import Tombstones, redacted
from schemas.arrow import Record, conform
from schemas.ids import shard_name
from schemas.news import NewsArticle
from schemas.recipe import Source
from schemas.records import GoneRow, SameUrl, SourceColumns, SourceRow

_TABLE = SourceRow.table


def row_tables(
    file: SourceFile, row: int, metadata: pa.Table, recipe: Source, buried: Tombstones, blocked: RowLists
) -> list[tuple[type[Record], pa.Table]]:
    """The shards of ``rows`` and of what is written beside them, for rows of a file from number ``row`` on.

    Of rows that were taken down nothing is written but that they were.
    """
    rows = source_rows(file.name, row, metadata, recipe, blocked)
    found: list[tuple[type[Record], pa.Table]] = [(SourceRow, rows)]
    if isinstance(file.reading, NewsList):
        found.append((NewsArticle, articles(rows, metadata)))
    if recipe.keep_columns:
        found.append((SourceColumns, source_columns(rows, metadata)))
    taken = buried.among(rows)
    return [(record, redacted(record, table, taken)) for record, table in found] if taken else found


class Replanner:
    """Plans files whose rows are planned already, in whole or in part.

    Without ``keep_fetched`` all rows that are gone from the source are rejected, whether their images were fetched or
    not.
    """

    def __init__(
        self,
        store: Store,
        recipe: Source,
        planned: Planned,
        buried: Tombstones,
        blocked: RowLists,
        keep_fetched: bool,
    ) -> None:
        self.store = store
        self.recipe = recipe
        self.planned = planned
        self.buried = buried
        self.blocked = blocked
        self.keep_fetched = keep_fetched

    def merge(self, file: SourceFile, most: int | None) -> int:
        """Reads the file again and finds its rows among those that are planned; returns their number."""
        records: list[type[Record]] = []
        with RowSpool() as spool:
            matching = Matching(spool, lambda shard, columns: self.store.read_table(SourceRow, shard, columns))
            planned = self._add_planned(file.name, matching)
            for metadata in pieces(file.read(0, most, kept=bool(self.recipe.keep_columns)), self.recipe.shard_rows):
                made = row_tables(file, spool.rows, metadata, self.recipe, self.buried, self.blocked)
                records = [record for record, _ in made]
                matching.add_found(made[0][1])
                spool.append([table for _, table in made])
            spool.finish()
            found, fresh = matching.match()
            whole = most is None or spool.rows < most or spool.rows == file.rows()
            reads = matched(file.name, file.fingerprint)
            urls = SameUrls(spool, fresh)
            at = 0
            for shard, count in planned.items():
                rows = self.store.read_table(SourceRow, shard)
                urls.look(shard, rows)
                self.merge_shard(shard, reads, rows, found[at : at + count], spool, records[1:], whole)
                at += count
            self._append(file.name, reads, fresh, spool, records, urls.found())
            return spool.rows

    def _add_planned(self, name: str, matching: Matching) -> dict[str, int]:
        """Adds the planned rows; returns how many each shard has. A shard that cannot be read is planned anew."""
        planned: dict[str, int] = {}
        for shard in self.planned.shards(name, None):
            rows = self._ids(shard)
            if rows is not None and rows.num_rows:
                matching.add_planned(shard, rows)
                planned[shard] = rows.num_rows
            else:
                self.planned.forget(shard)
        return planned

    def _ids(self, shard: str) -> pa.Table | None:
        """The ids of a planned shard; None where not all of it can be read."""
        name = self.store.table_file(_TABLE, shard)
        try:
            data = self.store.read(name)
        except StoreError:
            return None
        if hashlib.sha256(data).hexdigest() != self.planned.entries[shard].writes.get(name):
            return readable(self.store, SourceRow, shard)  # looked at whole, since nothing vouches for it
        return pq.read_table(pa.BufferReader(data), columns=["sample_id"])

    def merge_shard(
        self,
        shard: str,
        reads: dict[str, str],
        old: pa.Table,
        found: Rows,
        spool: RowSpool | None = None,
        beside: Sequence[type[Record]] = (),
        whole: bool = True,
    ) -> None:
        """Writes a shard of rows that were planned before. ``whole``: a row that was not found is gone."""
        started = time.perf_counter()
        lost, numbers = found < 0, old["source_row"]
        fetched = fetched_ids(self.store, shard) if whole and self.keep_fetched and lost.any() else set()
        rows = merged_rows(old, found, spool, self.recipe, fetched if whole else None, self.blocked)
        taken = self.buried.among(rows)  # also of rows that the file no longer holds
        rows = redacted(SourceRow, rows, taken)
        tables: list[tuple[type[Record], pa.Table]] = [(SourceRow, rows)]
        known = {SourceRow.table: old}
        if spool is not None:
            # Other settings may want other columns beside the rows; else what is known of a row stays.
            stays = (
                None if self.planned.entries[shard].digest == self.planned.digest else numbers.filter(pa.array(lost))
            )
            for at, record in enumerate(beside, 1):
                before = readable(self.store, record, shard)
                if before is not None:
                    known[record.table] = before
                merged = merged_beside(record, before, stays, numbers, found, spool, at)
                tables.append((record, redacted(record, merged, taken)))
        gone = self.planned.beside[GoneRow.table]
        if not whole:
            there = np.asarray(self.store.read_table(GoneRow, shard)["source_row"]) if shard in gone else np.empty(0)
            lost = lost & np.isin(np.asarray(numbers), there)
        if lost.any():
            tables.append((GoneRow, gone_rows(rows, lost)))
        self.planned.commit(shard, reads, tables, started, known)
        if shard in gone and not lost.any():
            self.store.retire(GoneRow.table, shard)
            gone.discard(shard)

    def _append(
        self,
        name: str,
        reads: dict[str, str],
        fresh: Rows,
        spool: RowSpool,
        records: Sequence[type[Record]],
        same_urls: pa.Table,
    ) -> None:
        """Cuts new rows into shards."""
        at = 0
        for slot in self.planned.slots(name):
            own = fresh[at : at + slot.rows]
            if not len(own):
                return
            started = time.perf_counter()
            numbers = pa.array(np.arange(slot.first, slot.first + len(own)), pa.int64())
            tables = [(r, renumbered(spool.take(i, own), numbers).combine_chunks()) for i, r in enumerate(records)]
            known = same_urls.filter(pc.is_in(same_urls["found"], value_set=pa.array(own)))
            if known.num_rows:
                ids = pc.index_in(known["found"], value_set=pa.array(own))
                known = known.append_column("sample_id", tables[0][1]["sample_id"].take(ids))
                tables.append((SameUrl, conform(SameUrl, known).combine_chunks()))
            self.planned.commit(shard_name(name, slot.part), reads, tables, started)
            at += len(own)
