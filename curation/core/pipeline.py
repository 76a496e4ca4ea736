"""Runs stages over shards: skip what is finished, map the rest, commit.

A segment of stages streams: shard 7 is captioned while shard 8 downloads. Only a reduce is a barrier.
Finished means: an entry with today's digest that read today's bytes. So a changed prompt redoes
captions and what follows from them, and nothing else.
"""

from __future__ import annotations

import errno
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from curation.core.errors import EndpointsGone, LapidaryError, StoreError, TooManyLost
from curation.core.stage import Reduce, Shard, Stage, Work, digest
from curation.core.store import Store, untouched
from curation.core.under_way import Progress
from schemas.arrow import Record, conform
from schemas.manifest import ReduceEntry, ShardEntry, ShardFailure

# What would stop every other shard too: a disk that is full, over quota, limited or read-only.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Job:
    """One shard for one stage, with its entry's digests; ``before``: the sha256 of the table that is there."""

    stage: int
    shard: str
    digest: str
    reads: dict[str, str]
    before: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a shard at a stage."""

    stage: int
    table: str
    shard: str
    status: Status
    rows_in: int = 0
    rows_out: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    error: str = ""
    fatal: LapidaryError | None = None
    entry: ShardEntry | None = None


Report = Callable[[Outcome], None]


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


def execute(stage: Stage, work: Work, store: Store, job: Job, worker: str) -> Outcome:
    """Runs one job in the worker: data first, entry last. Exceptions become a failed outcome."""
    table = stage.writes.table
    started = time.perf_counter()
    shard = Shard(job.shard, store, reads=job.reads, digest=job.digest)
    try:
        result = conform(stage.writes, work(shard))
        name = store.table_file(table, job.shard)
        shard.writes[name], size = store.rewrite_table(stage.writes, job.shard, result, job.before)
        entry = ShardEntry(
            table=table,
            shard=job.shard,
            digest=job.digest,
            reads=job.reads,
            writes=dict(sorted(shard.writes.items())),
            rows_in=shard.rows_in or result.num_rows,
            rows_out=result.num_rows,
            bytes_out=shard.bytes_out + size,
            seconds=round(time.perf_counter() - started, 3),
            worker=worker,
            undecided=shard.undecided,
        )
        store.commit(entry)
        for clean_up in shard.on_commit:
            clean_up()
        if shard.undecided:  # why, for people; the entry itself says that there is work left
            store.commit_failure(ShardFailure(table, job.shard, shard.undecided_why, "", worker, 1))
    except Exception as error:
        return failed(stage, store, job, error, worker, time.perf_counter() - started)
    return Outcome(
        stage=job.stage,
        table=table,
        shard=job.shard,
        status="failed" if shard.undecided else "done",
        rows_in=entry.rows_in,
        rows_out=entry.rows_out,
        bytes_out=entry.bytes_out,
        seconds=entry.seconds,
        error=shard.undecided_why,
        entry=entry,
    )


def failed(
    stage: Stage, store: Store, job: Job, error: Exception, worker: str, seconds: float, attempts: int = 1
) -> Outcome:
    """Records an unexpected failure beside the shard. A full disk or lost servers stop the run."""
    text = f"{type(error).__name__}: {error}"
    fatal: LapidaryError | None = error if isinstance(error, (EndpointsGone, StoreError, TooManyLost)) else None
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        fatal = StoreError(f"cannot write under {store.url}: {error}; free space or name another --root")
    trace = "".join(traceback.format_exception(error))
    try:
        store.commit_failure(ShardFailure(stage.writes.table, job.shard, text, trace, worker, attempts))
    except StoreError as unwritable:
        fatal = unwritable
    return Outcome(
        stage=job.stage,
        table=stage.writes.table,
        shard=job.shard,
        status="failed",
        seconds=seconds,
        error=text,
        fatal=fatal,
    )


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
            same, current = entry.digest == self.digests[index], entry.reads == reads
            if same and current and not entry.undecided:
                return Outcome(index, table, shard, "skipped", entry.rows_in, entry.rows_out, entry.bytes_out)
            if same and (current or getattr(stage, "builds_on_earlier", False)):
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
