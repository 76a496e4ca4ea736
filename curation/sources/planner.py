"""Plan: cuts the source into shards of rows, each with the verdict of the metadata filters; table ``rows``.

A row is known by its content (its sample_id), and what has been planned stays in its shard, under its number:

- A file with the fingerprint and the settings of an earlier run is not read again.
- Reading that was interrupted goes on behind the rows that are planned.
- A file that has changed, or that other settings judge, is read again. Its rows are looked up among the planned ones
  (``matching``). New rows go into new shards behind the file's other shards. Rows that the file no longer holds stay,
  and are listed in the table ``gone``; one whose image was never fetched is rejected (``merging``).
- A file that is no longer part of the source is treated as one without rows.

So a shard's bytes change only where the source says something else of one of its rows, or the filters do. With
``limit`` only the first rows are read, and no row is found to be gone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import numpy as np

from curation.blocklists.rows import RowLists
from curation.core.errors import LapidaryError, SourceError, StoreError
from curation.core.job import Outcome, Report
from curation.core.store import Store
from curation.sources.merging import readable
from curation.sources.news_files import NewsList
from curation.sources.planned import Known, Planned, Progress, matched, plan_digest, stem, straight
from curation.sources.replanning import Replanner, row_tables
from curation.sources.source_file import SourceFile, SourceSet
from curation.sources.tables import pieces
from curation.sources.tombstones import Tombstones, keep_given, read_given
from schemas.ids import shard_name
from schemas.manifest import ShardFailure
from schemas.news import NewsArticle
from schemas.recipe import Source
from schemas.records import SourceColumns, SourceRow

_TABLE = SourceRow.table


def plan(
    store: Store,
    sources: SourceSet,
    recipe: Source,
    report: Report,
    *,
    keep_fetched: bool = True,
    settled: bool = False,
) -> list[str]:
    """Writes and commits all shards of ``rows`` that are not finished; returns all finished shards in source order.

    Shards of files that are no longer part of the source come last. A damaged file costs the shard that would hold the
    damage: it is reported and recorded as failed, the shards before it stay finished, and the next run tries again.
    Of a file that had been planned before it changed and was damaged, nothing is taken: what it holds in front of the
    damage says neither which rows are new nor which are gone. Its shards stay as they were until it is whole again.
    Raises ``SourceError`` where that leaves no shard at all. Without ``keep_fetched`` all rows that are gone from the
    source are rejected, whether their images were fetched or not. Blocklists are those that the root keeps.
    ``settled``: the run before this one has ended in good order, and left no table without an entry.
    """
    planner = _Planner(store, recipe, report, keep_fetched)
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
            names += planner.planned.shards(file.name, rows if left is not None else None)
            left = None if left is None else left - rows
        for name in sorted(planner.planned.files() - {file.name for file in sources.files}):
            planner.gone_file(name)
    except LapidaryError:
        # The record only saves time; an error in writing it must not hide the first error.
        with contextlib.suppress(StoreError):
            planner.record.save(store)
        raise
    planner.record.save(store)
    planner.sweep({file.name for file in sources.files}, tables_too=store.is_local or not settled)
    if damage is not None and not planner.planned.entries:
        raise damage
    if not recipe.limit:
        names += sorted(planner.planned.entries.keys() - set(names))
    return names


class _Planner:
    """Plans one file after the other."""

    def __init__(self, store: Store, recipe: Source, report: Report, keep_fetched: bool) -> None:
        self.store = store
        self.recipe = recipe
        self.report = report
        keep_given(store, read_given(recipe.tombstones))
        self.buried = Tombstones.of_root(store)
        self.blocked = RowLists.of_root(store)
        digest = plan_digest(recipe, self.buried.given, self.blocked.digest)
        self.planned = Planned(store, digest, recipe.shard_rows, report)
        self.again = Replanner(store, recipe, self.planned, self.buried, self.blocked, keep_fetched)
        self.failures = set(store.failures(_TABLE))
        self.record = Progress.load(store)

    def file(self, file: SourceFile, most: int | None) -> int:
        """Plans the first ``most`` rows of the file, or all; returns their number."""
        known = self.record.files.get(file.name)
        parts = self.planned.parts(file.name)
        if known is not None and known.fingerprint == file.fingerprint and self._is_there(file, known):
            enough = known.complete or (most is not None and known.rows >= most)
            if enough:
                rows = known.rows if most is None else min(known.rows, most)
                self._skip(self.planned.shards(file.name, None if most is None else rows))
                self._forget_failures(file.name)
                return rows
        in_order = parts == list(range(len(parts))) and all(
            self._is_current(file, part)
            and self.planned.entries[shard_name(file.name, part)].reads == straight(file.name, file.fingerprint)
            for part in parts
        )
        rows = self._read(file, parts, most) if in_order else self.again.merge(file, most)
        complete = most is None or rows < most or rows == file.rows()
        shards = len(self.planned.parts(file.name))
        self.record.note(self.store, file.name, Known(file.fingerprint, rows, complete, shards))
        self._forget_failures(file.name)
        return rows

    def gone_file(self, name: str) -> None:
        """Marks the rows of a file that is no longer part of the source."""
        reads = matched(name, "")
        shards = self.planned.shards(name, None)
        entries = (self.planned.entries[shard] for shard in shards)
        if all(entry.digest == self.planned.digest and entry.reads == reads for entry in entries):
            return
        for shard in shards:
            old = readable(self.store, SourceRow, shard)
            if old is not None:
                self.again.merge_shard(shard, reads, old, np.full(old.num_rows, -1, np.int64))
        self.record.note(self.store, name, Known("", 0, True, len(shards)))

    def fail(self, file: SourceFile, error: SourceError) -> int:
        """Records the first shard that the file did not yield as failed; returns the number of planned rows."""
        parts = self.planned.parts(file.name)
        shard = shard_name(file.name, parts[-1] + 1 if parts else 0)
        text = f"{type(error).__name__}: {error}"
        self._forget_failures(file.name)
        self.store.commit_failure(ShardFailure(_TABLE, shard, text, text, "plan", 1))
        self.failures.add(shard)
        self.report(Outcome(0, _TABLE, shard, "failed", error=text))
        return sum(self.planned.entries[shard_name(file.name, part)].rows_out for part in parts)

    def _read(self, file: SourceFile, parts: Sequence[int], most: int | None) -> int:
        """Cuts shards behind those there are, which hold the first rows of the file; returns the rows of all."""
        row = sum(self.planned.entries[shard_name(file.name, part)].rows_out for part in parts)
        if most is not None and row >= most:
            self._skip(self.planned.shards(file.name, most))
            return most
        self._skip([shard_name(file.name, part) for part in parts])
        part = len(parts)
        for metadata in pieces(file.read(row, most, kept=bool(self.recipe.keep_columns)), self.recipe.shard_rows):
            started = time.perf_counter()
            tables = row_tables(file, row, metadata, self.recipe, self.buried, self.blocked)
            self.planned.commit(shard_name(file.name, part), straight(file.name, file.fingerprint), tables, started)
            row += metadata.num_rows
            part += 1
        return row

    def _is_current(self, file: SourceFile, part: int) -> bool:
        shard = shard_name(file.name, part)
        entry = self.planned.entries[shard]
        return (
            self._is_beside(file, [shard])
            and entry.digest == self.planned.digest
            and entry.reads in (straight(file.name, file.fingerprint), matched(file.name, file.fingerprint))
        )

    def _is_beside(self, file: SourceFile, shards: Sequence[str]) -> bool:
        """Whether the shards have what today's settings want beside their rows."""
        news = isinstance(file.reading, NewsList)
        if news and not self.planned.beside[NewsArticle.table].issuperset(shards):
            return False
        # News lists kept no further columns once, whatever their recipe said: such shards stay as they are.
        return news or not self.recipe.keep_columns or self.planned.beside[SourceColumns.table].issuperset(shards)

    def _is_there(self, file: SourceFile, known: Known) -> bool:
        shards = self.planned.shards(file.name, None)
        all_there = len(shards) == known.shards if known.shards else self.planned.rows_of(file.name) == known.rows
        return all_there and self._is_beside(file, shards) and self.planned.stand(file.name, file.fingerprint)

    def _skip(self, shards: Sequence[str]) -> None:
        if shards:
            rows_in, rows_out, size = self.planned.entries.totals(shards)
            self.report(Outcome(0, _TABLE, "", "skipped", rows_in, rows_out, size, shards=len(shards)))

    def _forget_failures(self, name: str) -> None:
        """Removes the records of a file's failed shards; which shard failed depends on what the file held."""
        for shard in [s for s in self.failures if stem(s) == stem(shard_name(name, 0))]:
            self.store.forget_failure(_TABLE, shard)
            self.failures.discard(shard)

    def sweep(self, files: set[str], *, tables_too: bool) -> None:
        """Removes failures of files that are gone, and tables without an entry, which a killed run left.

        To list the tables of many thousand shards takes an object store a request a thousand.
        """
        present = {stem(shard_name(name, 0)) for name in files}
        for shard in [s for s in self.failures if stem(s) not in present]:
            self.store.forget_failure(_TABLE, shard)
        for name in self.store.names(f"tables/{_TABLE}", ".parquet") if tables_too else ():
            if name.removesuffix(".parquet") not in self.planned.entries:
                self.store.remove(f"tables/{_TABLE}/{name}")
