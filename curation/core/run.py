"""A run: named steps over one root. What every flow has in common, without Prefect."""

from __future__ import annotations

import importlib.metadata
import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from curation.core.pipeline import Engine, Outcome, Report, Totals, run_reduce, run_segment
from curation.core.stage import Reduce, Stage
from curation.core.store import Store
from schemas.arrow import Record

_TOLD_VERSIONS = (
    "lapidary",
    "img2dataset",
    "pyarrow",
    "duckdb",
    "pillow",
    "opencv-python-headless",
    "torch",
    "transformers",
)


@dataclass(frozen=True)
class Step:
    """One step of a run: it ends before the next one starts.

    ``tables`` are those that it writes; ``shards`` counts the shards that are ahead of it, where that is known;
    ``stages`` are those that run at the same time, each reading what those before it write.
    """

    name: str
    tables: tuple[str, ...]
    run: Callable[[Store, Engine, Report], Totals]
    shards: Callable[[Store], int | None] = lambda _: None
    stages: tuple[Stage, ...] = ()

    def left(self, store: Store) -> tuple[Stage, ...]:
        """The stages that have something to do, or may come to: those from the first one whose table lacks shards."""
        ahead = self.shards(store)
        starts = (i for i, s in enumerate(self.stages) if not ahead or store.count(s.writes.table) < ahead)
        return self.stages[next(starts, len(self.stages)) :]


def check_workers(store: Store, engine: Engine, steps: Sequence[Step]) -> None:
    """Asks the engine, before any work, whether it has the GPUs for what is left to do. Raises ``UsageError``."""
    for step in steps:
        if any(s.resources.gpus for s in step.stages):
            engine.check(step.left(store))


def segment(name: str, stages: Sequence[Stage], over: type[Record]) -> Step:
    """Streams every finished shard of ``over`` through the stages."""

    def run(store: Store, engine: Engine, report: Report) -> Totals:
        return run_segment(store, engine, stages, sorted(store.entries(over.table)), report)

    return Step(name, tuple(s.writes.table for s in stages), run, lambda store: store.count(over.table), tuple(stages))


def reduction(reduce: Reduce) -> Step:
    """A barrier: sees whole tables."""

    def run(store: Store, engine: Engine, report: Report) -> Totals:
        return run_reduce(store, reduce, report)

    return Step(reduce.name, (reduce.writes.table,), run)


@dataclass
class RunRecord:
    """What ``runs/<run_id>.json`` says of a run. ``status``: running, completed, failed shards, interrupted, error."""

    command: str
    run_id: str = field(default_factory=lambda: time.strftime("%Y%m%dT%H%M%S-", time.gmtime()) + uuid.uuid4().hex[:8])
    started: float = field(default_factory=time.time)
    seconds: float = 0.0
    status: str = "running"
    detail: str = ""
    engine: str = ""
    versions: dict[str, str] = field(default_factory=lambda: {n: _version(n) for n in _TOLD_VERSIONS})
    done: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)

    def note(self, outcome: Outcome) -> None:
        """Counts a shard's outcome by table."""
        match outcome.status:
            case "done":
                self.done[outcome.table] = self.done.get(outcome.table, 0) + 1
            case "skipped":
                self.skipped[outcome.table] = self.skipped.get(outcome.table, 0) + 1
            case "failed":
                self.failed.setdefault(outcome.table, []).append(outcome.shard)

    def write(self, store: Store) -> None:
        self.seconds = round(time.time() - self.started, 3)
        store.write(f"runs/{self.run_id}.json", json.dumps(asdict(self), sort_keys=True, indent=1).encode())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
