"""Plan: cuts the source into shards of rows, each with the verdict of the metadata filters; table ``rows``.

No file is read twice without need. A file with the fingerprint and the settings of an earlier run is skipped, and
reading that was interrupted continues behind the last whole shard. A file that has changed is read again; those of its
shards that have the same rows get the same bytes, so that later stages skip them.

A source may shrink. A file that is gone keeps its shards, because their pixels may be in the root already. A file that
has become shorter loses the shards behind its new end, in every table. A smaller ``limit`` than before removes no row.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from curation.core.errors import LapidaryError, SourceError, StoreError
from curation.core.pipeline import Outcome, Report
from curation.core.store import Store
from curation.sources.filters import source_columns, source_rows
from curation.sources.news_files import NewsList, articles
from curation.sources.source_file import SourceFile, SourceSet
from curation.sources.tables import pieces
from schemas.arrow import Record, schema_of
from schemas.ids import shard_name
from schemas.manifest import ShardEntry, ShardFailure
from schemas.news import NewsArticle
from schemas.recipe import Source
from schemas.records import SourceColumns, SourceRow

VERSION = 2  # raise it when the same source and recipe give other rows
RECORD = "manifest/sources.json"
_EVERY = 5.0  # seconds between two writes of the record
_TABLE = SourceRow.table


def plan(store: Store, sources: SourceSet, recipe: Source, report: Report) -> list[str]:
    """Writes and commits all shards of ``rows`` that are not finished; returns all finished shards in source order.

    Shards of files that are no longer part of the source come last. A damaged file costs the shard that would hold the
    damage: it is reported and recorded as failed, the shards before it stay finished, and the next run tries again.
    Raises ``SourceError`` where that leaves no shard at all.
    """
    planner = _Planner(store, recipe, report)
    names: list[str] = []
    damage: SourceError | None = None
    left = recipe.limit or None
    try:
        for file in sources.files:
            if left == 0:
                break
            try:
                rows = planner.file(file, left)
            except SourceError as error:
                damage = damage or error
                rows = planner.fail(file, error)
            names += (shard_name(file.name, part) for part in range(-(-rows // recipe.shard_rows)))
            left = None if left is None else left - rows
    except LapidaryError:
        # The record only saves time; an error in writing it must not hide the first error.
        with contextlib.suppress(StoreError):
            planner.record.save(store)
        raise
    planner.record.save(store)
    planner.sweep({file.name for file in sources.files})
    if damage is not None and not planner.entries:
        raise damage
    if not recipe.limit:
        names += sorted(planner.entries.keys() - set(names))
    return names


def plan_digest(recipe: Source) -> str:
    """A hash of everything but the source that the rows depend on; the limit on repeats belongs to the next step."""
    settings = {
        "name": "plan",
        "version": VERSION,
        "recipe": {key: value for key, value in recipe.deciding().items() if key != "max_text_repeats"},
        "writes": [(f.name, str(f.type)) for f in schema_of(SourceRow)],
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Known:
    """The progress on one file: ``rows`` are planned; ``complete`` means that the file has no more."""

    fingerprint: str
    rows: int
    complete: bool


@dataclass
class _Record:
    """How far each file has been read. Without this record files are read again, and nothing else is lost."""

    files: dict[str, _Known] = field(default_factory=dict)
    saved: float = field(default_factory=time.monotonic)
    changed: bool = False

    @classmethod
    def load(cls, store: Store) -> _Record:
        try:
            found = json.loads(store.read(RECORD)) if store.exists(RECORD) else {}
            return cls({name: _Known(**known) for name, known in found.items()})
        except (ValueError, TypeError, AttributeError):
            return cls()

    def note(self, store: Store, name: str, known: _Known) -> None:
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


class _Planner:
    """Plans one file after the other."""

    def __init__(self, store: Store, recipe: Source, report: Report) -> None:
        self.store = store
        self.recipe = recipe
        self.report = report
        self.digest = plan_digest(recipe)
        self.entries = store.entries(_TABLE)
        self.failures = set(store.failures(_TABLE))
        self.beside = {record.table: set(store.shards(record.table)) for record in (NewsArticle, SourceColumns)}
        self.record = _Record.load(store)

    def file(self, file: SourceFile, most: int | None) -> int:
        """Plans the first ``most`` rows of the file, or all; returns their number."""
        known = self.record.files.get(file.name)
        whole = self._whole_shards(file)
        if known is not None and known.fingerprint == file.fingerprint and self._is_there(file, known):
            enough = known.complete or (most is not None and known.rows >= most)
            if enough:
                rows = known.rows if most is None else min(known.rows, most)
                self._skip(file, 0, -(-rows // self.recipe.shard_rows))
                return rows
        if most is not None:
            whole = min(whole, most // self.recipe.shard_rows)
        self._skip(file, 0, whole)
        rows = self._read(file, whole, most)
        complete = most is None or rows < most or rows == file.rows()
        if complete:
            self._cut_off(file, -(-rows // self.recipe.shard_rows))
        self.record.note(self.store, file.name, _Known(file.fingerprint, rows, complete))
        self._forget_failures(file.name)
        return rows

    def fail(self, file: SourceFile, error: SourceError) -> int:
        """Records the first shard that the file did not yield as failed; returns the rows of those before it."""
        part = self._whole_shards(file)
        shard = shard_name(file.name, part)
        text = f"{type(error).__name__}: {error}"
        self._forget_failures(file.name)
        self.store.commit_failure(ShardFailure(_TABLE, shard, text, text, "plan", 1))
        self.failures.add(shard)
        self.report(Outcome(0, _TABLE, shard, "failed", error=text))
        return part * self.recipe.shard_rows

    def _read(self, file: SourceFile, part: int, most: int | None) -> int:
        """Cuts shards from ``part`` on; returns the number of rows up to the last of them."""
        row = part * self.recipe.shard_rows
        for metadata in pieces(file.read(row, most, kept=bool(self.recipe.keep_columns)), self.recipe.shard_rows):
            started = time.perf_counter()
            table = source_rows(file.name, row, metadata, self.recipe)
            if isinstance(file.reading, NewsList):
                self._beside(file, part, NewsArticle, articles(table, metadata))
            elif self.recipe.keep_columns:
                self._beside(file, part, SourceColumns, source_columns(table, metadata))
            self._commit(file, part, table, started)
            row += metadata.num_rows
            part += 1
        return row

    def _commit(self, file: SourceFile, part: int, table: pa.Table, started: float) -> None:
        shard = shard_name(file.name, part)
        sha256, size = self.store.write_table(SourceRow, shard, table)
        seconds = round(time.perf_counter() - started, 3)
        entry = ShardEntry(
            table=_TABLE,
            shard=shard,
            digest=self.digest,
            reads=_reads(file),
            writes={self.store.table_file(_TABLE, shard): sha256},
            rows_in=table.num_rows,
            rows_out=table.num_rows,
            bytes_out=size,
            seconds=seconds,
            worker="plan",
        )
        self.store.commit(entry)
        self.entries[shard] = entry
        self.report(Outcome(0, _TABLE, shard, "done", table.num_rows, table.num_rows, size, seconds, entry=entry))

    def _beside(self, file: SourceFile, part: int, record: type[Record], table: pa.Table) -> None:
        """Writes what belongs to the rows, before the rows: the entry of the rows is the proof of both."""
        shard = shard_name(file.name, part)
        sha256, size = self.store.write_table(record, shard, table)
        name = self.store.table_file(record.table, shard)
        rows = table.num_rows
        entry = ShardEntry(
            record.table, shard, self.digest, _reads(file), {name: sha256}, rows, rows, size, 0.0, "plan"
        )
        self.store.commit(entry)
        self.beside[record.table].add(shard)

    def _is_current(self, file: SourceFile, part: int) -> bool:
        shard = shard_name(file.name, part)
        news = isinstance(file.reading, NewsList)
        if news and shard not in self.beside[NewsArticle.table]:
            return False
        if not news and self.recipe.keep_columns and shard not in self.beside[SourceColumns.table]:
            return False
        entry = self.entries.get(shard)
        return entry is not None and entry.digest == self.digest and entry.reads == _reads(file)

    def _is_there(self, file: SourceFile, known: _Known) -> bool:
        return all(self._is_current(file, part) for part in range(-(-known.rows // self.recipe.shard_rows)))

    def _whole_shards(self, file: SourceFile) -> int:
        part = 0
        while self._is_current(file, part) and self._rows(file, part) == self.recipe.shard_rows:
            part += 1
        return part

    def _rows(self, file: SourceFile, part: int) -> int:
        return self.entries[shard_name(file.name, part)].rows_out

    def _skip(self, file: SourceFile, first: int, end: int) -> None:
        for part in range(first, end):
            entry = self.entries[shard_name(file.name, part)]
            self.report(
                Outcome(0, _TABLE, entry.shard, "skipped", entry.rows_in, entry.rows_out, entry.bytes_out, entry=entry)
            )

    def _cut_off(self, file: SourceFile, end: int) -> None:
        """Retires the shards behind the file's end, the last one first, so that a kill leaves no gap."""
        beyond = end
        while shard_name(file.name, beyond) in self.entries:
            beyond += 1
        for part in reversed(range(end, beyond)):
            shard = shard_name(file.name, part)
            # The rows go last: while they are there, the next run knows that this is unfinished.
            for table in self.store.names("manifest"):
                if table != _TABLE and not table.endswith(".json"):
                    self.store.retire(table, shard)
            self.store.remove(self.store.images_file(shard))
            self.store.retire(_TABLE, shard)
            del self.entries[shard]

    def _forget_failures(self, name: str) -> None:
        """Removes the records of a file's failed shards; which shard failed depends on what the file held."""
        for shard in [s for s in self.failures if s.rpartition("-")[0] == shard_name(name, 0).rpartition("-")[0]]:
            self.store.forget_failure(_TABLE, shard)
            self.failures.discard(shard)

    def sweep(self, files: set[str]) -> None:
        """Removes tables without an entry, which a killed run left, and failures of files that are gone."""
        present = {shard_name(name, 0).rpartition("-")[0] for name in files}
        for shard in [s for s in self.failures if s.rpartition("-")[0] not in present]:
            self.store.forget_failure(_TABLE, shard)
        for name in self.store.names(f"tables/{_TABLE}", ".parquet"):
            if name.removesuffix(".parquet") not in self.entries:
                self.store.remove(f"tables/{_TABLE}/{name}")


def _reads(file: SourceFile) -> dict[str, str]:
    return {f"source:{file.name}": file.fingerprint}
