"""Rows of a source that a root has not planned yet, for those who ask before a run. Touches nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from curation.blocklists.rows import RowLists
from curation.core.errors import StoreError
from curation.core.store import Store
from curation.sources.filters import source_rows
from curation.sources.planned import Planned
from schemas.arrays import strings
from schemas.recipe import Source
from schemas.records import GoneRow, SourceRow

_COLUMNS = ["sample_id", "reason"]


@dataclass
class Unplanned:
    """Counts rows of one file: those for which it has no planned row, and those that pass where none did before.

    A row is known by its content, as planning knows it.
    """

    planned: Counter[str] = field(default_factory=Counter)
    passed: frozenset[str] = frozenset()
    rows: int = 0
    passing: int = 0

    def add(self, name: str, metadata: pa.Table, recipe: Source, blocked: RowLists) -> None:
        """Counts further rows of the file of this name."""
        found = source_rows(name, 0, metadata, recipe, blocked)
        for sample in strings(found["sample_id"]):
            if self.planned[sample] > 0:
                self.planned[sample] -= 1
            else:
                self.rows += 1
        passing = found.filter(pc.is_null(found["reason"]))
        self.passing += sum(sample not in self.passed for sample in strings(passing["sample_id"]))

    def scale(self, factor: float) -> None:
        """Estimates the counts of so many times the rows."""
        self.rows, self.passing = round(self.rows * factor), round(self.passing * factor)


class PlannedFiles:
    """The planned rows of a root, file by file; of a file of more than ``most`` none are looked at."""

    def __init__(self, store: Store, recipe: Source, most: int) -> None:
        self._store = store
        self._planned = Planned(store, "", recipe.shard_rows, lambda _: None)
        self._most = most

    def of(self, name: str) -> Unplanned:
        """What counts the rows of the file of this name."""
        shards = self._planned.shards(name, None)
        if sum(self._planned.entries[shard].rows_out for shard in shards) > self._most:
            return Unplanned()  # all of its rows count: as many at most are new
        tables = [table for shard in shards if (table := _rows(self._store, shard)) is not None]
        every: Iterable[str] = (sample for table in tables for sample in strings(table["sample_id"]))
        passed = (s for t in tables for s in strings(t.filter(pc.is_null(t["reason"]))["sample_id"]))
        return Unplanned(Counter(every), frozenset(passed))


def _rows(store: Store, shard: str) -> pa.Table | None:
    """The ids of a shard, with their reasons; None where it cannot be read: it will be planned anew."""
    try:
        return store.read_table(SourceRow, shard, _COLUMNS)
    except (StoreError, pa.ArrowInvalid):
        return None


def passing_rows(store: Store, shard: str, rows: int) -> int:
    """How many of the rows of a planned shard pass, or all (``rows``) where it cannot be read."""
    table = _rows(store, shard)
    return rows if table is None else table["reason"].null_count


def gone_rows_of(store: Store, shard: str) -> int:
    """How many passing rows of a planned shard the source no longer holds; 0 where the shard cannot be read."""
    rows = _rows(store, shard) if store.entry(GoneRow.table, shard) is not None else None
    if rows is None:
        return 0
    gone = strings(store.read_table(GoneRow, shard, ["sample_id"])["sample_id"])
    found = pc.and_(pc.is_null(rows["reason"]), pc.is_in(rows["sample_id"], value_set=pa.array(gone, pa.string())))
    return rows.filter(found).num_rows
