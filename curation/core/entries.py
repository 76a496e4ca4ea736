"""The entries of a table as columns: what a run has to know of many thousand shards, without an object for each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.core.entry_columns import PLAIN, SUM, files_of, kind_of, own, parsed, rows_of
from schemas.arrays import Chunked, Values, strings
from schemas.manifest import ShardEntry

Mask = NDArray[np.bool_]
_Sums = NDArray[np.uint64]  # (n, 4): a sha256 is four of them


@dataclass(eq=False)
class Entries(MutableMapping[str, ShardEntry]):
    """The finished shards of a table by name, in the order of their names; an entry is made when it is asked for.

    ``table`` is the table's name; ``rows`` are as ``entry_columns`` has them, sorted by shard. Changes are kept beside
    them.
    """

    table: str
    rows: pa.Table
    _changed: dict[str, ShardEntry | None] = field(default_factory=dict)
    _at: dict[str, int] | None = None

    @classmethod
    def of(cls, table: str, entries: Iterable[ShardEntry]) -> Entries:
        """Columns of these entries, of which each shard has one."""
        return cls(table, rows_of(sorted(entries, key=lambda entry: entry.shard)))

    def __getitem__(self, shard: str) -> ShardEntry:
        if shard in self._changed:
            entry = self._changed[shard]
            if entry is None:
                raise KeyError(shard)
            return entry
        return self._entry(self._index()[shard])

    def __setitem__(self, shard: str, entry: ShardEntry) -> None:
        self._changed[shard] = entry

    def __delitem__(self, shard: str) -> None:
        if shard not in self:
            raise KeyError(shard)
        self._changed[shard] = None

    def __contains__(self, shard: object) -> bool:
        if shard in self._changed:
            return self._changed[str(shard)] is not None
        return shard in self._index()

    def __iter__(self) -> Iterator[str]:
        return iter(self._settled().names())

    def __len__(self) -> int:
        return self._settled().rows.num_rows

    def rows_of_all(self) -> pa.Table:
        """All of them as columns (``entry_columns``), sorted by shard."""
        return self._settled().rows

    def names(self) -> list[str]:
        """The shards, sorted."""
        return strings(self._settled().rows["shard"])

    def without(self, shards: Iterable[str]) -> Entries:
        """All but these."""
        gone = [shard for shard in shards if shard in self]
        return Entries(self.table, self.rows, self._changed | dict.fromkeys(gone))._settled()

    def only(self, shards: Sequence[str]) -> Entries:
        """Those of these shards."""
        rows = self._settled().rows
        if len(shards) == rows.num_rows:
            return self
        return Entries(self.table, rows.filter(pc.is_in(rows["shard"], value_set=pa.array(shards, pa.string()))))

    def joined(self, others: Entries) -> Entries:
        """All of both; where both have a shard, that of ``others``."""
        if not len(others):
            return self
        mine, new = self._settled().rows, others._settled().rows
        stays = pc.invert(pc.is_in(mine["shard"], value_set=_whole(new["shard"])))
        return Entries(self.table, _sorted(pa.concat_tables([mine.filter(stays), new])))

    def total(self, column: str) -> int:
        """The sum of rows_in, rows_out or bytes_out."""
        return int(pc.sum(self._settled().rows[column]).as_py() or 0)

    def finished(self, digest: str, inputs: Sequence[Entries], shards: Sequence[str]) -> Mask:
        """Whether each of these shards is finished for a stage of this digest that reads these tables.

        False where it takes a look at the entry itself to know.
        """
        of = self._settled()
        rows = of.rows
        wanted = sorted(own(table.table) for table in inputs)
        same = [json.dumps([[name, None] for name in wanted])]
        good = _equals(rows["digest"], [digest]) & _equals(rows["reads"], same)
        good &= rows["undecided"].to_numpy() == 0
        for table in inputs:
            there = table._settled()
            read, _ = of._sums("read", own(table.table))
            written, known = there._sums("write", own(table.table))
            at = _places(rows["shard"], there.rows["shard"])
            known = np.append(known, False)
            good &= known[at]
            good &= (read == np.vstack([written, np.zeros((1, 4), np.uint64)])[at]).all(axis=1)
        at = _places(pa.chunked_array([pa.array(shards, pa.string())]), rows["shard"])
        return np.append(good, False)[at]

    def made_from(self, digest: str, reads: Collection[Mapping[str, str]], shards: Sequence[str]) -> bool:
        """Whether all of these shards, which are there, were made with this digest from one of these, undecided or not.

        No path among ``reads`` may be named after a shard.
        """
        rows = self._of(shards)
        if rows is None:
            return True
        good = np.zeros(len(shards), np.bool_)
        for kind, sums in (kind_of(files, "") for files in reads):
            good |= _equals(rows["reads"], [kind]) & pc.equal(rows["read_sums"], pa.scalar(sums, pa.large_binary()))
        return bool((good & _equals(rows["digest"], [digest])).all())

    def totals(self, shards: Sequence[str]) -> tuple[int, int, int]:
        """The sums of rows_in, rows_out and bytes_out over these shards, which are there."""
        rows = self._of(shards)
        if rows is None:
            return (0, 0, 0)
        rows_in, rows_out, bytes_out = (int(pc.sum(rows[c]).as_py()) for c in ("rows_in", "rows_out", "bytes_out"))
        return (rows_in, rows_out, bytes_out)

    def groups(self, rows: int | None) -> Iterator[list[str]]:
        """The shards in their order, some at a time: of at most so many rows together, or one; all of them for None."""
        group: list[str] = []
        held = 0
        of = self._settled().rows
        for shard, size in zip(strings(of["shard"]), of["rows_out"].to_numpy().tolist(), strict=True):
            if group and rows is not None and held + size > rows:
                yield group
                group, held = [], 0
            group.append(shard)
            held += size
        if group:
            yield group

    def lacking(self, table: str) -> list[str]:
        """The shards that did not write a shard of another table beside their own; sorted."""
        rows = self._settled().rows
        kinds = [str(kind) for kind in pc.unique(rows["writes"]).to_pylist()]
        beside = _equals(rows["writes"], [kind for kind in kinds if any(p == own(table) for p, _ in parsed(kind))])
        return strings(rows["shard"].filter(pa.array(~beside)))

    def own_sums(self) -> dict[str, str]:
        """The sha256 (hex) of each shard of the table itself."""
        of = self._settled()
        sums, known = of._sums("write", own(self.table))
        hexed = sums.tobytes().hex()
        names = of.names()
        found = {name: hexed[2 * SUM * i : 2 * SUM * (i + 1)] for i, name in enumerate(names)}
        for i in np.flatnonzero(~known):  # its sum is not one of 64 hex digits
            found[names[i]] = of._entry(int(i)).writes[f"tables/{self.table}/{names[i]}.parquet"]
        return found

    def files(self) -> dict[str, str]:
        """All files that the shards wrote, with their sums as their entries have them."""
        rows = self._settled().rows
        kinds = rows["writes"].cast(pa.string()).to_pylist()
        found: dict[str, str] = {}
        for shard, kind, sums in zip(self.names(), kinds, rows["write_sums"].to_pylist(), strict=True):
            found |= files_of(str(kind), sums or b"", shard)
        return found

    def alone(self) -> set[str]:
        """The shards that wrote their part of the table and no further file."""
        of = self._settled()
        same = [json.dumps([[own(self.table), None]])]
        return set(strings(of.rows["shard"].filter(pa.array(_equals(of.rows["writes"], same)))))

    def sources(self) -> set[str]:
        """All paths that shards were read from but those named after the shard."""
        kinds = pc.unique(self._settled().rows["reads"]).to_pylist()
        return {path for kind in kinds for path, _ in parsed(kind) if "\0" not in path}

    def fingerprint(self) -> str:
        """A sha256 (hex) over the names and sums of all files that the shards wrote."""
        rows = self._settled().rows
        found = hashlib.sha256()
        for column in ("shard", "writes"):
            found.update("\n".join(strings(rows[column].cast(pa.string()))).encode("utf-8", "surrogatepass"))
        found.update(b"".join(value or b"" for value in rows["write_sums"].to_pylist()))
        return found.hexdigest()

    def _of(self, shards: Sequence[str]) -> pa.Table | None:
        """The rows of these shards, in their order; None for no shards."""
        if not shards:
            return None
        of = self._settled()
        index = of._index()
        return of.rows.take(pa.array([index[shard] for shard in shards], pa.int64()))

    def _settled(self) -> Entries:
        """These entries with what has changed among the columns."""
        if self._changed:
            of_these = pa.array(sorted(self._changed), pa.string())
            stays = self.rows.filter(pc.invert(pc.is_in(self.rows["shard"], value_set=of_these)))
            fresh = rows_of([entry for entry in self._changed.values() if entry is not None])
            self.rows = _sorted(pa.concat_tables([stays, fresh]))
            self._changed, self._at = {}, None
        return self

    def _index(self) -> dict[str, int]:
        if self._at is None:
            self._at = {shard: at for at, shard in enumerate(strings(self.rows["shard"]))}
        return self._at

    def _entry(self, at: int) -> ShardEntry:
        rows = self.rows
        shard: str = rows["shard"][at].as_py()
        return ShardEntry(
            table=self.table,
            shard=shard,
            reads=files_of(rows["reads"][at].as_py(), rows["read_sums"][at].as_py(), shard),
            writes=files_of(rows["writes"][at].as_py(), rows["write_sums"][at].as_py(), shard),
            **{name: rows[name][at].as_py() for name in PLAIN},
        )

    def _sums(self, kind: str, path: str) -> tuple[_Sums, Mask]:
        """The sums of a path (as ``reads`` has it) by row, and which rows have one."""
        names, sums = _whole(self.rows[f"{kind}s"]), _whole(self.rows[f"{kind}_sums"])
        found, known = np.zeros((len(names), 4), np.uint64), np.zeros(len(names), np.bool_)
        if not len(names):
            return found, known
        starts = np.frombuffer(sums.buffers()[1], np.int64)[sums.offset : sums.offset + len(sums)] // SUM
        words = np.frombuffer(sums.buffers()[2] or b"", np.uint64)
        words = words[: len(words) // 4 * 4].reshape(-1, 4)
        codes = names.indices.to_numpy()
        for code, text in enumerate(names.dictionary.to_pylist()):
            of_sums = [p for p, given in parsed(text) if given is None]
            if path in of_sums:
                rows = np.flatnonzero(codes == code)
                found[rows] = words[starts[rows] + of_sums.index(path)]
                known[rows] = True
        return found, known


def _whole(column: Values) -> Any:
    """A column as one array; dictionaries of its parts become one."""
    return column.unify_dictionaries().combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _sorted(rows: pa.Table) -> pa.Table:
    at = pc.sort_indices(rows["shard"])
    return rows.unify_dictionaries().take(at).combine_chunks()


def _equals(column: Chunked, values: list[str]) -> Mask:
    """Whether each value of a column of names is one of these."""
    names = _whole(column)
    if not len(names):
        return np.zeros(0, np.bool_)
    good = np.array([name in values for name in names.dictionary.to_pylist()], np.bool_)
    found: Mask = good[names.indices.to_numpy()]
    return found


def _places(wanted: Chunked, there: Chunked) -> NDArray[np.int64]:
    """Where each wanted name stands; -1, the last one, where it does not."""
    if len(wanted) == len(there) and wanted.equals(there):
        return np.arange(len(wanted))
    return pc.index_in(wanted, value_set=_whole(there)).fill_null(-1).to_numpy().astype(np.int64)
