"""A job is one shard for one stage: what a worker does for it, and what became of it."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from curation.core.errors import EndpointsGone, LapidaryError, StoreError, TooManyLost
from curation.core.stage import Shard, Stage, Work
from curation.core.store import Store
from schemas.arrow import conform
from schemas.manifest import ShardEntry, ShardFailure

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
    """What became of a shard at a stage; or of ``shards`` of them, without a name, that were finished before."""

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
    shards: int = 1


Report = Callable[[Outcome], None]


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
    return _outcome(job, entry, shard.undecided_why)


def committed(stage: Stage, store: Store, job: Job) -> Outcome | None:
    """The outcome of a job whose worker died behind its commit; None where it did not come so far.

    What was finished before the run was never made a job.
    """
    entry = store.entry(stage.writes.table, job.shard)
    return _outcome(job, entry) if entry is not None and entry.finishes(job.digest, job.reads) else None


def _outcome(job: Job, entry: ShardEntry, error: str = "") -> Outcome:
    return Outcome(
        stage=job.stage,
        table=entry.table,
        shard=job.shard,
        status="failed" if entry.undecided else "done",
        rows_in=entry.rows_in,
        rows_out=entry.rows_out,
        bytes_out=entry.bytes_out,
        seconds=entry.seconds,
        error=error,
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
