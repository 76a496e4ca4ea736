"""Finds the rows of a changed source file among those that are planned already.

A row is known by its content: its sample_id. Of planned rows with the same id, the one whose other columns are equal
too is taken first; otherwise the first one in the order of their numbers. Each planned row is matched at most once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.core.errors import StoreError

_MEMORY = "1GB"  # DuckDB spills what goes beyond it to the temporary folder
# What a source says of a row. The place of its pixels is left out: it changes when a tar is written anew.
_SAID = (
    *("claimed_width", "claimed_height", "similarity", "aesthetic", "punsafe", "pwatermark", "language", "license"),
    *("expected_md5", "expected_sha256", "local_file"),
)
_COLUMNS = ("sample_id", "source_row", "url", *_SAID)

_TABLE = "CREATE TABLE {} (number BIGINT, id VARCHAR, said UBIGINT, url UHUGEINT)"
_INSERT = f"INSERT INTO {{}} SELECT source_row, sample_id, hash({', '.join(_SAID)}), md5_number(url) FROM batch"  # noqa: S608  # our own names
_MATCH = """
CREATE TABLE matched AS
    SELECT p.number AS planned, f.number AS found
    FROM (SELECT *, row_number() OVER (PARTITION BY id, said ORDER BY number) AS nth FROM planned) p
    JOIN (SELECT *, row_number() OVER (PARTITION BY id, said ORDER BY number) AS nth FROM found) f
    USING (id, said, nth);
INSERT INTO matched
    SELECT p.number, f.number FROM (
        SELECT number, id, row_number() OVER (PARTITION BY id ORDER BY number) AS nth
        FROM planned ANTI JOIN matched ON matched.planned = number
    ) p JOIN (
        SELECT number, id, row_number() OVER (PARTITION BY id ORDER BY number) AS nth
        FROM found ANTI JOIN matched ON matched.found = number
    ) f USING (id, nth);
"""
_PLANNED = """
SELECT coalesce(m.found, -1) AS found FROM planned p LEFT JOIN matched m ON m.planned = p.number ORDER BY p.number
"""
_FRESH = "SELECT number AS found FROM found ANTI JOIN matched ON matched.found = number ORDER BY number"
_SAME_URL = """
SELECT f.number AS found, min(p.number) AS planned, arg_min(p.id, p.number) AS id
FROM (FROM found ANTI JOIN matched ON matched.found = number) f JOIN planned p ON p.url = f.url
GROUP BY f.number ORDER BY f.number
"""

Rows = NDArray[np.int64]


class Matching:
    """Use as a context manager. Needs about 60 bytes in the temporary folder, and 16 of memory, for each row."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="lapidary-")
        config = {"memory_limit": _MEMORY, "temp_directory": self._folder.name, "preserve_insertion_order": False}
        self._database = duckdb.connect(":memory:", config=config)
        for name in ("planned", "found"):
            self._database.execute(_TABLE.format(name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._folder.cleanup()

    def add_planned(self, rows: pa.Table) -> None:
        """Adds planned rows; their ``source_row`` numbers are unique."""
        self._insert("planned", rows)

    def add_found(self, rows: pa.Table) -> None:
        """Adds rows that the file holds now, numbered from 0 in its order."""
        self._insert("found", rows)

    def match(self) -> tuple[Rows, Rows]:
        """For each planned row, in the order of numbers, the row that was found, or -1; and the rows that are new.

        Raises ``StoreError`` where the temporary folder has no room.
        """
        try:
            self._database.execute(_MATCH)
            planned = self._database.execute(_PLANNED).fetchnumpy()["found"]
            fresh = self._database.execute(_FRESH).fetchnumpy()["found"]
        except duckdb.Error as error:
            raise StoreError(
                f"cannot match the rows of a changed source file: {str(error).splitlines()[0]}; "
                f"free space in {tempfile.gettempdir()} or set TMPDIR"
            ) from error
        return np.asarray(planned, np.int64), np.asarray(fresh, np.int64)

    def same_urls(self, shards: Sequence[str], firsts: Sequence[int]) -> pa.Table:
        """New rows (column ``found``) whose url is planned, with ``of_shard`` and ``of_sample_id`` of the planned row.

        ``shards`` hold the planned rows, in order; ``firsts`` are the numbers of their first rows.
        """
        same = self._database.sql(_SAME_URL).to_arrow_table()
        at = np.searchsorted(np.asarray(firsts, np.int64), np.asarray(same["planned"]), side="right") - 1
        of_shard = pa.array([shards[i] for i in at.tolist()], pa.string())
        return pa.table({"found": same["found"], "of_shard": of_shard, "of_sample_id": same["id"].cast(pa.string())})

    def _insert(self, name: str, rows: pa.Table) -> None:
        self._database.register("batch", rows.select(list(_COLUMNS)))
        self._database.execute(_INSERT.format(name))
        self._database.unregister("batch")


class RowSpool:
    """Tables of equally many rows on disk, appended piece by piece and read by row number. Use as a context manager."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="lapidary-")
        self._writers: list[pa.ipc.RecordBatchFileWriter] = []
        self._batches: list[list[pa.RecordBatch]] = []
        self._starts = [0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers:
            writer.close()
        self._batches = []
        self._folder.cleanup()

    @property
    def rows(self) -> int:
        """The number of rows so far."""
        return self._starts[-1]

    def append(self, tables: Sequence[pa.Table]) -> None:
        """Adds the same rows of each table."""
        if not self._writers:
            self._writers = [pa.ipc.new_file(self._path(i), t.schema) for i, t in enumerate(tables)]
        for writer, table in zip(self._writers, tables, strict=True):
            (batch,) = table.combine_chunks().to_batches(max_chunksize=table.num_rows)
            writer.write_batch(batch)
        self._starts.append(self.rows + tables[0].num_rows)

    def finish(self) -> None:
        """Ends writing; ``take`` works from here on."""
        for writer in self._writers:
            writer.close()
        for at in range(len(self._writers)):
            reader = pa.ipc.open_file(pa.memory_map(self._path(at)))
            self._batches.append([reader.get_batch(i) for i in range(reader.num_record_batches)])
        self._writers = []

    def take(self, table: int, rows: Rows) -> pa.Table:
        """These rows of the table of this number, in the order of ``rows``, which are not empty."""
        batches = self._batches[table]
        which = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(which, kind="stable")
        parts = [
            batches[batch].take(pa.array(rows[own] - self._starts[batch]))
            for batch, own in ((b, order[which[order] == b]) for b in np.unique(which).tolist())
        ]
        back = np.empty(len(rows), np.int64)
        back[order] = np.arange(len(rows))
        return pa.Table.from_batches(parts).combine_chunks().take(back)

    def _path(self, table: int) -> str:
        return str(Path(self._folder.name) / f"{table}.arrow")
