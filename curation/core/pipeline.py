"""Runs stages over shards: skip what is finished, map the rest, commit.

A segment of stages streams: shard 7 is captioned while shard 8 downloads. Only a reduce is a barrier.
Finished means: an entry with today's digest that read today's bytes. So a changed prompt redoes
captions and what follows from them, and nothing else.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from curation.core.errors import StoreError
from curation.core.job import Job, Outcome, Report
from curation.core.kept_listing import at_work
from curation.core.reduced import publish, reads_of, stands
from curation.core.stage import Reduce, Stage, Sweeps, digest, followed
from curation.core.store import HeldStore, Store
from curation.core.under_way import Progress
from curation.core.vouched import verify
from schemas.arrow import Record
from schemas.manifest import ReduceEntry, ShardEntry


class Pool(Protocol):
    """Workers that have the segment's stages open, or open them at the first job."""

    def has_capacity(self, stage: int) -> bool:
        """Whether another job for this stage can be handed over now."""
        ...

    def submit(self, job: Job) -> None: ...

    def next(self) -> Outcome | None:
        """The next finished job; waits for it, or for a worker that has joined (None). Called while jobs are out."""
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
                self.skipped += outcome.shards
            case "failed":
                self.failed.append(outcome)


def run_segment(store: Store, engine: Engine, stages: Sequence[Stage], shards: Iterable[str], report: Report) -> Totals:
    """Streams shards through stages; finished ones cost a look at the manifest.

    Raises the ``LapidaryError`` that makes going on pointless (disk full, no model server left); a
    shard's own failure is reported, recorded and leaves the others alone.
    """
    plan = _Plan(store, stages)
    queues: list[deque[str]] = [deque() for _ in stages]
    totals = Totals()
    queues[0].extend(_skip_finished(plan, list(shards), totals, report))
    out = 0
    with at_work(store.url) as begin, engine.pool(store, stages) as pool:
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
                        begin()
                        pool.submit(job)
                        out += 1
            if not out:
                continue
            outcome = pool.next()
            if outcome is None:
                continue
            out -= 1
            totals.add(outcome)
            report(outcome)
            if outcome.fatal is not None:
                raise outcome.fatal
            if outcome.entry is not None:
                plan.note(outcome.entry)
                if outcome.stage + 1 < len(stages):
                    queues[outcome.stage + 1].append(outcome.shard)
    for stage in stages if totals.done else ():
        _must_list(store, stage.writes.table, plan.noted[stage.writes.table])
    for stage in stages:
        if isinstance(stage, Sweeps):
            stage.sweep(store)
    return totals


def _must_list(store: Store, table: str, shards: Collection[str]) -> None:
    """Raises ``StoreError`` where an object store does not list what was just finished: later steps would miss it."""
    missing = set() if store.is_local else set(shards) - set(store.shards(table))
    if missing:
        raise StoreError(
            f"{store.path(f'manifest/{table}')} is listed without {len(missing)} of the shards that this run has just "
            f"finished, {min(missing)} first: the store's listings are behind; run again"
        )


def _skip_finished(plan: _Plan, shards: list[str], totals: Totals, report: Report) -> list[str]:
    """Reports the shards that all stages have finished, in one go; returns the others."""
    finished = plan.finished(shards)
    many = [shard for shard, done in zip(shards, finished, strict=True) if done]
    for index, stage in enumerate(plan.stages if many else ()):
        skipped = plan.skipped(index, stage, many)
        totals.add(skipped)
        report(skipped)
    return [shard for shard, done in zip(shards, finished, strict=True) if not done]


def run_reduce(store: Store, reduce: Reduce, report: Report) -> Totals:
    """Runs a reduce unless it is finished for today's digest and today's input."""
    table = reduce.writes.table
    started = time.perf_counter()
    current = digest(reduce)
    held = HeldStore(store, [record.table for record in followed(reduce)])
    last = store.reduce_entry(table)
    present = store.entries(table)
    totals = Totals()
    if last is not None and stands(held, reduce, last, present, current):
        _skip(table, len(last.shards), totals, report)
        return totals
    reads = reads_of(held, reduce)
    # What was read before was whole then; what is new is looked at before a decision rests on it.
    for file, sha in reads.items():
        if last is None or last.reads.get(file) != sha:
            verify(store, file, sha)
    reduction = reduce.run(held, last.state if last is not None and last.digest == current else {})
    shards: dict[str, str] = {}
    there = present.own_sums()
    same = 0
    for shard, rows in reduction.shards:
        outcome = publish(store, reduce, current, shard, rows, present.get(shard))
        if outcome is None:  # what stands there vouches for these very bytes
            shards[shard], same = there[shard], same + 1
            continue
        assert outcome.entry is not None
        shards[shard] = outcome.entry.writes[store.table_file(table, shard)]
        totals.add(outcome)
        report(outcome)
    shards |= {shard: there[shard] for shard in reduction.unchanged_shards}
    _skip(table, same + len(reduction.unchanged_shards), totals, report)
    for stale in present.keys() - shards.keys():
        store.retire(table, stale)
    _must_list(store, table, shards)
    if not store.is_local and reads_of(store, reduce) != reads:
        raise StoreError(
            f"{store.path(f'manifest/{table}')} follows from tables that are listed otherwise than when this run began "
            "with it: the store's listings are behind; run again"
        )
    seconds = round(time.perf_counter() - started, 3)
    store.commit_reduce(ReduceEntry(table, current, reads, shards, seconds, reduction.state()))
    return totals


def _skip(table: str, shards: int, totals: Totals, report: Report) -> None:
    if shards:
        skipped = Outcome(0, table, "", "skipped", shards=shards)
        totals.add(skipped)
        report(skipped)


def unfinished(store: Store, stage: Stage, shards: Iterable[str]) -> set[str]:
    """Those of the shards whose entry is not today's.

    It is of other settings, of other input, has rows that got no verdict, or is not there.
    """
    names = list(shards)
    entries = store.entries(stage.writes.table)
    read = {record.table: store.entries(record.table) for record in stage.reads}
    today = digest(stage)

    def finished(shard: str) -> bool:
        entry = entries.get(shard)
        files = {store.table_file(table, shard): found.get(shard) for table, found in read.items()}
        reads = {file: e.writes[file] for file, e in files.items() if e is not None}
        return entry is not None and entry.finishes(today, reads)

    left = entries.finished(today, list(read.values()), names)
    return {shard for shard, done in zip(names, left, strict=True) if not done and not finished(shard)}


class _Plan:
    """Knows from the manifest which shards of which stages are finished."""

    def __init__(self, store: Store, stages: Sequence[Stage]) -> None:
        self.store = store
        self.stages = stages
        self.digests = [digest(s) for s in stages]
        self.noted: defaultdict[str, set[str]] = defaultdict(set)  # what this run has finished, by table
        tables = {s.writes.table for s in stages} | {r.table for s in stages for r in s.reads}
        self.entries = {t: store.entries(t) for t in sorted(tables)}

    def finished(self, shards: Sequence[str]) -> list[bool]:
        """Of each shard whether all stages have finished it; False where its entries have to be looked at for that."""
        found = np.ones(len(shards), np.bool_)
        for stage, today in zip(self.stages, self.digests, strict=True):
            inputs = [self.entries[record.table] for record in stage.reads]
            found &= self.entries[stage.writes.table].finished(today, inputs, shards)
        return found.tolist()

    def skipped(self, index: int, stage: Stage, shards: Sequence[str]) -> Outcome:
        """What became of shards that are finished."""
        entries = self.entries[stage.writes.table].only(shards)
        return Outcome(
            *(index, stage.writes.table, "", "skipped"),
            rows_in=entries.total("rows_in"),
            rows_out=entries.total("rows_out"),
            bytes_out=entries.total("bytes_out"),
            shards=len(shards),
        )

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
            again = entry.digest == self.digests[index] and entry.reads == reads
            if again or getattr(stage, "builds_on_earlier", False):
                before = entry.writes[self.store.table_file(table, shard)]
                return Job(index, shard, self.digests[index], reads, before)
            # What no longer follows from today's recipe must not be taken for today's answer.
            self.store.retire(table, shard)
            del self.entries[table][shard]
        return Job(index, shard, self.digests[index], reads)

    def note(self, entry: ShardEntry) -> None:
        self.entries[entry.table][entry.shard] = entry
        self.noted[entry.table].add(entry.shard)


def _sha(store: Store, record: type[Record], entry: ShardEntry) -> str:
    return entry.writes[store.table_file(record.table, entry.shard)]
