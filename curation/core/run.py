"""A run: named steps over one root. What every flow has in common, without Prefect."""

from __future__ import annotations

import importlib.metadata
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol, Self, TypeVar

from curation.core.gathered_tables import gather
from curation.core.job import Outcome, Report
from curation.core.manifest import compact
from curation.core.pipeline import Engine, Totals, run_reduce, run_segment
from curation.core.stage import Reduce, Stage, Warms
from curation.core.store import Store
from curation.core.verdict import Prepared, Switched
from schemas.arrow import Record

P = TypeVar("P")

_RECORDED_VERSIONS = (
    "lapidary-curation",
    "img2dataset",
    "pyarrow",
    "duckdb",
    "pillow",
    "opencv-python-headless",
    "torch",
    "transformers",
)


class Part(Protocol):
    """A part of a step: a stage, a reduce, or something else that writes a table.

    It may declare more; see ``curation.core.verdict``.
    """

    @property
    def name(self) -> str: ...

    @property
    def writes(self) -> type[Record]: ...


class Step(ABC):
    """One step of a run: it ends before the next one starts."""

    name: str

    @property
    def parts(self) -> Sequence[Part]:
        """All parts, in their order, those that the recipe leaves out too."""
        return ()

    @property
    def active(self) -> tuple[Part, ...]:
        """The parts that the recipe asks for."""
        return tuple(p for p in self.parts if is_on(p))

    @property
    def on(self) -> bool:
        """Whether there is anything to run."""
        return bool(self.active) or not self.parts

    @property
    def records(self) -> tuple[type[Record], ...]:
        """The tables that the step may write."""
        return tuple(p.writes for p in self.parts)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that it writes with this recipe."""
        return tuple(p.writes.table for p in self.active)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that run at the same time, each reading what those before it write."""
        return ()

    def ready(self, store: Store | None) -> Self:
        """The same step after a look at all that it needs. Raises ``UsageError`` for what cannot work."""
        return self

    def shards(self, store: Store) -> int | None:
        """How many shards are ahead of it, where that is known."""
        return None

    def outlook(self, store: Store) -> list[str]:
        """Lines for ``--dry-run`` on what it will do, where no part of it can be looked at by itself."""
        return []

    def left(self, store: Store) -> tuple[Stage, ...]:
        """The stages that have something to do, or may come to: those from the first one whose table lacks shards."""
        ahead = self.shards(store)
        starts = (i for i, s in enumerate(self.stages) if not ahead or store.count(s.writes.table) < ahead)
        return self.stages[next(starts, len(self.stages)) :]

    @abstractmethod
    def run(self, store: Store, engine: Engine, report: Report) -> Totals: ...


@dataclass(frozen=True)
class Segment(Step):
    """Streams every finished shard of ``over`` through the stages."""

    name: str
    through: tuple[Stage, ...]
    over: type[Record]

    @property
    def parts(self) -> Sequence[Part]:
        return self.through

    @property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(s for s in self.through if is_on(s))

    def ready(self, store: Store | None) -> Self:
        return replace(self, through=tuple(made_ready(s, store) for s in self.through))

    def shards(self, store: Store) -> int | None:
        return store.count(self.over.table)

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        return run_segment(store, engine, self.stages, store.shards(self.over.table), report)


@dataclass(frozen=True)
class Barrier(Step):
    """Runs a reduce, which sees whole tables."""

    reduce: Reduce
    name: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.reduce.name)

    @property
    def parts(self) -> Sequence[Part]:
        return (self.reduce,)

    def ready(self, store: Store | None) -> Self:
        return replace(self, reduce=made_ready(self.reduce, store))

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        return run_reduce(store, self.reduce, report)


def segment(name: str, stages: Sequence[Stage], over: type[Record]) -> Segment:
    """Streams every finished shard of ``over`` through the stages."""
    return Segment(name, tuple(stages), over)


def is_on(part: object) -> bool:
    """Whether the recipe asks for this part of a step."""
    return part.on if isinstance(part, Switched) else True


def made_ready(part: P, store: Store | None) -> P:
    """The part, checked and complete, where the recipe asks for it. Raises ``UsageError``."""
    if is_on(part) and isinstance(part, Prepared):
        checked: P = part.ready(store)
        return checked
    return part


def parts_of(steps: Sequence[Step]) -> Iterator[Part]:
    """All parts of all steps that the recipe asks for, in their order."""
    for step in steps:
        yield from step.active


def compact_tables(store: Store, step: Step, done: int) -> None:
    """Makes one file of the many entries of a step's tables, and of many small shards where some were ``done``.

    Call it behind the step, while holding the root.
    """
    for record in step.records:
        compact(store, record.table)
    if done:
        gather(store, step.records)


def warming(store: Store, steps: Sequence[Step]) -> Iterator[Callable[[], None]]:
    """What this process can load before it runs these steps itself, in their order; nothing for what is finished."""
    for step in (s for s in steps if s.on):
        left = step.left(store)
        for part in step.active:
            ahead = part in left if step.stages else not store.count(part.writes.table)
            if ahead and isinstance(part, Warms):
                yield part.warm


def check_workers(store: Store, engine: Engine, steps: Sequence[Step]) -> None:
    """Checks that the engine has enough GPUs for the unfinished stages. Raises ``UsageError``."""
    for step in steps:
        if any(s.resources.gpus for s in step.stages):
            engine.check(step.left(store))


@dataclass
class RunRecord:
    """What ``runs/<run_id>.json`` says of a run. ``status``: running, completed, failed shards, interrupted, error.

    ``done``, ``skipped`` and ``failed`` are shards by table, ``tables`` the order in which the run makes the tables.
    """

    command: str
    run_id: str = field(default_factory=lambda: time.strftime("%Y%m%dT%H%M%S-", time.gmtime()) + uuid.uuid4().hex[:8])
    started: float = field(default_factory=time.time)
    seconds: float = 0.0
    status: str = "running"
    detail: str = ""
    engine: str = ""
    versions: dict[str, str] = field(default_factory=lambda: {n: _version(n) for n in _RECORDED_VERSIONS})
    done: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)

    def expect(self, tables: Iterable[str]) -> None:
        """Notes the tables of a step that begins: in this order the run makes them."""
        self.tables = list(dict.fromkeys([*self.tables, *tables]))

    def note(self, outcome: Outcome) -> None:
        """Counts shards' outcomes by table."""
        match outcome.status:
            case "done":
                self.done[outcome.table] = self.done.get(outcome.table, 0) + 1
            case "skipped":
                self.skipped[outcome.table] = self.skipped.get(outcome.table, 0) + outcome.shards
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
