"""The shards of ``rows`` that a root has, by source file, and the record of how far each file was read."""

from __future__ import annotations

import bisect
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from curation.core.job import Outcome, Report
from curation.core.store import Store, encoded
from schemas.arrow import Record, schema_of
from schemas.ids import shard_name, shard_names
from schemas.manifest import ShardEntry
from schemas.news import NewsArticle
from schemas.recipe import Source
from schemas.records import GoneRow, SameUrl, SourceColumns, SourceRow

VERSION = 2  # raise it when the same source and recipe give other rows
RECORD = "manifest/sources.json"
BESIDE: tuple[type[Record], ...] = (NewsArticle, SourceColumns, GoneRow, SameUrl)
"""The tables that are written beside rows; the entry of the rows is the proof of them too."""
_ELSEWHERE = ("max_text_repeats", "tombstones")
_EVERY = 5.0  # seconds between two writes of the record
_TABLE = SourceRow.table
_SOURCE = "source:"
_NOTHING: Mapping[str, pa.Table] = {}


def plan_digest(recipe: Source, given: str = "", blocked: str = "") -> str:
    """A hash of everything but the source that the rows depend on; the limit on repeats belongs to the next step.

    ``given`` stands for the tombstones of other roots, and ``blocked`` for blocklists: what they say counts, not where
    they lie.
    """
    settings = {
        "name": "plan",
        "version": VERSION,
        "recipe": {key: value for key, value in recipe.deciding().items() if key not in _ELSEWHERE},
        "writes": [(f.name, str(f.type)) for f in schema_of(SourceRow)],
        **({"tombstones": given} if given else {}),
        **({"blocklists": blocked} if blocked else {}),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Known:
    """The progress on one file: ``rows`` of it have been read, and it has no more where ``complete`` holds.

    ``shards`` is the number of its shards; a record of an earlier version does not have it.
    """

    fingerprint: str
    rows: int
    complete: bool
    shards: int = 0


@dataclass
class Progress:
    """How far each file has been read. Without this record files are read again, and nothing else is lost."""

    files: dict[str, Known] = field(default_factory=dict)
    saved: float = field(default_factory=time.monotonic)
    changed: bool = False

    @classmethod
    def load(cls, store: Store) -> Progress:
        try:
            found = json.loads(store.read(RECORD)) if store.exists(RECORD) else {}
            return cls({name: Known(**known) for name, known in found.items()})
        except (ValueError, TypeError, AttributeError):
            return cls()

    def note(self, store: Store, name: str, known: Known) -> None:
        if self.files.get(name) != known:
            self.files[name] = known
            self.changed = True
        if time.monotonic() - self.saved > _EVERY:
            self.save(store)

    def save(self, store: Store) -> None:
        if self.changed:
            files = {name: asdict(known) for name, known in self.files.items()}
            store.write(RECORD, json.dumps(files, sort_keys=True, indent=1).encode())
            self.changed = False
        self.saved = time.monotonic()


@dataclass(frozen=True)
class Slot:
    """Room for new rows: a shard that is to be, the number of its first row, and how many rows it takes."""

    part: int
    first: int
    rows: int


class Planned:
    """The finished shards of ``rows``, whatever settings made them; ``digest`` is that of today's settings."""

    def __init__(self, store: Store, digest: str, shard_rows: int, report: Report) -> None:
        self.store = store
        self.digest = digest
        self.entries = store.entries(_TABLE)
        self.beside = {record.table: set(store.shards(record.table)) for record in BESIDE}
        self._shard_rows = shard_rows
        self._report = report
        self._ends: dict[str, tuple[int, int]] = {}
        self._parts: dict[str, list[int]] = {}
        for shard in sorted(self.entries, key=_part):
            self._parts.setdefault(stem(shard), []).append(_part(shard))

    def parts(self, name: str) -> list[int]:
        """Numbers of the file's finished shards, in order."""
        return list(self._parts.get(stem(shard_name(name, 0)), ()))

    def shards(self, name: str, rows: int | None) -> list[str]:
        """The file's finished shards, or those of them that hold its first rows."""
        names = shard_names(name, self.parts(name))
        if rows is None:
            return names
        first: list[str] = []
        for shard in names:
            if rows <= 0:
                break
            first.append(shard)
            rows -= self.entries[shard].rows_out
        return first

    def stand(self, name: str, fingerprint: str) -> bool:
        """Whether all of the file's shards are of today's settings and were read from the file as it is."""
        reads = (straight(name, fingerprint), matched(name, fingerprint))
        return self.entries.made_from(self.digest, reads, self.shards(name, None))

    def rows_of(self, name: str) -> int:
        """How many rows the file's shards have."""
        return self.entries.totals(self.shards(name, None))[1]

    def files(self) -> set[str]:
        """Names of the files that shards were cut from."""
        return {name.removeprefix(_SOURCE) for name in self.entries.sources() if name.startswith(_SOURCE)}

    def slots(self, name: str) -> Iterator[Slot]:
        """Where new rows go: into shards that were lost, with the numbers that these had, then behind all others."""
        part = first = 0
        for there in self.parts(name):
            start, last = self._numbers(shard_name(name, there))
            while part < there:
                rows = start - first if part == there - 1 else min(self._shard_rows, start - first)
                if rows > 0:
                    yield Slot(part, first, rows)
                part, first = part + 1, first + rows
            part, first = there + 1, last + 1
        while True:
            yield Slot(part, first, self._shard_rows)
            part, first = part + 1, first + self._shard_rows

    def _numbers(self, shard: str) -> tuple[int, int]:
        """The numbers of a shard's first and last row."""
        if shard not in self._ends:
            self._note_ends(shard, self.store.read_table(SourceRow, shard, ["source_row"]))
        return self._ends[shard]

    def _note_ends(self, shard: str, rows: pa.Table) -> None:
        if rows.num_rows:
            self._ends[shard] = rows["source_row"][0].as_py(), rows["source_row"][-1].as_py()

    def commit(
        self,
        shard: str,
        reads: dict[str, str],
        tables: Sequence[tuple[type[Record], pa.Table]],
        started: float,
        before: Mapping[str, pa.Table] = _NOTHING,
    ) -> None:
        """Writes what belongs to the rows, then the rows, which come first in ``tables``; their entry vouches for all.

        ``before`` has the shards of tables that were just read, by table. One that would be the same is not written.
        """
        for record, table in reversed(tables):
            sha256, size = self._write(record, shard, table, before.get(record.table))
            name = self.store.table_file(record.table, shard)
            seconds = round(time.perf_counter() - started, 3)
            rows = table.num_rows
            entry = ShardEntry(
                record.table, shard, self.digest, reads, {name: sha256}, rows, rows, size, seconds, "plan"
            )
            self.store.commit(entry)
            if record is SourceRow:
                self._note(entry)
                self._note_ends(shard, table)
                self._report(Outcome(0, _TABLE, shard, "done", rows, rows, size, seconds, entry=entry))
            else:
                self.beside[record.table].add(shard)

    def _write(self, record: type[Record], shard: str, table: pa.Table, before: pa.Table | None) -> tuple[str, int]:
        """Writes a shard where it is not there already; returns the sha256 and the number of its bytes."""
        name = self.store.table_file(record.table, shard)
        there = self.entries.get(shard) if record is SourceRow else self.store.entry(record.table, shard)
        sha256 = None if there is None else there.writes.get(name)
        if there is not None and sha256 is not None and before is not None and before.equals(table):
            return sha256, there.bytes_out
        data = encoded(table)
        if hashlib.sha256(data).hexdigest() != sha256 or not self.store.exists(name):
            sha256 = self.store.write(name, data)
        return sha256, len(data)

    def _note(self, entry: ShardEntry) -> None:
        self.entries[entry.shard] = entry
        parts = self._parts.setdefault(stem(entry.shard), [])
        if (part := _part(entry.shard)) not in parts:
            bisect.insort(parts, part)

    def forget(self, shard: str) -> None:
        self.store.retire(_TABLE, shard)
        del self.entries[shard]
        self._parts[stem(shard)].remove(_part(shard))


def straight(name: str, fingerprint: str) -> dict[str, str]:
    """What a shard was read from that holds rows of a file in their order, from its first row on."""
    return {f"{_SOURCE}{name}": fingerprint}


def matched(name: str, fingerprint: str) -> dict[str, str]:
    """The same for a shard whose rows were looked up in the file."""
    return {f"{_SOURCE}{name}": fingerprint, "rows": "matched"}


def stem(shard: str) -> str:
    return shard.rpartition("-")[0]


def _part(shard: str) -> int:
    return int(shard.rpartition("-")[2])
