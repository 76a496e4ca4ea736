"""Runs stages over shards: skip what is finished, map the rest, commit.

A segment of stages streams: shard 7 is captioned while shard 8 downloads. Only a reduce is a barrier.
Finished means: an entry with today's digest that read today's bytes. So a changed prompt redoes
captions and what follows from them, and nothing else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from curation.core.job import Job, Outcome, Report
from curation.core.stage import Reduce, Stage, digest
from curation.core.store import Store, untouched
from curation.core.under_way import Progress
from schemas.arrow import Record, conform
from schemas.manifest import ReduceEntry, ShardEntry


class Pool(Protocol):
    """Workers that have the segment's stages open, or open them at the first job."""

    def has_capacity(self, stage: int) -> bool:
        """Whether another job for this stage can be handed over now."""
        ...

    def submit(self, job: Job) -> None: ...

    def next(self) -> Outcome:
        """The next finished job; waits for it. Called only while jobs are out."""
        ...


class Engine(Protocol):
    """Where stages run."""

    def check(self, stages: Sequence[Stage]) -> None:
        """Raises ``UsageError`` if these stages (a segment) need resources that the engine does not have."""
        ...

    def pool(self, store: Store, stages: Sequence[Stage]) -> AbstractContextManager[Pool]: ...

    def under_way(self) -> list[Progress]:
        """How far the shards in work are, as far as their stages say so. Safe to call from any thread."""
        ...


@dataclass
class Totals:
    """What a segment or a reduce came to."""

    done: int = 0
    skipped: int = 0
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        match outcome.status:
            case "done":
                self.done += 1
            case "skipped":
                self.skipped += 1
            case "failed":
                self.failed.append(outcome)


def run_segment(store: Store, engine: Engine, stages: Sequence[Stage], shards: Iterable[str], report: Report) -> Totals:
    """Streams shards through stages; finished ones cost a look at the manifest.

    Raises the ``LapidaryError`` that makes going on pointless (disk full, no model server left); a
    shard's own failure is reported, recorded and leaves the others alone.
    """
    plan = _Plan(store, stages)
    queues: list[deque[str]] = [deque() for _ in stages]
    queues[0].extend(shards)
    totals = Totals()
    out = 0
    with engine.pool(store, stages) as pool:
        while out or any(queues):
            for index in reversed(range(len(stages))):
                while queues[index] and pool.has_capacity(index):
                    shard = queues[index].popleft()
                    job = plan.job(index, shard)
                    if isinstance(job, Outcome):
                        totals.add(job)
                        report(job)
                        if index + 1 < len(stages):
                            queues[index + 1].append(shard)
                    elif job is not None:
                        pool.submit(job)
                        out += 1
            if not out:
                continue
            outcome = pool.next()
            out -= 1
            totals.add(outcome)
            report(outcome)
            if outcome.fatal is not None:
                raise outcome.fatal
            if outcome.entry is not None:
                plan.note(outcome.entry)
                if outcome.stage + 1 < len(stages):
                    queues[outcome.stage + 1].append(outcome.shard)
    return totals


def run_reduce(store: Store, reduce: Reduce, report: Report) -> Totals:
    """Runs a reduce unless it is finished for today's digest and today's input."""
    table = reduce.writes.table
    started = time.perf_counter()
    current = digest(reduce)
    reads: dict[str, str] = {}
    for record in reduce.reads:
        for entry in store.entries(record.table).values():
            reads[store.table_file(record.table, entry.shard)] = _sha(store, record, entry)
    last = store.reduce_entry(table)
    present = store.entries(table)
    totals = Totals()
    whole = last is not None and untouched(last, present) == last.shards.keys() == present.keys()
    if last is not None and whole and last.digest == current and last.reads == reads:
        for shard in sorted(last.shards):
            skipped = Outcome(0, table, shard, "skipped")
            totals.add(skipped)
            report(skipped)
        return totals
    reduction = reduce.run(store, last.state if last is not None and last.digest == current else {})
    shards: dict[str, str] = {}
    for shard in sorted(reduction.unchanged_shards):
        shards[shard] = present[shard].writes[store.table_file(table, shard)]
        skipped = Outcome(0, table, shard, "skipped")
        totals.add(skipped)
        report(skipped)
    for shard, rows in reduction.shards:
        rows = conform(reduce.writes, rows)
        name = store.table_file(table, shard)
        before = present[shard].writes[name] if shard in present else None
        shards[shard], size = store.rewrite_table(reduce.writes, shard, rows, before)
        entry = ShardEntry(
            table=table,
            shard=shard,
            digest=current,
            reads={},
            writes={name: shards[shard]},
            rows_in=rows.num_rows,
            rows_out=rows.num_rows,
            bytes_out=size,
            seconds=0.0,
            worker="reduce",
        )
        store.commit(entry)
        outcome = Outcome(0, table, shard, "done", rows.num_rows, rows.num_rows, size, entry=entry)
        totals.add(outcome)
        report(outcome)
    for stale in present.keys() - shards.keys():
        store.retire(table, stale)
    seconds = round(time.perf_counter() - started, 3)
    store.commit_reduce(ReduceEntry(table, current, reads, shards, seconds, reduction.state()))
    return totals


def unfinished(store: Store, stage: Stage, shards: Iterable[str]) -> set[str]:
    """Those of the shards whose entry is not today's.

    It is of other settings, of other input, has rows that got no verdict, or is not there.
    """
    entries = store.entries(stage.writes.table)
    read = {record.table: store.entries(record.table) for record in stage.reads}
    today = digest(stage)

    def finished(shard: str) -> bool:
        entry = entries.get(shard)
        files = {store.table_file(table, shard): found.get(shard) for table, found in read.items()}
        reads = {file: e.writes[file] for file, e in files.items() if e is not None}
        return entry is not None and entry.finishes(today, reads)

    return {shard for shard in shards if not finished(shard)}


class _Plan:
    """Knows from the manifest which shards of which stages are finished."""

    def __init__(self, store: Store, stages: Sequence[Stage]) -> None:
        self.store = store
        self.stages = stages
        self.digests = [digest(s) for s in stages]
        tables = {s.writes.table for s in stages} | {r.table for s in stages for r in s.reads}
        self.entries = {t: store.entries(t) for t in sorted(tables)}

    def job(self, index: int, shard: str) -> Job | Outcome | None:
        """The job to do; or that it is finished; or None where what it reads is not there."""
        stage = self.stages[index]
        reads: dict[str, str] = {}
        for record in stage.reads:
            entry = self.entries[record.table].get(shard)
            if entry is None:
                return None
            reads[self.store.table_file(record.table, shard)] = _sha(self.store, record, entry)
        table = stage.writes.table
        entry = self.entries[table].get(shard)
        if entry is not None:
            if entry.finishes(self.digests[index], reads):
                return Outcome(index, table, shard, "skipped", entry.rows_in, entry.rows_out, entry.bytes_out)
            same = entry.digest == self.digests[index]
            if same and (entry.reads == reads or getattr(stage, "builds_on_earlier", False)):
                before = entry.writes[self.store.table_file(table, shard)]
                return Job(index, shard, self.digests[index], reads, before)
            # What no longer follows from today's recipe must not be taken for today's answer.
            self.store.retire(table, shard)
            del self.entries[table][shard]
        return Job(index, shard, self.digests[index], reads)

    def note(self, entry: ShardEntry) -> None:
        self.entries[entry.table][entry.shard] = entry


def _sha(store: Store, record: type[Record], entry: ShardEntry) -> str:
    return entry.writes[store.table_file(record.table, entry.shard)]
