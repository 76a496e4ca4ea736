"""Finds the urls of new rows among those of planned rows: the image of such a row may be stored already."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.sources.row_spool import Rows, RowSpool
from schemas.arrays import Chunked, Values, strings

_PIECE = 100_000  # rows that are looked at at once


class SameUrls:
    """Needs 16 bytes of memory for each new row, and the urls that are on both sides.

    ``fresh`` are the numbers of the new rows in the spool's table 0.
    """

    def __init__(self, spool: RowSpool, fresh: Rows) -> None:
        self._spool = spool
        hashes, rows = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for start in range(0, len(fresh), _PIECE):
            own = fresh[start : start + _PIECE]
            known, found = _hashes(spool.take(0, own, ["url"])["url"])
            hashes.append(found)
            rows.append(own[known])
        self._hashes, self._rows = np.concatenate(hashes), np.concatenate(rows)
        self._sorted = np.unique(self._hashes)
        self._planned: list[pa.Table] = []

    def look(self, shard: str, rows: pa.Table) -> None:
        """Looks for the urls among the rows of a planned shard. Shards come in the order of their rows' numbers."""
        if not len(self._sorted):
            return
        known, hashes = _hashes(rows["url"])
        own = known[_among(hashes, self._sorted)]
        if len(own):
            hits = rows.select(["url", "sample_id"]).take(own)
            self._planned.append(hits.append_column("shard", pa.repeat(pa.scalar(shard), len(own))))

    def found(self) -> pa.Table:
        """New rows (column ``found``, ascending) whose url is planned, with ``of_shard`` and ``of_sample_id`` of the
        first planned row that has it.
        """
        fresh, places = np.empty(0, np.int64), np.empty(0, np.int64)
        planned = pa.table({name: pa.array([], pa.string()) for name in ("url", "sample_id", "shard")})
        if self._planned:
            planned = pa.concat_tables(self._planned)
            hashes = np.unique(_hashes(planned["url"])[1])
            fresh = self._rows[_among(self._hashes, hashes)]
            urls = self._spool.take(0, fresh, ["url"])["url"]
            # Equal hashes only say where to look: urls are compared themselves.
            at = pc.index_in(urls, value_set=planned["url"].combine_chunks())
            equal = np.asarray(pc.is_valid(at))
            fresh, places = fresh[equal], np.asarray(at.drop_null()).astype(np.int64)
        rows = planned.take(pa.array(places, pa.int64()))
        columns: list[Values] = [pa.array(fresh), rows["shard"], rows["sample_id"]]
        return pa.Table.from_arrays(columns, names=["found", "of_shard", "of_sample_id"])


def _hashes(urls: Chunked) -> tuple[Rows, Rows]:
    """The places of the urls that are known, and their hashes, which differ from process to process."""
    known = np.flatnonzero(np.asarray(pc.is_valid(urls)))
    found = strings(urls.drop_null())
    return known, np.fromiter(map(hash, found), np.int64, len(found))


def _among(values: Rows, those: Rows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the values are among the sorted ones, of which there is at least one."""
    at = np.minimum(np.searchsorted(those, values), len(those) - 1)
    return np.asarray(those[at] == values)
