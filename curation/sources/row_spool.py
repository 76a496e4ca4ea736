"""The rows of a source file on disk, while they are compared with those that are planned."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Rows = NDArray[np.int64]


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

    def take(self, table: int, rows: Rows, columns: Sequence[str] | None = None) -> pa.Table:
        """These rows of the table of this number, in the order of ``rows``, which are not empty.

        With ``columns`` only those.
        """
        batches = self._batches[table]
        if columns is not None:
            batches = [batch.select(list(columns)) for batch in batches]
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
