"""Finds the rows of a changed source file among those that are planned already.

A row is known by its content: its sample_id. Of planned rows with the same id, the one whose other columns are equal
too is taken first; otherwise the first one in the order of their numbers. Each planned row is matched at most once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.core.database import registered, scratch_database
from curation.sources.row_spool import Rows, RowSpool
from schemas.arrays import Values, strings

_PIECE = 100_000  # rows that are loaded at once
# What a source says of a row. The place of its pixels is left out: it changes when a tar is written anew.
_SAID = (
    *("claimed_width", "claimed_height", "similarity", "aesthetic", "punsafe", "pwatermark", "language", "license"),
    *("expected_md5", "expected_sha256", "local_file"),
)
_COLUMNS = ("sample_id", *_SAID)
_TABLE = "CREATE TABLE {} (number BIGINT, id VARCHAR, said UBIGINT)"
_INSERT = f"INSERT INTO {{}} SELECT number, sample_id, hash({', '.join(_SAID)}) FROM batch"  # noqa: S608  # our own names
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

Keys = NDArray[np.uint64]
Mask = NDArray[np.bool_]


class Matching:
    """Needs 16 bytes of memory for each row, and about 40 more while it matches.

    ``spool`` holds the rows that the file has now, its table 0 those of ``rows``; ``read`` reads a planned shard again,
    the named columns of it. Only rows whose id comes more than once are read again.
    """

    def __init__(self, spool: RowSpool, read: Callable[[str, tuple[str, ...]], pa.Table]) -> None:
        self._spool = spool
        self._read = read
        self._shards: list[str] = []
        self._starts = [0]
        self._planned: list[Keys] = []
        self._found: list[Keys] = []

    def add_planned(self, shard: str, rows: pa.Table) -> None:
        """Adds the rows of a planned shard. Shards come in the order of the numbers of their rows."""
        self._shards.append(shard)
        self._starts.append(self._starts[-1] + rows.num_rows)
        self._planned.append(_keys(rows["sample_id"]))

    def add_found(self, rows: pa.Table) -> None:
        """Adds rows that the file holds now, in its order; the spool gets the same."""
        self._found.append(_keys(rows["sample_id"]))

    def match(self) -> tuple[Rows, Rows]:
        """For each planned row, in the order of numbers, the row that was found, or -1; and the rows that are new.

        Raises ``StoreError`` where the temporary folder has no room.
        """
        planned, found = _joined(self._planned), _joined(self._found)
        self._planned, self._found = [], []
        matched = np.full(len(planned), -1, np.int64)
        fresh: Mask = np.ones(len(found), np.bool_)
        once, several = _matched_once(planned, found)
        matched[once.planned] = once.found
        if len(several.planned):
            again = self._match_repeated(several)
            matched[again.planned] = again.found
        fresh[matched[matched >= 0]] = False
        return matched, np.flatnonzero(fresh)

    def _match_repeated(self, rows: _Sides) -> _Sides:
        """The same for rows whose ids come more than once: what else the source says of them decides."""
        with scratch_database("match the rows of a changed source file", ordered=False) as database:
            for name in ("planned", "found"):
                database.execute(_TABLE.format(name))
            for at, shard in enumerate(self._shards):
                low, high = np.searchsorted(rows.planned, self._starts[at : at + 2])
                own = rows.planned[low:high]
                if len(own):
                    said = self._read(shard, _COLUMNS).take(own - self._starts[at])
                    _insert(database, "planned", own, said)
            for start in range(0, len(rows.found), _PIECE):
                own = rows.found[start : start + _PIECE]
                _insert(database, "found", own, self._spool.take(0, own, _COLUMNS))
            database.execute(_MATCH)
            pairs = database.execute("SELECT planned, found FROM matched").fetchnumpy()
        return _Sides(np.asarray(pairs["planned"], np.int64), np.asarray(pairs["found"], np.int64))


@dataclass(frozen=True)
class _Sides:
    """Row numbers, of planned rows and of those found: pairs, or rows among which pairs are sought."""

    planned: Rows
    found: Rows


def _keys(ids: Values) -> Keys:
    """The 128 bits of each id as two numbers, shape (rows, 2)."""
    return np.frombuffer(bytes.fromhex("".join(strings(ids))), np.uint64).reshape(-1, 2)


def _joined(parts: list[Keys]) -> Keys:
    return np.concatenate(parts) if parts else np.empty((0, 2), np.uint64)


def _matched_once(planned: Keys, found: Keys) -> tuple[_Sides, _Sides]:
    """The pairs of rows whose ids come once on either side; and the rows, in order, whose pairs are not clear.

    Rows are sorted by the first half of their ids. Where that comes twice on a side, nothing is clear.
    """
    if not len(planned) or not len(found):
        nothing = np.empty(0, np.int64)
        return _Sides(nothing, nothing), _Sides(nothing, nothing)
    order_p, order_f = np.argsort(planned[:, 0]), np.argsort(found[:, 0])
    sorted_p, sorted_f = planned[order_p, 0], found[order_f, 0]
    at = np.searchsorted(sorted_f, sorted_p)
    there = sorted_f[np.minimum(at, len(sorted_f) - 1)] == sorted_p
    at, order_p, sorted_p = at[there], order_p[there], sorted_p[there]
    alone = ~_repeated(sorted_p) & ~_repeated(sorted_f)[at]
    once = _Sides(order_p[alone], order_f[at[alone]])
    equal = planned[once.planned, 1] == found[once.found, 1]
    several = sorted_p[~alone]
    unclear = np.zeros(len(sorted_f), np.bool_)
    if len(several):
        near = np.minimum(np.searchsorted(several, sorted_f), len(several) - 1)
        unclear = several[near] == sorted_f
    return _Sides(once.planned[equal], once.found[equal]), _Sides(np.sort(order_p[~alone]), np.sort(order_f[unclear]))


def _repeated(values: Keys) -> Mask:
    """Which of the sorted values come more than once."""
    same = values[1:] == values[:-1]
    found = np.zeros(len(values), np.bool_)
    found[1:] |= same
    found[:-1] |= same
    return found


def _insert(database: duckdb.DuckDBPyConnection, name: str, numbers: Rows, rows: pa.Table) -> None:
    with registered(database, "batch", rows.append_column("number", pa.array(numbers))):
        database.execute(_INSERT.format(name))
